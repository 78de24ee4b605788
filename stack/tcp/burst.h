// Bursts: how many full segments go out together, and so where PSH stands within a long write.
//
//   write of 12 segments, bursts of 4:   [1][2][3][4 P] [5][6][7][8 P] [9][10][11][12 P]
//
// A receiver that delays its acknowledgments, or hands text up in batches, learns from PSH that there is no use in
// waiting for more. Linux, which gives its device super-segments, sets PSH on the last segment of each (if it has more
// than one), and sizes them to about a millisecond of the path's rate, at most half of the congestion window. We send
// the same bursts, so that the peer sees the same; a lone full segment in mid-stream goes without.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/time.h"

namespace limpid {

struct BurstShape {
  uint32_t mss = 0;
  uint32_t room = 0;  // bytes that the windows and the send queue let go now
  uint32_t cwnd = 0;  // bytes
  bool slow_start = false;
  Duration srtt{};  // zero: not known yet
  Duration min_rtt{};
  uint32_t least = 2;  // segments; Linux tcp_min_tso_segs
};

// What one millisecond of pacing carries: Linux paces at twice cwnd/SRTT in slow start, at 1.2 times beyond it, and
// makes bursts larger where the round trip is so short that nobody would notice.
inline uint64_t burst_bytes(const BurstShape& s) {
  constexpr uint64_t kLargest = 65'536;
  if (s.srtt <= Duration{}) return kLargest;
  const uint64_t percent = s.slow_start ? 200 : 120;
  const uint64_t us = std::max<uint64_t>(1, static_cast<uint64_t>(to_us(s.srtt)));
  const uint64_t in_a_millisecond = uint64_t{s.cwnd} * percent * 10 / us;
  const uint64_t shortness = static_cast<uint64_t>(to_us(s.min_rtt)) >> 9;
  return std::min(kLargest, in_a_millisecond + (shortness < 32 ? kLargest >> shortness : 0));
}

// In segments, at least one.
inline uint32_t burst_segments(const BurstShape& s) {
  const uint64_t wanted = std::max<uint64_t>(burst_bytes(s) / s.mss, s.least);
  const uint64_t half_window = std::max<uint64_t>(s.cwnd / s.mss / 2, 1);
  return static_cast<uint32_t>(std::max<uint64_t>(1, std::min({wanted, half_window, uint64_t{s.room} / s.mss})));
}

// The burst that is going out.
struct Burst {
  uint32_t size = 0;  // segments
  uint32_t sent = 0;  // of these

  bool ends_with(uint32_t segments) const { return size > 1 && sent + segments == size; }
  void note_sent(uint32_t segments) {
    sent += segments;
    if (sent >= size) *this = {};
  }
};

}  // namespace limpid
