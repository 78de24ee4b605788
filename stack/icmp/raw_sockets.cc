#include "stack/icmp/raw_sockets.h"

#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"

namespace limpid {

RawSockets::RawSockets(Ip& ip, Counters& counters, Tracer& tracer, ReadySink& ready)
    : ip_(ip), counters_(counters), tracer_(tracer), ready_(ready) {}

const RawSocket* RawSockets::find(SocketId id) const {
  return id.kind == SocketId::Kind::raw ? sockets_.get(Handle<RawSocket>{id.index, id.generation}) : nullptr;
}

SocketId RawSockets::id_at(uint32_t index) const {
  return {.kind = SocketId::Kind::raw, .index = index, .generation = sockets_.handle_at(index).generation};
}

// --- open, bind, connect, close
// -------------------------------------------------------------------------------------------

SocketId RawSockets::open(IpProtocol protocol, const UdpOptions& options) {
  const Handle<RawSocket> handle = sockets_.emplace();
  RawSocket& socket = *sockets_.get(handle);
  socket.protocol = protocol;
  socket.options = options;
  if (protocol == kSendOnly) socket.options.header_included = true;  // raw(7)
  return {.kind = SocketId::Kind::raw, .index = handle.index, .generation = handle.generation};
}

Result<void> RawSockets::bind(SocketId id, const IpAddress& local) {
  RawSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (!local.is_any() && !ip_.is_local(local) && !ip_.is_broadcast(local))
    return std::unexpected(Error::address_not_available);
  socket->local = local.is_any() ? IpAddress{} : local;
  return {};
}

Result<void> RawSockets::connect(SocketId id, const IpAddress& remote) {
  RawSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (remote.is_set()) {
    const Result<Path> path = ip_.path(remote, socket->local);
    if (!path) return std::unexpected(path.error());
    if (path->broadcast && !socket->options.broadcast) return std::unexpected(Error::permission_denied);
  }
  socket->remote = remote;
  return {};
}

void RawSockets::close(SocketId id) {
  if (find(id) != nullptr) sockets_.erase({id.index, id.generation});
}

Result<void> RawSockets::shutdown(SocketId id, bool receive, bool send) {
  RawSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  socket->shut(receive, send);
  ready_.raise(id, socket->ready());
  if (!socket->remote.is_set()) return std::unexpected(Error::not_connected);
  return {};
}

// --- send
// -----------------------------------------------------------------------------------------------------------------

Result<size_t> RawSockets::send(SocketId id, ByteSpan bytes, const DatagramSend& how, Time now) {
  RawSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (socket->send_shut) return std::unexpected(Error::closing);
  const size_t limit = socket->options.header_included ? 65'535 : 65'535 - Ipv4Header::kMinSize;
  if (bytes.size() > limit) return std::unexpected(Error::message_too_long);
  const Error pending = socket->take_error();
  if (pending != Error::none) return std::unexpected(pending);
  if (socket->options.header_included) {
    if (bytes.size() < Ipv4Header::kMinSize) return std::unexpected(Error::invalid_argument);
    return finish_send(id, *socket, ip_.send_raw(bytes, now), bytes.size());
  }

  const IpAddress to = how.to ? how.to->address : socket->remote;
  if (!to.is_set()) return std::unexpected(Error::destination_required);
  const IpAddress own = ip_.is_broadcast(socket->local) ? IpAddress{} : socket->local;
  Result<Path> path = ip_.path(to, how.source.value_or(own));
  if (!path) return std::unexpected(path.error());
  path->echo = socket->options.multicast_loop;
  if (path->broadcast && !socket->options.broadcast) return std::unexpected(Error::permission_denied);

  IpSend what{.source = path->source, .destination = to, .protocol = socket->protocol};
  what.ttl = how.ttl.value_or(socket->options.ttl_to(to));
  what.tos = socket->options.tos;
  what.dont_fragment = socket->options.dont_fragment;
  HeaderBuffer head;  // the caller's bytes are all that stands behind the IP header
  const std::span<const ByteSpan> body(&bytes, bytes.empty() ? 0 : 1);
  return finish_send(id, *socket, ip_.send(what, *path, head, body, now), bytes.size());
}

Result<size_t> RawSockets::finish_send(SocketId id, RawSocket& socket, SendOutcome outcome, size_t bytes) {
  switch (outcome) {
    case SendOutcome::sent:
      return bytes;
    case SendOutcome::too_big:
      return std::unexpected(Error::message_too_long);
    case SendOutcome::no_route:
      return std::unexpected(Error::network_unreachable);
    case SendOutcome::refused:
    case SendOutcome::partly:  // only of super-segments
      break;
  }
  if (!socket.send_waits) waiting_to_send_.push_back(id);
  socket.send_waits = true;
  return std::unexpected(Error::would_block);
}

void RawSockets::link_writable() {
  for (const SocketId id : std::exchange(waiting_to_send_, {})) {
    RawSocket* socket = find(id);
    if (socket == nullptr) continue;
    socket->send_waits = false;
    ready_.raise(id, kWritable);
  }
}

// --- receive
// --------------------------------------------------------------------------------------------------------------

Result<DatagramReceived> RawSockets::receive(SocketId id, MutableByteSpan into, bool peek) {
  RawSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  return socket->receive(into, peek);
}

bool RawSockets::receive(const Delivery& delivery, Time now) {
  // An ICMP error describes the packet that it quotes; what the sockets get is the one that brought it.
  const bool error = delivery.kind == Delivery::Kind::icmp_error;
  const IpProtocol protocol = error ? IpProtocol::icmp : delivery.protocol;
  const IpAddress source = error ? delivery.icmp_from : delivery.source;
  const IpAddress destination = error ? IpAddress::v4(load32(delivery.packet.bytes(), 16)) : delivery.destination;

  bool taken = false;
  for (uint32_t i = 0; i < sockets_.capacity(); ++i) {
    RawSocket* socket = sockets_.at(i);
    if (socket == nullptr || socket->protocol != protocol || socket->protocol == kSendOnly) continue;
    if (socket->local.is_set() && socket->local != destination) continue;
    if (socket->remote.is_set() && socket->remote != source) continue;
    taken = true;
    if (socket->receive_shut) continue;
    const bool queued = socket->queue.push({.bytes = delivery.packet,
                                            .from = {source, 0},
                                            .destination = destination,
                                            .interface = delivery.interface,
                                            .ttl = delivery.ttl,
                                            .tos = delivery.tos,
                                            .arrived = now},
                                           socket->options.receive_buffer);
    if (queued) {
      ready_.raise(id_at(i), kReadable);
    } else {
      counters_.add(Counter::raw_drop_queue_full);
      tracer_.emit(EventKind::ip_dropped, Rule::none, 0, now,
                   {source.v4_bits(), destination.v4_bits(), static_cast<uint32_t>(protocol), delivery.packet.length,
                    static_cast<uint32_t>(Counter::raw_drop_queue_full)});
    }
  }
  const bool echo_reply = !error && protocol == IpProtocol::icmp && !delivery.payload.empty() &&
                          load8(delivery.payload.bytes(), 0) == icmp4_type::echo_reply;
  if (!taken && echo_reply) counters_.add(Counter::icmp_drop_no_socket);
  return taken;
}

bool RawSockets::icmp_error(const Delivery& error) {
  bool taken = false;
  for (uint32_t i = 0; i < sockets_.capacity(); ++i) {
    RawSocket* socket = sockets_.at(i);
    if (socket == nullptr || socket->protocol != error.protocol) continue;
    if (socket->local.is_set() && socket->local != error.source) continue;
    if (socket->remote.is_set() && socket->remote != error.destination) continue;
    taken = true;
    if (socket->note_error(icmp_meaning(error.icmp_type, error.icmp_code), socket->remote.is_set()))
      ready_.raise(id_at(i), socket->ready());
  }
  return taken;
}

// --- options, looking in
// ----------------------------------------------------------------------------------------------------

Result<void> RawSockets::set_options(SocketId id, const UdpOptions& options) {
  RawSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  socket->options = options;
  return {};
}

const UdpOptions* RawSockets::options(SocketId id) const {
  const RawSocket* socket = find(id);
  return socket == nullptr ? nullptr : &socket->options;
}

size_t RawSockets::readable_bytes(SocketId id) const {
  const RawSocket* socket = find(id);
  return socket == nullptr ? 0 : socket->queue.first_length();
}

ReadyEvents RawSockets::ready(SocketId id) const {
  const RawSocket* socket = find(id);
  return socket == nullptr ? ReadyEvents{kHangUp} : socket->ready();
}

Error RawSockets::take_error(SocketId id) {
  RawSocket* socket = find(id);
  return socket == nullptr ? Error::stale_handle : socket->take_error();
}

UdpStatus RawSockets::describe(SocketId id, const RawSocket& socket) const {
  return {.id = id,
          .local = {socket.local, 0},
          .remote = {socket.remote, 0},
          .protocol = static_cast<uint8_t>(socket.protocol),
          .queued_bytes = socket.queue.charge(),
          .queued_datagrams = socket.queue.size(),
          .dropped = socket.queue.dropped()};
}

Result<UdpStatus> RawSockets::status(SocketId id) const {
  const RawSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  return describe(id, *socket);
}

std::vector<UdpStatus> RawSockets::list() const {
  std::vector<UdpStatus> all;
  for (uint32_t i = 0; i < sockets_.capacity(); ++i) {
    const SocketId id = id_at(i);
    if (const RawSocket* socket = find(id)) all.push_back(describe(id, *socket));
  }
  return all;
}

}  // namespace limpid
