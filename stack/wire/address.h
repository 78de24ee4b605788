// Addresses and ports: one value type for both families, so that TCP and the socket layer are written once.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace limpid {

enum class Family : uint8_t { none = 0, ip4 = 4, ip6 = 6 };

class IpAddress {
 public:
  constexpr IpAddress() = default;  // "no address": any local address in a bind, unset elsewhere
  // IPv4 from its 32 bits in host order: 0x0a4d0002 is 10.77.0.2.
  static constexpr IpAddress v4(uint32_t host_order) {
    IpAddress a;
    a.family_ = Family::ip4;
    a.bytes_[0] = static_cast<uint8_t>(host_order >> 24);
    a.bytes_[1] = static_cast<uint8_t>(host_order >> 16);
    a.bytes_[2] = static_cast<uint8_t>(host_order >> 8);
    a.bytes_[3] = static_cast<uint8_t>(host_order);
    return a;
  }
  static constexpr IpAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return v4(uint32_t{a} << 24 | uint32_t{b} << 16 | uint32_t{c} << 8 | d);
  }
  static constexpr IpAddress v6(const std::array<uint8_t, 16>& bytes) {
    IpAddress a;
    a.family_ = Family::ip6;
    a.bytes_ = bytes;
    return a;
  }
  // "10.77.0.2"; nothing when the text is not an address.
  static std::optional<IpAddress> parse(std::string_view text);

  constexpr Family family() const { return family_; }
  constexpr bool is_v4() const { return family_ == Family::ip4; }
  constexpr uint32_t v4_bits() const {
    return uint32_t{bytes_[0]} << 24 | uint32_t{bytes_[1]} << 16 | uint32_t{bytes_[2]} << 8 | bytes_[3];
  }
  constexpr const std::array<uint8_t, 16>& bytes() const { return bytes_; }  // IPv4: the first four

  constexpr bool is_set() const { return family_ != Family::none; }
  constexpr bool is_any() const { return same_bytes(IpAddress{}); }
  constexpr bool is_loopback() const { return is_v4() && bytes_[0] == 127; }  // RFC 1122 §3.2.1.3 (g)
  constexpr bool is_multicast() const { return is_v4() && bytes_[0] >= 224 && bytes_[0] < 240; }
  constexpr bool is_limited_broadcast() const { return is_v4() && v4_bits() == 0xffffffff; }
  constexpr bool is_class_e() const { return is_v4() && bytes_[0] >= 240 && !is_limited_broadcast(); }
  // None of the special ones: a host's, or the broadcast of some network.
  constexpr bool is_ordinary() const { return is_v4() && bytes_[0] >= 1 && bytes_[0] < 224 && bytes_[0] != 127; }
  constexpr bool is_this_network() const { return is_v4() && bytes_[0] == 0; }  // 0.0.0.0/8

  std::string to_string() const;

  friend constexpr bool operator==(const IpAddress& a, const IpAddress& b) {
    return a.family_ == b.family_ && a.same_bytes(b);
  }
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  // Compared several times for each packet: as two words, not by a call for sixteen bytes.
  constexpr bool same_bytes(const IpAddress& o) const {
    const auto a = std::bit_cast<std::array<uint64_t, 2>>(bytes_);
    const auto b = std::bit_cast<std::array<uint64_t, 2>>(o.bytes_);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
  }

  Family family_ = Family::none;
  std::array<uint8_t, 16> bytes_{};
};

// True when the first `prefix` bits of both are equal; false across families.
bool same_prefix(const IpAddress& a, const IpAddress& b, int prefix);

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;

  std::string to_string() const;  // "10.77.0.2:80"
  friend constexpr bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Both ends of a conversation, seen from here.
struct FourTuple {
  Endpoint local;
  Endpoint remote;
  friend constexpr bool operator==(const FourTuple&, const FourTuple&) = default;
};

struct MacAddress {
  std::array<uint8_t, 6> bytes{};

  static constexpr MacAddress broadcast() { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
  // RFC 1112 §6.4: the lower 23 bits of the group behind 01:00:5e.
  static constexpr MacAddress of_group(const IpAddress& group) {
    const auto& b = group.bytes();
    return {{0x01, 0x00, 0x5e, static_cast<uint8_t>(b[1] & 0x7f), b[2], b[3]}};
  }
  constexpr bool is_group() const { return (bytes[0] & 1) != 0; }  // broadcast or multicast
  constexpr bool is_zero() const { return bytes == std::array<uint8_t, 6>{}; }
  std::string to_string() const;
  friend constexpr bool operator==(const MacAddress&, const MacAddress&) = default;
};

enum class IpProtocol : uint8_t { icmp = 1, tcp = 6, udp = 17, icmp6 = 58 };

}  // namespace limpid
