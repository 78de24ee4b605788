// How large a buffer may grow by itself, in either direction, on a path of this length.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/time.h"

namespace limpid {

// Fits a processor's cache. While the other connections' buffers together hold more than twice that, one may hold what
// an eighth of the rate has under way: they share it, and what they hold beyond it only waits, and grows cold.
constexpr uint32_t kLeastLargestSendBuffer = 1 << 20;
constexpr size_t kSharedSendBuffers = 2 << 20;
constexpr uint32_t kLeastSharedSendBuffer = 64 << 10;
constexpr int kSharers = 8;
// More than a sender holds in its buffer (Linux: 4 MB unless told otherwise): then it sends within its own calls. A
// sender that the window holds back sends when the ACK comes: over a TUN that is within our write of it.
constexpr uint32_t kLeastLargestReceiveBuffer = 8 << 20;

// What 32 Gbit/s have under way in the least round trip, but not below `least`. On a short path that loses nothing no
// loss ever stops the congestion window: a larger buffer would be memory that is cold whenever it is touched, and a
// longer queue for everybody else. `least_round_trip`: zero when it is not known.
inline uint32_t largest_buffer_for(Duration least_round_trip, uint32_t least, uint32_t configured) {
  constexpr uint64_t kPerMicrosecond = 4096;
  if (least_round_trip <= Duration{}) return configured;
  const uint64_t under_way = static_cast<uint64_t>(to_us(least_round_trip)) * kPerMicrosecond;
  return static_cast<uint32_t>(std::min<uint64_t>(std::max<uint64_t>(under_way, least), configured));
}

}  // namespace limpid
