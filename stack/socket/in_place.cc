// lp_send_reserve, lp_send_commit, lp_recv_borrow and lp_recv_return: the bytes are written and read where the stack
// keeps them, without the lock; who has which is settled under it.
#include <limpid/limpid.h>

#include <algorithm>
#include <memory>

#include "stack/socket/loan.h"
#include "stack/socket/stream.h"

namespace limpid {

void Loan::tell_pieces() {
  size_t left = room.length;
  for (const ChunkPool::Memory& chunk : room.chunks) {
    const size_t n = std::min(left, ChunkPool::kChunk);
    list.push_back({.iov_base = chunk.get(), .iov_len = n});
    left -= n;
  }
  for (const ReassemblyQueue::Piece& piece : text.pieces) {
    const ByteSpan bytes = piece.text.bytes();
    list.push_back({.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()});
  }
  pieces = list.data();
  count = static_cast<int>(list.size());
  length = room.length + text.length;
}

namespace {

// What both calls that hand out something begin with. 0 or an errno.
int check_call(const Call& call, lp_loan** loan, size_t length, int flags, int known_flags) {
  if (call.error() != 0) return call.error();
  if (loan == nullptr) return EFAULT;
  *loan = nullptr;
  if (length == 0) return EINVAL;
  if (!call.socket().is_stream() || (flags & ~known_flags) != 0) return EOPNOTSUPP;
  return 0;
}

ssize_t hand_out(Host& host, std::unique_ptr<Loan> made, lp_loan** loan) {
  made->id = made->socket->id;
  made->tell_pieces();
  host.loans(made->socket->home).push_back(*made);
  *loan = made.release();
  return static_cast<ssize_t>((*loan)->length);
}

int reserve(Hold& hold, OpenSocket& socket, size_t length, Loan& made) {
  // What waits in a SYN for the first text goes without it: nobody knows yet how much that will be.
  if (syn_waits_for_text(hold, socket)) (void)hold.stack().tcp_send(socket.id, {}, {}, hold.now());
  if (const int error = why_not_send(hold, socket); error != 0) return error;
  const auto reserved = hold.stack().tcp_reserve(socket.id, length, made.room, hold.now());
  return reserved ? 0 : to_errno(reserved.error());
}

// The loan as one of this kind that is out; null: it is not.
Loan* known(lp_loan* loan, bool sends) {
  auto* const known = static_cast<Loan*>(loan);
  return known != nullptr && known->sends == sends ? known : nullptr;
}

int commit(Hold& hold, Loan& loan, size_t length, int flags) {
  OpenSocket& socket = *loan.socket;
  const bool same = !socket.closed && socket.id == loan.id;
  int error = socket.closed ? EBADF : EPIPE;  // connected anew: what this was for is gone
  if (same) error = why_not_send(hold, socket);
  if (error != 0) {
    hold.stack().tcp_give_back(loan.id, loan.room, hold.now());
    return error;
  }
  const TcpSendFlags how{
      .urgent = (flags & MSG_OOB) != 0, .more = (flags & MSG_MORE) != 0, .tail_may_wait = hold.machine().keeps_tails()};
  const auto sent = hold.stack().tcp_commit(loan.id, loan.room, length, how, hold.now());
  return sent ? 0 : to_errno(sent.error());
}

bool enough_to_borrow(Hold& hold, const OpenSocket& socket, size_t length) {
  const TcpOptions* options = hold.stack().tcp_options(socket.id);
  if (options == nullptr) return true;  // the connection has gone, and says so
  const size_t low_water = options->receive_low_water;
  return hold.stack().tcp_readable_bytes(socket.id) >= std::min(low_water, length) ||
         (hold.stack().tcp_ready(socket.id) & (kPeerFin | kError | kHangUp)) != 0;
}

}  // namespace

void end_loan(Hold& hold, Loan& loan) {
  if (loan.sends) {
    hold.stack().tcp_give_back(loan.id, loan.room, hold.now());
  } else {
    hold.stack().tcp_give_back(loan.id, loan.text, hold.now());
  }
  loan.unlink();
}

}  // namespace limpid

using namespace limpid;

ssize_t lp_send_reserve(int fd, lp_loan** loan, size_t length, int flags) {
  const Call call(fd);
  const int wrong = check_call(call, loan, length, flags, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (wrong != 0) return fail(wrong);
  Host& host = call.host();
  OpenSocket& socket = call.socket();
  auto made = std::make_unique<Loan>(host, call.share(), true);
  Hold hold(call.machine());
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  const Time deadline = deadline_after(hold.now(), socket.send_timeout);
  for (;;) {
    int error = reserve(hold, socket, length, *made);
    if (error == 0) return hand_out(host, std::move(made), loan);
    if (error == EAGAIN && may_wait) error = wait_for(host, hold, socket, kWritable, deadline);
    if (error != 0) return error == EPIPE ? broken_pipe(hold, flags) : fail(error);
  }
}

ssize_t lp_send_commit(lp_loan* loan, size_t length, int flags) {
  if (Host::current() == nullptr) return fail(EBADF);
  Loan* const known_loan = known(loan, true);
  if (known_loan == nullptr || length > loan->length) return fail(EINVAL);
  if ((flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_OOB)) != 0) return fail(EOPNOTSUPP);
  OpenSocket& socket = *known_loan->socket;
  std::unique_ptr<Loan> ended;  // goes when the lock has gone: its socket may go with it
  Hold hold(known_loan->host.machine_of(*known_loan->socket));
  int error = 0;
  if (length > 0) {
    const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
    Turn turn(hold, socket, socket.writing);
    error = turn.take(known_loan->host, may_wait, deadline_after(hold.now(), socket.send_timeout));
    if (error != 0 && error != EBADF) return fail(error);  // not its turn: it is as it was
    ended.reset(known_loan);
    error = commit(hold, *ended, length, flags);
    ended->unlink();
  } else {
    ended.reset(known_loan);
    end_loan(hold, *ended);
  }
  if (error == 0) return static_cast<ssize_t>(length);
  return error == EPIPE ? broken_pipe(hold, flags) : fail(error);
}

ssize_t lp_recv_borrow(int fd, lp_loan** loan, size_t length, int flags) {
  const Call call(fd);
  const int wrong = check_call(call, loan, length, flags, MSG_DONTWAIT);
  if (wrong != 0) return fail(wrong);
  Host& host = call.host();
  OpenSocket& socket = call.socket();
  auto made = std::make_unique<Loan>(host, call.share(), false);
  Hold hold(call.machine());
  const bool may_wait = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  const Time deadline = deadline_after(hold.now(), socket.receive_timeout);
  Turn turn(hold, socket, socket.reading);
  if (const int error = turn.take(host, may_wait, deadline); error != 0) return fail(error);
  for (;;) {
    if (!socket.has_connection()) return fail(ENOTCONN);
    int error = EAGAIN;
    if (!may_wait || enough_to_borrow(hold, socket, length)) {
      const auto got = hold.stack().tcp_borrow(socket.id, length, made->text, hold.now());
      if (got) return *got == 0 ? 0 : hand_out(host, std::move(made), loan);
      error = to_errno(got.error());
    }
    if (error == EAGAIN && may_wait) error = wait_for(host, hold, socket, kReadable | kPeerFin, deadline);
    if (error != 0) return fail(error);
  }
}

int lp_recv_return(lp_loan* loan) {
  if (Host::current() == nullptr) return fail(EBADF);
  Loan* const known_loan = known(loan, false);
  if (known_loan == nullptr) return fail(EINVAL);
  const std::unique_ptr<Loan> ended(known_loan);  // goes when the lock has gone: its socket may go with it
  Hold hold(known_loan->host.machine_of(*known_loan->socket));
  end_loan(hold, *ended);
  return 0;
}
