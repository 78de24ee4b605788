// Classic HyStart (Ha and Rhee, "Hybrid Slow Start for High-Bandwidth and Long-Distance Networks", 2008; Linux's
// CUBIC): leaves slow start at once where HyStart++ (hystart.h) would first go on more slowly.
//
//   ACK train   the ACKs of a flight still come, closely spaced, half a round trip after its first: they fill the path
//   delay       the least round trip of a flight is clearly above the least of all
//
// The train says nothing where text is paced, which spreads ACKs: then it has to last for a whole round trip.
#pragma once

#include <cstdint>

#include "stack/tcp/cc_window.h"

namespace limpid {

class ClassicHyStart {
 public:
  // An ACK in slow start, before it moves the window. Rule::none: on with it; else slow start is over, and ssthresh
  // set.
  Rule on_ack(Window& w, const AckEvent& ack);

 private:
  void begin_round(const AckEvent& ack, uint32_t now);
  bool long_train(bool paced, uint32_t now);
  bool delay_rose(uint32_t rtt);

  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t least_ = kNone;        // round trip time of all, microseconds
  uint32_t round_least_ = kNone;  // and of this round
  uint32_t round_end_ = 1;        // SND.NXT when it began, its lower half
  uint32_t round_begin_ = 0;      // stack time, microseconds
  uint32_t last_ack_ = 0;         // of the train, likewise
  uint8_t samples_ = 0;           // of this round

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&ClassicHyStart::least_, &ClassicHyStart::round_least_, &ClassicHyStart::round_end_,
             &ClassicHyStart::round_begin_, &ClassicHyStart::last_ack_, &ClassicHyStart::samples_);
  }
};

}  // namespace limpid
