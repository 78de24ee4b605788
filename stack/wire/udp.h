// The UDP header, bytes <-> values (RFC 768).
//
//   | source port | destination port | length | checksum | payload |
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "stack/base/bytes.h"
#include "stack/base/counters.h"
#include "stack/wire/address.h"

namespace limpid {

struct UdpHeader {
  static constexpr size_t kSize = 8;
  static constexpr uint16_t kChecksumField = 6;               // where the checksum stands in it
  static constexpr size_t kMaxPayload = 65'535 - 20 - kSize;  // over IPv4 without options

  uint16_t source_port = 0;
  uint16_t destination_port = 0;

  static constexpr size_t size() { return kSize; }
  // Writes exactly kSize bytes, with the length of, and the checksum over, the header and `body` (<= kMaxPayload
  // bytes).
  void write(MutableByteSpan out, const IpAddress& source, const IpAddress& destination,
             std::span<const ByteSpan> body) const;

  friend bool operator==(const UdpHeader&, const UdpHeader&) = default;
};

struct ParsedUdp {
  UdpHeader header;
  ByteSpan payload;  // by the length field: what the IP payload holds beyond it is not delivered
};

// Errors: udp_drop_bad_length (also a cut header), udp_drop_bad_checksum.
std::expected<ParsedUdp, Counter> parse_udp(ByteSpan datagram, const IpAddress& source, const IpAddress& destination);
// The same without the checksum: for a datagram whose checksum somebody else vouches for.
std::expected<ParsedUdp, Counter> parse_udp_unverified(ByteSpan datagram);

}  // namespace limpid
