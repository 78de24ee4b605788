// TCP Fast Open as Linux offers it to clients: sendto(MSG_FASTOPEN), which is connect and send in one, and
// TCP_FASTOPEN_CONNECT, which lets connect() leave the SYN to the first send.
#include <algorithm>
#include <limits>

#include "stack/socket/names.h"
#include "stack/socket/stream.h"

namespace limpid {

namespace {

// Hands `limit` bytes at most to a connection that is being opened; a SYN that waits for text goes with the last.
size_t give(Hold& hold, SocketId id, std::span<const iovec> pieces, size_t limit) {
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  total = std::min(total, limit);
  size_t given = 0;
  for (const iovec& piece : pieces) {
    const size_t n = std::min(piece.iov_len, total - given);
    if (n == 0) continue;
    const ByteSpan bytes{static_cast<const std::byte*>(piece.iov_base), n};
    const auto taken = hold.stack().tcp_send(id, bytes, {.gather = given + n < total}, hold.now());
    given += taken.value_or(0);
    if (taken.value_or(0) < n) break;  // the send buffer is full
  }
  if (hold.stack().tcp_syn_text_room(id)) (void)hold.stack().tcp_send(id, {}, {}, hold.now());
  return given;
}

// MSG_FASTOPEN, up to the SYN. 0 or an errno.
int open_with_send(Host& host, Hold& hold, OpenSocket& socket, SendTo to) {
  const bool allowed = (hold.stack().config().tcp.fast_open & fast_open_bit::client) != 0;
  const bool has_family = to.address != nullptr && to.length >= sizeof to.address->sa_family;
  if (!allowed || (has_family && to.address->sa_family == AF_UNSPEC)) return EOPNOTSUPP;
  if (socket.is_listener()) return EISCONN;
  if (socket.has_connection()) return 0;
  if (to.address == nullptr) return EINVAL;
  const auto remote = to_endpoint(to.address, to.length);
  if (!remote) return remote.error();
  return begin_connect(host, hold, socket, *remote, SynText::wanted);
}

}  // namespace

bool syn_waits_for_text(Hold& hold, const OpenSocket& socket) {
  return socket.connecting && socket.has_connection() && hold.stack().tcp_syn_text_room(socket.id).has_value();
}

int fast_open_send(Host& host, Hold& hold, OpenSocket& socket, std::span<const iovec> pieces, int flags, SendTo to,
                   size_t& sent) {
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  if (socket.has_connection() && !syn_waits_for_text(hold, socket)) {
    if ((hold.stack().config().tcp.fast_open & fast_open_bit::client) == 0) return EOPNOTSUPP;
    if (!socket.connecting) return EISCONN;
    if (!may_wait && is_pending(hold.stack(), socket)) return EALREADY;
    return await_outcome(host, hold, socket, EALREADY);
  }
  if ((flags & MSG_FASTOPEN) != 0) {
    if (const int error = open_with_send(host, hold, socket, to); error != 0) return error;
  }
  // Who does not wait is told of what the SYN takes; who does gives all that the buffer takes, so that the rest follows
  // the handshake at once.
  const auto room = hold.stack().tcp_syn_text_room(socket.id);
  if (may_wait || room) {
    sent = give(hold, socket.id, pieces, may_wait ? std::numeric_limits<size_t>::max() : *room);
  }
  if (!may_wait) return EINPROGRESS;
  const int error = await_outcome(host, hold, socket, EINPROGRESS);
  if (error != 0 && error != EINPROGRESS) sent = 0;  // nobody has it
  return error;
}

}  // namespace limpid
