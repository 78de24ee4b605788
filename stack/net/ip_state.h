// What stands behind class Ip. Private to stack/net: the files ip_input, ip_output, arp and icmp each hold some steps
// of it.
//
//   receive ─> ethernet_input ─> arp_input                              answer: frame_out
//                    └────────> ip_input ─> icmp_input ─> a Delivery    answer: send_icmp ─> send
//   send ─> transmit_ip ─┬─> loop_back                   (interface 0: waits for the end of the step)
//                        ├─> frame_out                   (TUN)
//                        └─> neighbor ─> frame_out       (Ethernet: or the packet waits for ARP)
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <vector>

#include "stack/net/icmp.h"
#include "stack/net/interface.h"
#include "stack/net/ip_layer.h"
#include "stack/net/neighbor.h"
#include "stack/net/path_mtu.h"
#include "stack/net/route.h"
#include "stack/wire/arp.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"

namespace limpid {

inline constexpr InterfaceId kLoopback = 0;
inline constexpr uint32_t kLoopbackMtu = 65'535;
inline constexpr size_t kLoopbackPackets =
    1024;  // that may wait for the end of the step; Linux netdev_max_backlog 1000
inline constexpr size_t kMaxQuote = 576 - 20 - 8;  // RFC 1812 §4.3.2.3: an error is at most 576 bytes long

struct Ip::State {
  State(const IpConfig& config, Rng rng, FramePool& pool, Counters& counters, Tracer& tracer);

  const IpConfig& config;
  FramePool& pool;
  Counters& counters;
  Tracer& tracer;
  std::vector<Interface> interfaces;
  RouteTable routes;
  NeighborTable neighbors;
  IcmpLimiter icmp_limiter;
  PathMtuCache path_mtus;
  SipKey identification_key;
  std::array<uint16_t, 256> identification_counters{};
  std::deque<WaitingPacket> loopback;
  uint32_t packets_taken = 0;  // of the last super-segment that was cut here

  // The last packet that passed all checks and was no broadcast. Packets come in rows, and what was right of one is
  // right of the next, as long as our addresses stay what they are.
  struct Row {
    InterfaceId interface = 0;
    std::array<std::byte, Ipv4Header::kMinSize> header{};  // as it stood; zeros: there was none
    ParsedIpv4 parsed;
  } row;

  // --- what is ours: asked several times for each packet ---
  bool owns_unicast(const IpAddress& address) const {
    for (const Interface& i : interfaces)
      if (i.owns(address)) return true;
    return false;
  }
  bool is_local(const IpAddress& address) const { return address.is_loopback() || owns_unicast(address); }
  bool is_broadcast(const IpAddress& address) const {
    for (const Interface& i : interfaces)
      if (i.id != kLoopback && i.is_directed_broadcast(address)) return true;
    return address.is_limited_broadcast();
  }

  // --- ip_layer.cc: the way to what is not ---
  Result<Path> path(const IpAddress& destination, const IpAddress& source) const;
  Result<Path> local_path(const IpAddress& destination, const IpAddress& source) const;
  Result<Path> broadcast_path(const IpAddress& destination, const IpAddress& source) const;
  Result<Path> multicast_path(const IpAddress& destination, const IpAddress& source) const;
  std::optional<InterfaceId> multicast_interface(const IpAddress& group, const IpAddress& own) const;
  Result<Path> routed_path(const IpAddress& destination, const IpAddress& source) const;

  // --- ip_input.cc ---
  void note_frame_in(InterfaceId in, uint32_t size, uint32_t hash, Time now);
  Delivery frame_input(Interface& in, FrameRef&& frame, Time now);
  Delivery ethernet_input(Interface& in, Slice frame, Time now);
  inline Delivery ip_input(Interface& in, Slice&& packet, bool link_broadcast, Time now);
  inline Delivery deliver(const Interface& in, const ParsedIpv4& parsed, Slice&& packet, bool broadcast, Time now);
  std::optional<Counter> source_fault(const Interface& in, const Ipv4Header& ip) const;
  std::optional<Counter> destination_fault(const Interface& in, const Ipv4Header& ip) const;
  Delivery drop_frame(const Interface& in, size_t length, Counter reason, Time now);
  Delivery drop_packet(const Ipv4Header& ip, Counter reason, Rule rule, Time now);

  // --- icmp.cc ---
  Delivery icmp_input(const Delivery& datagram, Time now);
  Delivery icmp_error_input(const Delivery& datagram, const ParsedIcmp4& message, Time now);
  void drop_icmp(const Icmp4Header& header, const IpAddress& source, Counter reason, Time now);
  void answer_echo(const Delivery& request, const ParsedIcmp4& message, Time now);
  void send_unreachable(const Delivery& offender, uint8_t code, Time now);
  bool answer_forbidden(const Delivery& offender) const;
  void send_icmp(IpSend what, const Icmp4Header& header, ByteSpan body, Rule rule, Time now);

  // --- ip_output.cc ---
  SendOutcome send(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body, Time now);
  SendOutcome send_next(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                        Time now);
  inline SendOutcome send_on(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                             Time now);
  SendOutcome send_raw(ByteSpan packet, Time now);
  SendOutcome refuse_to_send(const Ipv4Header& ip, Counter reason, SendOutcome outcome, Time now);
  inline SendOutcome transmit_ip(const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                                 EventNumber event, const FrameOffload& offload, Time now);
  SendOutcome transmit_ethernet(Interface& out, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                                EventNumber event, const FrameOffload& offload, Time now);
  SendOutcome transmit_cut(Interface& out, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                           EventNumber event, const FrameOffload& offload, Time now);
  Transmit ethernet_out(Interface& out, const MacAddress& to, uint16_t type, HeaderBuffer& head,
                        std::span<const ByteSpan> body, EventNumber event, const FrameOffload& offload, Time now);
  inline Transmit frame_out(Interface& out, const TxFrame& frame, Time now);
  void loop_back(const HeaderBuffer& head, std::span<const ByteSpan> body, EventNumber event, Time now);
  FrameRef copy_packet(ByteSpan head, std::span<const ByteSpan> body);
  uint16_t next_identification(const IpSend& what, uint32_t packets);

  // --- arp.cc ---
  void arp_input(Interface& in, ByteSpan packet, Time now);
  std::optional<Counter> arp_sender_fault(const Interface& in, const ArpPacket& arp) const;
  void arp_learn(Interface& in, const ArpPacket& arp, bool for_us, Time now);
  void arp_send(Interface& out, const ArpPacket& arp, const MacAddress& to, Rule rule, Time now);
  Neighbor& neighbor_for(Interface& out, const IpAddress& next_hop, Time now);
  Neighbor& create_neighbor(const NeighborKey& key, Time now);
  void start_asking(Neighbor& neighbor, Neighbor::State state, Time now);
  void ask(Neighbor& neighbor, Time now);
  void neighbor_timer(Neighbor& neighbor, Time now);
  void wait_for(Neighbor& neighbor, WaitingPacket packet, Time now);
  void send_waiting(Interface& out, Neighbor& neighbor, Time now);
  void give_up(std::deque<WaitingPacket> packets, Time now);
};

// 32 bits that name a frame's bytes in the trace (FNV-1a, over the pieces in order).
uint32_t frame_hash(ByteSpan head, std::span<const ByteSpan> body);

}  // namespace limpid
