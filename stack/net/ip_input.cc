// Datagrams in: RFC 1122 §3.2.1 in its order, each refusal with its counter and its event.
#include <algorithm>

#include "stack/net/ip_state.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/tcp.h"
#include "stack/wire/udp.h"

namespace limpid {
namespace {

uint32_t word(size_t n) { return static_cast<uint32_t>(n); }
uint32_t word(Counter c) { return static_cast<uint32_t>(c); }

inline Delivery datagram(const Interface& in, const ParsedIpv4& parsed, Slice&& packet, bool broadcast) {
  Delivery d;
  d.kind = Delivery::Kind::datagram;
  d.interface = in.id;
  d.source = parsed.header.source;
  d.destination = parsed.header.destination;
  d.protocol = parsed.header.protocol;
  d.ttl = parsed.header.ttl;
  d.tos = parsed.header.tos;
  d.broadcast = broadcast;
  d.payload = packet;
  d.payload.drop_front(parsed.header_size);
  d.offload = packet.frame->offload;
  d.packet = std::move(packet);
  return d;
}

// Where a transport has its checksum; nothing: it has none that could be left open.
std::optional<uint16_t> checksum_field_of(IpProtocol protocol) {
  switch (protocol) {
    case IpProtocol::tcp:
      return TcpHeader::kChecksumField;
    case IpProtocol::udp:
      return UdpHeader::kChecksumField;
    default:
      return std::nullopt;
  }
}

// A device that says what it left undone is believed if what it says fits the packet: an open checksum is the
// transport's own, and only TCP comes in super-segments.
bool offload_agrees(const Slice& packet, const ParsedIpv4& parsed) {
  const FrameOffload& o = packet.frame->offload;
  if (!o.checksum_open) return o.segment_text == 0;
  const uint32_t transport = packet.begin - packet.frame->begin + parsed.header_size;
  if (o.checksum_begin != transport || o.checksum_field != checksum_field_of(parsed.header.protocol)) return false;
  return o.segment_text == 0 || parsed.header.protocol == IpProtocol::tcp;
}

}  // namespace

void Ip::State::note_frame_in(InterfaceId in, uint32_t size, uint32_t hash, Time now) {
  counters.add(Counter::link_frames_in);
  counters.add(Counter::link_bytes_in, size);
  if (!tracer.on()) return;
  const EventNumber number = tracer.emit(EventKind::link_frame_in, Rule::link_input, 0, now, {in, size, hash});
  tracer.begin_input(number);
}

Delivery Ip::State::frame_input(Interface& in, FrameRef&& frame, Time now) {
  const ByteSpan bytes = frame->bytes();
  note_frame_in(in.id, word(bytes.size()), tracer.on() ? frame_hash(bytes, {}) : 0, now);
  if (in.config.kind == LinkKind::ethernet) return ethernet_input(in, Slice::whole(std::move(frame)), now);

  if (bytes.empty()) return drop_frame(in, 0, Counter::link_drop_truncated, now);
  if (load8(bytes, 0) >> 4 != 4) return drop_frame(in, bytes.size(), Counter::link_drop_unknown_type, now);
  return ip_input(in, Slice::whole(std::move(frame)), false, now);
}

Delivery Ip::State::ethernet_input(Interface& in, Slice frame, Time now) {
  const auto parsed = parse_ethernet(frame.bytes());
  if (!parsed) return drop_frame(in, frame.length, parsed.error(), now);
  if (!parsed->destination.is_group() && parsed->destination != in.config.mac)
    return drop_frame(in, frame.length, Counter::link_drop_not_ours, now);

  switch (parsed->type) {
    case ether_type::ipv4:
      frame.drop_front(EthernetHeader::kSize);
      return ip_input(in, std::move(frame), parsed->destination.is_group(), now);
    case ether_type::arp:
      arp_input(in, frame.bytes().subspan(EthernetHeader::kSize), now);
      return {};
    default:
      return drop_frame(in, frame.length, Counter::link_drop_unknown_type, now);
  }
}

Delivery Ip::State::ip_input(Interface& in, Slice&& packet, bool link_broadcast, Time now) {
  counters.add(Counter::ip4_in);
  if (in.id == row.interface && parse_next_ipv4(packet.bytes(), row.header, row.parsed))
    return deliver(in, row.parsed, std::move(packet), link_broadcast, now);

  const auto parsed = parse_ipv4(packet.bytes());
  if (!parsed) return drop_packet({}, parsed.error(), Rule::ip_validate, now);
  const Ipv4Header& ip = parsed->header;
  if (const auto fault = source_fault(in, ip)) return drop_packet(ip, *fault, Rule::ip_validate, now);
  if (const auto fault = destination_fault(in, ip)) return drop_packet(ip, *fault, Rule::ip_validate, now);
  if (parsed->source_route) return drop_packet(ip, Counter::ip4_drop_source_route, Rule::ip_source_route, now);
  if (ip.is_fragment()) return drop_packet(ip, Counter::ip4_drop_fragment, Rule::ip_fragment, now);
  const bool broadcast = is_broadcast(ip.destination) || ip.destination.is_multicast();
  if (!broadcast && parsed->header_size == Ipv4Header::kMinSize) {
    row = {.interface = in.id, .header = {}, .parsed = *parsed};
    std::ranges::copy(packet.bytes().first(row.header.size()), row.header.begin());
  }
  return deliver(in, *parsed, std::move(packet), broadcast || link_broadcast, now);
}

Delivery Ip::State::deliver(const Interface& in, const ParsedIpv4& parsed, Slice&& packet, bool broadcast, Time now) {
  packet.length = parsed.header_size + parsed.payload_size;  // what lies beyond is padding of the link
  if (!offload_agrees(packet, parsed))
    return drop_packet(parsed.header, Counter::ip4_drop_bad_offload, Rule::ip_validate, now);
  counters.add(Counter::ip4_delivered);
  if (parsed.header.protocol == IpProtocol::icmp)
    return icmp_input(datagram(in, parsed, std::move(packet), broadcast), now);
  return datagram(in, parsed, std::move(packet), broadcast);
}

// RFC 1122 §3.2.1.3: who cannot have sent it. 0.0.0.0 may ask for its address by broadcast (DHCP), and only so.
std::optional<Counter> Ip::State::source_fault(const Interface& in, const Ipv4Header& ip) const {
  const IpAddress& source = ip.source;
  if (source.is_ordinary() && !owns_unicast(source) && !is_broadcast(source)) return std::nullopt;  // nearly always
  if (source.is_multicast() || is_broadcast(source)) return Counter::ip4_drop_bad_source;
  if (source.is_this_network() && !(source.is_any() && ip.destination.is_limited_broadcast()))
    return Counter::ip4_drop_bad_source;
  if (in.id == kLoopback) return std::nullopt;
  if (source.is_loopback()) return Counter::ip4_drop_loopback_on_wire;
  if (owns_unicast(source)) return Counter::ip4_drop_bad_source;
  return std::nullopt;
}

// A host takes what is addressed to one of its addresses, on whichever interface it comes (the weak model of RFC 1122
// §3.3.4.2, as Linux), broadcasts, and the groups it has joined; it forwards nothing.
std::optional<Counter> Ip::State::destination_fault(const Interface& in, const Ipv4Header& ip) const {
  const IpAddress& destination = ip.destination;
  if (destination.is_loopback() && in.id != kLoopback) return Counter::ip4_drop_loopback_on_wire;
  if (is_local(destination) || destination.is_limited_broadcast()) return std::nullopt;
  // RFC 1112 §7.2: of the groups those that are joined on this interface; over loopback comes what any of them was
  // sent.
  if (destination.is_multicast()) {
    const bool joined =
        in.id == kLoopback
            ? std::ranges::any_of(interfaces, [&](const Interface& i) { return i.has_members(destination); })
            : in.has_members(destination);
    return joined ? std::nullopt : std::optional(Counter::ip4_drop_not_ours);
  }
  const bool our_broadcast = in.id == kLoopback ? is_broadcast(destination) : in.is_directed_broadcast(destination);
  return our_broadcast ? std::nullopt : std::optional(Counter::ip4_drop_not_ours);
}

Delivery Ip::State::drop_frame(const Interface& in, size_t length, Counter reason, Time now) {
  counters.add(reason);
  tracer.emit(EventKind::link_dropped, Rule::link_drop, 0, now, {in.id, word(length), word(reason)});
  return {};
}

Delivery Ip::State::drop_packet(const Ipv4Header& ip, Counter reason, Rule rule, Time now) {
  counters.add(reason);
  tracer.emit(EventKind::ip_dropped, rule, 0, now,
              {ip.source.v4_bits(), ip.destination.v4_bits(), static_cast<uint32_t>(ip.protocol), ip.total_length,
               word(reason)});
  return {};
}

}  // namespace limpid
