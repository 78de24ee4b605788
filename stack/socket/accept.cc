// accept and accept4.
#include <limpid/limpid.h>

#include "stack/socket/call.h"
#include "stack/socket/names.h"

namespace limpid {

namespace {

// The next connection of the listener's queue, waited for if need be. 0 or an errno.
int next_connection(Host& host, Hold& hold, OpenSocket& listener, SocketId& connection) {
  const Time deadline = deadline_after(hold.now(), listener.receive_timeout);
  for (;;) {
    if (listener.closed) return ECONNABORTED;
    if (!listener.is_listener()) return EINVAL;  // or not any more: shutdown() by another thread
    const auto next = hold.stack().tcp_accept(listener.id, hold.now());
    if (next) {
      connection = *next;
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

  SocketRef accepted = SocketRef::make();
  accepted->kind = OpenSocket::Kind::stream;
  accepted->protocol = listener.protocol;
  accepted->nonblocking = (flags & SOCK_NONBLOCK) != 0;
  {
    Hold hold(call.machine());
    SocketId connection;
    if (const int error = next_connection(call.host(), hold, listener, connection); error != 0) return fail(error);
    accepted->id = connection;
    accepted->reuse = listener.reuse;
    accepted->linger = listener.linger;
    accepted->linger_time = listener.linger_time;
    accepted->receive_timeout = listener.receive_timeout;
    accepted->send_timeout = listener.send_timeout;
    call.host().watch(connection, *accepted);
    write_address(hold.stack().tcp_status(connection).value_or(TcpStatus{}).remote, address, length);
  }
  const int accepted_fd = call.host().descriptors().enter(accepted.share());
  if (accepted_fd >= 0) return accepted_fd;
  Hold hold(call.machine());
  call.host().unwatch(accepted->id);
  hold.stack().tcp_put_back(listener.id, accepted->id);
  return fail(EMFILE);
}

int lp_accept(int fd, sockaddr* address, socklen_t* length) { return lp_accept4(fd, address, length, 0); }
