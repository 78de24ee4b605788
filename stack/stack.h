// class Stack: one host's whole TCP/IP machine, deterministic.
//
// Its public methods are the closed list of its inputs: configuration, a frame, a socket call, time, link_writable.
// Bytes come out through each interface's LinkPort, wake-ups through ReadySink, what happened and why through
// TraceSink. Same seed and same inputs: same outputs, bit for bit. It reads no clock, opens nothing, starts nothing.
//
// It is not thread-safe and takes no lock: the runtime holds one mutex a Stack around every call. `now` never goes
// back.
//
//   frames ──> receive() ─┐                       ┌─> LinkPort::transmit
//   calls  ──> tcp_*()  ──┼── the machine ────────┼─> ReadySink::raise
//   time   ──> advance() ─┘   then flush()        └─> TraceSink::event
//
// Calls on sockets are plain and non-blocking: they do what can be done now, or answer Error::would_block, and a later
// raise() says when to come back. All that is POSIX is built on them, in stack/socket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stack/base/counters.h"
#include "stack/base/error.h"
#include "stack/base/rng.h"
#include "stack/base/time.h"
#include "stack/base/trace.h"
#include "stack/buffer/frame.h"
#include "stack/buffer/loan.h"
#include "stack/config.h"
#include "stack/net/flow_owner.h"
#include "stack/net/ip_layer.h"
#include "stack/socket_id.h"
#include "stack/tcp/status.h"
#include "stack/udp/datagram.h"
#include "stack/wire/address.h"

namespace limpid {

class Stack {
 public:
  Stack(const Config& config, uint64_t seed, ReadySink& ready);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // --- configuration -----------------------------------------------------------------------------------------------
  void set_trace_sink(TraceSink* sink);  // null: nobody listens
  // From now on, for what is yet to be decided: what connections have agreed on or been given stays.
  void set_tcp_config(const TcpConfig& config);
  // Interface 0 is loopback, 127.0.0.1/8, and exists from the start.
  InterfaceId add_interface(const InterfaceConfig& config, LinkPort& port);
  void add_address(InterfaceId interface, const IpAddress& address, int prefix);
  void add_route(const IpAddress& destination, int prefix, InterfaceId interface, const IpAddress& gateway);
  // This stack is number `own` of several that are one host, alike in all but this: it opens only connections that it
  // owns, and is to be given no frames of others' flows. Before there is any socket.
  void share_flows(const FlowOwner& owner, uint16_t own);
  const FlowOwner& flow_owner() const;

  // --- the world moves -----------------------------------------------------------------------------------------------
  void receive(InterfaceId interface, FrameRef frame, Time now);  // a frame arrived; answers wait for flush()
  void deliver(Time now);  // frames that wait to be merged with the next one wait no longer; part of flush()
  // After a batch: send what the batch called for, but for ACKs that may wait.
  void flush(Time now, AcksWait acks = {});
  // Users may not be heard of soon: such ACKs go, and the tails of SENDs (TcpSendFlags::tail_may_wait).
  void release_held(Time now, Release what = {});
  void advance(Time now);                               // fire the timers that are due, and flush
  void link_writable(InterfaceId interface, Time now);  // the device takes frames again
  Time next_deadline() const;                           // when to call advance(); kNever: no need
  // The clock that `now` comes from stood still for so long (a debugger), or the process did not run and it went on.
  // Nothing but an event: time is what the machine is told.
  void note_clock_gap(bool stood_still, Duration real, Time now);

  // --- ports (bind) ------------------------------------------------------------------------------------------------
  // Claims a local endpoint: port 0 picks a free ephemeral one; an unset address means any. The claim is made exactly
  // where POSIX and Linux allow it (net/port_table.h). TCP sockets hold their claim from bind to close.
  Result<BindId> tcp_bind(const Endpoint& local, ReusePolicy reuse, Time now);
  Endpoint bound_endpoint(BindId bind) const;
  void set_bind_reuse(BindId bind, ReusePolicy reuse);
  void tcp_unbind(BindId bind);

  // --- TCP: the user calls of RFC 9293 §3.9.1 ------------------------------------------------------------------------
  // Active OPEN. `bind` may be empty: then a source address and an ephemeral port are chosen. The outcome comes as
  // kConnected, or as kError | kHangUp with the reason in tcp_take_error(). On success the claim belongs to the
  // connection. A bound one must be this stack's own flow (flow_owner()), else address_not_available.
  // With SynText::wanted (TCP Fast Open, RFC 7413) the SYN may wait for the first tcp_send(): then tcp_syn_text_room()
  // says how much text it takes along. Without a room it has gone.
  Result<SocketId> tcp_connect(const Endpoint& remote, BindId bind, const TcpOptions& options, Time now,
                               SynText text = SynText::none);
  std::optional<uint32_t> tcp_syn_text_room(SocketId connection) const;
  // Passive OPEN. On success the claim belongs to the listener.
  Result<SocketId> tcp_listen(BindId bind, uint32_t backlog, const TcpOptions& options, Time now);
  void tcp_set_backlog(SocketId listener, uint32_t backlog);
  // The keys of its Fast Open cookies; those of the stack, unless it was given its own.
  void tcp_set_fast_open_keys(SocketId listener, const FastOpenKeys& keys);
  FastOpenKeys tcp_fast_open_keys(SocketId listener) const;
  // The oldest established connection of the listener's queue; would_block when none waits.
  Result<SocketId> tcp_accept(SocketId listener, Time now);
  // Gives an accepted connection back to the head of the queue (its caller has gone).
  void tcp_put_back(SocketId listener, SocketId connection);

  // SEND: takes what fits into the send buffer; would_block when nothing does. Sends at once what the windows allow.
  // Errors: closing (after shutdown), not_connected, or the connection's own end (reset, timed_out: once, then
  // closing).
  Result<size_t> tcp_send(SocketId connection, ByteSpan bytes, TcpSendFlags flags, Time now);
  // RECEIVE: copies what is there; 0 means end of stream; would_block when nothing is there yet.
  Result<size_t> tcp_receive(SocketId connection, MutableByteSpan into, TcpReceiveFlags flags, Time now);
  // SEND without a copy. The user writes into `room`, which takes its part of the send buffer meanwhile, without the
  // stack's lock; it is as long as there is room, at most `most` bytes. tcp_commit() sends the first `length` bytes of
  // it, all of them, and they must not be written any more; what is left over, or given back, is room again. Errors as
  // those of tcp_send(), and whatever they are the room has gone. It may outlive its connection.
  Result<size_t> tcp_reserve(SocketId connection, size_t most, SendRoom& room, Time now);
  Result<void> tcp_commit(SocketId connection, SendRoom& room, size_t length, TcpSendFlags flags, Time now);
  void tcp_give_back(SocketId connection, SendRoom& room, Time now);
  // RECEIVE without a copy: as tcp_receive(), but `into` tells where the text lies. It takes its part of the receive
  // buffer, and the window does not open over it, until it is given back. It may outlive its connection.
  Result<size_t> tcp_borrow(SocketId connection, size_t most, LentText& into, Time now);
  void tcp_give_back(SocketId connection, LentText& text, Time now);
  size_t tcp_readable_bytes(SocketId connection) const;  // FIONREAD
  size_t tcp_unsent_bytes(SocketId connection) const;    // SIOCOUTQNSD; in status: unacknowledged too (SIOCOUTQ)

  // CLOSE of one direction. shutdown_send queues a FIN behind the data; shutdown_receive sends nothing.
  Result<void> tcp_shutdown_send(SocketId connection, Time now);
  Result<void> tcp_shutdown_receive(SocketId connection, Time now);
  // The user lets go: FIN after queued data, or RST if received bytes were not read (RFC 2525 §2.17). The id is stale
  // afterwards; the connection finishes by itself. Also closes listeners (their unaccepted connections are reset).
  void tcp_close(SocketId socket, Time now);
  // ABORT: RST, queues dropped, id stale.
  void tcp_abort(SocketId connection, Time now);

  Result<void> tcp_set_options(SocketId socket, const TcpOptions& options, Time now);
  const TcpOptions* tcp_options(SocketId socket) const;  // good until the next call of any kind
  Result<TcpStatus> tcp_status(SocketId socket) const;
  ReadyEvents tcp_ready(SocketId socket) const;
  Error tcp_take_error(SocketId connection);  // SO_ERROR: told once; a hint of ICMP while it lives

  // --- UDP -----------------------------------------------------------------------------------------------------------
  SocketId udp_open(const UdpOptions& options);
  Result<void> udp_bind(SocketId socket, const Endpoint& local, ReusePolicy reuse, Time now);
  // Fixes the peer: only its datagrams are received. An unset address dissolves the association.
  Result<void> udp_connect(SocketId socket, const Endpoint& remote, Time now);
  Result<size_t> udp_send(SocketId socket, ByteSpan bytes, const DatagramSend& how, Time now);
  Result<DatagramReceived> udp_receive(SocketId socket, MutableByteSpan into, bool peek, Time now);
  size_t udp_readable_bytes(SocketId socket) const;  // of the first datagram
  Result<void> udp_shutdown(SocketId socket, bool receive, bool send);
  void udp_close(SocketId socket);
  // Multicast, on the interface that ip().multicast_interface() names.
  Result<void> udp_join(SocketId socket, const IpAddress& group, InterfaceId interface);
  Result<void> udp_leave(SocketId socket, const IpAddress& group, InterfaceId interface);
  Result<void> udp_set_options(SocketId socket, const UdpOptions& options);
  const UdpOptions* udp_options(SocketId socket) const;
  Result<UdpStatus> udp_status(SocketId socket) const;
  ReadyEvents udp_ready(SocketId socket) const;
  Error udp_take_error(SocketId socket);

  // --- raw sockets: IP packets without a transport header (ping, traceroute, scanners)
  // --------------------------------
  SocketId raw_open(IpProtocol protocol, const UdpOptions& options);
  Result<void> raw_bind(SocketId socket, const IpAddress& local);
  Result<void> raw_connect(SocketId socket, const IpAddress& remote, Time now);
  // The payload of an IP packet (a whole packet with options.header_included).
  Result<size_t> raw_send(SocketId socket, ByteSpan bytes, const DatagramSend& how, Time now);
  // The whole IP packet, header first, as on Linux.
  Result<DatagramReceived> raw_receive(SocketId socket, MutableByteSpan into, bool peek, Time now);
  Result<void> raw_shutdown(SocketId socket, bool receive, bool send);
  void raw_close(SocketId socket);
  Result<void> raw_set_options(SocketId socket, const UdpOptions& options);
  const UdpOptions* raw_options(SocketId socket) const;
  Result<UdpStatus> raw_status(SocketId socket) const;
  ReadyEvents raw_ready(SocketId socket) const;
  Error raw_take_error(SocketId socket);

  // --- looking in
  // ------------------------------------------------------------------------------------------------------
  FramePool& frames();  // where devices get their empty frames
  const Counters& counters() const;
  const Config& config() const;
  const Ip& ip() const;
  // Every TCP socket there is (listeners, half-open, connections, TIME-WAIT), in a fixed order: what `ss` shows.
  std::vector<TcpStatus> tcp_list() const;
  std::vector<UdpStatus> udp_list() const;
  // Connections that still have to send or to be acknowledged, though nobody holds them: draining waits for these.
  size_t tcp_unfinished() const;
  // Checks what must always hold; empty when all is well, else what is broken, in words. For tests.
  std::string check_invariants(Time now) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace limpid
