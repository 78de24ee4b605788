// Spreads what may go over time: after a burst that a millisecond of the pacing rate allows (and two segments at least,
// draft-ietf-ccwg-bbr §5.6.3), output waits for as long as that burst takes. The wait itself is the connection's
// `pacing` timer.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/time.h"

namespace limpid {

class Pacer {
 public:
  static constexpr uint64_t kLargestBurst = 64 << 10;

  static uint64_t burst(uint64_t rate, uint32_t mss) {
    return std::clamp<uint64_t>(rate / 1000, uint64_t{2} * mss, std::max<uint64_t>(kLargestBurst, 2 * uint64_t{mss}));
  }

  // Text went out, at `rate` bytes a second: how long to wait before more does. Zero: the burst is not over.
  Duration on_sent(uint32_t bytes, uint64_t rate, uint32_t mss, Time now) {
    if (rate == 0) return {};
    const auto since = static_cast<uint64_t>(std::clamp<int64_t>(to_us(now - last_), 0, 1'000'000));
    const uint64_t drained = since * rate / 1'000'000;  // what was sent long ago is no part of this burst
    sent_ = static_cast<uint32_t>(sent_ > drained ? sent_ - drained : 0) + bytes;
    last_ = now;
    if (sent_ < burst(rate, mss)) return {};
    const uint64_t nanoseconds = uint64_t{sent_} * 1'000'000'000 / rate;
    sent_ = 0;
    return Duration(static_cast<int64_t>(std::min<uint64_t>(nanoseconds, 1'000'000'000)));
  }

 private:
  uint32_t sent_ = 0;  // bytes of this burst
  Time last_{};
};

}  // namespace limpid
