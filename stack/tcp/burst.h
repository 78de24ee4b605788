// Bursts: how many segments go out together, and so where PSH stands within a long write.
//
//   write of 12 segments, bursts of 4:   [1][2][3][4 P] [5][6][7][8 P] [9][10][11][12 P]
//
// A receiver that delays its acknowledgments, or hands text up in batches, learns from PSH that there is no use in
// waiting for more. Linux, which gives its device super-segments, sets PSH on the last segment of each (if it has more
// than one), and sizes them to about a millisecond of the path's rate, at most half of the congestion window and never
// across the end of a chunk (unsent_chunks.h). We send the same bursts, so that the peer sees the same; a lone full
// segment in mid-stream goes without.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/time.h"
#include "stack/tcp/seq.h"

namespace limpid {

struct BurstShape {
  uint32_t mss = 0;
  uint64_t rate = 0;  // at which text is, or would be, paced: bytes a second; 0: not known yet
  Duration min_rtt{};
  uint32_t least = 2;  // segments; Linux tcp_min_tso_segs
};

// What one millisecond of pacing carries, and more where the round trip is so short that nobody would notice.
inline uint64_t burst_bytes(const BurstShape& s) {
  constexpr uint64_t kLargest = 65'536;
  if (s.rate == 0) return kLargest;
  const uint64_t shortness = static_cast<uint64_t>(to_us(s.min_rtt)) >> 9;
  return std::min(kLargest, (s.rate >> 10) + (shortness < 32 ? kLargest >> shortness : 0));
}

// In segments, at least one.
inline uint32_t burst_segments(const BurstShape& s) {
  return static_cast<uint32_t>(std::max<uint64_t>({burst_bytes(s) / s.mss, s.least, 1}));
}

// The burst that is going out.
struct Burst {
  SeqPos end;         // it goes until SND.NXT is there
  bool many = false;  // it is more than one segment

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Burst::end, &Burst::many);
  }
};

}  // namespace limpid
