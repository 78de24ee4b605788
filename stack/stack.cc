#include "stack/stack.h"

#include "stack/icmp/raw_sockets.h"
#include "stack/tcp/tcp.h"
#include "stack/udp/udp_sockets.h"

namespace limpid {

struct Stack::Parts {
  Parts(const Config& c, uint64_t seed, ReadySink& ready)
      : config(c),
        rng(seed),
        frames(c.frame_memory),
        ip(config.ip, rng.split("ip"), frames, counters, tracer),
        tcp(config.tcp, rng.split("tcp"), ip, counters, tracer, ready),
        udp(config.udp, config.tcp, rng.split("udp"), ip, counters, tracer, ready),
        raw(ip, counters, tracer, ready) {}

  Config config;
  Rng rng;
  Counters counters;
  Tracer tracer;
  FramePool frames;
  Ip ip;
  Tcp tcp;
  UdpSockets udp;
  RawSockets raw;
  Merger row;  // of segments that came one behind the other, within a batch

  void deliver(Delivery& delivery, Time now);
  void flush(Time now, AcksWait acks = {});
  void deliver_row(Time now) {
    if (!row.holds()) return;
    Delivery merged = row.take();
    deliver(merged, now);
    row.clear();
  }
};

Stack::Stack(const Config& config, uint64_t seed, ReadySink& ready)
    : parts_(std::make_unique<Parts>(config, seed, ready)) {}
Stack::~Stack() = default;

// --- configuration
// -----------------------------------------------------------------------------------------------------------------

void Stack::set_trace_sink(TraceSink* sink) { parts_->tracer.set_sink(sink); }

void Stack::set_tcp_config(const TcpConfig& config) {
  parts_->config.tcp = config;
  parts_->tcp.set_config(config);
}

InterfaceId Stack::add_interface(const InterfaceConfig& config, LinkPort& port) {
  return parts_->ip.add_interface(config, port);
}

void Stack::add_address(InterfaceId interface, const IpAddress& address, int prefix) {
  parts_->ip.add_address(interface, address, prefix);
}

void Stack::add_route(const IpAddress& destination, int prefix, InterfaceId interface, const IpAddress& gateway) {
  parts_->ip.add_route(destination, prefix, interface, gateway);
}

void Stack::share_flows(const FlowOwner& owner, uint16_t own) { parts_->tcp.share_flows(owner, own); }
const FlowOwner& Stack::flow_owner() const { return parts_->tcp.flow_owner(); }

// --- the world moves
// -----------------------------------------------------------------------------------------------------------------

void Stack::receive(InterfaceId interface, FrameRef frame, Time now) {
  Parts& p = *parts_;
  if (p.row.holds()) {
    if (p.ip.append_to_row(p.row, interface, frame, now)) return;
    p.deliver_row(now);
  }
  Delivery d = p.ip.receive(interface, std::move(frame), now);
  if (p.config.ip.merge_segments && !p.raw.any() && p.row.begin(d)) return;
  p.deliver(d, now);
}

// What IP has left over goes to its transport; raw sockets get their copy first, as on Linux.
void Stack::Parts::deliver(Delivery& d, Time now) {
  if (d.kind == Delivery::Kind::none) return;
  const bool heard_raw = raw.concerns(d) && raw.receive(d, now);
  if (d.kind == Delivery::Kind::icmp_error) {
    switch (d.protocol) {
      case IpProtocol::tcp:
        return tcp.icmp_error(d, now);
      case IpProtocol::udp:
        (void)udp.icmp_error(d, now);
        return;
      default:
        (void)raw.icmp_error(d);
        return;
    }
  }
  switch (d.protocol) {
    case IpProtocol::tcp:
      return tcp.receive(d, now);
    case IpProtocol::udp:
      if (!udp.receive(d, now)) ip.send_unreachable(d, 3, now);
      return;
    case IpProtocol::icmp:
      return;  // answered where it arrived
    default:
      if (heard_raw) return;
      counters.add(Counter::ip4_drop_unknown_protocol);
      ip.send_unreachable(d, 2, now);
  }
}

void Stack::note_clock_gap(bool stood_still, Duration real, Time now) {
  const uint32_t ms = static_cast<uint32_t>(to_ms(real));
  if (stood_still) {
    parts_->tracer.emit(EventKind::clock_frozen, Rule::clock_debugger, 0, now, {ms});
  } else {
    parts_->tracer.emit(EventKind::clock_stall, Rule::clock_gap, 0, now, {ms});
  }
}

void Stack::deliver(Time now) { parts_->deliver_row(now); }
void Stack::flush(Time now, AcksWait acks) { parts_->flush(now, acks); }

void Stack::release_held(Time now, Release what) {
  parts_->tcp.release_held(what, now);
  if (parts_->tcp.has_work()) flush(now);
}

void Stack::Parts::flush(Time now, AcksWait acks) {
  deliver_row(now);
  tcp.flush(now, acks);
  while (ip.has_loopback()) {  // what we sent to ourselves arrives at the end of the step, never by recursion
    Delivery d = ip.receive_loopback(now);
    deliver(d, now);
    if (!ip.has_loopback()) tcp.flush(now, acks);
  }
  tcp.fold_idle(now);
}

void Stack::advance(Time now) {
  parts_->deliver_row(now);
  parts_->ip.advance(now);
  parts_->tcp.advance(now);
  flush(now);
}

void Stack::link_writable(InterfaceId interface, Time now) {
  parts_->deliver_row(now);
  parts_->ip.link_writable(interface, now);
  parts_->tcp.link_writable(interface);
  parts_->udp.link_writable();
  parts_->raw.link_writable();
  flush(now);
}

Time Stack::next_deadline() const { return std::min(parts_->ip.next_deadline(), parts_->tcp.next_deadline()); }

// --- ports
// -----------------------------------------------------------------------------------------------------------------------------

Result<BindId> Stack::tcp_bind(const Endpoint& local, ReusePolicy reuse, Time) {
  if (!local.address.is_any() && !parts_->ip.is_local(local.address))
    return std::unexpected(Error::address_not_available);
  return parts_->tcp.ports().claim(local, reuse);
}
Endpoint Stack::bound_endpoint(BindId bind) const { return parts_->tcp.ports().endpoint(bind); }
void Stack::set_bind_reuse(BindId bind, ReusePolicy reuse) { parts_->tcp.ports().set_reuse(bind, reuse); }
void Stack::tcp_unbind(BindId bind) { parts_->tcp.ports().release(bind); }

// --- TCP
// -----------------------------------------------------------------------------------------------------------------------------------

Result<SocketId> Stack::tcp_connect(const Endpoint& remote, BindId bind, const TcpOptions& options, Time now,
                                    SynText text) {
  const auto id = parts_->tcp.connect(remote, bind, options, text, now);
  flush(now);
  return id;
}
std::optional<uint32_t> Stack::tcp_syn_text_room(SocketId connection) const {
  return parts_->tcp.syn_text_room(connection);
}
Result<SocketId> Stack::tcp_listen(BindId bind, uint32_t backlog, const TcpOptions& options, Time) {
  return parts_->tcp.listen(bind, backlog, options);
}
void Stack::tcp_set_backlog(SocketId listener, uint32_t backlog) { parts_->tcp.set_backlog(listener, backlog); }
void Stack::tcp_set_fast_open_keys(SocketId listener, const FastOpenKeys& keys) {
  parts_->tcp.set_fast_open_keys(listener, keys);
}
FastOpenKeys Stack::tcp_fast_open_keys(SocketId listener) const { return parts_->tcp.fast_open_keys(listener); }
Result<SocketId> Stack::tcp_accept(SocketId listener, Time) { return parts_->tcp.accept(listener); }
void Stack::tcp_put_back(SocketId listener, SocketId connection) { parts_->tcp.put_back(listener, connection); }

Result<size_t> Stack::tcp_send(SocketId connection, ByteSpan bytes, TcpSendFlags flags, Time now) {
  const auto sent = parts_->tcp.send(connection, bytes, flags, now);
  flush(now);
  return sent;
}
Result<size_t> Stack::tcp_receive(SocketId connection, MutableByteSpan into, TcpReceiveFlags flags, Time now) {
  const auto got = parts_->tcp.receive_bytes(connection, into, flags, now);
  flush(now);
  return got;
}
Result<size_t> Stack::tcp_reserve(SocketId connection, size_t most, SendRoom& room, Time now) {
  return parts_->tcp.reserve(connection, most, room, now);
}
Result<void> Stack::tcp_commit(SocketId connection, SendRoom& room, size_t length, TcpSendFlags flags, Time now) {
  const auto sent = parts_->tcp.commit(connection, room, length, flags, now);
  flush(now);
  return sent;
}
void Stack::tcp_give_back(SocketId connection, SendRoom& room, Time now) {
  parts_->tcp.give_back(connection, room, now);
  flush(now);
}
Result<size_t> Stack::tcp_borrow(SocketId connection, size_t most, LentText& into, Time now) {
  return parts_->tcp.borrow(connection, most, into, now);
}
void Stack::tcp_give_back(SocketId connection, LentText& text, Time now) {
  parts_->tcp.give_back(connection, text, now);
  flush(now);
}
size_t Stack::tcp_readable_bytes(SocketId connection) const {
  const Connection* c = parts_->tcp.find(connection);
  return c == nullptr ? 0 : c->receiver().readable();
}
size_t Stack::tcp_unsent_bytes(SocketId connection) const {
  const Connection* c = parts_->tcp.find(connection);
  return c == nullptr ? 0 : c->unsent();
}

Result<void> Stack::tcp_shutdown_send(SocketId connection, Time now) {
  const auto result = parts_->tcp.shutdown_send(connection, now);
  flush(now);
  return result;
}
Result<void> Stack::tcp_shutdown_receive(SocketId connection, Time now) {
  return parts_->tcp.shutdown_receive(connection, now);
}
void Stack::tcp_close(SocketId socket, Time now) {
  parts_->tcp.close(socket, now);
  flush(now);
}
void Stack::tcp_abort(SocketId connection, Time now) {
  parts_->tcp.abort(connection, now);
  flush(now);
}
Result<void> Stack::tcp_set_options(SocketId socket, const TcpOptions& options, Time now) {
  const auto result = parts_->tcp.set_options(socket, options, now);
  flush(now);
  return result;
}
const TcpOptions* Stack::tcp_options(SocketId socket) const { return parts_->tcp.options(socket); }
Result<TcpStatus> Stack::tcp_status(SocketId socket) const { return parts_->tcp.status(socket); }
ReadyEvents Stack::tcp_ready(SocketId socket) const { return parts_->tcp.readiness(socket); }
Error Stack::tcp_take_error(SocketId connection) { return parts_->tcp.take_error(connection); }

// --- UDP and raw sockets
// ---------------------------------------------------------------------------------------------------------------------

SocketId Stack::udp_open(const UdpOptions& options) { return parts_->udp.open(options); }
Result<void> Stack::udp_bind(SocketId s, const Endpoint& local, ReusePolicy reuse, Time) {
  return parts_->udp.bind(s, local, reuse);
}
Result<void> Stack::udp_connect(SocketId s, const Endpoint& remote, Time) { return parts_->udp.connect(s, remote); }
Result<size_t> Stack::udp_send(SocketId s, ByteSpan bytes, const DatagramSend& how, Time now) {
  const auto sent = parts_->udp.send(s, bytes, how, now);
  flush(now);
  return sent;
}
Result<DatagramReceived> Stack::udp_receive(SocketId s, MutableByteSpan into, bool peek, Time) {
  return parts_->udp.receive(s, into, peek);
}
size_t Stack::udp_readable_bytes(SocketId s) const { return parts_->udp.readable_bytes(s); }
Result<void> Stack::udp_shutdown(SocketId s, bool receive, bool send) { return parts_->udp.shutdown(s, receive, send); }
Result<void> Stack::udp_join(SocketId s, const IpAddress& group, InterfaceId interface) {
  return parts_->udp.join(s, {.group = group, .interface = interface});
}
Result<void> Stack::udp_leave(SocketId s, const IpAddress& group, InterfaceId interface) {
  return parts_->udp.leave(s, {.group = group, .interface = interface});
}
void Stack::udp_close(SocketId s) { parts_->udp.close(s); }
Result<void> Stack::udp_set_options(SocketId s, const UdpOptions& options) {
  return parts_->udp.set_options(s, options);
}
const UdpOptions* Stack::udp_options(SocketId s) const { return parts_->udp.options(s); }
Result<UdpStatus> Stack::udp_status(SocketId s) const { return parts_->udp.status(s); }
ReadyEvents Stack::udp_ready(SocketId s) const { return parts_->udp.ready(s); }
Error Stack::udp_take_error(SocketId s) { return parts_->udp.take_error(s); }

SocketId Stack::raw_open(IpProtocol protocol, const UdpOptions& options) { return parts_->raw.open(protocol, options); }
Result<void> Stack::raw_bind(SocketId s, const IpAddress& local) { return parts_->raw.bind(s, local); }
Result<void> Stack::raw_connect(SocketId s, const IpAddress& remote, Time) { return parts_->raw.connect(s, remote); }
Result<size_t> Stack::raw_send(SocketId s, ByteSpan bytes, const DatagramSend& how, Time now) {
  const auto sent = parts_->raw.send(s, bytes, how, now);
  flush(now);
  return sent;
}
Result<DatagramReceived> Stack::raw_receive(SocketId s, MutableByteSpan into, bool peek, Time) {
  return parts_->raw.receive(s, into, peek);
}
Result<void> Stack::raw_shutdown(SocketId s, bool receive, bool send) { return parts_->raw.shutdown(s, receive, send); }
void Stack::raw_close(SocketId s) { parts_->raw.close(s); }
Result<void> Stack::raw_set_options(SocketId s, const UdpOptions& options) {
  return parts_->raw.set_options(s, options);
}
const UdpOptions* Stack::raw_options(SocketId s) const { return parts_->raw.options(s); }
Result<UdpStatus> Stack::raw_status(SocketId s) const { return parts_->raw.status(s); }
ReadyEvents Stack::raw_ready(SocketId s) const { return parts_->raw.ready(s); }
Error Stack::raw_take_error(SocketId s) { return parts_->raw.take_error(s); }

// --- looking in
// ----------------------------------------------------------------------------------------------------------------------------

FramePool& Stack::frames() { return parts_->frames; }
const Counters& Stack::counters() const { return parts_->counters; }
const Config& Stack::config() const { return parts_->config; }
const Ip& Stack::ip() const { return parts_->ip; }
std::vector<TcpStatus> Stack::tcp_list() const { return parts_->tcp.list(); }
std::vector<UdpStatus> Stack::udp_list() const {
  auto all = parts_->udp.list();
  const auto more = parts_->raw.list();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}
size_t Stack::tcp_unfinished() const { return parts_->tcp.unfinished(); }
std::string Stack::check_invariants(Time now) const { return parts_->tcp.check_invariants(now); }

}  // namespace limpid
