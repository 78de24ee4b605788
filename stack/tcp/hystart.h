// HyStart++ (RFC 9406): leaves slow start before the queue overflows, when round trips take longer from round to round.
//
//   slow start ---- this round's least RTT is clearly above the last one's ----> conservative slow start (CSS)
//        ^                                                                          |             |
//        +------- the RTT fell below what it was then: it was jitter ---------------+   five rounds: ssthresh = cwnd
//
// Used in a connection's first slow start only, while ssthresh is arbitrarily high (§4.3).
#pragma once

#include <cstdint>

#include "stack/tcp/cc_window.h"

namespace limpid {

class HyStart {
 public:
  // Moves the window for this ACK. It sets ssthresh when slow start is over.
  Rule on_ack(Window& w, const AckEvent& ack);
  bool conservative() const { return rounds_left_ > 0; }

 private:
  void on_round();
  void look_for_delay();

  static constexpr uint32_t kNone = UINT32_MAX;  // "infinity"
  uint32_t last_round_min_ = kNone;              // microseconds
  uint32_t round_min_ = kNone;
  uint32_t baseline_ = kNone;  // the round trip time at which conservative slow start began
  uint8_t samples_ = 0;        // of this round
  uint8_t rounds_left_ = 0;    // of conservative slow start; 0: not in it

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&HyStart::last_round_min_, &HyStart::round_min_, &HyStart::baseline_, &HyStart::samples_,
             &HyStart::rounds_left_);
  }
};

}  // namespace limpid
