// socket, bind and listen.
#include <limpid/limpid.h>
#include <netinet/in.h>

#include "stack/socket/everywhere.h"
#include "stack/socket/names.h"
#include "stack/socket/stream.h"

namespace limpid {

namespace {

constexpr int kTypeFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;

// The kind of socket for (type, protocol), or an errno.
int choose(int type, int protocol, OpenSocket& socket) {
  switch (type) {
    case SOCK_STREAM:
      if (protocol != 0 && protocol != IPPROTO_TCP) return EPROTONOSUPPORT;
      socket.kind = OpenSocket::Kind::stream;
      socket.protocol = IPPROTO_TCP;
      return 0;
    case SOCK_DGRAM:
      if (protocol != 0 && protocol != IPPROTO_UDP) return EPROTONOSUPPORT;
      socket.kind = OpenSocket::Kind::datagram;
      socket.protocol = IPPROTO_UDP;
      return 0;
    case SOCK_RAW:
      if (protocol <= 0 || protocol > 255) return EPROTONOSUPPORT;
      socket.kind = OpenSocket::Kind::raw;
      socket.protocol = static_cast<uint8_t>(protocol);
      return 0;
    default:
      return ESOCKTNOSUPPORT;
  }
}

void open_datagram(Host& host, OpenSocket& socket) {
  Hold hold(host.machine_of(socket));
  Stack& stack = hold.stack();
  socket.udp().receive_buffer = stack.config().udp.receive_buffer;
  socket.udp().send_buffer = stack.config().udp.send_buffer;
  socket.udp().ttl = stack.config().ip.ttl;
  socket.udp().header_included = socket.protocol == IPPROTO_RAW;  // raw(7)
  socket.id = socket.kind == OpenSocket::Kind::raw ? stack.raw_open(IpProtocol{socket.protocol}, socket.udp())
                                                   : stack.udp_open(socket.udp());
  if (socket.id) host.watch(socket.home, socket.id, socket);
}

int bind_stream(Host& host, Hold& hold, OpenSocket& socket, const Endpoint& local) {
  if (socket.id || socket.bound) return EINVAL;
  if (const int error = claim_port(host, hold, socket, local); error != 0) return error;
  socket.bound_to = hold.stack().bound_endpoint(socket.bind);
  return 0;
}

int bind_datagram(Hold& hold, OpenSocket& socket, const Endpoint& local) {
  Stack& stack = hold.stack();
  if (socket.kind == OpenSocket::Kind::raw) {
    const auto done = stack.raw_bind(socket.id, local.address);
    return done ? 0 : to_errno(done.error());
  }
  if (stack.udp_status(socket.id).value_or(UdpStatus{}).local.port != 0) return EINVAL;
  const auto done = stack.udp_bind(socket.id, local, socket.reuse, hold.now());
  return done ? 0 : to_errno(done.error());
}

int listen_stream(Host& host, Hold& hold, OpenSocket& socket, uint32_t backlog) {
  if (socket.is_listener()) {
    set_backlog_everywhere(host, hold, socket, backlog);
    return 0;
  }
  if (socket.id) return EINVAL;
  if (!socket.bound) {
    if (const int error = bind_stream(host, hold, socket, {}); error != 0) return error;
    socket.bound_to = {};
  }
  return listen_everywhere(host, hold, socket, backlog);
}

}  // namespace

int claim_again(Host& host, Hold& hold, OpenSocket& socket) {
  if (socket.bound || socket.bound_to == Endpoint{}) return 0;
  return claim_port(host, hold, socket, socket.bound_to);
}

void forget_connection(Host& host, Hold& hold, OpenSocket& socket) {
  if (!socket.id) return;
  if (const TcpOptions* options = hold.stack().tcp_options(socket.id); options != nullptr) socket.set_tcp(*options);
  if (socket.is_listener()) {
    close_listeners(host, hold, socket);
  } else {
    host.unwatch(socket.home, socket.id);
    hold.stack().tcp_close(socket.id, hold.now());
    socket.id = {};
  }
  socket.connecting = false;
  socket.shut_receive = socket.shut_send = false;
}

void stop_listening(Host& host, Hold& hold, OpenSocket& socket) {
  forget_connection(host, hold, socket);
  (void)claim_again(host, hold, socket);  // taken by another meanwhile: then a later listen says so
}

}  // namespace limpid

using namespace limpid;

int lp_socket(int domain, int type, int protocol) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if (domain != AF_INET) return fail(EAFNOSUPPORT);
  SocketRef socket = SocketRef::make(0);
  if (const int error = choose(type & ~kTypeFlags, protocol, *socket); error != 0) return fail(error);
  if (socket->is_stream()) socket->home = host->next_home();
  socket->nonblocking = (type & SOCK_NONBLOCK) != 0;
  if (!socket->is_stream()) {
    open_datagram(*host, *socket);
    if (!socket->id) return fail(ENOBUFS);
  }
  const int fd = host->descriptors().enter(socket.share());
  return fd >= 0 ? fd : fail(EMFILE);
}

int lp_bind(int fd, const sockaddr* address, socklen_t length) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  const auto local = to_endpoint(address, length);
  if (!local) return fail(local.error());
  Hold hold(call.machine());
  OpenSocket& socket = call.socket();
  const int error =
      socket.is_stream() ? bind_stream(call.host(), hold, socket, *local) : bind_datagram(hold, socket, *local);
  return error == 0 ? 0 : fail(error);
}

int lp_listen(int fd, int backlog) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (!call.socket().is_stream()) return fail(EOPNOTSUPP);
  const auto arranging = call.host().arranging();
  Hold hold(call.machine());
  // A negative backlog is a very large one on Linux; the stack has its own bound (somaxconn).
  const uint32_t limit = hold.stack().config().tcp.max_accept_queue;
  const uint32_t wanted = backlog < 0 ? limit : std::min(static_cast<uint32_t>(backlog), limit);
  const int error = listen_stream(call.host(), hold, call.socket(), wanted);
  return error == 0 ? 0 : fail(error);
}
