// All UDP sockets of a stack (RFC 768, RFC 1122 §4.1). Calls do what can be done now; a stale id answers stale_handle.
#pragma once

#include <vector>

#include "stack/base/counters.h"
#include "stack/base/rng.h"
#include "stack/base/slab.h"
#include "stack/base/trace.h"
#include "stack/config.h"
#include "stack/net/ip_layer.h"
#include "stack/net/port_table.h"
#include "stack/udp/datagram_socket.h"
#include "stack/udp/udp_demux.h"

namespace limpid {

struct Membership {
  IpAddress group;
  InterfaceId interface = 0;
  friend bool operator==(const Membership&, const Membership&) = default;
};

struct UdpSocket : DatagramSocket {
  Endpoint local;   // port 0: not bound yet
  Endpoint remote;  // unset address: not connected
  BindId bind;
  ReusePolicy reuse;
  bool address_chosen = false;  // by the user's bind, not by connect
  bool port_chosen = false;
  std::vector<Membership> groups{};

  bool bound() const { return local.port != 0; }
  bool connected() const { return remote.address.is_set(); }
  bool hears(const Membership& arrived) const;  // a multicast for its port
};

class UdpSockets {
 public:
  // `ports` names the ephemeral range, which both transports share the bounds of.
  UdpSockets(const UdpConfig& config, const TcpConfig& ports, Rng rng, Ip& ip, Counters& counters, Tracer& tracer,
             ReadySink& ready);

  SocketId open(const UdpOptions& options);
  // Errors: invalid_argument (bound already), address_in_use, address_not_available.
  Result<void> bind(SocketId id, const Endpoint& local, ReusePolicy reuse);
  // Fixes the peer, and the local end where it is still open. An unset address dissolves the association.
  Result<void> connect(SocketId id, const Endpoint& remote);
  // Multicast (RFC 1112 §6.1); a membership ends with its socket. Errors: address_in_use (joined already), no_buffers
  // (too many), address_not_available (leave: not joined).
  Result<void> join(SocketId id, const Membership& membership);
  Result<void> leave(SocketId id, const Membership& membership);
  // All of it or nothing. Errors: destination_required, message_too_long, permission_denied (broadcast), closing,
  // would_block (the device is full), the pending ICMP error, and those of a path.
  Result<size_t> send(SocketId id, ByteSpan bytes, const DatagramSend& how, Time now);
  Result<DatagramReceived> receive(SocketId id, MutableByteSpan into, bool peek);
  size_t readable_bytes(SocketId id) const;  // of the first datagram
  Result<void> shutdown(SocketId id, bool receive, bool send);
  void close(SocketId id);

  Result<void> set_options(SocketId id, const UdpOptions& options);
  const UdpOptions* options(SocketId id) const;
  Result<UdpStatus> status(SocketId id) const;
  std::vector<UdpStatus> list() const;
  ReadyEvents ready(SocketId id) const;
  Error take_error(SocketId id);

  // A datagram arrived. False when nobody is bound to its port: the caller answers "port unreachable".
  bool receive(const Delivery& delivery, Time now);
  // An ICMP error quotes a datagram of ours. False when no socket sent such a one.
  bool icmp_error(const Delivery& error, Time now);
  // The device takes frames again: wakes those whose datagram it refused.
  void link_writable();

 private:
  const UdpSocket* find(SocketId id) const;
  UdpSocket* find(SocketId id) { return const_cast<UdpSocket*>(std::as_const(*this).find(id)); }
  SocketId id_at(uint32_t index) const;
  static FourTuple key(const UdpSocket& socket) { return {.local = socket.local, .remote = socket.remote}; }
  UdpStatus describe(SocketId id, const UdpSocket& socket) const;

  Result<void> claim(UdpSocket& socket, uint32_t index, const Endpoint& local, ReusePolicy reuse);
  void disconnect(UdpSocket& socket, uint32_t index);
  void move(UdpSocket& socket, uint32_t index, const Endpoint& local, const Endpoint& remote);
  Result<Endpoint> destination_of(const UdpSocket& socket, const DatagramSend& how) const;
  Result<Path> path_to(const UdpSocket& socket, const IpAddress& to, std::optional<IpAddress> source) const;
  std::vector<uint32_t> audience(const Delivery& delivery, const FourTuple& tuple);
  void deliver(uint32_t index, const Datagram& datagram, uint16_t port, Time now);
  void drop(const Delivery& delivery, Counter reason, Time now);

  const UdpConfig& config_;
  Ip& ip_;
  Counters& counters_;
  Tracer& tracer_;
  ReadySink& ready_;
  PortTable ports_;
  UdpDemux demux_;
  Slab<UdpSocket> sockets_;
  std::vector<SocketId> waiting_to_send_;
};

}  // namespace limpid
