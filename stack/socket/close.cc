// close and shutdown.
#include "stack/socket/close.h"

#include <limpid/limpid.h>
#include <unistd.h>

#include "stack/socket/epoll_set.h"
#include "stack/socket/everywhere.h"
#include "stack/socket/stream.h"

namespace limpid {

namespace {

// Everything that was sent, the FIN included, is acknowledged, or the connection has come to another end.
bool all_delivered(Stack& stack, const OpenSocket& socket) {
  const auto status = stack.tcp_status(socket.id);
  if (!status) return true;
  return status->state != TcpState::fin_wait_1 && status->state != TcpState::closing &&
         status->state != TcpState::last_ack;
}

// SO_LINGER with a time. Unread bytes make the close a reset, which has nothing to wait for.
int linger(Host& host, Hold& hold, OpenSocket& socket) {
  Stack& stack = hold.stack();
  if (stack.tcp_readable_bytes(socket.id) > 0) return 0;
  if (!stack.tcp_shutdown_send(socket.id, hold.now())) return 0;
  const Time deadline = hold.now() + socket.linger_time;
  while (!all_delivered(stack, socket)) {
    // Not every acknowledgment raises something, so this looks now and then by itself.
    const Time until = std::min(deadline, hold.now() + 10ms);
    if (hold.now() >= deadline) return 0;
    Waiter waiter;
    SocketWait wait{.waiter = &waiter, .interest = kWritable};
    socket.join(wait);
    hold.release();
    const Wake wake = host.world().wait(waiter, hold.machine(), until);
    hold.take();
    socket.leave(wait);
    if (wake == Wake::interrupted) return EINTR;
    if (wake == Wake::stopped) return 0;
  }
  return 0;
}

void let_go_of_stream(Host& host, Hold& hold, OpenSocket& socket) {
  if (socket.is_listener()) {
    close_listeners(host, hold, socket);
  } else if (socket.id) {
    host.unwatch(socket.home, socket.id);
    hold.stack().tcp_close(socket.id, hold.now());
  } else if (socket.bound) {
    release_port(host, hold, socket);
  }
}

void let_go(Host& host, Hold& hold, OpenSocket& socket) {
  if (socket.id && !socket.is_stream()) host.unwatch(socket.home, socket.id);
  switch (socket.kind) {
    case OpenSocket::Kind::stream:
      let_go_of_stream(host, hold, socket);
      break;
    case OpenSocket::Kind::datagram:
      hold.stack().udp_close(socket.id);
      break;
    case OpenSocket::Kind::raw:
      hold.stack().raw_close(socket.id);
      break;
    case OpenSocket::Kind::epoll:
      socket.epoll->close();
      break;
  }
  socket.id = {};
  socket.bound = false;
}

int shutdown_stream(Host& host, Hold& hold, OpenSocket& socket, bool receive, bool send) {
  Stack& stack = hold.stack();
  if (socket.is_listener()) {
    // As on Linux: SHUT_RD ends a listener, whose waiting accepts answer EINVAL; it can listen again.
    if (receive) stop_listening(host, hold, socket);
    return 0;
  }
  if (!socket.has_connection()) return ENOTCONN;
  const TcpStatus status = stack.tcp_status(socket.id).value_or(TcpStatus{});
  if (status.state == TcpState::closed || status.state == TcpState::time_wait) {
    socket.shut_receive |= receive;
    socket.shut_send |= send;
    return ENOTCONN;
  }
  if (!is_pending(stack, socket)) socket.connecting = false;  // a connect tells nothing any more but EISCONN
  if (receive) {
    socket.shut_receive = true;
    (void)stack.tcp_shutdown_receive(socket.id, hold.now());
  }
  if (send) {
    socket.shut_send = true;
    (void)stack.tcp_shutdown_send(socket.id, hold.now());
  }
  return 0;
}

int shutdown_datagram(Hold& hold, OpenSocket& socket, bool receive, bool send) {
  Stack& stack = hold.stack();
  socket.shut_receive |= receive;
  socket.shut_send |= send;
  const bool raw = socket.kind == OpenSocket::Kind::raw;
  const auto status = raw ? stack.raw_status(socket.id) : stack.udp_status(socket.id);
  (void)(raw ? stack.raw_shutdown(socket.id, receive, send) : stack.udp_shutdown(socket.id, receive, send));
  // Linux says so, and shuts the socket nevertheless.
  return status && status->remote.address.is_set() ? 0 : ENOTCONN;
}

void end(Host& host, Hold& hold, OpenSocket& socket) {
  socket.closed = true;
  let_go(host, hold, socket);
  EpollSet::forget(socket);
  notify(hold.machine(), socket, kGivenUp);
}

}  // namespace

int close_socket(Host& host, OpenSocket& socket, bool may_linger) {
  Hold hold(host.machine_of(socket));
  if (socket.closed) return EBADF;
  int error = 0;
  if (may_linger && socket.linger && socket.linger_time > Duration::zero() && socket.has_connection())
    error = linger(host, hold, socket);
  std::unique_lock<std::mutex> arranging;
  if (host.has_several() && (socket.everywhere || socket.is_epoll())) {  // more than one machine's
    hold.release();
    arranging = host.arranging();
    hold.take();
  }
  if (socket.closed) return EBADF;
  end(host, hold, socket);
  if (!socket.is_epoll()) return error;
  for (const SocketRef& part : socket.epoll->parts()) {
    hold.go_to(host.machine_of(*part));
    end(host, hold, *part);
  }
  return error;
}

}  // namespace limpid

using namespace limpid;

int lp_close(int fd) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  const Descriptor descriptor = host->descriptors().remove(fd);
  if (!descriptor) return fail(EBADF);
  if (descriptor.socket) {
    const int error = close_socket(*host, *descriptor.socket, true);
    return error == 0 ? 0 : fail(error);
  }
  // Standard input, output and error belong to the process, and other hosts in it may be using them.
  return descriptor.kernel > 2 ? ::close(descriptor.kernel) : 0;
}

int lp_shutdown(int fd, int how) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return fail(EINVAL);
  const bool receive = how != SHUT_WR;
  const bool send = how != SHUT_RD;
  OpenSocket& socket = call.socket();
  std::unique_lock<std::mutex> arranging;
  Hold hold(call.machine());
  if (call.host().has_several() && socket.is_listener()) {
    hold.release();
    arranging = call.host().arranging();
    hold.take();
  }
  const int error = socket.is_stream() ? shutdown_stream(call.host(), hold, socket, receive, send)
                                       : shutdown_datagram(hold, socket, receive, send);
  notify(hold.machine(), socket, kGivenUp);
  return error == 0 ? 0 : fail(error);
}
