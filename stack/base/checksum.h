// The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
//
// A Checksum is fed in pieces, in order: pseudo-header, header, each slice of the payload. A piece of odd length leaves
// the sum in the middle of a word, and the next piece goes on from there; only the very end is padded with a zero.
#pragma once

#include <cstdint>

#include "stack/base/bytes.h"

namespace limpid {

class Checksum {
 public:
  void add(ByteSpan piece);
  void add16(uint16_t word) { sum_ += word; }  // only between pieces of even length
  void add32(uint32_t word) { sum_ += (word >> 16) + (word & 0xffff); }

  // The value for the checksum field. Over data that includes a right checksum field the result is 0.
  uint16_t finish() const;

 private:
  uint64_t sum_ = 0;  // of big-endian words; folded at the end (room for 2^48 words)
  bool odd_ = false;  // an odd number of bytes was fed so far
};

inline uint16_t internet_checksum(ByteSpan bytes) {
  Checksum c;
  c.add(bytes);
  return c.finish();
}

}  // namespace limpid
