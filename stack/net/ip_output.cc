// Datagrams out: the IP header, the neighbor, the frame. Nothing here allocates for a packet that goes straight out.
#include <algorithm>

#include "stack/base/checksum.h"
#include "stack/net/ip_state.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/super_segment.h"

namespace limpid {
namespace {

size_t total(std::span<const ByteSpan> pieces) {
  size_t n = 0;
  for (ByteSpan piece : pieces) n += piece.size();
  return n;
}

}  // namespace

uint32_t frame_hash(ByteSpan head, std::span<const ByteSpan> body) {
  uint32_t hash = 2'166'136'261;
  const auto mix = [&hash](ByteSpan piece) {
    for (std::byte b : piece) hash = (hash ^ std::to_integer<uint32_t>(b)) * 16'777'619;
  };
  mix(head);
  for (ByteSpan piece : body) mix(piece);
  return hash;
}

SendOutcome Ip::State::send(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                            Time now) {
  const size_t length = Ipv4Header::kMinSize + head.size() + total(body);
  Ipv4Header ip{.tos = what.tos,
                .total_length = static_cast<uint16_t>(length),
                .dont_fragment = what.dont_fragment,
                .ttl = what.ttl != 0 ? what.ttl : config.ttl,  // RFC 1122 §3.2.1.7: never send TTL 0
                .protocol = what.protocol,
                .source = what.source.is_any() ? path.source : what.source,
                .destination = what.destination,
                .options = {}};
  const size_t largest = what.offload.segment_text == 0 ? length : length - total(body) + what.offload.segment_text;
  if (largest > path.mtu) return refuse_to_send(ip, Counter::ip4_drop_too_big, SendOutcome::too_big, now);
  if (path.interface != kLoopback && (ip.source.is_loopback() || ip.destination.is_loopback()))
    return refuse_to_send(ip, Counter::ip4_drop_loopback_on_wire, SendOutcome::no_route, now);

  // RFC 1112 §6.1: a multicast with TTL 0 does not leave the host.
  const bool stays = what.ttl == 0 && ip.destination.is_multicast();
  if (stays) ip.ttl = 1;
  ip.identification = next_identification(what, what.offload.packets(static_cast<uint32_t>(total(body))));
  ip.write(head.prepend(ip.size()));
  if (stays) {
    if (path.echo && interfaces[path.interface].has_members(path.next_hop)) loop_back(head, body, what.event, now);
    return SendOutcome::sent;
  }
  return send_on(what, path, head, body, now);
}

SendOutcome Ip::State::send_next(const IpSend& what, const Path& path, HeaderBuffer& head,
                                 std::span<const ByteSpan> body, Time now) {
  const size_t length = head.size() + total(body);
  if (length > path.mtu) {  // a super-segment, or too big: looked at in full
    head.drop_front(Ipv4Header::kMinSize);
    return send(what, path, head, body, now);
  }
  Ipv4Header::renew(head.outermost(Ipv4Header::kMinSize), static_cast<uint16_t>(length), next_identification(what, 1));
  return send_on(what, path, head, body, now);
}

// The IP header is in its place.
SendOutcome Ip::State::send_on(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                               Time now) {
  FrameOffload offload = what.offload;
  if (offload.checksum_open)
    offload.checksum_begin = static_cast<uint16_t>(offload.checksum_begin + Ipv4Header::kMinSize);
  const SendOutcome outcome = transmit_ip(path, head, body, what.event, offload, now);
  const bool cut = offload.segment_text > 0 && !interfaces[path.interface].config.offloads;
  if (cut) {
    counters.add(Counter::ip4_out, packets_taken);
  } else if (outcome == SendOutcome::sent) {
    counters.add(Counter::ip4_out);
  }
  return outcome;
}

// ip(7), IP_HDRINCL: the caller wrote the header; length and checksum are always ours, the source and the
// identification only where they are zero.
SendOutcome Ip::State::send_raw(ByteSpan packet, Time now) {
  if (packet.size() < Ipv4Header::kMinSize)
    return refuse_to_send({}, Counter::ip4_drop_truncated, SendOutcome::no_route, now);
  const size_t header_size = size_t{load8(packet, 0) & 0x0fU} * 4;
  if (load8(packet, 0) >> 4 != 4 || header_size < Ipv4Header::kMinSize || header_size > packet.size())
    return refuse_to_send({}, Counter::ip4_drop_bad_header, SendOutcome::no_route, now);

  IpSend what{.source = IpAddress::v4(load32(packet, 12)), .destination = IpAddress::v4(load32(packet, 16))};
  what.protocol = static_cast<IpProtocol>(load8(packet, 9));
  what.dont_fragment = (load16(packet, 6) & 0x4000) != 0;
  const Ipv4Header described{.total_length = static_cast<uint16_t>(packet.size()),
                             .protocol = what.protocol,
                             .source = what.source,
                             .destination = what.destination,
                             .options = {}};
  // A raw socket may forge its source (a scanner does); the path is then chosen without it.
  const Result<Path> path = this->path(what.destination, {});
  if (!path) return refuse_to_send(described, Counter::ip4_drop_no_route, SendOutcome::no_route, now);
  if (packet.size() > path->mtu) return refuse_to_send(described, Counter::ip4_drop_too_big, SendOutcome::too_big, now);
  if (path->interface != kLoopback && what.source.is_loopback())
    return refuse_to_send(described, Counter::ip4_drop_loopback_on_wire, SendOutcome::no_route, now);

  HeaderBuffer head;
  const MutableByteSpan header = head.prepend(header_size);
  std::ranges::copy(packet.first(header_size), header.begin());
  store16(header, 2, static_cast<uint16_t>(packet.size()));
  if (load16(header, 4) == 0) store16(header, 4, next_identification(what, 1));
  if (what.source.is_any()) store32(header, 12, path->source.v4_bits());
  store16(header, 10, 0);
  store16(header, 10, internet_checksum(header));

  const ByteSpan rest = packet.subspan(header_size);
  const SendOutcome outcome = transmit_ip(*path, head, {&rest, 1}, 0, {}, now);
  if (outcome == SendOutcome::sent) counters.add(Counter::ip4_out);
  return outcome;
}

SendOutcome Ip::State::refuse_to_send(const Ipv4Header& ip, Counter reason, SendOutcome outcome, Time now) {
  drop_packet(ip, reason, Rule::ip_output, now);
  return outcome;
}

// RFC 6864 §4.1: on an atomic datagram (DF, no fragment) the field means nothing and may be any value. Elsewhere it
// counts from a place that only the key knows, for each (source, destination, protocol); flows that share a counter
// cannot see each other's numbers through it, since each adds its own offset.
uint16_t Ip::State::next_identification(const IpSend& what, uint32_t packets) {
  if (what.dont_fragment) return 0;
  std::array<std::byte, 33> flow;
  std::memcpy(flow.data(), what.source.bytes().data(), 16);
  std::memcpy(flow.data() + 16, what.destination.bytes().data(), 16);
  flow[32] = static_cast<std::byte>(what.protocol);
  const uint64_t hash = siphash(identification_key, flow);
  uint16_t& counter = identification_counters[hash >> 56];
  const auto first = static_cast<uint16_t>(counter + 1);
  counter = static_cast<uint16_t>(counter + packets);
  return static_cast<uint16_t>(hash + first);
}

SendOutcome Ip::State::transmit_ip(const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                                   EventNumber event, const FrameOffload& offload, Time now) {
  if (path.interface == kLoopback) {
    loop_back(head, body, event, now);
    return SendOutcome::sent;
  }
  Interface& out = interfaces[path.interface];
  if (offload.segment_text > 0 && !out.config.offloads) return transmit_cut(out, path, head, body, event, offload, now);
  const SendOutcome outcome =
      out.config.kind == LinkKind::ethernet ? transmit_ethernet(out, path, head, body, event, offload, now)
      : frame_out(out, {.head = head.bytes(), .body = body, .event = event, .offload = offload}, now) == Transmit::taken
          ? SendOutcome::sent
          : SendOutcome::refused;
  // A broadcast is for us too: a service that looks for its like on the network finds the one on its own host. So is a
  // multicast, unless its sender does not wish it (RFC 1112 §6.1).
  if ((path.broadcast || (path.echo && out.has_members(path.next_hop))) && outcome == SendOutcome::sent)
    loop_back(head, body, event, now);
  return outcome;
}

// For a device that does not cut super-segments (GSO): what it takes of one has gone, and the caller is told how much.
// Packets that wait for their neighbor wait one by one.
SendOutcome Ip::State::transmit_cut(Interface& out, const Path& path, HeaderBuffer& head,
                                    std::span<const ByteSpan> body, EventNumber event, const FrameOffload& offload,
                                    Time now) {
  packets_taken = 0;
  size_t link_header = 0;
  FrameOffload within = offload;
  if (out.config.kind == LinkKind::ethernet) {
    Neighbor& neighbor = neighbor_for(out, path.next_hop, now);
    if (!neighbor.usable()) {
      for (SuperSegment s(head.bytes(), 0, body, offload); s.next(); ++packets_taken)
        wait_for(neighbor, {copy_packet(s.head(), s.body()), static_cast<uint32_t>(s.head().size()), event}, now);
      return SendOutcome::sent;
    }
    link_header = EthernetHeader::kSize;
    within.checksum_begin = static_cast<uint16_t>(within.checksum_begin + link_header);
    EthernetHeader{.destination = neighbor.mac, .source = out.config.mac, .type = ether_type::ipv4}.write(
        head.prepend(link_header));
  }
  for (SuperSegment s(head.bytes(), link_header, body, within, out.config.open_checksums); s.next(); ++packets_taken) {
    const TxFrame packet{.head = s.head(), .body = s.body(), .event = event, .offload = s.offload()};
    if (frame_out(out, packet, now) == Transmit::refused)
      return packets_taken == 0 ? SendOutcome::refused : SendOutcome::partly;
  }
  return SendOutcome::sent;
}

SendOutcome Ip::State::transmit_ethernet(Interface& out, const Path& path, HeaderBuffer& head,
                                         std::span<const ByteSpan> body, EventNumber event, const FrameOffload& offload,
                                         Time now) {
  MacAddress to = MacAddress::broadcast();
  if (path.next_hop.is_multicast()) {
    to = MacAddress::of_group(path.next_hop);
  } else if (!path.broadcast) {
    Neighbor& neighbor = neighbor_for(out, path.next_hop, now);
    if (!neighbor.usable()) {
      WaitingPacket packet{copy_packet(head.bytes(), body), static_cast<uint32_t>(head.size()), event};
      if (packet.frame) packet.frame->offload = offload;
      wait_for(neighbor, std::move(packet), now);
      return SendOutcome::sent;
    }
    to = neighbor.mac;
  }
  const Transmit answer = ethernet_out(out, to, ether_type::ipv4, head, body, event, offload, now);
  return answer == Transmit::taken ? SendOutcome::sent : SendOutcome::refused;
}

Transmit Ip::State::ethernet_out(Interface& out, const MacAddress& to, uint16_t type, HeaderBuffer& head,
                                 std::span<const ByteSpan> body, EventNumber event, const FrameOffload& offload,
                                 Time now) {
  const EthernetHeader header{.destination = to, .source = out.config.mac, .type = type};
  header.write(head.prepend(EthernetHeader::kSize));
  TxFrame frame{.head = head.bytes(), .body = body, .event = event, .offload = offload};
  if (offload.checksum_open)
    frame.offload.checksum_begin = static_cast<uint16_t>(offload.checksum_begin + EthernetHeader::kSize);

  // RFC 894: what is shorter than 46 bytes is padded with zeros, which the IP length does not count.
  std::array<std::byte, EthernetHeader::kSize + EthernetHeader::kMinPayload> padded{};
  if (frame.size() < padded.size()) {
    auto end = std::ranges::copy(frame.head, padded.begin()).out;
    for (ByteSpan piece : body) end = std::ranges::copy(piece, end).out;
    frame.head = padded;
    frame.body = {};
  }
  const Transmit answer = frame_out(out, frame, now);
  head.drop_front(EthernetHeader::kSize);
  return answer;
}

Transmit Ip::State::frame_out(Interface& out, const TxFrame& frame, Time now) {
  const Transmit answer = out.port->transmit(frame, now);
  const bool refused = answer == Transmit::refused;
  const size_t size = frame.size();
  counters.add(refused ? Counter::link_refused : Counter::link_frames_out);
  if (!refused) counters.add(Counter::link_bytes_out, size);
  if (tracer.on()) {
    tracer.emit(EventKind::link_frame_out, Rule::none, 0, now,
                {out.id, static_cast<uint32_t>(size), frame_hash(frame.head, frame.body), refused ? 1U : 0U});
  }
  return answer;
}

FrameRef Ip::State::copy_packet(ByteSpan head, std::span<const ByteSpan> body) {
  FrameRef frame = pool.make(static_cast<uint32_t>(head.size() + total(body)));
  if (!frame) return frame;
  std::byte* end = std::ranges::copy(head, frame->data()).out;
  for (ByteSpan piece : body) end = std::ranges::copy(piece, end).out;
  frame->length = static_cast<uint32_t>(end - frame->data());
  return frame;
}

void Ip::State::loop_back(const HeaderBuffer& head, std::span<const ByteSpan> body, EventNumber event, Time now) {
  const Interface& lo = interfaces[kLoopback];
  const size_t size = head.size() + total(body);
  if (loopback.size() >= kLoopbackPackets) {
    drop_frame(lo, size, Counter::link_drop_loopback_full, now);
    return;
  }
  FrameRef frame = copy_packet(head.bytes(), body);
  if (!frame) {
    drop_frame(lo, size, Counter::link_drop_no_frame, now);
    return;
  }
  counters.add(Counter::link_frames_out);
  counters.add(Counter::link_bytes_out, size);
  if (tracer.on()) {
    tracer.emit(EventKind::link_frame_out, Rule::none, 0, now,
                {lo.id, static_cast<uint32_t>(size), frame_hash(frame->bytes(), {}), 0});
  }
  loopback.push_back({.frame = std::move(frame), .event = event});
}

}  // namespace limpid
