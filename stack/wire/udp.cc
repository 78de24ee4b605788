#include "stack/wire/udp.h"

#include "stack/wire/pseudo_header.h"

namespace limpid {
namespace {

constexpr size_t kSourcePort = 0, kDestinationPort = 2, kLength = 4, kChecksum = 6;

}  // namespace

void UdpHeader::write(MutableByteSpan out, const IpAddress& source, const IpAddress& destination,
                      std::span<const ByteSpan> body) const {
  const size_t length = kSize + total_size(body);
  store16(out, kSourcePort, source_port);
  store16(out, kDestinationPort, destination_port);
  store16(out, kLength, static_cast<uint16_t>(length));
  store16(out, kChecksum, 0);

  Checksum sum;
  add_pseudo_header(sum, source, destination, IpProtocol::udp, length);
  sum.add(out.first(kSize));
  for (ByteSpan piece : body) sum.add(piece);
  // RFC 768: a zero on the wire would mean "no checksum"; ffff is the same number in ones' complement.
  store16(out, kChecksum, sum.finish() == 0 ? 0xffff : sum.finish());
}

std::expected<ParsedUdp, Counter> parse_udp(ByteSpan datagram, const IpAddress& source, const IpAddress& destination) {
  const auto parsed = parse_udp_unverified(datagram);
  if (!parsed) return parsed;
  const size_t length = UdpHeader::kSize + parsed->payload.size();
  datagram = datagram.first(length);
  const bool without_checksum = load16(datagram, kChecksum) == 0 && source.is_v4();  // RFC 8200 §8.1: not over IPv6
  if (!without_checksum) {
    Checksum sum;
    add_pseudo_header(sum, source, destination, IpProtocol::udp, length);
    sum.add(datagram);
    if (sum.finish() != 0 || load16(datagram, kChecksum) == 0) return std::unexpected(Counter::udp_drop_bad_checksum);
  }
  return parsed;
}

std::expected<ParsedUdp, Counter> parse_udp_unverified(ByteSpan datagram) {
  if (datagram.size() < UdpHeader::kSize) return std::unexpected(Counter::udp_drop_bad_length);
  const size_t length = load16(datagram, kLength);
  if (length < UdpHeader::kSize || length > datagram.size()) return std::unexpected(Counter::udp_drop_bad_length);
  datagram = datagram.first(length);
  const UdpHeader header{.source_port = load16(datagram, kSourcePort),
                         .destination_port = load16(datagram, kDestinationPort)};
  return ParsedUdp{.header = header, .payload = datagram.subspan(UdpHeader::kSize)};
}

}  // namespace limpid
