// ARP (RFC 826) on Ethernet links: asking, answering, learning, giving up.
#include <algorithm>

#include "stack/net/ip_state.h"
#include "stack/wire/ethernet.h"

namespace limpid {

// --- in
// -------------------------------------------------------------------------------------------------------------------

// RFC 826, "Packet Reception".
void Ip::State::arp_input(Interface& in, ByteSpan packet, Time now) {
  counters.add(Counter::arp_in);
  const auto drop = [&](Counter reason) {
    counters.add(reason);
    tracer.emit(EventKind::arp_dropped, Rule::arp_drop, 0, now, {static_cast<uint32_t>(reason)});
  };
  const auto arp = parse_arp(packet);
  if (!arp) return drop(arp.error());
  tracer.emit(EventKind::arp_received, Rule::arp_learn, 0, now, {arp->operation, arp->sender_ip.v4_bits()});
  if (const auto fault = arp_sender_fault(in, *arp)) return drop(*fault);

  const bool for_us = owns_unicast(arp->target_ip) && !arp->target_ip.is_loopback();
  if (!arp->sender_ip.is_any()) arp_learn(in, *arp, for_us, now);  // RFC 5227 §2.1.1: a probe tells nothing
  if (!for_us || arp->operation != ArpPacket::kRequest) return;

  const ArpPacket reply{.operation = ArpPacket::kReply,
                        .sender_mac = in.config.mac,
                        .sender_ip = arp->target_ip,
                        .target_mac = arp->sender_mac,
                        .target_ip = arp->sender_ip};
  arp_send(in, reply, arp->sender_mac, Rule::arp_answer, now);
}

std::optional<Counter> Ip::State::arp_sender_fault(const Interface& in, const ArpPacket& arp) const {
  const bool bad_mac = arp.sender_mac.is_group() || arp.sender_mac.is_zero() || arp.sender_mac == in.config.mac;
  const bool bad_ip = arp.sender_ip.is_multicast() || arp.sender_ip.is_loopback() || is_broadcast(arp.sender_ip) ||
                      owns_unicast(arp.sender_ip);
  return bad_mac || bad_ip ? std::optional(Counter::arp_drop_bad_sender) : std::nullopt;
}

// The merge of RFC 826: what is known is updated from any packet, and an entry is made only for one who asks for us.
// Only an answer to us confirms that the neighbor lives; any other word makes it `stale`, to be asked at the next use.
void Ip::State::arp_learn(Interface& in, const ArpPacket& arp, bool for_us, Time now) {
  const NeighborKey key{in.id, arp.sender_ip};
  const bool answer = for_us && arp.operation == ArpPacket::kReply;
  Neighbor* neighbor = neighbors.find(key);
  if (neighbor == nullptr) {
    if (!for_us || arp.operation != ArpPacket::kRequest) return;
    neighbor = &create_neighbor(key, now);
  }
  const bool news = !neighbor->usable() || neighbor->mac != arp.sender_mac;
  if (!answer && !news) return;
  neighbor->mac = arp.sender_mac;
  neighbor->state = answer ? Neighbor::State::reachable : Neighbor::State::stale;
  neighbor->confirmed = now;
  neighbors.set_timer(*neighbor, kNever);
  neighbors.touch(*neighbor);
  send_waiting(in, *neighbor, now);
}

// --- asking
// ---------------------------------------------------------------------------------------------------------------

void Ip::doubt(const Path& path) {
  Neighbor* neighbor = state_->neighbors.find({path.interface, path.next_hop});
  if (neighbor != nullptr && neighbor->state == Neighbor::State::reachable) neighbor->state = Neighbor::State::stale;
}

// The entry of a next hop that is about to be used. When it is new or in doubt, asking begins here.
Neighbor& Ip::State::neighbor_for(Interface& out, const IpAddress& next_hop, Time now) {
  const NeighborKey key{out.id, next_hop};
  Neighbor* neighbor = neighbors.find(key);
  if (neighbor == nullptr) {
    neighbor = &create_neighbor(key, now);
    start_asking(*neighbor, Neighbor::State::incomplete, now);
    return *neighbor;
  }
  const bool in_doubt =
      neighbor->state == Neighbor::State::stale ||
      (neighbor->state == Neighbor::State::reachable && now - neighbor->confirmed >= config.neighbor_reachable_time);
  if (in_doubt) start_asking(*neighbor, Neighbor::State::probing, now);
  if (neighbor->state == Neighbor::State::failed) start_asking(*neighbor, Neighbor::State::incomplete, now);
  neighbors.touch(*neighbor);
  return *neighbor;
}

Neighbor& Ip::State::create_neighbor(const NeighborKey& key, Time now) {
  std::deque<WaitingPacket> evicted;
  Neighbor& neighbor = neighbors.create(key, evicted);
  counters.add(Counter::arp_drop_unresolved, evicted.size());
  for (size_t i = 0; i < evicted.size(); ++i) {
    tracer.emit(EventKind::arp_dropped, Rule::arp_drop, 0, now, {static_cast<uint32_t>(Counter::arp_drop_unresolved)});
  }
  return neighbor;
}

// RFC 1122 §2.3.2.1: never more than one request a second for one address, whatever happened in between.
void Ip::State::start_asking(Neighbor& neighbor, Neighbor::State state, Time now) {
  neighbor.state = state;
  neighbor.tries = 0;
  const Time earliest = neighbor.asked ? neighbor.last_request + config.neighbor_retry : now;
  if (earliest <= now) {
    ask(neighbor, now);
  } else {
    neighbors.set_timer(neighbor, earliest);
  }
}

// A new neighbor is asked for by broadcast, a known one directly (RFC 1122 §2.3.2.1, "unicast poll").
void Ip::State::ask(Neighbor& neighbor, Time now) {
  Interface& out = interfaces[neighbor.key.interface];
  neighbor.asked = true;
  neighbor.last_request = now;
  ++neighbor.tries;
  neighbors.set_timer(neighbor, now + config.neighbor_retry);

  const std::optional<IpAddress> own = out.source_for(neighbor.key.address);
  if (!own) return;
  const bool known = neighbor.state == Neighbor::State::probing;
  const ArpPacket request{.operation = ArpPacket::kRequest,
                          .sender_mac = out.config.mac,
                          .sender_ip = *own,
                          .target_mac = {},
                          .target_ip = neighbor.key.address};
  arp_send(out, request, known ? neighbor.mac : MacAddress::broadcast(), Rule::arp_resolve, now);
}

void Ip::State::arp_send(Interface& out, const ArpPacket& arp, const MacAddress& to, Rule rule, Time now) {
  const EventNumber event = tracer.emit(EventKind::arp_sent, rule, 0, now, {arp.operation, arp.target_ip.v4_bits()});
  HeaderBuffer head;
  arp.write(head.prepend(ArpPacket::kSize));
  const Transmit answer = ethernet_out(out, to, ether_type::arp, head, {}, event, {}, now);
  counters.add(answer == Transmit::taken ? Counter::arp_out : Counter::link_drop_refused);
}

void Ip::State::neighbor_timer(Neighbor& neighbor, Time now) {
  if (neighbor.tries < config.neighbor_tries) return ask(neighbor, now);
  neighbor.state = Neighbor::State::failed;
  neighbors.set_timer(neighbor, kNever);
  neighbors.touch(neighbor);
  give_up(std::exchange(neighbor.waiting, {}), now);
}

// --- packets that wait
// ------------------------------------------------------------------------------------------------------

// RFC 1122 §2.3.2.2: at least the latest packet is kept, so a full queue loses its oldest.
void Ip::State::wait_for(Neighbor& neighbor, WaitingPacket packet, Time now) {
  if (!packet.frame) {
    drop_frame(interfaces[neighbor.key.interface], 0, Counter::link_drop_no_frame, now);
    return;
  }
  neighbor.waiting.push_back(std::move(packet));
  if (neighbor.waiting.size() <= config.neighbor_queue_packets) return;
  neighbor.waiting.pop_front();
  counters.add(Counter::arp_drop_queue_full);
  tracer.emit(EventKind::arp_dropped, Rule::arp_drop, 0, now, {static_cast<uint32_t>(Counter::arp_drop_queue_full)});
}

void Ip::State::send_waiting(Interface& out, Neighbor& neighbor, Time now) {
  while (!neighbor.waiting.empty()) {
    WaitingPacket& packet = neighbor.waiting.front();
    HeaderBuffer head;
    std::ranges::copy(packet.frame->bytes().first(packet.headers), head.prepend(packet.headers).begin());
    const ByteSpan body = packet.frame->bytes().subspan(packet.headers);
    if (ethernet_out(out, neighbor.mac, ether_type::ipv4, head, {&body, 1}, packet.event, packet.frame->offload, now) ==
        Transmit::refused) {
      out.frames_wait = true;  // link_writable() goes on from here
      return;
    }
    neighbor.waiting.pop_front();
  }
}

// Nobody answered: each packet that waited comes back to its sender, us, as "host unreachable" (RFC 1122 §2.4: only
// now).
void Ip::State::give_up(std::deque<WaitingPacket> packets, Time now) {
  for (WaitingPacket& waiting : packets) {
    counters.add(Counter::arp_drop_unresolved);
    tracer.emit(EventKind::arp_dropped, Rule::arp_give_up, 0, now,
                {static_cast<uint32_t>(Counter::arp_drop_unresolved)});
    Slice packet = Slice::whole(std::move(waiting.frame));
    const auto parsed = parse_ipv4(packet.bytes());
    if (!parsed || !is_local(parsed->header.source)) continue;
    Delivery lost;
    lost.source = parsed->header.source;
    lost.destination = parsed->header.destination;
    lost.protocol = parsed->header.protocol;
    lost.payload = packet;
    lost.payload.drop_front(parsed->header_size);
    lost.packet = std::move(packet);
    send_unreachable(lost, icmp4_unreachable::host, now);
  }
}

}  // namespace limpid
