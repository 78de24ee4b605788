// The user calls by SocketId (RFC 9293 §3.9.1), documented in stack/stack.h; and what ss and the tests ask.
#include <fmt/format.h>

#include "stack/tcp/tcp.h"

namespace limpid {
namespace {

const IpAddress kLoopback = IpAddress::v4(127, 0, 0, 1);

}  // namespace

Connection* Tcp::find(SocketId id) { return connections_.get(handle_of(id)); }

Listener* Tcp::find_listener(SocketId id) const {
  if (id.kind != SocketId::Kind::listener) return nullptr;
  return const_cast<Slab<Listener>&>(listeners_).get({id.index, id.generation});
}

// Active OPEN (RFC 9293 §3.10.1).
Result<SocketId> Tcp::connect(const Endpoint& wanted, BindId bind, const TcpOptions& options, SynText text, Time now) {
  Endpoint remote = wanted;
  if (remote.address.is_any()) remote.address = kLoopback;  // as Linux reads "connect to 0.0.0.0"
  // MUST-46: never to broadcast or multicast addresses, nor to those that can be nobody's (240/4).
  if (remote.address.is_multicast() || remote.address.is_class_e() || env_.ip.is_broadcast(remote.address))
    return std::unexpected(Error::network_unreachable);
  if (connections_.size() >= config_.max_connections) return std::unexpected(Error::no_buffers);

  Endpoint local = bind ? ports_.endpoint(bind) : Endpoint{};
  if (local.address.is_any()) local.address = {};
  const auto path = env_.ip.path(remote.address, local.address);
  if (!path) return std::unexpected(path.error());
  local.address = path->source;  // MUST-44: chosen before the first SYN, and kept (MUST-45)
  if (!bind) {
    const auto is_free = [&](uint16_t port) {
      const FourTuple flow{{local.address, port}, remote};
      return owns(flow) && !demux_.find(flow);
    };
    const auto port = ports_.choose_ephemeral(local.address, remote, is_free);
    if (!port) return std::unexpected(port.error());
    local.port = *port;
  } else if (!owns({local, remote}) || demux_.find({local, remote})) {
    return std::unexpected(Error::address_not_available);
  }

  const FourTuple tuple{local, remote};
  const auto handle = connections_.emplace(env_.next_connection_number++, tuple, *path, options);
  Connection& c = *connections_.get(handle);
  c.port_ = {.claim = bind, .counted = !bind, .reuse = options.reuse};
  if (!bind) ports_.add_connection(local, options.reuse);
  demux_.insert(c.demux_);
  c.attach(id_of(handle));
  c.open_actively(initial_sequence(tuple, now), text, now);
  return id_of(handle);
}

// Passive OPEN.
Result<SocketId> Tcp::listen(BindId bind, uint32_t backlog, const TcpOptions& options) {
  if (const auto ok = ports_.mark_listening(bind); !ok) return std::unexpected(ok.error());
  Endpoint local = ports_.endpoint(bind);
  if (local.address.is_any()) local.address = {};
  const auto handle = listeners_.emplace(bind, local, std::min(backlog, config_.max_accept_queue), options);
  Listener& listener = *listeners_.get(handle);
  listener.id = {SocketId::Kind::listener, handle.index, handle.generation};
  if ((config_.fast_open & fast_open_bit::server) != 0 && (config_.fast_open & fast_open_bit::every_listener) != 0 &&
      options.fast_open_queue == 0)
    listener.options.fast_open_queue = static_cast<uint16_t>(std::min(listener.backlog, 65'535u));
  listener_table_.insert(local, handle);
  return listener.id;
}

void Tcp::set_backlog(SocketId id, uint32_t backlog) {
  if (Listener* listener = find_listener(id)) listener->backlog = std::min(backlog, config_.max_accept_queue);
}

void Tcp::set_fast_open_keys(SocketId id, const FastOpenKeys& keys) {
  if (Listener* listener = find_listener(id)) listener->fast_open.keys = keys;
}

FastOpenKeys Tcp::fast_open_keys(SocketId id) const {
  const Listener* listener = find_listener(id);
  if (listener != nullptr && listener->fast_open.keys) return *listener->fast_open.keys;
  return config_.fast_open_keys.value_or(fast_open_keys_);
}

std::optional<uint32_t> Tcp::syn_text_room(SocketId id) const {
  std::optional<uint32_t> room;
  connections_.look(handle_of(id), [&](const Connection& c) { room = c.syn_text_room(); });
  return room;
}

Result<SocketId> Tcp::accept(SocketId id) {
  Listener* listener = find_listener(id);
  if (listener == nullptr) return std::unexpected(Error::stale_handle);
  if (listener->accept_queue.empty()) return std::unexpected(Error::would_block);
  const ConnectionHandle handle = listener->accept_queue.front();
  listener->accept_queue.pop_front();
  Connection& c = *connections_.get(handle);
  c.waits_for_accept_ = false;
  return id_of(handle);
}

void Tcp::put_back(SocketId listener_id, SocketId id) {
  Listener* listener = find_listener(listener_id);
  Connection* c = find(id);
  if (listener == nullptr || c == nullptr) return;
  c->waits_for_accept_ = true;
  listener->accept_queue.push_front(handle_of(*c));
  env_.ready.raise(listener->id, kAcceptable | kReadable);
}

Result<size_t> Tcp::send(SocketId id, ByteSpan bytes, TcpSendFlags flags, Time now) {
  Connection* c = find(id);
  if (c == nullptr) return std::unexpected(Error::stale_handle);
  return c->send(bytes, flags, now);
}

Result<size_t> Tcp::receive_bytes(SocketId id, MutableByteSpan into, TcpReceiveFlags flags, Time now) {
  Connection* c = find(id);
  if (c == nullptr) return std::unexpected(Error::stale_handle);
  return c->receive(into, flags, now);
}

Result<size_t> Tcp::reserve(SocketId id, size_t most, SendRoom& room, Time now) {
  Connection* c = find(id);
  if (c == nullptr) return std::unexpected(Error::stale_handle);
  return c->reserve(most, room, now);
}

Result<void> Tcp::commit(SocketId id, SendRoom& room, size_t length, TcpSendFlags flags, Time now) {
  Connection* c = find(id);
  if (c != nullptr) return c->commit(room, length, flags, now);
  room = {};
  return std::unexpected(Error::stale_handle);
}

void Tcp::give_back(SocketId id, SendRoom& room, Time now) {
  Connection* c = find(id);
  if (c != nullptr) return c->give_back(room, now);
  room = {};
}

Result<size_t> Tcp::borrow(SocketId id, size_t most, LentText& into, Time now) {
  Connection* c = find(id);
  if (c == nullptr) return std::unexpected(Error::stale_handle);
  return c->borrow(most, into, now);
}

void Tcp::give_back(SocketId id, LentText& text, Time now) {
  Connection* c = find(id);
  if (c != nullptr) return c->give_back(text, now);
  text = {};
}

Result<void> Tcp::shutdown_send(SocketId id, Time now) {
  Connection* c = find(id);
  if (c == nullptr) return std::unexpected(Error::stale_handle);
  const auto result = c->shutdown_send(now);
  settle(*c, now);
  return result;
}

Result<void> Tcp::shutdown_receive(SocketId id, Time now) {
  Connection* c = find(id);
  if (c == nullptr) return std::unexpected(Error::stale_handle);
  c->shutdown_receive(now);
  return {};
}

void Tcp::close(SocketId id, Time now) {
  if (find_listener(id) != nullptr) return close_listener({id.index, id.generation}, now);
  Connection* c = find(id);
  if (c == nullptr) return;
  c->close(now);
  if (!c->released()) return note_orphan(*c, now);
  settle(*c, now);
}

void Tcp::abort(SocketId id, Time now) {
  Connection* c = find(id);
  if (c == nullptr) return;
  c->detach();
  c->abort(Rule::tcp_abort, now);
  settle(*c, now);
}

Result<void> Tcp::set_options(SocketId id, const TcpOptions& options, Time now) {
  if (Listener* listener = find_listener(id)) {
    listener->options = options;
    return {};
  }
  Connection* c = find(id);
  if (c == nullptr) return std::unexpected(Error::stale_handle);
  c->set_options(options, now);
  return {};
}

const TcpOptions* Tcp::options(SocketId id) {
  if (const Listener* listener = find_listener(id)) return &listener->options;
  const Connection* c = find(id);
  return c == nullptr ? nullptr : &c->options();
}

Result<TcpStatus> Tcp::status(SocketId id) const {
  if (const Listener* listener = find_listener(id)) return status_of(*listener);
  Result<TcpStatus> status = std::unexpected(Error::stale_handle);
  connections_.look(handle_of(id), [&](const Connection& c) { status = c.status(); });
  return status;
}

ReadyEvents Tcp::readiness(SocketId id) const {
  if (const Listener* listener = find_listener(id))
    return listener->accept_queue.empty() ? ReadyEvents{0} : static_cast<ReadyEvents>(kAcceptable | kReadable);
  ReadyEvents ready = 0;
  connections_.look(handle_of(id), [&](const Connection& c) { ready = c.readiness(); });
  return ready;
}

Error Tcp::take_error(SocketId id) {
  Connection* c = find(id);
  return c == nullptr ? Error::none : c->take_error();
}

// --- looking in
// ------------------------------------------------------------------------------------------------------------------

TcpStatus Tcp::status_of(const Listener& listener) {
  TcpStatus s;
  s.id = listener.id;
  s.state = TcpState::listen;
  s.local = listener.local;
  s.receive_queue = static_cast<uint32_t>(listener.accept_queue.size());
  s.send_queue = listener.backlog;
  return s;
}

std::vector<TcpStatus> Tcp::list() const {
  auto& self = const_cast<Tcp&>(*this);
  std::vector<TcpStatus> all;
  for (uint32_t i = 0; i < listeners_.capacity(); ++i)
    if (const Listener* l = self.listeners_.at(i)) all.push_back(status_of(*l));
  for (uint32_t i = 0; i < half_open_.capacity(); ++i) {
    const HalfOpen* h = self.half_open_.at(i);
    if (h == nullptr) continue;
    TcpStatus s;
    s.connection = h->number;
    s.state = TcpState::syn_received;
    s.local = h->demux.tuple.local;
    s.remote = h->demux.tuple.remote;
    s.timer = "syn-ack";
    s.timer_deadline = h->timer.deadline;
    s.retransmits = h->sent - 1;
    all.push_back(s);
  }
  connections_.each([&](const Connection& c) {
    if (c.state() != TcpState::time_wait) all.push_back(c.status());
  });
  for (uint32_t i = 0; i < time_wait_.capacity(); ++i) {
    const TimeWait* t = self.time_wait_.at(i);
    if (t == nullptr) continue;
    TcpStatus s;
    s.connection = t->number;
    s.state = TcpState::time_wait;
    s.local = t->demux.tuple.local;
    s.remote = t->demux.tuple.remote;
    s.timer = "time-wait";
    s.timer_deadline = t->timer.deadline;
    all.push_back(s);
  }
  return all;
}

size_t Tcp::unfinished() const {
  size_t n = 0;
  connections_.each_whole([&](const Connection& c) {  // one that is folded has nothing to do
    // FIN-WAIT-2 waits for the peer, not for us: all of ours is acknowledged.
    if (!c.attached() && !c.released() && c.state() != TcpState::fin_wait_2) ++n;
  });
  return n;
}

std::string Tcp::check_invariants(Time now) const {
  std::string first;
  connections_.each_whole([&](const Connection& c) {
    if (!first.empty()) return;
    if (const char* broken = c.broken_invariant(now))
      first = fmt::format("connection {} ({} {} {}): {}", c.number(), c.tuple().local.to_string(), name(c.state()),
                          c.tuple().remote.to_string(), broken);
    if (c.released() && !c.attached()) first = fmt::format("connection {} is over and nobody holds it", c.number());
  });
  if (const char* broken = connections_.broken_invariant(now); first.empty() && broken != nullptr) return broken;
  return first;
}

}  // namespace limpid
