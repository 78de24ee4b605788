// Moves frames between two devices and the ends of a simulated link, on the real clock.
//
//   kernel, left ── TUN ──read──> end(0) [ sim_link: queue, rate, delay, loss ] end(1) ──write──> TUN ── kernel, right
//
// One thread. It sleeps until a frame comes or the next one is due, to the nanosecond as far as the system gives it; a
// frame that came while we slept enters the link when it is read, one that is due leaves when we look.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "drivers/device.h"
#include "drivers/sim_link.h"

namespace limpid::wire {

class Capture;

// How much later than the link said frames were delivered: what the machine added to the path.
class Lateness {
 public:
  void add(Duration late);
  uint64_t deliveries() const { return deliveries_; }
  Duration mean() const { return deliveries_ == 0 ? Duration{} : total_ / static_cast<int64_t>(deliveries_); }
  Duration most() const { return most_; }
  // So many of a thousand were not later than this (a power of two, in microseconds).
  Duration bound_of(uint32_t per_mille) const;

 private:
  uint64_t deliveries_ = 0;
  Duration total_{};
  Duration most_{};
  std::array<uint64_t, 40> by_magnitude_{};  // [n]: below 2^n microseconds
};

class Relay {
 public:
  // `capture` may be null.
  Relay(SimLink& link, Device& left, Device& right, Capture* capture);

  // Works until this descriptor turns readable.
  void run(int until);

  // One turn at this moment: reads what came, delivers what is due.
  void turn(Time now);
  Time next_due() const;

  const Lateness& lateness() const { return lateness_; }
  uint64_t refused() const { return refused_; }  // deliveries that a device had no room for: lost
  Duration elapsed() const;

 private:
  static constexpr size_t kBatch = 64;

  void take_in(size_t side, Time now);
  void deliver(size_t side, Time now);
  Time clock() const;

  SimLink& link_;
  Device* devices_[2];
  Capture* capture_;
  FramePool pool_;
  std::vector<FrameRef> frames_;
  FrameRef outgoing_;
  Lateness lateness_;
  uint64_t refused_ = 0;
  Duration started_;
};

}  // namespace limpid::wire
