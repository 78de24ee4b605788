// class Ip: the internet layer of one host, as the transports and Stack see it. The work is done in ip_input,
// ip_output, route, neighbor, arp and icmp; this is the one object that holds their state together.
#pragma once

#include <memory>
#include <optional>

#include "stack/config.h"
#include "stack/net/ip.h"
#include "stack/net/merge.h"
#include "stack/net/path_mtu.h"

namespace limpid {

class Ip {
 public:
  Ip(const IpConfig& config, Rng rng, FramePool& pool, Counters& counters, Tracer& tracer);
  ~Ip();

  // --- configuration ---
  InterfaceId add_interface(const InterfaceConfig& config, LinkPort& port);
  void add_address(InterfaceId interface, const IpAddress& address, int prefix);  // several are allowed
  void add_route(const IpAddress& destination, int prefix, InterfaceId interface,
                 const IpAddress& gateway /* or unset */);

  // --- questions ---
  bool is_local(const IpAddress& address) const;      // one of ours, 127/8 included
  bool is_broadcast(const IpAddress& address) const;  // limited, or directed at a network of ours
  // Where a multicast group is spoken to and listened to: the interface that has `own`, if it is set, else the one that
  // the routes name.
  std::optional<InterfaceId> multicast_interface(const IpAddress& group, const IpAddress& own) const;
  uint32_t interface_mtu(InterfaceId interface) const;
  // The way to a destination, from `source` if set. Longest prefix wins. Errors: network_unreachable,
  // address_not_available (source is not ours).
  Result<Path> path(const IpAddress& destination, const IpAddress& source) const;

  // --- multicast (RFC 1112 §6.1): one join for each socket that listens, and as many leaves ---
  void join(InterfaceId interface, const IpAddress& group);
  void leave(InterfaceId interface, const IpAddress& group);

  // --- the MTU of whole paths, as routers told (RFC 1191): path() knows only that of the first link ---
  PathMtu path_mtu(const IpAddress& destination, Time now) const;
  uint32_t path_mtu_version() const;  // changes whenever something is learned
  uint32_t least_path_mtu() const;
  // The caller has made sure that the message is about a packet of its own. False: it would not lower the estimate.
  bool learn_path_mtu(const IpAddress& destination, InterfaceId interface, uint32_t mtu, Time now);

  // A transport hears nothing from this way for a while: whether the neighbor is still there is asked at its next use
  // (RFC 1122 §3.3.1.4, "negative advice").
  void doubt(const Path& path);

  // --- packets in ---
  // Validates (RFC 1122 §3.2.1), answers what IP itself answers (ARP, ICMP echo), and returns what is left. Valid ICMP
  // messages are returned too, echo requests included: raw sockets wait for them (nobody need answer them any more).
  Delivery receive(InterfaceId interface, FrameRef frame, Time now);
  // The frame goes on where a row of segments ends: it has been received, and belongs to them.
  bool append_to_row(Merger& row, InterfaceId interface, FrameRef& frame, Time now);
  // Datagrams that we sent to ourselves wait here until the end of the step: never recursion.
  bool has_loopback() const;
  Delivery receive_loopback(Time now);

  // --- packets out ---
  // `head` holds the transport header, checksum done; IP (and link) headers are put in front of it.
  SendOutcome send(const IpSend& what, HeaderBuffer& head, std::span<const ByteSpan> body, Time now);
  // The same over a path that the caller looked up before (a connection keeps its own).
  SendOutcome send(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body, Time now);
  // The next datagram of a row: like the last one, which was sent, over the same path and in the same buffer, whose
  // headers are used again. Only the length may be another, and what `head` holds of the transport header.
  SendOutcome send_next(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                        Time now);
  // A whole IPv4 packet from a raw socket with IP_HDRINCL.
  SendOutcome send_raw(ByteSpan packet, Time now);

  // After send() the buffer holds spent headers: a refused packet is built anew.

  // Of the super-segment that was sent partly: how many of its packets have gone.
  uint32_t packets_taken() const;

  // An ICMP unreachable in answer to this datagram, unless RFC 1122 §3.2.2 or the rate limit forbids it.
  void send_unreachable(const Delivery& offender, uint8_t code, Time now);

  // --- time: neighbor retries. A neighbor that never answered comes back as an ICMP error of our own, over loopback
  // ---
  Time next_deadline() const;
  void advance(Time now);
  // After a refusal: may the transports try again on this interface?
  void link_writable(InterfaceId interface, Time now);

 private:
  struct State;  // stack/net/ip_state.h
  std::unique_ptr<State> state_;
};

}  // namespace limpid
