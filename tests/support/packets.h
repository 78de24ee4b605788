// Whole packets from header values, for tests.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "stack/wire/arp.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"
#include "stack/wire/udp.h"

namespace limpid {

using Bytes = std::vector<std::byte>;

inline ByteSpan as_span(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

inline Bytes join(const Bytes& head, ByteSpan body) {
  Bytes all(head.size() + body.size());
  std::ranges::copy(body, std::ranges::copy(head, all.begin()).out);
  return all;
}

// The total length is filled in.
inline Bytes ip_packet(Ipv4Header header, ByteSpan payload) {
  header.total_length = static_cast<uint16_t>(header.size() + payload.size());
  Bytes out(header.size());
  header.write(out);
  return join(out, payload);
}
inline Bytes ip_packet(const Ipv4Header& header, std::string_view payload) {
  return ip_packet(header, as_span(payload));
}

inline Ipv4Header ip_header(const IpAddress& from, const IpAddress& to, IpProtocol protocol) {
  return {.protocol = protocol, .source = from, .destination = to};
}

inline Bytes tcp_segment(const IpAddress& from, const IpAddress& to, const TcpHeader& header,
                         std::string_view text = "") {
  Bytes out(header.size());
  const ByteSpan body = as_span(text);
  header.write(out, from, to, {&body, 1});
  return join(out, body);
}

inline Bytes udp_datagram(const IpAddress& from, const IpAddress& to, const UdpHeader& header, std::string_view text) {
  Bytes out(header.size());
  const ByteSpan body = as_span(text);
  header.write(out, from, to, {&body, 1});
  return join(out, body);
}

inline Bytes icmp_message(const Icmp4Header& header, std::string_view text) {
  Bytes out(header.size());
  const ByteSpan body = as_span(text);
  header.write(out, {&body, 1});
  return join(out, body);
}

inline Bytes tcp_packet(const IpAddress& from, const IpAddress& to, const TcpHeader& header,
                        std::string_view text = "") {
  return ip_packet(ip_header(from, to, IpProtocol::tcp), tcp_segment(from, to, header, text));
}

inline Bytes udp_packet(const IpAddress& from, const IpAddress& to, const UdpHeader& header, std::string_view text) {
  return ip_packet(ip_header(from, to, IpProtocol::udp), udp_datagram(from, to, header, text));
}

inline Bytes icmp_packet(const IpAddress& from, const IpAddress& to, const Icmp4Header& header, std::string_view text) {
  return ip_packet(ip_header(from, to, IpProtocol::icmp), icmp_message(header, text));
}

inline Bytes arp_bytes(const ArpPacket& packet) {
  Bytes out(packet.size());
  packet.write(out);
  return out;
}

inline Bytes frame(const EthernetHeader& header, ByteSpan payload) {
  Bytes out(header.size());
  header.write(out);
  return join(out, payload);
}

}  // namespace limpid
