// accept and accept4.
#include <limpid/limpid.h>

#include "stack/socket/everywhere.h"
#include "stack/socket/names.h"

namespace limpid {

namespace {

// What an accepted socket has from its listener. Read under the lock of the listener's home.
struct Heritage {
  explicit Heritage(const OpenSocket& listener)
      : reuse(listener.reuse),
        linger(listener.linger),
        linger_time(listener.linger_time),
        receive_timeout(listener.receive_timeout),
        send_timeout(listener.send_timeout) {}
  void pass_to(OpenSocket& accepted) const {
    accepted.reuse = reuse;
    accepted.linger = linger;
    accepted.linger_time = linger_time;
    accepted.receive_timeout = receive_timeout;
    accepted.send_timeout = send_timeout;
  }

  ReusePolicy reuse;
  bool linger;
  Duration linger_time;
  Duration receive_timeout;
  Duration send_timeout;
};

// The next connection of the listener's queue, waited for if need be, as a socket. 0 or an errno. It may be another
// machine's than the listener's home; then the lock is that machine's, too.
int next_connection(Host& host, Hold& hold, OpenSocket& listener, SocketRef& socket, Accepted& accepted) {
  const Time deadline = deadline_after(hold.now(), listener.receive_timeout);
  for (;;) {
    if (listener.closed) return ECONNABORTED;
    if (!listener.is_listener()) return EINVAL;  // or not any more: shutdown() by another thread
    const Heritage heritage(listener);
    const auto next = take_waiting(host, hold, listener);
    if (next) {
      accepted = *next;
      socket = SocketRef::make(accepted.at);
      socket->kind = OpenSocket::Kind::stream;
      socket->protocol = listener.protocol;
      socket->id = accepted.connection;
      heritage.pass_to(*socket);
      return 0;
    }
    if (next.error() != Error::would_block) return to_errno(next.error());
    if (listener.nonblocking) return EAGAIN;
    const int error = wait_for(host, hold, listener, kAcceptable, deadline);
    if (error == EBADF) return ECONNABORTED;
    if (error != 0) return error;
  }
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if ((flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0) return fail(EINVAL);
  OpenSocket& listener = call.socket();
  if (!listener.is_stream()) return fail(EOPNOTSUPP);
  if (address != nullptr && length == nullptr) return fail(EFAULT);

  Host& host = call.host();
  SocketRef socket;
  Accepted accepted;
  {
    Hold hold(call.machine());
    if (const int error = next_connection(host, hold, listener, socket, accepted); error != 0) return fail(error);
    socket->nonblocking = (flags & SOCK_NONBLOCK) != 0;
    host.watch(socket->home, socket->id, *socket);
    if (address != nullptr)
      write_address(hold.stack().tcp_status(socket->id).value_or(TcpStatus{}).remote, address, length);
  }
  const int accepted_fd = host.descriptors().enter(socket.share());
  if (accepted_fd >= 0) return accepted_fd;
  Hold hold(host.machine_of(*socket));
  host.unwatch(socket->home, socket->id);
  hold.stack().tcp_put_back(accepted.listener, socket->id);
  return fail(EMFILE);
}

int lp_accept(int fd, sockaddr* address, socklen_t* length) { return lp_accept4(fd, address, length, 0); }
