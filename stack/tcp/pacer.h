// Spreads what may go over time: a burst goes at once, and the next one when the first has had as long as it takes at
// the pacing rate. A burst is a millisecond of that rate, and two segments at least (draft-ietf-ccwg-bbr §5.6.3).
//
//   rate  ----------------------------------------------->
//   sent  ##        ##        ##            ####        ##      each # a segment
//                                      ^ the clock came late: what should have gone meanwhile goes now
//
// The wait itself is the connection's `pacing` timer. A clock that is coarser than a burst is no loss of rate: what a
// late timer has missed is made up for. What the application, or a window, did not use, is not.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/time.h"

namespace limpid {

class Pacer {
 public:
  static constexpr uint64_t kLargestBurst = 64 << 10;
  static constexpr Duration kMostMadeUp = 10ms;  // of what a late timer has missed
  static constexpr Duration kLongestWait = 1s;

  static uint64_t burst(uint64_t rate, uint32_t mss) {
    return std::clamp<uint64_t>(rate / 1000, uint64_t{2} * mss, std::max<uint64_t>(kLargestBurst, 2 * uint64_t{mss}));
  }

  // Text went out, at `rate` bytes a second: how long to wait before more does. Zero: the burst is not over.
  Duration on_sent(uint32_t bytes, uint64_t rate, uint32_t mss, Time now) {
    if (rate == 0) return {};
    if (now != released_at_) departure_ = std::max(departure_, now);
    departure_ += std::min(time_for(bytes, rate), kLongestWait);
    const Duration ahead = departure_ - now;
    return ahead < time_for(burst(rate, mss) - mss / 2, rate) ? Duration{} : std::min(ahead, kLongestWait);
  }

  // The wait is over.
  void on_timer(Time now) {
    departure_ = std::max(departure_, now - kMostMadeUp);
    released_at_ = now;
  }

 private:
  static Duration time_for(uint64_t bytes, uint64_t rate) {
    return Duration(static_cast<int64_t>(std::min<uint64_t>(bytes * 1'000'000'000 / rate, INT64_MAX)));
  }

  Time departure_{};           // when all that was sent has had its time
  Time released_at_ = kNever;  // the last wait ended

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Pacer::departure_, &Pacer::released_at_);
  }
};

}  // namespace limpid
