#include "stack/base/checksum.h"

namespace limpid {
namespace {

// The sum of native-order 64-bit words with end-around carry; RFC 1071 §2(B): byte order does not matter to the
// sum until the end, where the result is swapped once.
uint64_t plus(uint64_t a, uint64_t b) { return a + b + (a + b < b ? 1 : 0); }

uint64_t native_word(const std::byte* p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

// Four sums side by side: none waits for another's carry.
uint64_t sum_words(const std::byte*& p, size_t& n) {
  uint64_t a = 0, b = 0, c = 0, d = 0;
  for (; n >= 32; p += 32, n -= 32) {
    a = plus(a, native_word(p));
    b = plus(b, native_word(p + 8));
    c = plus(c, native_word(p + 16));
    d = plus(d, native_word(p + 24));
  }
  for (; n >= 8; p += 8, n -= 8) a = plus(a, native_word(p));
  return plus(plus(a, b), plus(c, d));
}

uint16_t from_native(uint16_t word) { return std::endian::native == std::endian::little ? std::byteswap(word) : word; }

}  // namespace

void Checksum::add(ByteSpan piece) {
  if (piece.empty()) return;
  const std::byte* p = piece.data();
  size_t n = piece.size();
  if (odd_) {  // finish the word that the piece before began
    sum_ += std::to_integer<uint8_t>(*p);
    ++p;
    --n;
    odd_ = false;
  }
  sum_ += from_native(fold(sum_words(p, n)));
  for (; n >= 2; p += 2, n -= 2) sum_ += load_be<uint16_t>({p, 2}, 0);
  if (n == 1) {
    sum_ += uint64_t{std::to_integer<uint8_t>(*p)} << 8;
    odd_ = true;
  }
}

}  // namespace limpid
