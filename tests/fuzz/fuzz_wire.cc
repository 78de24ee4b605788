// Every parser of the wire room, and the printer: no input may make them read outside it, loop, or contradict
// themselves.
//
// The first byte chooses the format, the rest is the packet. Checksums are repaired before parsing (on a copy), since a
// fuzzer does not guess them; a set top bit of the first byte leaves them as they are.
#include <algorithm>
#include <string>
#include <vector>

#include "stack/base/checksum.h"
#include "stack/wire/arp.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/print.h"
#include "stack/wire/pseudo_header.h"
#include "stack/wire/tcp.h"
#include "stack/wire/udp.h"
#include "tests/fuzz/holds.h"

namespace limpid {
namespace {

using Bytes = std::vector<std::byte>;

const IpAddress kFrom = IpAddress::v4(10, 77, 0, 1);
const IpAddress kTo = IpAddress::v4(10, 77, 0, 2);

bool inside(ByteSpan part, ByteSpan whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// `field` is the offset of the checksum in `bytes`.
void repair(MutableByteSpan bytes, size_t field, Checksum sum) {
  if (bytes.size() < field + 2) return;
  store16(bytes, field, 0);
  sum.add(bytes);
  store16(bytes, field, sum.finish());
}

Checksum pseudo(const IpAddress& from, const IpAddress& to, IpProtocol protocol, size_t length) {
  Checksum sum;
  add_pseudo_header(sum, from, to, protocol, length);
  return sum;
}

void fuzz_tcp_options(ByteSpan bytes) {
  const TcpOptionSet parsed = TcpOptionSet::parse(bytes);
  HOLDS(parsed.sack_count <= TcpOptionSet::kMaxSackBlocks);
  HOLDS(parsed.window_scale.value_or(0) <= 14);
  HOLDS(parsed.size() <= TcpOptionSet::kMaxSize && parsed.size() % 4 == 0);
  Bytes written(parsed.size());
  parsed.write(written);
  TcpOptionSet again = TcpOptionSet::parse(written);
  HOLDS(!again.malformed && again.sack_count <= parsed.sack_count);
  HOLDS(again.mss == parsed.mss && again.window_scale == parsed.window_scale);
  HOLDS(again.timestamps == parsed.timestamps && again.sack_permitted == parsed.sack_permitted);
  for (size_t i = 0; i < again.sack_count; ++i) HOLDS(again.sack[i] == parsed.sack[i]);
}

void fuzz_tcp(Bytes segment, bool repaired) {
  if (repaired) repair(segment, 16, pseudo(kFrom, kTo, IpProtocol::tcp, segment.size()));
  const auto unverified = parse_tcp_unverified(segment);
  const auto parsed = parse_tcp(segment, kFrom, kTo);
  HOLDS(unverified || !parsed);
  if (repaired) HOLDS(unverified.has_value() == parsed.has_value());
  if (!unverified) return;
  HOLDS(unverified->header_size >= TcpHeader::kMinSize && unverified->header_size <= segment.size());
  fuzz_tcp_options(ByteSpan(segment).subspan(20, unverified->header_size - 20));
}

void fuzz_udp(Bytes datagram, bool repaired) {
  if (repaired && datagram.size() >= UdpHeader::kSize) {
    const size_t length = std::min<size_t>(load16(datagram, 4), datagram.size());
    repair(MutableByteSpan(datagram).first(length), 6, pseudo(kFrom, kTo, IpProtocol::udp, length));
  }
  const auto parsed = parse_udp(datagram, kFrom, kTo);
  if (parsed) HOLDS(inside(parsed->payload, datagram));
}

void fuzz_quotation(ByteSpan body) {
  const auto quoted = parse_quoted_ipv4(body);
  if (!quoted) return;
  HOLDS(inside(quoted->payload, body) && quoted->payload.size() >= QuotedIpv4::kMinPayload);
  HOLDS(quoted->header.size() + quoted->payload.size() <= quoted->header.total_length);
}

void fuzz_icmp(Bytes message, bool repaired) {
  if (repaired) repair(message, 2, {});
  const auto parsed = parse_icmp4(message);
  if (repaired) HOLDS(parsed.has_value() == (message.size() >= Icmp4Header::kSize));
  if (!parsed) return;
  HOLDS(inside(parsed->body, message));
  fuzz_quotation(parsed->body);
}

void repair_ip(Bytes& packet) {
  if (packet.size() < Ipv4Header::kMinSize) return;
  const size_t header_size = std::min<size_t>(size_t{load8(packet, 0)} % 16 * 4, packet.size());
  repair(MutableByteSpan(packet).first(header_size), 10, {});
}

void expect_one_line(const std::string& line) {
  HOLDS(!line.empty() && line.find('\n') == std::string::npos);
  HOLDS(line.size() < 1000);
}

void fuzz_ip(Bytes packet, bool repaired) {
  if (repaired) repair_ip(packet);
  expect_one_line(print_packet(packet, {.sequence = 7, .acknowledgment = 9}));
  const auto parsed = parse_ipv4(packet);
  if (!parsed) return;
  HOLDS(parsed->header_size + parsed->payload_size <= packet.size());
  HOLDS(parsed->header.size() == parsed->header_size);
  Bytes written(parsed->header.size());
  parsed->header.write(written);
  const Bytes payload(packet.begin() + parsed->header_size,
                      packet.begin() + parsed->header_size + parsed->payload_size);
  written.insert(written.end(), payload.begin(), payload.end());
  const auto again = parse_ipv4(written);
  HOLDS(again && again->header == parsed->header && again->source_route == parsed->source_route);
  HOLDS(print_packet(written) == print_packet(packet));

  if (parsed->header.protocol == IpProtocol::tcp) fuzz_tcp(payload, repaired);
  if (parsed->header.protocol == IpProtocol::udp) fuzz_udp(payload, repaired);
  if (parsed->header.protocol == IpProtocol::icmp) fuzz_icmp(payload, repaired);
}

void fuzz_arp(const Bytes& packet) {
  const auto parsed = parse_arp(packet);
  if (!parsed) return;
  Bytes written(parsed->size());
  parsed->write(written);
  HOLDS(std::equal(written.begin(), written.end(), packet.begin()));
}

void fuzz_ethernet(const Bytes& frame, bool repaired) {
  expect_one_line(print_frame(frame));
  const auto parsed = parse_ethernet(frame);
  if (!parsed) return;
  Bytes written(parsed->size());
  parsed->write(written);
  HOLDS(std::equal(written.begin(), written.end(), frame.begin()));
  const Bytes payload(frame.begin() + EthernetHeader::kSize, frame.end());
  if (parsed->type == ether_type::arp) fuzz_arp(payload);
  if (parsed->type == ether_type::ipv4) fuzz_ip(payload, repaired);
}

void fuzz_one(uint8_t choice, const Bytes& bytes) {
  const bool repaired = (choice & 0x80) == 0;
  switch (choice % 8) {
    case 0:
      return fuzz_ethernet(bytes, repaired);
    case 1:
      return fuzz_ip(bytes, repaired);
    case 2:
      return fuzz_arp(bytes);
    case 3:
      return fuzz_tcp(bytes, repaired);
    case 4:
      return fuzz_udp(bytes, repaired);
    case 5:
      return fuzz_icmp(bytes, repaired);
    case 6:
      return fuzz_quotation(bytes);
    default:
      return fuzz_tcp_options(bytes);
  }
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A vector of its own size, so that the sanitizer sees a read one byte beyond it.
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  limpid::fuzz_one(data[0], limpid::Bytes(bytes.begin(), bytes.end()));
  return 0;
}
