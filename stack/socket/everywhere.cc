#include "stack/socket/everywhere.h"

#include <expected>
#include <optional>
#include <utility>

#include "stack/socket/epoll_set.h"
#include "stack/socket/stream.h"

namespace limpid {

namespace {

using Claims = std::vector<BindId>;

void unclaim(Host& host, Hold& hold, const Claims& claims) {
  for (size_t at = claims.size(); at-- > 0;) {  // the first machine's last: whoever gets that one gets all
    if (!claims[at]) continue;
    hold.go_to(*host.machines()[at]);
    hold.stack().tcp_unbind(claims[at]);
  }
}

// At the machines that `claims` does not reach yet. Error: then it is as it was.
Result<void> claim_at_the_rest(Host& host, Hold& hold, const Endpoint& local, ReusePolicy reuse, Claims& claims) {
  const size_t before = claims.size();
  for (size_t at = before; at < host.machines().size(); ++at) {
    hold.go_to(*host.machines()[at]);
    const auto claim = hold.stack().tcp_bind(local, reuse, hold.now());
    if (claim) {
      claims.push_back(*claim);
      continue;
    }
    for (; claims.size() > before; claims.pop_back()) {
      hold.go_to(*host.machines()[claims.size() - 1]);
      hold.stack().tcp_unbind(claims.back());
    }
    return std::unexpected(claim.error());
  }
  return {};
}

// Port 0. The first machine picks; what it takes for free may be a connection's elsewhere, and is held till another is
// found, so that it is not picked again.
Result<Claims> claim_any(Host& host, Hold& hold, Endpoint local, ReusePolicy reuse) {
  Claims passed;
  Result<Claims> outcome = std::unexpected(Error::address_in_use);
  for (;;) {
    hold.go_to(host.machine());
    const auto pick = hold.stack().tcp_bind({local.address, 0}, reuse, hold.now());
    if (!pick) {
      outcome = std::unexpected(pick.error());
      break;
    }
    local.port = hold.stack().bound_endpoint(*pick).port;
    Claims claims{*pick};
    if (claim_at_the_rest(host, hold, local, reuse, claims)) {
      outcome = std::move(claims);
      break;
    }
    passed.push_back(*pick);
  }
  hold.go_to(host.machine());
  for (const BindId claim : passed) hold.stack().tcp_unbind(claim);
  return outcome;
}

Result<Claims> claim_everywhere(Host& host, Hold& hold, const Endpoint& local, ReusePolicy reuse) {
  if (local.port == 0) return claim_any(host, hold, local, reuse);
  Claims claims;
  if (const auto done = claim_at_the_rest(host, hold, local, reuse, claims); !done)
    return std::unexpected(done.error());
  return claims;
}

Everywhere& everywhere_of(OpenSocket& socket) {
  if (!socket.everywhere) socket.everywhere = std::make_unique<Everywhere>();
  return *socket.everywhere;
}

}  // namespace

// --- the port -------------------------------------------------------------------------------------------------------

int claim_port(Host& host, Hold& hold, OpenSocket& socket, const Endpoint& local) {
  if (!host.has_several()) {
    const auto bind = hold.stack().tcp_bind(local, socket.reuse, hold.now());
    if (!bind) return to_errno(bind.error());
    socket.bind = *bind;
  } else {
    auto claims = claim_everywhere(host, hold, local, socket.reuse);
    hold.go_to(host.machine_of(socket));
    if (!claims) return to_errno(claims.error());
    if (socket.closed || socket.id || socket.bound) {  // by another thread, meanwhile
      unclaim(host, hold, *claims);
      hold.go_to(host.machine_of(socket));
      return socket.closed ? EBADF : EINVAL;
    }
    socket.bind = (*claims)[socket.home];
    everywhere_of(socket).claims = std::move(*claims);
  }
  socket.bound = true;
  return 0;
}

void release_port(Host& host, Hold& hold, OpenSocket& socket) {
  socket.bound = false;
  if (!socket.everywhere) return hold.stack().tcp_unbind(socket.bind);
  unclaim(host, hold, std::exchange(socket.everywhere->claims, {}));
  hold.go_to(host.machine_of(socket));
}

void release_other_claims(Host& host, Hold& hold, OpenSocket& socket) {
  if (!socket.everywhere) return;
  Claims claims = std::exchange(socket.everywhere->claims, {});
  if (claims.empty()) return;
  claims[socket.home] = {};
  unclaim(host, hold, claims);
  hold.go_to(host.machine_of(socket));
}

void set_claim_reuse(Host& host, Hold& hold, OpenSocket& socket) {
  const ReusePolicy reuse = socket.reuse;
  hold.stack().set_bind_reuse(socket.bind, reuse);
  if (!socket.everywhere) return;
  const Claims claims = socket.everywhere->claims;
  for (size_t at = 0; at < claims.size(); ++at) {
    hold.go_to(*host.machines()[at]);
    hold.stack().set_bind_reuse(claims[at], reuse);
  }
  hold.go_to(host.machine_of(socket));
}

// --- listeners ------------------------------------------------------------------------------------------------------

namespace {

struct ListenWith {
  uint32_t backlog;
  TcpOptions options;
  std::optional<FastOpenKeys> keys;
};

// With the claim of the machine where `hold` is, which is number `at`.
Result<SocketId> listen_at(Host& host, Hold& hold, uint16_t at, OpenSocket& socket, BindId claim,
                           const ListenWith& with) {
  const auto listener = hold.stack().tcp_listen(claim, with.backlog, with.options, hold.now());
  if (!listener) return listener;
  if (with.keys) hold.stack().tcp_set_fast_open_keys(*listener, *with.keys);
  host.watch(at, *listener, socket);
  return listener;
}

void close_at(Host& host, Hold& hold, const std::vector<SocketId>& listeners) {
  for (size_t at = listeners.size(); at-- > 0;) {
    hold.go_to(*host.machines()[at]);
    host.unwatch(static_cast<uint16_t>(at), listeners[at]);
    hold.stack().tcp_close(listeners[at], hold.now());
  }
}

}  // namespace

int listen_everywhere(Host& host, Hold& hold, OpenSocket& socket, uint32_t backlog) {
  ListenWith with{.backlog = backlog, .options = socket.tcp(), .keys = {}};
  if (socket.fast_open_keys) with.keys = *socket.fast_open_keys;
  if (!host.has_several()) {
    const auto listener = listen_at(host, hold, 0, socket, socket.bind, with);
    if (!listener) return to_errno(listener.error());
    socket.id = *listener;
    socket.bound = false;  // the claim is the listener's now
    return 0;
  }
  Claims claims = socket.everywhere->claims;
  socket.everywhere->listens = true;
  std::vector<SocketId> listeners;
  Error error = Error::none;
  for (uint16_t at = 0; at < claims.size() && error == Error::none; ++at) {
    hold.go_to(*host.machines()[at]);
    const auto listener = listen_at(host, hold, at, socket, claims[at], with);
    if (listener) {
      listeners.push_back(*listener);
      claims[at] = {};
    } else {
      error = listener.error();
    }
  }
  if (error != Error::none && !listeners.empty()) {
    close_at(host, hold, listeners);
    unclaim(host, hold, claims);
    claims.clear();
  }
  hold.go_to(host.machine_of(socket));
  if (error != Error::none) {
    socket.bound = !claims.empty();
    socket.everywhere->claims = std::move(claims);
    socket.everywhere->listens = false;
    socket.everywhere->arrivals.clear();
    return to_errno(error);
  }
  socket.bound = false;
  socket.everywhere->claims.clear();
  socket.everywhere->listeners = std::move(listeners);
  socket.id = socket.everywhere->listeners[socket.home];
  return 0;
}

void set_backlog_everywhere(Host& host, Hold& hold, OpenSocket& socket, uint32_t backlog) {
  hold.stack().tcp_set_backlog(socket.id, backlog);
  if (!socket.everywhere) return;
  const std::vector<SocketId> listeners = socket.everywhere->listeners;
  for (size_t at = 0; at < listeners.size(); ++at) {
    hold.go_to(*host.machines()[at]);
    hold.stack().tcp_set_backlog(listeners[at], backlog);
  }
  hold.go_to(host.machine_of(socket));
}

void set_options_everywhere(Host& host, Hold& hold, OpenSocket& socket) {
  if (!socket.everywhere) return;
  const TcpOptions options = *hold.stack().tcp_options(socket.id);
  const FastOpenKeys keys = hold.stack().tcp_fast_open_keys(socket.id);
  const std::vector<SocketId> listeners = socket.everywhere->listeners;
  for (size_t at = 0; at < listeners.size(); ++at) {
    if (at == socket.home) continue;
    hold.go_to(*host.machines()[at]);
    (void)hold.stack().tcp_set_options(listeners[at], options, hold.now());
    hold.stack().tcp_set_fast_open_keys(listeners[at], keys);
  }
  hold.go_to(host.machine_of(socket));
}

void close_listeners(Host& host, Hold& hold, OpenSocket& socket) {
  const SocketId id = std::exchange(socket.id, {});
  if (!socket.everywhere) {
    host.unwatch(socket.home, id);
    return hold.stack().tcp_close(id, hold.now());
  }
  socket.everywhere->listens = false;
  socket.everywhere->arrivals.clear();
  close_at(host, hold, std::exchange(socket.everywhere->listeners, {}));
  hold.go_to(host.machine_of(socket));
}

Result<Accepted> take_waiting(Host& host, Hold& hold, OpenSocket& listener) {
  if (!listener.everywhere) {
    const auto next = hold.stack().tcp_accept(listener.id, hold.now());
    if (!next) return std::unexpected(next.error());
    return Accepted{.at = listener.home, .listener = listener.id, .connection = *next};
  }
  std::deque<Arrival>& arrivals = listener.everywhere->arrivals;
  while (!arrivals.empty()) {
    const Arrival arrival = arrivals.front();
    arrivals.pop_front();
    hold.go_to(*host.machines()[arrival.at]);
    const auto next = hold.stack().tcp_accept(arrival.listener, hold.now());
    if (next) return Accepted{.at = arrival.at, .listener = arrival.listener, .connection = *next};
    hold.go_to(host.machine_of(listener));  // its listener was closed meanwhile
  }
  return std::unexpected(Error::would_block);
}

// --- to another machine ---------------------------------------------------------------------------------------------

namespace {

// Who owns the flow from a bound socket to there, as the stack would choose its address; nothing without a way.
std::optional<uint16_t> owner_of_flow(const Stack& stack, const OpenSocket& socket, Endpoint remote) {
  if (!remote.address.is_set()) remote.address = IpAddress::v4(127, 0, 0, 1);
  Endpoint local = stack.bound_endpoint(socket.bind);
  if (local.address.is_any()) local.address = {};
  const auto path = stack.ip().path(remote.address, local.address);
  if (!path) return std::nullopt;
  return stack.flow_owner().of({{path->source, local.port}, remote});
}

// An unconnected stream socket as it was, at another machine; the claims go with it.
SocketRef remake(OpenSocket& old, uint16_t home) {
  SocketRef made = SocketRef::make(home);
  made->kind = old.kind;
  made->protocol = old.protocol;
  made->everywhere = std::move(old.everywhere);
  made->bind = made->everywhere->claims[home];
  made->bound = std::exchange(old.bound, false);
  made->bound_to = old.bound_to;
  made->was_connected = old.was_connected;
  made->told_error = old.told_error;
  made->tcp_wishes = std::move(old.tcp_wishes);
  made->udp_options = std::move(old.udp_options);
  made->reuse = old.reuse;
  made->fast_open_connect = old.fast_open_connect;
  made->fast_open_keys = std::move(old.fast_open_keys);
  made->nonblocking = old.nonblocking;
  made->receive_timeout = old.receive_timeout;
  made->send_timeout = old.send_timeout;
  made->busy_poll = old.busy_poll;
  made->linger = old.linger;
  made->linger_time = old.linger_time;
  made->wants_packet_info = old.wants_packet_info;
  made->wants_ttl = old.wants_ttl;
  made->wants_tos = old.wants_tos;
  made->wants_in_queue = old.wants_in_queue;
  return made;
}

}  // namespace

int move_to_owner(Call& call, int fd, const Endpoint& remote) {
  Host& host = call.host();
  if (!host.has_several()) return 0;
  const auto arranging = host.arranging();
  OpenSocket& old = call.socket();
  Hold hold(host.machine_of(old));
  if (old.closed || old.id || old.bound_to == Endpoint{}) return 0;
  if (const int error = claim_again(host, hold, old); error != 0) return error;
  const auto owner = owner_of_flow(hold.stack(), old, remote);
  if (!owner || *owner == old.home) return 0;

  SocketRef moved = remake(old, *owner);
  std::vector<EpollSet::Place> places = EpollSet::take_out(old, *owner);
  old.closed = true;
  notify(hold.machine(), old, kGivenUp);
  hold.release();
  const bool replaced = host.descriptors().replace(fd, old, moved.share());
  Hold there(*host.machines()[*owner]);
  if (!replaced) {  // closed by another thread, meanwhile
    release_port(host, there, *moved);
    return EBADF;
  }
  for (const EpollSet::Place& place : places) (void)place.set->add(there, fd, *moved, place.event);
  call.turn_to(std::move(moved));
  return 0;
}

}  // namespace limpid
