// What the oracle tests share: random values, and both libraries' addresses.
#pragma once

#include <tins/tins.h>

#include <string>

#include "stack/base/rng.h"
#include "tests/support/packets.h"

namespace limpid {

inline constexpr int kRounds = 5'000;

class Dice {
 public:
  explicit Dice(uint64_t seed) : rng_(seed) {}
  uint8_t u8() { return static_cast<uint8_t>(rng_.next()); }
  uint16_t u16() { return static_cast<uint16_t>(rng_.next()); }
  uint32_t u32() { return static_cast<uint32_t>(rng_.next()); }
  bool coin() { return rng_.below(2) == 1; }
  uint64_t below(uint64_t n) { return rng_.below(n); }
  IpAddress ip() { return IpAddress::v4(u32()); }
  MacAddress mac() {
    MacAddress m;
    for (uint8_t& b : m.bytes) b = u8();
    return m;
  }
  std::string text(size_t most) {
    std::string s(below(most + 1), '\0');
    for (char& c : s) c = static_cast<char>(rng_.next());
    return s;
  }

 private:
  Rng rng_;
};

inline Tins::IPv4Address theirs(const IpAddress& a) { return Tins::IPv4Address(a.to_string()); }
inline Tins::HWAddress<6> theirs(const MacAddress& m) { return Tins::HWAddress<6>(m.bytes.data()); }
inline IpAddress ours(const Tins::IPv4Address& a) { return *IpAddress::parse(a.to_string()); }

inline Bytes ours(const std::vector<uint8_t>& bytes) {
  Bytes out(bytes.size());
  std::ranges::copy(std::as_bytes(std::span(bytes)), out.begin());
  return out;
}
inline const uint8_t* raw(const Bytes& bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }
inline uint32_t raw_size(const Bytes& bytes) { return static_cast<uint32_t>(bytes.size()); }

// libtins parses the bytes, then writes them anew with lengths and checksums of its own: equal bytes mean that it
// understood every field and agrees on every sum.
template <class Pdu>
Bytes written_by_tins(const Bytes& bytes) {
  Pdu pdu(raw(bytes), raw_size(bytes));
  return ours(pdu.serialize());
}

}  // namespace limpid
