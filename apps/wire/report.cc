#include "apps/wire/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace limpid::wire {
namespace {

using Json = nlohmann::ordered_json;

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

Json direction_json(const SimLinkCounters& c, double elapsed) {
  return {{"frames", c.entered},
          {"bytes", c.bytes},
          {"mbit_per_s", elapsed > 0 ? static_cast<double>(c.bytes) * 8e-6 / elapsed : 0},
          {"delivered", c.delivered},
          {"lost", c.lost},
          {"queue_full", c.queue_full},
          {"too_long", c.too_long},
          {"reordered", c.reordered},
          {"duplicated", c.duplicated},
          {"most_queued_bytes", c.most_queued}};
}

std::string direction_text(const char* name, const SimLinkCounters& c) {
  std::string text = fmt::format("  {}  {} frames, {} bytes: {} delivered, {} lost, {} dropped at the full queue", name,
                                 c.entered, c.bytes, c.delivered, c.lost, c.queue_full);
  if (c.too_long > 0) text += fmt::format(", {} too long", c.too_long);
  if (c.reordered > 0) text += fmt::format(", {} held back", c.reordered);
  if (c.duplicated > 0) text += fmt::format(", {} twice", c.duplicated);
  if (c.most_queued > 0) text += fmt::format("; at most {} bytes queued", c.most_queued);
  return text + "\n";
}

}  // namespace

std::string report_text(const SimLink& link, const Relay& relay) {
  const Lateness& late = relay.lateness();
  std::string text = fmt::format("limpid-wire: {:.2f} s\n", seconds(relay.elapsed()));
  text += direction_text("left to right", link.counters(0));
  text += direction_text("right to left", link.counters(1));
  text += fmt::format("  delivered {} us late on average, 99 % within {} us, {} us at most", to_us(late.mean()),
                      to_us(late.bound_of(990)), to_us(late.most()));
  if (relay.refused() > 0) text += fmt::format("; {} frames refused by an interface", relay.refused());
  return text + "\n";
}

std::string report_json(const SimLink& link, const Relay& relay, uint64_t seed) {
  const Lateness& late = relay.lateness();
  const double elapsed = seconds(relay.elapsed());
  const Json json{
      {"seconds", elapsed},
      {"seed", seed},
      {"left_to_right", direction_json(link.counters(0), elapsed)},
      {"right_to_left", direction_json(link.counters(1), elapsed)},
      {"refused", relay.refused()},
      {"late_us",
       {{"mean", to_us(late.mean())}, {"p99_below", to_us(late.bound_of(990))}, {"max", to_us(late.most())}}}};
  return json.dump(1) + "\n";
}

}  // namespace limpid::wire
