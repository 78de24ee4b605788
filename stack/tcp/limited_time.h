// What sending was limited by, and for how long: while anything is queued the connection is busy, and for a part of
// that time the peer's window, or the size of our own send buffer, is all that holds it back. Feeds TCP_INFO's
// busy_time, rwnd_limited and sndbuf_limited (which are parts of the first).
#pragma once

#include <array>
#include <cstdint>

#include "stack/base/time.h"

namespace limpid {

enum class SendLimit : uint8_t {
  idle,         // nothing is queued
  busy,         // the network and the congestion window set the pace
  peer_window,  // there is more, and the peer has no room for it
  send_buffer,  // all was sent, the congestion window would take more, and a writer waits for room
};

class LimitedTime {
 public:
  // From now on it is this.
  void note(SendLimit limit, Time now) {
    if (limit == limit_) return;
    spent_[static_cast<size_t>(limit_)] += now - since_;
    limit_ = limit;
    since_ = now;
  }

  Duration busy(Time now) const {
    return spent(SendLimit::busy, now) + spent(SendLimit::peer_window, now) + spent(SendLimit::send_buffer, now);
  }
  Duration spent(SendLimit limit, Time now) const {
    return spent_[static_cast<size_t>(limit)] + (limit == limit_ ? now - since_ : Duration{});
  }

 private:
  std::array<Duration, 4> spent_{};
  SendLimit limit_ = SendLimit::idle;
  Time since_{};
};

}  // namespace limpid
