// The IPv4 header, bytes <-> values (RFC 791 §3.1).
//
//   | 4, IHL | TOS | total length | identification | flags, offset | TTL | protocol | checksum | source | destination |
//   options |
#pragma once

#include <array>
#include <cstdint>
#include <expected>

#include "stack/base/bytes.h"
#include "stack/base/counters.h"
#include "stack/wire/address.h"

namespace limpid {

// The options as they stand in the header, padding included. Nothing here asks more of them than a walk.
struct Ipv4Options {
  static constexpr size_t kMaxSize = 40;
  std::array<std::byte, kMaxSize> storage{};
  uint8_t length = 0;  // at most kMaxSize; padded to a multiple of four when written

  ByteSpan bytes() const { return ByteSpan(storage).first(length); }
  size_t size() const { return (size_t{length} + 3) / 4 * 4; }
  friend bool operator==(const Ipv4Options&, const Ipv4Options&) = default;
};

struct Ipv4Header {
  static constexpr size_t kMinSize = 20;
  static constexpr size_t kMaxSize = 60;

  uint8_t tos = 0;
  uint16_t total_length = 0;  // bytes of the datagram, this header included
  uint16_t identification = 0;
  bool dont_fragment = false;
  bool more_fragments = false;
  uint16_t fragment_offset = 0;  // bytes, a multiple of eight (the low bits are not sent)
  uint8_t ttl = 64;
  IpProtocol protocol{};  // any number may stand on the wire
  IpAddress source{};
  IpAddress destination{};
  Ipv4Options options{};

  bool is_fragment() const { return more_fragments || fragment_offset != 0; }
  size_t size() const { return kMinSize + options.size(); }

  void write(MutableByteSpan out) const;  // exactly size() bytes, checksum included
  // The header of the next datagram of a row, over the one of the last.
  static void renew(MutableByteSpan out, uint16_t total_length, uint16_t identification);

  friend bool operator==(const Ipv4Header&, const Ipv4Header&) = default;
};

struct ParsedIpv4 {
  Ipv4Header header;
  uint32_t header_size = 0;   // bytes, options included: the payload begins behind it
  uint32_t payload_size = 0;  // by the total length: what lies beyond is padding of the link
  bool source_route = false;  // a loose or strict source route is among the options
};

// Checks version, lengths, checksum and options in this order, then cannot fail. Errors: ip4_drop_truncated,
// ip4_drop_bad_header, ip4_drop_bad_checksum, ip4_drop_bad_option.
std::expected<ParsedIpv4, Counter> parse_ipv4(ByteSpan packet);
// Whether the header of `packet` is right, and that of `before` (without options; `parsed` is what was read in it)
// again but for length, identification and checksum. These are then renewed in `parsed`.
bool parse_next_ipv4(ByteSpan packet, ByteSpan before, ParsedIpv4& parsed);

// What an ICMP error quotes of the datagram it is about: a header and the first bytes behind it. The datagram may be
// cut anywhere beyond these eight bytes, and the checksum is not looked at: routers on the way have changed the TTL.
struct QuotedIpv4 {
  static constexpr size_t kMinPayload = 8;  // RFC 792: enough for ports and a sequence number

  Ipv4Header header;
  ByteSpan payload;  // at least kMinPayload bytes of the transport header and data, as far as they are quoted
};

// `body` is what follows the eight bytes of the ICMP header. Error: icmp_drop_truncated (no IPv4 header, or cut too
// short).
std::expected<QuotedIpv4, Counter> parse_quoted_ipv4(ByteSpan body);

}  // namespace limpid
