// Whether the window, and not the application or the peer, is what holds the sender back: only then does an ACK say
// that the path carries more (RFC 7661 §4; the test is Linux's).
//
// Looked at once a round trip: that the window was full at any moment of it counts; else the most that was in flight.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/tcp/cc_window.h"

namespace limpid {

class WindowUsage {
 public:
  // After output: what is in flight now, and whether the window stopped it there.
  void note(SeqPos una, SeqPos nxt, uint32_t in_flight, bool full) {
    if (una < round_ && !full && (full_ || in_flight <= most_)) return;
    full_ = full;
    most_ = in_flight;
    round_ = nxt;
  }
  // In slow start half of the window will do: it may double within a round trip.
  bool limited(const Window& w) const { return full_ || (w.in_slow_start() && w.cwnd / 2 < most_); }

 private:
  SeqPos round_;  // until this is acknowledged, the following holds
  uint32_t most_ = 0;
  bool full_ = false;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&WindowUsage::round_, &WindowUsage::most_, &WindowUsage::full_);
  }
};

}  // namespace limpid
