#include "stack/base/siphash.h"

#include <bit>
#include <cstring>

namespace limpid {
namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13);
    v1 ^= v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = std::rotl(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = std::rotl(v1, 17);
    v1 ^= v2;
    v2 = std::rotl(v2, 32);
  }

  void absorb(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

uint64_t little_endian(const std::byte* p, size_t n) {
  uint64_t word = 0;
  if (n == 8 && std::endian::native == std::endian::little) {
    std::memcpy(&word, p, 8);
    return word;
  }
  for (size_t i = 0; i < n; ++i) word |= uint64_t{std::to_integer<uint8_t>(p[i])} << (8 * i);
  return word;
}

}  // namespace

SipKey sip_key(std::span<const std::byte, 16> octets) {
  return {.k0 = little_endian(octets.data(), 8), .k1 = little_endian(octets.data() + 8, 8)};
}

uint64_t siphash(const SipKey& key, std::span<const std::byte> message) {
  SipState s{key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d, key.k0 ^ 0x6c7967656e657261,
             key.k1 ^ 0x7465646279746573};
  const size_t whole = message.size() / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) s.absorb(little_endian(message.data() + i, 8));

  const uint64_t tail = little_endian(message.data() + whole, message.size() - whole);
  s.absorb(tail | uint64_t{message.size() & 0xff} << 56);

  s.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) s.round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

}  // namespace limpid
