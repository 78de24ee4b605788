// The TCP header, bytes <-> values (RFC 9293 §3.1).
//
//   |  source port  | dest. port |  sequence  |  acknowledgment  | offset, reserved | flags | window | checksum |
//   urgent | options
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "stack/base/bytes.h"
#include "stack/base/counters.h"
#include "stack/wire/address.h"
#include "stack/wire/tcp_options.h"

namespace limpid {

namespace tcp_flag {
inline constexpr uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10, urg = 0x20, ece = 0x40, cwr = 0x80;
}

// A header that can always be encoded: its value has no illegal state.
struct TcpHeader {
  static constexpr size_t kMinSize = 20;
  static constexpr uint16_t kChecksumField = 16;  // where the checksum stands in it

  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint32_t sequence = 0;
  uint32_t acknowledgment = 0;
  uint8_t flags = 0;
  uint16_t window = 0;  // as on the wire: not scaled
  uint16_t urgent_pointer = 0;
  TcpOptionSet options{};

  bool has(uint8_t flag) const { return (flags & flag) != 0; }
  size_t size() const { return kMinSize + options.size(); }

  // `out` has exactly size() bytes: writes them, reserved bits zero, with the checksum over pseudo-header, header and
  // `body`.
  void write(MutableByteSpan out, const IpAddress& source, const IpAddress& destination,
             std::span<const ByteSpan> body) const;
  // The same with the checksum left open: in its place the sum of the pseudo-header, for `body` bytes of text.
  void write_open(MutableByteSpan out, const IpAddress& source, const IpAddress& destination, size_t body) const;

  // The steps of the two above. Over what the segment before it in a row has left, the second does for the first.
  void write_fields(MutableByteSpan out) const;
  void write_progress(MutableByteSpan out) const;  // sequence number, flags and urgent pointer
  static void close(MutableByteSpan out, const IpAddress& source, const IpAddress& destination,
                    std::span<const ByteSpan> body);
  static void leave_open(MutableByteSpan out, const IpAddress& source, const IpAddress& destination, size_t body);
};

struct ParsedTcp {
  TcpHeader header;
  uint32_t header_size = 0;  // bytes, options included: the text begins behind it
};

// Checks length, data offset and checksum, then cannot fail. The error is the counter of the reason:
// tcp_drop_truncated, tcp_drop_bad_offset, tcp_drop_bad_checksum.
std::expected<ParsedTcp, Counter> parse_tcp(ByteSpan segment, const IpAddress& source, const IpAddress& destination);
// The same without the checksum: for a segment that is cut (print), or whose checksum somebody else vouches for.
std::expected<ParsedTcp, Counter> parse_tcp_unverified(ByteSpan segment);

}  // namespace limpid
