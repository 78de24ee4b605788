// Bytes in and out of a stream socket: the loops that wait for room and for data.
#include "stack/socket/stream.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <cstring>

namespace limpid {

namespace {

ByteSpan rest_of(const iovec& piece, size_t done) {
  return {static_cast<const std::byte*>(piece.iov_base) + done, piece.iov_len - done};
}

MutableByteSpan room_of(const iovec& piece, size_t done) {
  return {static_cast<std::byte*>(piece.iov_base) + done, piece.iov_len - done};
}

size_t total_of(std::span<const iovec> pieces) {
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  return total;
}

// One round of SEND: every piece, until nothing more is taken. Adds to `sent`; 0 when all is sent, else an errno.
// A piece that is taken in part is offered again at once: over loopback the very sending can bring the acknowledgment
// that makes room, and its wake-up came before anybody waited for it.
int send_pieces(Hold& hold, OpenSocket& socket, std::span<const iovec> pieces, int flags, size_t& sent) {
  size_t skip = sent;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (skip > 0 && skip >= pieces[i].iov_len) {
      skip -= pieces[i].iov_len;
      continue;
    }
    const bool last = i + 1 == pieces.size();
    const TcpSendFlags how{.urgent = last && (flags & MSG_OOB) != 0,
                           .more = !last || (flags & MSG_MORE) != 0,
                           .tail_may_wait = hold.machine().keeps_tails()};
    do {
      const auto taken = hold.stack().tcp_send(socket.id, rest_of(pieces[i], skip), how, hold.now());
      if (!taken) return to_errno(taken.error());
      sent += *taken;
      skip += *taken;
    } while (skip < pieces[i].iov_len);
    skip = 0;
  }
  return 0;
}

}  // namespace

// The peer of the writer is gone. As the kernel does: SIGPIPE in the thread that wrote, and EPIPE.
ssize_t broken_pipe(Hold& hold, int flags) {
  if ((flags & MSG_NOSIGNAL) == 0) {
    hold.release();  // its handler may call us
    pthread_kill(pthread_self(), SIGPIPE);
    hold.take();
  }
  return fail(EPIPE);
}

int why_not_send(Hold& hold, OpenSocket& socket) {
  if (socket.connecting && is_pending(hold.stack(), socket)) return EAGAIN;  // as on Linux: not before the handshake
  if (socket.has_connection() && !socket.shut_send) return 0;
  // What ended the connection is told first (as Linux).
  const Error ended = socket.has_connection() ? hold.stack().tcp_take_error(socket.id) : Error::none;
  return ended != Error::none ? to_errno(ended) : EPIPE;
}

ssize_t stream_send(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags, SendTo to) {
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  const size_t total = total_of(pieces);
  Hold hold(host.machine_of(socket));
  const Time deadline = deadline_after(hold.now(), socket.send_timeout);
  Turn turn(hold, socket, socket.writing);
  if (const int error = turn.take(host, may_wait, deadline); error != 0) return fail(error);

  size_t sent = 0;
  if ((flags & MSG_FASTOPEN) != 0 || syn_waits_for_text(hold, socket)) {
    const int error = fast_open_send(host, hold, socket, pieces, flags, to, sent);
    if (error != 0) return sent > 0 ? static_cast<ssize_t>(sent) : fail(error);
  }
  for (;;) {
    int error = why_not_send(hold, socket);
    if (error == 0) error = send_pieces(hold, socket, pieces, flags, sent);
    if (error == 0 && sent == total) return static_cast<ssize_t>(sent);
    if (error == EAGAIN && may_wait) error = wait_for(host, hold, socket, kWritable, deadline);
    if (error == 0) continue;
    if (sent > 0) return static_cast<ssize_t>(sent);
    return error == EPIPE ? broken_pipe(hold, flags) : fail(error);
  }
}

namespace {

struct Reading {
  size_t total = 0;   // of the caller's buffers
  size_t target = 0;  // as many must come before the call returns
  bool peek = false;
  bool discard = false;  // MSG_TRUNC: the bytes are thrown away
};

// From so many bytes on a copy is worth a second visit to the stack: others get in while it is made.
constexpr size_t kLongCopy = size_t{16} * 1024;

// RECEIVE whose copy is made without the lock: the text is on loan meanwhile, and counts as unread.
Result<size_t> receive_unlocked(Hold& hold, SocketId id, MutableByteSpan room) {
  LentText text;
  const auto lent = hold.stack().tcp_borrow(id, room.size(), text, hold.now());
  if (!lent) return lent;
  hold.release();
  size_t copied = 0;
  for (const ReassemblyQueue::Piece& piece : text.pieces) {
    const ByteSpan bytes = piece.text.bytes();
    std::memcpy(room.data() + copied, bytes.data(), bytes.size());
    copied += bytes.size();
  }
  hold.take();
  hold.stack().tcp_give_back(id, text, hold.now());
  return copied;
}

Result<size_t> receive_some(Hold& hold, SocketId id, MutableByteSpan room, bool peek) {
  const bool is_long = !peek && room.size() >= kLongCopy && hold.stack().tcp_readable_bytes(id) >= kLongCopy;
  return is_long ? receive_unlocked(hold, id, room) : hold.stack().tcp_receive(id, room, {.peek = peek}, hold.now());
}

// One round of RECEIVE, into every piece behind the first `got` bytes. 0: end of stream or the buffers are full;
// EAGAIN: nothing more is there; else an errno.
int receive_pieces(Hold& hold, OpenSocket& socket, std::span<const iovec> pieces, const Reading& how, size_t& got,
                   bool& ended) {
  size_t skip = got;
  for (const iovec& piece : pieces) {
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    while (skip < piece.iov_len) {
      std::byte thrown_away[4096];
      MutableByteSpan room = room_of(piece, skip);
      // What ended the connection is told by the next call, not by the one that got bytes (as Linux).
      if (got > 0 && hold.stack().tcp_readable_bytes(socket.id) == 0 &&
          (hold.stack().tcp_ready(socket.id) & kError) != 0) {
        ended = true;
        return 0;
      }
      if (how.discard) room = std::span(thrown_away).first(std::min(room.size(), sizeof thrown_away));
      const auto read = receive_some(hold, socket.id, room, how.peek);
      if (!read) return to_errno(read.error());
      if (*read == 0) {
        ended = true;
        return 0;
      }
      got += *read;
      skip += *read;
      if (how.peek) return 0;  // a second look would see the same bytes again
    }
    skip = 0;
  }
  return 0;
}

int receive_urgent(Hold& hold, OpenSocket& socket, std::span<const iovec> pieces, bool peek, size_t& got) {
  if (pieces.empty() || pieces[0].iov_len == 0) return 0;
  const auto read =
      hold.stack().tcp_receive(socket.id, room_of(pieces[0], 0), {.peek = peek, .urgent = true}, hold.now());
  if (!read) return to_errno(read.error());
  got = *read;
  return 0;
}

// Bytes that are only looked at, or that a low-water mark holds back, must all be there before they are touched.
bool worth_reading(Hold& hold, const OpenSocket& socket, const Reading& how, bool all_at_once) {
  if (!all_at_once || how.target <= 1) return true;
  if (hold.stack().tcp_readable_bytes(socket.id) >= how.target) return true;
  return (hold.stack().tcp_ready(socket.id) & (kPeerFin | kError | kHangUp)) != 0;
}

}  // namespace

ssize_t stream_receive(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags) {
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  Hold hold(host.machine_of(socket));
  const Time deadline = deadline_after(hold.now(), socket.receive_timeout);
  Turn turn(hold, socket, socket.reading);
  if (const int error = turn.take(host, may_wait, deadline); error != 0) return fail(error);
  if (!socket.has_connection()) return fail(ENOTCONN);

  size_t got = 0;
  if ((flags & MSG_OOB) != 0) {
    const int error = receive_urgent(hold, socket, pieces, (flags & MSG_PEEK) != 0, got);
    return error == 0 ? static_cast<ssize_t>(got) : fail(error);
  }
  Reading how{.total = total_of(pieces), .peek = (flags & MSG_PEEK) != 0, .discard = (flags & MSG_TRUNC) != 0};
  const TcpOptions* options = hold.stack().tcp_options(socket.id);
  const size_t low_water = options != nullptr ? std::max<uint32_t>(options->receive_low_water, 1) : 1;
  how.target = (flags & MSG_WAITALL) != 0 ? how.total : std::min(low_water, how.total);
  if (!may_wait) how.target = std::min<size_t>(how.target, 1);

  const bool all_at_once = how.peek || ((flags & MSG_WAITALL) == 0 && low_water > 1);
  for (;;) {
    bool ended = false;
    int error = EAGAIN;
    if (worth_reading(hold, socket, how, all_at_once)) error = receive_pieces(hold, socket, pieces, how, got, ended);
    if (error == 0 && (ended || how.peek || got == how.total)) return static_cast<ssize_t>(got);
    if (error == EAGAIN && got >= how.target && got > 0) return static_cast<ssize_t>(got);
    if (error == EAGAIN && may_wait && hold.now() < deadline) {
      // With a low-water mark the stack is silent about the last bytes of a MSG_WAITALL, so this looks by itself.
      const Time until = low_water > 1 ? std::min(deadline, hold.now() + 10ms) : deadline;
      error = wait_for(host, hold, socket, kReadable | kPeerFin, until);
    }
    if (error == 0 && !socket.has_connection()) error = ENOTCONN;  // connect(AF_UNSPEC) by another thread
    if (error == 0) continue;
    return got > 0 ? static_cast<ssize_t>(got) : fail(error);
  }
}

}  // namespace limpid
