#include "drivers/fault_plan.h"

#include <fmt/format.h>

#include "drivers/quantity.h"

namespace limpid {
namespace {

bool parse_swallow(std::string_view text, std::vector<FaultDirection::Swallow>& swallow) {
  if (text == "icmp") {
    swallow.push_back({IpProtocol::icmp, 0});
    return true;
  }
  const bool tcp = text.starts_with("tcp:");
  if (!tcp && !text.starts_with("udp:")) return false;
  uint32_t port = 0;
  if (!parse_count(text.substr(4), port) || port > 65'535) return false;
  swallow.push_back({tcp ? IpProtocol::tcp : IpProtocol::udp, static_cast<uint16_t>(port)});
  return true;
}

bool apply(FaultDirection& d, std::string_view key, std::string_view value) {
  if (key == "loss") return parse_share(value, d.loss_ppm);
  if (key == "dup") return parse_share(value, d.duplicate_ppm);
  if (key == "reorder") return parse_share(value, d.reorder_ppm);
  if (key == "corrupt") return parse_share(value, d.corrupt_ppm);
  if (key == "reorder-by") return parse_count(value, d.reorder_by);
  if (key == "reorder-time") return parse_duration(value, d.reorder_time);
  if (key == "delay") return parse_duration(value, d.delay);
  if (key == "rate") return parse_rate(value, d.rate);
  if (key == "queue") return parse_count(value, d.queue_bytes);
  if (key == "swallow") return parse_swallow(value, d.swallow);
  return false;
}

}  // namespace

std::expected<FaultPlan, std::string> FaultPlan::parse(std::string_view text) {
  FaultPlan plan;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (item.empty()) continue;

    const bool only_in = item.starts_with("in.");
    const bool only_out = item.starts_with("out.");
    const std::string_view rest = item.substr(only_in ? 3 : only_out ? 4 : 0);
    const size_t equals = std::min(rest.find('='), rest.size());
    const std::string_view key = rest.substr(0, equals);
    const std::string_view value = rest.substr(std::min(equals + 1, rest.size()));
    // A filtered port is one that the outside cannot reach, so swallowing means inward unless it says otherwise.
    const bool outward_too = !only_in && key != "swallow";
    bool good = true;
    if (!only_out) good = apply(plan.in, key, value);
    if (good && (only_out || outward_too)) good = apply(plan.out, key, value);
    if (!good)
      return std::unexpected(
          fmt::format("fault plan: \"{}\" is not understood; like loss=2%,reorder=2%,dup=1%,corrupt=10ppm,"
                      "delay=20ms,rate=10mbit,swallow=tcp:81, with in. or out. in front for one direction",
                      item));
  }
  return plan;
}

}  // namespace limpid
