// All raw sockets of a stack (raw(7)): IP packets without a transport, for ping, traceroute, scanners and new
// transports.
//
// A raw socket gets a copy of every datagram of its protocol, IP header included, also of those that the stack answers
// or that another transport takes. Bound, it gets only those to its address; connected, only those from its peer.
#pragma once

#include <vector>

#include "stack/base/counters.h"
#include "stack/base/slab.h"
#include "stack/base/trace.h"
#include "stack/net/ip_layer.h"
#include "stack/udp/datagram_socket.h"

namespace limpid {

struct RawSocket : DatagramSocket {
  IpProtocol protocol{};
  IpAddress local;   // unset: any
  IpAddress remote;  // unset: not connected
};

class RawSockets {
 public:
  // IPPROTO_RAW: such a socket only sends, whole packets.
  static constexpr IpProtocol kSendOnly{255};

  RawSockets(Ip& ip, Counters& counters, Tracer& tracer, ReadySink& ready);

  SocketId open(IpProtocol protocol, const UdpOptions& options);
  Result<void> bind(SocketId id, const IpAddress& local);
  Result<void> connect(SocketId id, const IpAddress& remote);  // an unset address dissolves
  // The payload of a datagram; with options.header_included a whole packet, sent where its header says.
  Result<size_t> send(SocketId id, ByteSpan bytes, const DatagramSend& how, Time now);
  Result<DatagramReceived> receive(SocketId id, MutableByteSpan into, bool peek);
  size_t readable_bytes(SocketId id) const;
  Result<void> shutdown(SocketId id, bool receive, bool send);
  void close(SocketId id);

  Result<void> set_options(SocketId id, const UdpOptions& options);
  const UdpOptions* options(SocketId id) const;
  Result<UdpStatus> status(SocketId id) const;
  std::vector<UdpStatus> list() const;
  ReadyEvents ready(SocketId id) const;
  Error take_error(SocketId id);

  // Gives a copy to every socket that matches (of an ICMP error: to the raw ICMP sockets, the packet that brought it).
  // True when one did; when none did and no transport takes it either, the caller answers "protocol unreachable".
  bool receive(const Delivery& delivery, Time now);
  // Whether there is anybody to ask. (That nobody waits for an ICMP message is counted there.)
  bool concerns(const Delivery& d) const { return sockets_.capacity() > 0 || d.protocol == IpProtocol::icmp; }
  // An ICMP error quotes a packet that a raw socket may have sent.
  bool icmp_error(const Delivery& error);
  void link_writable();
  bool any() const { return sockets_.size() > 0; }

 private:
  const RawSocket* find(SocketId id) const;
  RawSocket* find(SocketId id) { return const_cast<RawSocket*>(std::as_const(*this).find(id)); }
  SocketId id_at(uint32_t index) const;
  UdpStatus describe(SocketId id, const RawSocket& socket) const;
  Result<size_t> finish_send(SocketId id, RawSocket& socket, SendOutcome outcome, size_t bytes);

  Ip& ip_;
  Counters& counters_;
  Tracer& tracer_;
  ReadySink& ready_;
  Slab<RawSocket> sockets_;  // few: walked in the order of their slots for each datagram
  std::vector<SocketId> waiting_to_send_;
};

}  // namespace limpid
