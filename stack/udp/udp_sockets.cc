#include "stack/udp/udp_sockets.h"

#include <algorithm>

#include "stack/wire/udp.h"

namespace limpid {
namespace {

uint32_t word(size_t n) { return static_cast<uint32_t>(n); }

// Linux takes "connect to no particular address" for this host.
IpAddress meant(const IpAddress& destination) {
  return destination.is_any() ? IpAddress::v4(127, 0, 0, 1) : destination;
}

}  // namespace

UdpSockets::UdpSockets(const UdpConfig& config, const TcpConfig& ports, Rng rng, Ip& ip, Counters& counters,
                       Tracer& tracer, ReadySink& ready)
    : config_(config),
      ip_(ip),
      counters_(counters),
      tracer_(tracer),
      ready_(ready),
      ports_({.first = ports.ephemeral_first, .last = ports.ephemeral_last}, rng.split("ports")),
      demux_(rng.split("demux").key()) {}

const UdpSocket* UdpSockets::find(SocketId id) const {
  return id.kind == SocketId::Kind::udp ? sockets_.get(Handle<UdpSocket>{id.index, id.generation}) : nullptr;
}

SocketId UdpSockets::id_at(uint32_t index) const {
  return {.kind = SocketId::Kind::udp, .index = index, .generation = sockets_.handle_at(index).generation};
}

// --- open, bind, connect, close
// -------------------------------------------------------------------------------------------

SocketId UdpSockets::open(const UdpOptions& options) {
  const Handle<UdpSocket> handle = sockets_.emplace();
  const SocketId id{.kind = SocketId::Kind::udp, .index = handle.index, .generation = handle.generation};
  (void)set_options(id, options);
  return id;
}

Result<void> UdpSockets::bind(SocketId id, const Endpoint& local, ReusePolicy reuse) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (socket->bound()) return std::unexpected(Error::invalid_argument);
  const IpAddress& address = local.address;
  if (!address.is_any() && !ip_.is_local(address) && !ip_.is_broadcast(address) && !address.is_multicast())
    return std::unexpected(Error::address_not_available);
  const Result<void> claimed = claim(*socket, id.index, local, reuse);
  if (!claimed) return claimed;
  socket->address_chosen = !address.is_any();
  socket->port_chosen = local.port != 0;
  return {};
}

Result<void> UdpSockets::claim(UdpSocket& socket, uint32_t index, const Endpoint& local, ReusePolicy reuse) {
  const Result<BindId> bind = ports_.claim(local, reuse);
  if (!bind) return std::unexpected(bind.error());
  socket.bind = *bind;
  socket.reuse = reuse;
  move(socket, index, ports_.endpoint(*bind), socket.remote);
  return {};
}

// A socket's place in the demux is its two ends; this is the one function that changes them.
void UdpSockets::move(UdpSocket& socket, uint32_t index, const Endpoint& local, const Endpoint& remote) {
  if (socket.bound()) demux_.remove(key(socket), index);
  socket.local = local;
  socket.remote = remote;
  if (!socket.bound()) return;
  ports_.set_address(socket.bind, local.address);
  demux_.add(key(socket), index, socket.reuse.port);
}

Result<void> UdpSockets::connect(SocketId id, const Endpoint& remote) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (!remote.address.is_set()) {
    disconnect(*socket, id.index);
    return {};
  }
  const Endpoint peer{meant(remote.address), remote.port};
  const Result<Path> path = path_to(*socket, peer.address, {});
  if (!path) return std::unexpected(path.error());
  if (path->broadcast && !socket->options.broadcast) return std::unexpected(Error::permission_denied);
  if (!socket->bound()) {
    const Result<void> claimed = claim(*socket, id.index, {}, {});
    if (!claimed) return claimed;
  }
  const IpAddress address = socket->local.address.is_any() ? path->source : socket->local.address;
  move(*socket, id.index, {address, socket->local.port}, peer);
  socket->pending_error = Error::none;
  return {};
}

// What bind did stays; what connect chose is given back.
void UdpSockets::disconnect(UdpSocket& socket, uint32_t index) {
  Endpoint local = socket.local;
  if (!socket.address_chosen) local.address = {};
  if (!socket.port_chosen) local.port = 0;
  move(socket, index, local, {});
  if (socket.bound()) return;
  ports_.release(socket.bind);
  socket.bind = {};
}

void UdpSockets::close(SocketId id) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return;
  if (socket->bound()) demux_.remove(key(*socket), id.index);
  ports_.release(socket->bind);
  for (const Membership& m : socket->groups) ip_.leave(m.interface, m.group);
  sockets_.erase({id.index, id.generation});
}

Result<void> UdpSockets::shutdown(SocketId id, bool receive, bool send) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  socket->shut(receive, send);
  ready_.raise(id, socket->ready());
  // As Linux: an unconnected socket is shut all the same, and the caller is told that it was not connected.
  if (!socket->connected()) return std::unexpected(Error::not_connected);
  return {};
}

// --- send
// -----------------------------------------------------------------------------------------------------------------

Result<Endpoint> UdpSockets::destination_of(const UdpSocket& socket, const DatagramSend& how) const {
  if (!how.to) {
    if (!socket.connected()) return std::unexpected(Error::destination_required);
    return socket.remote;
  }
  if (how.to->port == 0) return std::unexpected(Error::invalid_argument);
  return Endpoint{meant(how.to->address), how.to->port};
}

Result<size_t> UdpSockets::send(SocketId id, ByteSpan bytes, const DatagramSend& how, Time now) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (socket->send_shut) return std::unexpected(Error::closing);
  if (bytes.size() > std::min<size_t>(UdpHeader::kMaxPayload, socket->options.send_buffer))
    return std::unexpected(Error::message_too_long);
  const Result<Endpoint> to = destination_of(*socket, how);
  if (!to) return std::unexpected(to.error());
  const Error pending = socket->take_error();
  if (pending != Error::none) return std::unexpected(pending);
  if (!socket->bound()) {
    const Result<void> claimed = claim(*socket, id.index, {}, {});
    if (!claimed) return std::unexpected(claimed.error());
  }
  Result<Path> path = path_to(*socket, to->address, how.source);
  if (!path) return std::unexpected(path.error());
  if (path->broadcast && !socket->options.broadcast) return std::unexpected(Error::permission_denied);

  IpSend what{.source = path->source, .destination = to->address, .protocol = IpProtocol::udp};
  what.ttl = how.ttl.value_or(socket->options.ttl_to(to->address));
  what.tos = socket->options.tos;
  what.dont_fragment = socket->options.dont_fragment;
  if (what.dont_fragment) path->mtu = std::min(path->mtu, ip_.path_mtu(to->address, now).mtu);
  what.event = tracer_.emit(EventKind::udp_sent, Rule::udp_output, 0, now,
                            {socket->local.port, to->address.v4_bits(), to->port, word(bytes.size())});
  HeaderBuffer head;
  const std::span<const ByteSpan> body(&bytes, bytes.empty() ? 0 : 1);
  const UdpHeader header{.source_port = socket->local.port, .destination_port = to->port};
  header.write(head.prepend(UdpHeader::kSize), what.source, what.destination, body);

  switch (ip_.send(what, *path, head, body, now)) {
    case SendOutcome::sent:
      counters_.add(Counter::udp_out);
      return bytes.size();
    case SendOutcome::too_big:
      return std::unexpected(Error::message_too_long);
    case SendOutcome::no_route:
      return std::unexpected(Error::network_unreachable);
    case SendOutcome::refused:
    case SendOutcome::partly:  // only of super-segments
      break;
  }
  if (!socket->send_waits) waiting_to_send_.push_back(id);
  socket->send_waits = true;
  return std::unexpected(Error::would_block);
}

void UdpSockets::link_writable() {
  for (const SocketId id : std::exchange(waiting_to_send_, {})) {
    UdpSocket* socket = find(id);
    if (socket == nullptr) continue;
    socket->send_waits = false;
    ready_.raise(id, kWritable);
  }
}

// --- receive
// --------------------------------------------------------------------------------------------------------------

Result<DatagramReceived> UdpSockets::receive(SocketId id, MutableByteSpan into, bool peek) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  return socket->receive(into, peek);
}

bool UdpSockets::receive(const Delivery& delivery, Time now) {
  counters_.add(Counter::udp_in);
  const auto parsed = delivery.offload.checksum_vouched()
                          ? parse_udp_unverified(delivery.payload.bytes())
                          : parse_udp(delivery.payload.bytes(), delivery.source, delivery.destination);
  if (!parsed) {
    drop(delivery, parsed.error(), now);
    return true;  // RFC 1122 §4.1.3.4: silently
  }
  const UdpHeader& header = parsed->header;
  Datagram datagram{.bytes = delivery.payload,
                    .from = {delivery.source, header.source_port},
                    .destination = delivery.destination,
                    .interface = delivery.interface,
                    .ttl = delivery.ttl,
                    .tos = delivery.tos,
                    .arrived = now};
  datagram.bytes.drop_front(UdpHeader::kSize);
  datagram.bytes.length = word(parsed->payload.size());

  const FourTuple tuple{.local = {delivery.destination, header.destination_port}, .remote = datagram.from};
  if (ip_.is_broadcast(delivery.destination) || delivery.destination.is_multicast()) {
    const std::vector<uint32_t> all = audience(delivery, tuple);
    for (const uint32_t index : all) deliver(index, datagram, header.destination_port, now);
    if (!all.empty()) return true;
  } else if (const std::optional<uint32_t> index = demux_.find(tuple)) {
    deliver(*index, datagram, header.destination_port, now);
    return true;
  }
  drop(delivery, Counter::udp_drop_no_port, now);
  return false;
}

void UdpSockets::deliver(uint32_t index, const Datagram& datagram, uint16_t port, Time now) {
  UdpSocket& socket = *sockets_.at(index);
  const uint32_t length = datagram.bytes.length;
  const uint32_t source = datagram.from.address.v4_bits();
  std::optional<Counter> refusal;
  if (socket.receive_shut) {
    refusal = Counter::udp_drop_shut;
  } else if (!socket.queue.push(datagram, socket.options.receive_buffer)) {
    refusal = Counter::udp_drop_queue_full;
  }
  if (refusal) {
    counters_.add(*refusal);
    tracer_.emit(EventKind::udp_dropped, Rule::udp_drop, 0, now,
                 {source, datagram.from.port, port, length, static_cast<uint32_t>(*refusal)});
    return;
  }
  tracer_.emit(EventKind::udp_received, Rule::udp_deliver, 0, now, {source, datagram.from.port, port, length});
  ready_.raise(id_at(index), kReadable);
}

void UdpSockets::drop(const Delivery& delivery, Counter reason, Time now) {
  counters_.add(reason);
  const ByteSpan bytes = delivery.payload.bytes();
  const uint32_t source_port = bytes.size() >= 4 ? load16(bytes, 0) : 0;
  const uint32_t port = bytes.size() >= 4 ? load16(bytes, 2) : 0;
  tracer_.emit(EventKind::udp_dropped, Rule::udp_drop, 0, now,
               {delivery.source.v4_bits(), source_port, port, word(bytes.size()), static_cast<uint32_t>(reason)});
}

// RFC 1122 §4.1.3.3, RFC 8085 §5.2: it concerns a socket only if the quoted ends are exactly that socket's.
bool UdpSockets::icmp_error(const Delivery& error, Time now) {
  const ByteSpan quote = error.payload.bytes();
  const FourTuple tuple{.local = {error.source, load16(quote, 0)}, .remote = {error.destination, load16(quote, 2)}};
  const std::optional<uint32_t> index = demux_.find(tuple);
  if (!index) {
    counters_.add(Counter::icmp_drop_no_socket);
    return false;
  }
  UdpSocket& socket = *sockets_.at(*index);
  if (error.icmp_mtu != 0 && socket.options.dont_fragment)
    ip_.learn_path_mtu(error.destination, error.interface, error.icmp_mtu, now);
  if (socket.note_error(icmp_meaning(error.icmp_type, error.icmp_code), socket.connected()))
    ready_.raise(id_at(*index), socket.ready());
  return true;
}

// --- options, looking in
// ----------------------------------------------------------------------------------------------------

Result<void> UdpSockets::set_options(SocketId id, const UdpOptions& options) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  socket->options = options;
  if (options.receive_buffer == 0) socket->options.receive_buffer = config_.receive_buffer;
  if (options.send_buffer == 0) socket->options.send_buffer = config_.send_buffer;
  return {};
}

const UdpOptions* UdpSockets::options(SocketId id) const {
  const UdpSocket* socket = find(id);
  return socket == nullptr ? nullptr : &socket->options;
}

size_t UdpSockets::readable_bytes(SocketId id) const {
  const UdpSocket* socket = find(id);
  return socket == nullptr ? 0 : socket->queue.first_length();
}

ReadyEvents UdpSockets::ready(SocketId id) const {
  const UdpSocket* socket = find(id);
  return socket == nullptr ? ReadyEvents{kHangUp} : socket->ready();
}

Error UdpSockets::take_error(SocketId id) {
  UdpSocket* socket = find(id);
  return socket == nullptr ? Error::stale_handle : socket->take_error();
}

UdpStatus UdpSockets::describe(SocketId id, const UdpSocket& socket) const {
  return {.id = id,
          .local = socket.local,
          .remote = socket.remote,
          .protocol = static_cast<uint8_t>(IpProtocol::udp),
          .queued_bytes = socket.queue.charge(),
          .queued_datagrams = socket.queue.size(),
          .dropped = socket.queue.dropped()};
}

Result<UdpStatus> UdpSockets::status(SocketId id) const {
  const UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  return describe(id, *socket);
}

std::vector<UdpStatus> UdpSockets::list() const {
  std::vector<UdpStatus> all;
  for (uint32_t i = 0; i < sockets_.capacity(); ++i) {
    const SocketId id = id_at(i);
    if (const UdpSocket* socket = find(id)) all.push_back(describe(id, *socket));
  }
  return all;
}

}  // namespace limpid
