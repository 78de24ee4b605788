// The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
//
// A Checksum is fed in pieces, in order: pseudo-header, header, each slice of the payload. A piece of odd length leaves
// the sum in the middle of a word, and the next piece goes on from there; only the very end is padded with a zero.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "stack/base/bytes.h"

namespace limpid {

class Checksum {
 public:
  void add(ByteSpan piece);
  void add16(uint16_t word) { sum_ += word; }  // only between pieces of even length
  void add32(uint32_t word) { sum_ += word; }  // likewise

  // The value for the checksum field. Over data that includes a right checksum field the result is 0.
  uint16_t finish() const { return static_cast<uint16_t>(~fold(sum_)); }

  // Of a header by itself: at least the twenty bytes of IPv4's, and a multiple of four. (In whatever order a machine
  // has the bytes of its words, it has those of their sum.)
  static uint16_t of_header(ByteSpan header) {
    uint64_t sum = word(header, 0) + word(header, 4) + word(header, 8) + word(header, 12) + word(header, 16);
    for (size_t at = 20; at < header.size(); at += 4) sum += word(header, at);
    const auto folded = static_cast<uint16_t>(~fold(sum));
    return std::endian::native == std::endian::little ? std::byteswap(folded) : folded;
  }

 private:
  static uint64_t word(ByteSpan bytes, size_t at) {
    uint32_t w;
    std::memcpy(&w, bytes.data() + at, 4);
    return w;
  }
  static uint16_t fold(uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(sum);
  }

  uint64_t sum_ = 0;  // of big-endian words; folded at the end (room for 2^48 words)
  bool odd_ = false;  // an odd number of bytes was fed so far
};

inline uint16_t internet_checksum(ByteSpan bytes) {
  Checksum c;
  c.add(bytes);
  return c.finish();
}

}  // namespace limpid
