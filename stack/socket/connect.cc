// connect, for all kinds of sockets.
#include <limpid/limpid.h>

#include "stack/socket/everywhere.h"
#include "stack/socket/names.h"
#include "stack/socket/stream.h"

namespace limpid {

bool is_pending(Stack& stack, const OpenSocket& socket) {
  const TcpState state = stack.tcp_status(socket.id).value_or(TcpStatus{}).state;
  return state == TcpState::syn_sent || state == TcpState::syn_received;
}

namespace {

// The connect has come to its end, and this call is the one that tells how. After a failure the socket is as before it.
int tell_outcome(Host& host, Hold& hold, OpenSocket& socket) {
  socket.connecting = false;
  Stack& stack = hold.stack();
  if ((stack.tcp_ready(socket.id) & kConnected) != 0) return 0;
  if (stack.tcp_status(socket.id).value_or(TcpStatus{}).state != TcpState::closed) return 0;
  const Error error = stack.tcp_take_error(socket.id);
  forget_connection(host, hold, socket);
  return error != Error::none ? to_errno(error) : ECONNABORTED;
}

}  // namespace

int await_outcome(Host& host, Hold& hold, OpenSocket& socket, int while_pending) {
  const Time deadline = deadline_after(hold.now(), socket.send_timeout);
  while (socket.has_connection() && is_pending(hold.stack(), socket)) {
    if (socket.nonblocking) return while_pending;
    const int error = wait_for(host, hold, socket, kConnected | kWritable, deadline);
    // EINTR and a timeout leave the attempt going on (POSIX; Linux says EINPROGRESS when SO_SNDTIMEO has passed).
    if (error != 0) return error == EAGAIN ? EINPROGRESS : error;
  }
  // Another thread of the same socket told it already.
  if (!socket.has_connection()) return ECONNABORTED;
  return tell_outcome(host, hold, socket);
}

int begin_connect(Host& host, Hold& hold, OpenSocket& socket, const Endpoint& remote, SynText text) {
  if (remote.port == 0) return ECONNREFUSED;  // nobody listens there; Linux asks the peer, to the same end
  if (const int error = claim_again(host, hold, socket); error != 0) return error;
  Endpoint to = remote;
  if (!to.address.is_set()) to.address = IpAddress::v4(127, 0, 0, 1);  // Linux: 0.0.0.0 is this host
  const auto connection =
      hold.stack().tcp_connect(to, socket.bound ? socket.bind : BindId{}, socket.tcp(), hold.now(), text);
  if (!connection) return to_errno(connection.error());
  socket.bound = false;  // the claim is the connection's now
  socket.id = *connection;
  socket.connecting = true;
  host.watch(socket.home, socket.id, socket);
  release_other_claims(host, hold, socket);
  return 0;
}

namespace {

int connect_stream(Host& host, Hold& hold, OpenSocket& socket, const Endpoint& remote) {
  if (socket.is_listener()) return EISCONN;
  if (socket.has_connection()) {
    if (!socket.connecting || syn_waits_for_text(hold, socket)) return EISCONN;
    return await_outcome(host, hold, socket, EALREADY);
  }
  const SynText text = socket.fast_open_connect ? SynText::wanted : SynText::none;
  if (const int error = begin_connect(host, hold, socket, remote, text); error != 0) return error;
  if (syn_waits_for_text(hold, socket)) return 0;  // tcp(7): what the first send says goes with the SYN
  // Also when loopback has brought the answer already: programs expect to be told later, as Linux always does.
  if (socket.nonblocking) return EINPROGRESS;
  return await_outcome(host, hold, socket, EINPROGRESS);
}

int connect_datagram(Hold& hold, OpenSocket& socket, const Endpoint& remote) {
  Stack& stack = hold.stack();
  const auto done = socket.kind == OpenSocket::Kind::raw ? stack.raw_connect(socket.id, remote.address, hold.now())
                                                         : stack.udp_connect(socket.id, remote, hold.now());
  return done ? 0 : to_errno(done.error());
}

// connect to AF_UNSPEC dissolves the association; a stream's connection is aborted.
int disconnect(Host& host, Hold& hold, OpenSocket& socket) {
  if (!socket.is_stream()) return connect_datagram(hold, socket, {});
  if (socket.has_connection()) {
    TcpOptions options = *hold.stack().tcp_options(socket.id);
    hold.stack().tcp_abort(socket.id, hold.now());
    host.unwatch(socket.home, socket.id);
    socket.set_tcp(options);
    socket.id = {};
    socket.connecting = false;
    socket.shut_receive = socket.shut_send = false;
    notify(hold.machine(), socket, kGivenUp);
  }
  return 0;
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_connect(int fd, const sockaddr* address, socklen_t length) {
  Call call(fd);
  if (call.error() != 0) return fail(call.error());
  Host& host = call.host();
  if (address != nullptr && length >= sizeof address->sa_family && address->sa_family == AF_UNSPEC) {
    Hold hold(call.machine());
    const int error = disconnect(host, hold, call.socket());
    return error == 0 ? 0 : fail(error);
  }
  const auto remote = to_endpoint(address, length);
  if (!remote) return fail(remote.error());
  if (const int error = move_to_owner(call, fd, *remote); error != 0) return fail(error);
  OpenSocket& socket = call.socket();
  Hold hold(call.machine());
  int error = 0;
  if (socket.is_stream()) {
    error = connect_stream(host, hold, socket, *remote);
  } else {
    Endpoint to = *remote;
    if (!to.address.is_set()) to.address = IpAddress::v4(127, 0, 0, 1);
    error = connect_datagram(hold, socket, to);
  }
  return error == 0 ? 0 : fail(error);
}
