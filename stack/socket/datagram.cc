#include "stack/socket/datagram.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace limpid {

namespace {

constexpr size_t kLargestDatagram = 65'535;

// The pieces as one run of bytes: where they lie when there is only one, else gathered.
class Gathered {
 public:
  explicit Gathered(std::span<const iovec> pieces) {
    if (pieces.size() == 1) {
      bytes_ = {static_cast<const std::byte*>(pieces[0].iov_base), pieces[0].iov_len};
      return;
    }
    for (const iovec& piece : pieces) {
      const auto* from = static_cast<const std::byte*>(piece.iov_base);
      copy_.insert(copy_.end(), from, from + piece.iov_len);
    }
    bytes_ = copy_;
  }
  ByteSpan bytes() const { return bytes_; }

 private:
  std::vector<std::byte> copy_;
  ByteSpan bytes_;
};

void scatter(ByteSpan from, std::span<const iovec> pieces) {
  for (const iovec& piece : pieces) {
    const size_t n = std::min(piece.iov_len, from.size());
    if (n > 0) std::memcpy(piece.iov_base, from.data(), n);
    from = from.subspan(n);
  }
}

Result<size_t> send_now(Hold& hold, OpenSocket& socket, ByteSpan bytes, const DatagramSend& how) {
  if (socket.kind == OpenSocket::Kind::raw) return hold.stack().raw_send(socket.id, bytes, how, hold.now());
  return hold.stack().udp_send(socket.id, bytes, how, hold.now());
}

Result<DatagramReceived> receive_now(Hold& hold, OpenSocket& socket, MutableByteSpan into, bool peek) {
  if (socket.kind == OpenSocket::Kind::raw) return hold.stack().raw_receive(socket.id, into, peek, hold.now());
  return hold.stack().udp_receive(socket.id, into, peek, hold.now());
}

}  // namespace

ssize_t datagram_send(Host& host, OpenSocket& socket, std::span<const iovec> pieces, const DatagramSend& how,
                      int flags) {
  if ((flags & MSG_OOB) != 0) return fail(EOPNOTSUPP);
  const Gathered message(pieces);
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  Hold hold(host.machine_of(socket));
  const Time deadline = deadline_after(hold.now(), socket.send_timeout);
  for (;;) {
    if (socket.shut_send) return fail(EPIPE);
    const auto sent = send_now(hold, socket, message.bytes(), how);
    if (sent) return static_cast<ssize_t>(*sent);
    int error = to_errno(sent.error());
    if (error == EAGAIN && may_wait) error = wait_for(host, hold, socket, kWritable, deadline);
    if (error != 0) return fail(error);
  }
}

ssize_t datagram_receive(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags,
                         DatagramReceived& received) {
  if ((flags & (MSG_OOB | MSG_ERRQUEUE)) != 0) return fail((flags & MSG_OOB) != 0 ? EOPNOTSUPP : EAGAIN);
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  const bool peek = (flags & MSG_PEEK) != 0;
  std::vector<std::byte> whole;
  MutableByteSpan into;
  if (pieces.size() == 1) {
    into = {static_cast<std::byte*>(pieces[0].iov_base), pieces[0].iov_len};
  } else if (!pieces.empty()) {
    size_t total = 0;
    for (const iovec& piece : pieces) total += piece.iov_len;
    whole.resize(std::min(total, kLargestDatagram));
    into = whole;
  }
  Hold hold(host.machine_of(socket));
  const Time deadline = deadline_after(hold.now(), socket.receive_timeout);
  for (;;) {
    const auto got = receive_now(hold, socket, into, peek);
    if (got) {
      received = *got;
      if (!whole.empty()) scatter(std::span(whole).first(got->copied), pieces);
      return static_cast<ssize_t>(got->copied);
    }
    int error = to_errno(got.error());
    if (socket.shut_receive && (error == EAGAIN || error == EPIPE)) return 0;
    if (error == EAGAIN && may_wait) error = wait_for(host, hold, socket, kReadable, deadline);
    if (error != 0) return fail(error);
  }
}

}  // namespace limpid
