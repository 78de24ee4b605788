// Sequence numbers: the 32-bit one on the wire, and the 64-bit position inside.
//
// `Seq` is what a header carries, modulo 2^32. `SeqPos` counts from the initial sequence number: the SYN is position 0,
// the first byte of text position 1, and it never wraps. A Seq is unwrapped once, at the door (to the position nearest
// to one that is known), so that no wrap bug can exist inside tcp/ and a debugger shows small relative numbers.
#pragma once

#include <compare>
#include <cstdint>

namespace limpid {

struct Seq {
  uint32_t value = 0;
  friend constexpr bool operator==(Seq, Seq) = default;
};

struct SeqPos {
  int64_t value = 0;  // negative: before the initial sequence number, as a stray old segment may lie

  constexpr SeqPos operator+(int64_t n) const { return {value + n}; }
  constexpr SeqPos operator-(int64_t n) const { return {value - n}; }
  constexpr int64_t operator-(SeqPos o) const { return value - o.value; }
  constexpr SeqPos& operator+=(int64_t n) {
    value += n;
    return *this;
  }
  friend constexpr auto operator<=>(SeqPos, SeqPos) = default;

  // The byte of the stream that this position carries: text begins behind the SYN.
  constexpr uint64_t stream() const { return static_cast<uint64_t>(value - 1); }
  static constexpr SeqPos from_stream(uint64_t offset) { return {static_cast<int64_t>(offset) + 1}; }
  constexpr uint32_t low() const { return static_cast<uint32_t>(value); }  // for traces
};

// Position -> wire.
constexpr Seq wrap(SeqPos pos, Seq isn) { return {isn.value + static_cast<uint32_t>(pos.value)}; }

// Wire -> the position nearest to `near`: right as long as both are less than 2^31 apart (RFC 9293 §3.4).
constexpr SeqPos unwrap(Seq seq, Seq isn, SeqPos near) {
  const uint32_t distance = seq.value - wrap(near, isn).value;
  return near + static_cast<int32_t>(distance);
}

}  // namespace limpid
