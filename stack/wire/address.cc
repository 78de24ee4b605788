#include "stack/wire/address.h"

#include <fmt/format.h>

#include <charconv>

namespace limpid {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  uint32_t bits = 0;
  const char* p = text.data();
  const char* end = p + text.size();
  for (int i = 0; i < 4; ++i) {
    if (i > 0 && (p == end || *p++ != '.')) return std::nullopt;
    uint8_t octet = 0;
    const auto [next, error] = std::from_chars(p, end, octet);
    if (error != std::errc{}) return std::nullopt;
    bits = bits << 8 | octet;
    p = next;
  }
  if (p != end) return std::nullopt;
  return v4(bits);
}

std::string IpAddress::to_string() const {
  if (family_ == Family::none) return "*";
  if (is_v4()) return fmt::format("{}.{}.{}.{}", bytes_[0], bytes_[1], bytes_[2], bytes_[3]);
  std::string text;
  for (size_t i = 0; i < 16; i += 2) text += fmt::format("{}{:x}", i == 0 ? "" : ":", bytes_[i] << 8 | bytes_[i + 1]);
  return text;
}

bool same_prefix(const IpAddress& a, const IpAddress& b, int prefix) {
  if (a.family() != b.family()) return false;
  for (int bit = 0; bit < prefix; bit += 8) {
    const auto i = static_cast<size_t>(bit / 8);
    const int mask = prefix - bit >= 8 ? 0xff : 0xff << (8 - (prefix - bit));
    if (((a.bytes()[i] ^ b.bytes()[i]) & mask & 0xff) != 0) return false;
  }
  return true;
}

std::string Endpoint::to_string() const { return fmt::format("{}:{}", address.to_string(), port); }

std::string MacAddress::to_string() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                     bytes[5]);
}

}  // namespace limpid
