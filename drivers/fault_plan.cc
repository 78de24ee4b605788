#include "drivers/fault_plan.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace limpid {
namespace {

// A decimal number with its unit, in millionths: "0.5%" gives 500000 and "%".
struct Quantity {
  uint64_t millionths = 0;
  std::string_view unit;
};

std::optional<Quantity> parse_quantity(std::string_view text) {
  uint64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc{} || whole > 1'000'000'000'000) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  uint64_t fraction = 0;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    uint64_t scale = 100'000;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), scale /= 10)
      fraction += scale * static_cast<uint64_t>(text.front() - '0');
  }
  return Quantity{whole * 1'000'000 + fraction, text};
}

bool parse_share(std::string_view text, uint32_t& ppm) {
  const auto q = parse_quantity(text);
  if (!q) return false;
  uint64_t value;
  if (q->unit == "%")
    value = q->millionths / 100;
  else if (q->unit == "ppm")
    value = q->millionths / 1'000'000;
  else
    return false;
  if (value > 1'000'000) return false;
  ppm = static_cast<uint32_t>(value);
  return true;
}

bool parse_duration(std::string_view text, Duration& duration) {
  const auto q = parse_quantity(text);
  if (!q) return false;
  uint64_t nanoseconds;
  if (q->unit == "us")
    nanoseconds = q->millionths / 1000;
  else if (q->unit == "ms")
    nanoseconds = q->millionths;
  else if (q->unit == "s")
    nanoseconds = q->millionths * 1000;
  else
    return false;
  duration = Duration(static_cast<int64_t>(nanoseconds));
  return nanoseconds <= 3'600'000'000'000;  // an hour: more is a slip of the pen
}

bool parse_rate(std::string_view text, uint64_t& rate) {
  const auto q = parse_quantity(text);
  if (!q) return false;
  if (q->unit == "bit")
    rate = q->millionths / 1'000'000;
  else if (q->unit == "kbit")
    rate = q->millionths / 1000;
  else if (q->unit == "mbit")
    rate = q->millionths;
  else if (q->unit == "gbit")
    rate = q->millionths * 1000;
  else
    return false;
  return rate > 0;
}

bool parse_count(std::string_view text, uint32_t& count) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc{} && end == text.data() + text.size() && count > 0;
}

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
