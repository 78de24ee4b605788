#include "apps/wire/capture.h"

#include <fmt/format.h>

#include <chrono>

namespace limpid::wire {
namespace {

// Wall clock at the relay's time zero, which is now, near enough for a file's dates.
int64_t epoch_ns() {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(wall).count();
}

std::string describe(const SimIncident& incident) {
  switch (incident.kind) {
    case EventKind::sim_lost:
      return "lost by the wire";
    case EventKind::sim_queue_full:
      return fmt::format("dropped: {} bytes wait in the queue", incident.detail);
    case EventKind::sim_delayed:
      return fmt::format("waits in the queue: arrives in {} us", incident.detail);
    case EventKind::sim_reordered:
      return fmt::format("held back {} us more", incident.detail);
    case EventKind::sim_duplicated:
      return "comes twice";
    default:
      return {};
  }
}

}  // namespace

Capture::Capture(const std::string& path, uint32_t longest)
    : writer_(path, {.snap_length = std::min(longest, 128u), .epoch_ns = epoch_ns()}) {
  writer_.add_interface("left", "the left end of the wire", false);
  writer_.add_interface("right", "the right end of the wire", false);
}

void Capture::enters(size_t side) {
  side_ = side;
  fate_.clear();
}

void Capture::entered(ByteSpan frame, Time now) {
  const std::string name = fmt::format("frame {} from the {}", ++frames_[side_], side_ == 0 ? "left" : "right");
  write(static_cast<uint32_t>(side_), false, frame, name + fate_, now);
}

void Capture::delivered(uint32_t direction, ByteSpan frame, Time now) { write(1 - direction, true, frame, {}, now); }

void Capture::incident(const SimIncident& incident, Time) { fate_ += "; " + describe(incident); }

void Capture::write(uint32_t interface, bool inbound, ByteSpan frame, std::string_view comment, Time now) {
  const std::lock_guard guard(writer_.mutex());
  writer_.packet({.interface = interface,
                  .time = now,
                  .inbound = inbound,
                  .bytes = frame.first(writer_.kept(frame.size())),
                  .length = static_cast<uint32_t>(frame.size()),
                  .event = 0,
                  .comment = comment});
}

}  // namespace limpid::wire
