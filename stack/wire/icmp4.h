// ICMP messages, bytes <-> values (RFC 792).
//
//   | type | code | checksum | rest of header: identifier and sequence, next-hop MTU, pointer, gateway … | body |
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "stack/base/bytes.h"
#include "stack/base/counters.h"

namespace limpid {

namespace icmp4_type {
inline constexpr uint8_t echo_reply = 0, unreachable = 3, source_quench = 4, redirect = 5, echo_request = 8,
                         time_exceeded = 11, parameter_problem = 12, timestamp_request = 13, timestamp_reply = 14;
}

// Codes of icmp4_type::unreachable (RFC 792, 1122 §3.2.2.1, 1812 §5.2.7.1).
namespace icmp4_unreachable {
inline constexpr uint8_t net = 0, host = 1, protocol = 2, port = 3, fragmentation_needed = 4, source_route_failed = 5,
                         admin_prohibited = 13;
}

// RFC 1122 §3.2.2: errors are never answered with errors. Unknown types count as queries, as there.
constexpr bool icmp4_is_error(uint8_t type) {
  return type == icmp4_type::unreachable || type == icmp4_type::source_quench || type == icmp4_type::redirect ||
         type == icmp4_type::time_exceeded || type == icmp4_type::parameter_problem;
}

struct Icmp4Header {
  static constexpr size_t kSize = 8;

  uint8_t type = 0;
  uint8_t code = 0;
  uint32_t rest = 0;  // the second word, whose meaning is the type's

  static constexpr Icmp4Header echo(uint8_t type, uint16_t identifier, uint16_t sequence) {
    return {.type = type, .code = 0, .rest = uint32_t{identifier} << 16 | sequence};
  }
  uint16_t identifier() const { return static_cast<uint16_t>(rest >> 16); }
  uint16_t sequence() const { return static_cast<uint16_t>(rest); }
  uint16_t next_hop_mtu() const { return static_cast<uint16_t>(rest); }  // of fragmentation_needed (RFC 1191 §4)

  static constexpr size_t size() { return kSize; }
  // Writes exactly kSize bytes, with the checksum over them and `body`.
  void write(MutableByteSpan out, std::span<const ByteSpan> body) const;

  friend bool operator==(const Icmp4Header&, const Icmp4Header&) = default;
};

struct ParsedIcmp4 {
  Icmp4Header header;
  ByteSpan body;  // echo: the data; errors: what parse_quoted_ipv4() reads (wire/ipv4.h)
};

// Errors: icmp_drop_truncated, icmp_drop_bad_checksum.
std::expected<ParsedIcmp4, Counter> parse_icmp4(ByteSpan message);

}  // namespace limpid
