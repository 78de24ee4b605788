#include "stack/wire/tcp.h"

#include "stack/wire/pseudo_header.h"

namespace limpid {
namespace {

constexpr size_t kSourcePort = 0, kDestinationPort = 2, kSequence = 4, kAcknowledgment = 8, kDataOffset = 12,
                 kFlags = 13, kWindow = 14, kChecksum = TcpHeader::kChecksumField, kUrgentPointer = 18;

}  // namespace

void TcpHeader::write(MutableByteSpan out, const IpAddress& source, const IpAddress& destination,
                      std::span<const ByteSpan> body) const {
  write_fields(out);
  close(out, source, destination, body);
}

void TcpHeader::write_open(MutableByteSpan out, const IpAddress& source, const IpAddress& destination,
                           size_t body) const {
  write_fields(out);
  leave_open(out, source, destination, body);
}

void TcpHeader::close(MutableByteSpan out, const IpAddress& source, const IpAddress& destination,
                      std::span<const ByteSpan> body) {
  store16(out, kChecksum, 0);
  Checksum sum;
  add_pseudo_header(sum, source, destination, IpProtocol::tcp, out.size() + total_size(body));
  sum.add(out);
  for (ByteSpan piece : body) sum.add(piece);
  store16(out, kChecksum, sum.finish());
}

void TcpHeader::leave_open(MutableByteSpan out, const IpAddress& source, const IpAddress& destination, size_t body) {
  Checksum sum;
  add_pseudo_header(sum, source, destination, IpProtocol::tcp, out.size() + body);
  store16(out, kChecksum, static_cast<uint16_t>(~sum.finish()));
}

void TcpHeader::write_progress(MutableByteSpan out) const {
  store32(out, kSequence, sequence);
  store8(out, kFlags, flags);
  store16(out, kUrgentPointer, urgent_pointer);
}

void TcpHeader::write_fields(MutableByteSpan out) const {
  const size_t header_size = out.size();
  store16(out, kSourcePort, source_port);
  store16(out, kDestinationPort, destination_port);
  store32(out, kSequence, sequence);
  store32(out, kAcknowledgment, acknowledgment);
  store8(out, kDataOffset, static_cast<uint8_t>(header_size / 4 << 4));
  store8(out, kFlags, flags);
  store16(out, kWindow, window);
  store16(out, kUrgentPointer, urgent_pointer);
  options.write(out.subspan(kMinSize, header_size - kMinSize));
}

std::expected<ParsedTcp, Counter> parse_tcp(ByteSpan segment, const IpAddress& source, const IpAddress& destination) {
  auto parsed = parse_tcp_unverified(segment);
  if (!parsed) return parsed;
  Checksum sum;
  add_pseudo_header(sum, source, destination, IpProtocol::tcp, segment.size());
  sum.add(segment);
  if (sum.finish() != 0) parsed = std::unexpected(Counter::tcp_drop_bad_checksum);
  return parsed;
}

std::expected<ParsedTcp, Counter> parse_tcp_unverified(ByteSpan segment) {
  std::expected<ParsedTcp, Counter> parsed;  // filled where the caller has it
  if (segment.size() < TcpHeader::kMinSize) {
    parsed = std::unexpected(Counter::tcp_drop_truncated);
    return parsed;
  }
  const size_t header_size = size_t{load8(segment, kDataOffset)} >> 4 << 2;
  if (header_size < TcpHeader::kMinSize || header_size > segment.size()) {
    parsed = std::unexpected(Counter::tcp_drop_bad_offset);
    return parsed;
  }
  parsed->header_size = static_cast<uint32_t>(header_size);
  TcpHeader& h = parsed->header;
  h.source_port = load16(segment, kSourcePort);
  h.destination_port = load16(segment, kDestinationPort);
  h.sequence = load32(segment, kSequence);
  h.acknowledgment = load32(segment, kAcknowledgment);
  h.flags = load8(segment, kFlags);
  h.window = load16(segment, kWindow);
  h.urgent_pointer = load16(segment, kUrgentPointer);
  h.options.read(segment.subspan(TcpHeader::kMinSize, header_size - TcpHeader::kMinSize));
  return parsed;
}

}  // namespace limpid
