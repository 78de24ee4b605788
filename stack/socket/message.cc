// The calls that carry bytes: send, recv, their relatives, and read and write, which serve the kernel's descriptors
// too.
#include <limits.h>
#include <limpid/limpid.h>
#include <unistd.h>

#include <vector>

#include "stack/socket/control_message.h"
#include "stack/socket/datagram.h"
#include "stack/socket/everywhere.h"
#include "stack/socket/names.h"
#include "stack/socket/stream.h"

namespace limpid {

namespace {

using Pieces = std::span<const iovec>;

// Null where bytes are promised, and lengths that no ssize_t can tell.
int check_pieces(const iovec* pieces, size_t count) {
  if (count > IOV_MAX) return EMSGSIZE;
  if (count > 0 && pieces == nullptr) return EFAULT;
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    if (pieces[i].iov_base == nullptr && pieces[i].iov_len > 0) return EFAULT;
    if (pieces[i].iov_len > SSIZE_MAX - total) return EINVAL;
    total += pieces[i].iov_len;
  }
  return 0;
}

ssize_t send_message(const Call& call, Pieces pieces, int flags, const sockaddr* to, socklen_t to_length,
                     const msghdr* control) {
  if (call.error() != 0) return fail(call.error());
  if (const int error = check_pieces(pieces.data(), pieces.size()); error != 0) return fail(error);
  OpenSocket& socket = call.socket();
  if (socket.is_stream()) return stream_send(call.host(), socket, pieces, flags, {to, to_length});
  DatagramSend how;
  if (to != nullptr) {
    const auto endpoint = to_endpoint(to, to_length);
    if (!endpoint) return fail(endpoint.error());
    if (endpoint->port == 0 && socket.kind == OpenSocket::Kind::datagram) return fail(EINVAL);
    how.to = *endpoint;
    if (!how.to->address.is_set()) how.to->address = IpAddress::v4(127, 0, 0, 1);
  }
  if (control != nullptr)
    if (const int error = read_control(*control, how); error != 0) return fail(error);
  return datagram_send(call.host(), socket, pieces, how, flags);
}

// A bound socket that is about to connect by sending. 0 or an errno.
int prepare_fast_open(Call& call, int fd, int flags, const sockaddr* to, socklen_t length) {
  if ((flags & MSG_FASTOPEN) == 0 || call.error() != 0 || !call.socket().is_stream()) return 0;
  const auto remote = to_endpoint(to, length);
  return remote ? move_to_owner(call, fd, *remote) : 0;  // the send itself says what is wrong with it
}

// MSG_PEEK over several pieces: looked at in one run, and then dealt out.
ssize_t peek_stream(Host& host, OpenSocket& socket, Pieces pieces, int flags) {
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  std::vector<std::byte> whole(total);
  const iovec one{.iov_base = whole.data(), .iov_len = whole.size()};
  const ssize_t got = stream_receive(host, socket, {&one, 1}, flags);
  size_t left = got > 0 ? static_cast<size_t>(got) : 0;
  const std::byte* from = whole.data();
  for (const iovec& piece : pieces) {
    const size_t n = std::min(left, piece.iov_len);
    std::copy_n(from, n, static_cast<std::byte*>(piece.iov_base));
    from += n;
    left -= n;
  }
  return got;
}

ssize_t receive_message(const Call& call, Pieces pieces, int flags, DatagramReceived& received) {
  if (call.error() != 0) return fail(call.error());
  if (const int error = check_pieces(pieces.data(), pieces.size()); error != 0) return fail(error);
  OpenSocket& socket = call.socket();
  if (!socket.is_stream()) return datagram_receive(call.host(), socket, pieces, flags, received);
  if ((flags & MSG_ERRQUEUE) != 0) return fail(EAGAIN);
  if ((flags & MSG_PEEK) != 0 && pieces.size() > 1) return peek_stream(call.host(), socket, pieces, flags);
  return stream_receive(call.host(), socket, pieces, flags);
}

// What is left to read: the bytes, or 1 for an end of stream that is still to be read (as Linux tells it).
int stream_left(const Call& call) {
  Hold hold(call.machine());
  const SocketId id = call.socket().id;
  const size_t bytes = hold.stack().tcp_readable_bytes(id);
  if (bytes == 0 && (hold.stack().tcp_ready(id) & kPeerFin) != 0) return 1;
  return static_cast<int>(bytes);
}

// The length of a datagram that did not fit, when the caller asks for it with MSG_TRUNC.
ssize_t told_length(const Call& call, ssize_t copied, int flags, const DatagramReceived& received) {
  const bool ask = copied >= 0 && (flags & MSG_TRUNC) != 0 && !call.socket().is_stream();
  return ask ? static_cast<ssize_t>(received.length) : copied;
}

}  // namespace
}  // namespace limpid

using namespace limpid;

ssize_t lp_sendto(int fd, const void* data, size_t length, int flags, const sockaddr* to, socklen_t to_length) {
  const iovec piece{.iov_base = const_cast<void*>(data), .iov_len = length};
  Call call(fd);
  if (const int error = prepare_fast_open(call, fd, flags, to, to_length); error != 0) return fail(error);
  return send_message(call, {&piece, 1}, flags, to, to_length, nullptr);
}

ssize_t lp_send(int fd, const void* data, size_t length, int flags) {
  return lp_sendto(fd, data, length, flags, nullptr, 0);
}

ssize_t lp_sendmsg(int fd, const msghdr* message, int flags) {
  Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (message == nullptr || (message->msg_iov == nullptr && message->msg_iovlen > 0)) return fail(EFAULT);
  const auto* to = static_cast<const sockaddr*>(message->msg_name);
  if (const int error = prepare_fast_open(call, fd, flags, to, message->msg_namelen); error != 0) return fail(error);
  return send_message(call, {message->msg_iov, message->msg_iovlen}, flags, to, message->msg_namelen, message);
}

ssize_t lp_recvfrom(int fd, void* data, size_t length, int flags, sockaddr* from, socklen_t* from_length) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (from != nullptr && from_length == nullptr) return fail(EFAULT);
  const iovec piece{.iov_base = data, .iov_len = length};
  DatagramReceived received;
  const ssize_t n = receive_message(call, {&piece, 1}, flags, received);
  if (n < 0) return n;
  if (call.socket().is_stream()) {
    if (from != nullptr) *from_length = 0;  // recv(2): not filled in for connection-oriented sockets
  } else {
    write_address(received.from, from, from_length);
  }
  return told_length(call, n, flags, received);
}

ssize_t lp_recv(int fd, void* data, size_t length, int flags) {
  return lp_recvfrom(fd, data, length, flags, nullptr, nullptr);
}

ssize_t lp_recvmsg(int fd, msghdr* message, int flags) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (message == nullptr || (message->msg_iov == nullptr && message->msg_iovlen > 0)) return fail(EFAULT);
  DatagramReceived received;
  const ssize_t n = receive_message(call, {message->msg_iov, message->msg_iovlen}, flags, received);
  if (n < 0) return n;
  int flags_out = 0;
  if (call.socket().is_stream()) {
    message->msg_namelen = 0;
    if (call.socket().wants_in_queue) {
      write_in_queue(*message, stream_left(call), flags_out);
    } else {
      message->msg_controllen = 0;
    }
  } else {
    if (message->msg_name != nullptr)
      write_address(received.from, static_cast<sockaddr*>(message->msg_name), &message->msg_namelen);
    if (received.length > received.copied) flags_out |= MSG_TRUNC;
    write_control(*message, call.socket(), received, flags_out);
  }
  message->msg_flags = flags_out;
  return told_length(call, n, flags, received);
}

ssize_t lp_read(int fd, void* data, size_t length) {
  const Call call(fd);
  if (call.is_kernel()) return ::read(call.kernel(), data, length);
  const iovec piece{.iov_base = data, .iov_len = length};
  DatagramReceived received;
  return receive_message(call, {&piece, 1}, 0, received);
}

ssize_t lp_write(int fd, const void* data, size_t length) {
  const Call call(fd);
  if (call.is_kernel()) return ::write(call.kernel(), data, length);
  const iovec piece{.iov_base = const_cast<void*>(data), .iov_len = length};
  return send_message(call, {&piece, 1}, 0, nullptr, 0, nullptr);
}

ssize_t lp_readv(int fd, const iovec* pieces, int count) {
  const Call call(fd);
  if (call.is_kernel()) return ::readv(call.kernel(), pieces, count);
  if (count < 0 || count > IOV_MAX) return fail(EINVAL);
  DatagramReceived received;
  return receive_message(call, {pieces, static_cast<size_t>(count)}, 0, received);
}

ssize_t lp_writev(int fd, const iovec* pieces, int count) {
  const Call call(fd);
  if (call.is_kernel()) return ::writev(call.kernel(), pieces, count);
  if (count < 0 || count > IOV_MAX) return fail(EINVAL);
  return send_message(call, {pieces, static_cast<size_t>(count)}, 0, nullptr, 0, nullptr);
}
