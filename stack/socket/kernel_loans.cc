#include "stack/socket/kernel_loans.h"

#include <algorithm>
#include <cerrno>
#include <memory>

#include "stack/socket/call.h"

namespace limpid {

namespace {

constexpr size_t kMost = size_t{256} * 1024;

struct KernelLoan : ::lp_loan {
  KernelLoan(int fd_, size_t most, bool sends_)
      : lp_loan{}, fd(fd_), sends(sends_), bytes(std::make_unique_for_overwrite<std::byte[]>(most)) {}
  void tell(size_t n) {
    piece = {.iov_base = bytes.get(), .iov_len = n};
    pieces = &piece;
    count = 1;
    length = n;
  }

  int fd;
  bool sends;
  std::unique_ptr<std::byte[]> bytes;
  iovec piece{};
};

// 0 or an errno.
int check_call(int fd, lp_loan** loan, size_t length, int flags, int known_flags) {
  if (loan == nullptr) return EFAULT;
  *loan = nullptr;
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) return errno;
  if (length == 0) return EINVAL;
  return type == SOCK_STREAM && (flags & ~known_flags) == 0 ? 0 : EOPNOTSUPP;
}

KernelLoan* known(lp_loan* loan, bool sends) {
  auto* const known = static_cast<KernelLoan*>(loan);
  return known != nullptr && known->sends == sends ? known : nullptr;
}

}  // namespace

ssize_t kernel_send_reserve(int fd, lp_loan** loan, size_t length, int flags) {
  if (const int error = check_call(fd, loan, length, flags, MSG_DONTWAIT | MSG_NOSIGNAL); error != 0)
    return fail(error);
  const size_t n = std::min(length, kMost);
  auto made = std::make_unique<KernelLoan>(fd, n, true);
  made->tell(n);
  *loan = made.release();
  return static_cast<ssize_t>(n);
}

ssize_t kernel_send_commit(lp_loan* loan, size_t length, int flags) {
  KernelLoan* const room = known(loan, true);
  if (room == nullptr || length > loan->length) return fail(EINVAL);
  if ((flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_OOB)) != 0) return fail(EOPNOTSUPP);
  std::unique_ptr<KernelLoan> ended(room);
  if (length == 0) return 0;
  const ssize_t n = ::send(room->fd, room->bytes.get(), length, flags);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) (void)ended.release();
  return n;
}

ssize_t kernel_recv_borrow(int fd, lp_loan** loan, size_t length, int flags) {
  if (const int error = check_call(fd, loan, length, flags, MSG_DONTWAIT); error != 0) return fail(error);
  const size_t most = std::min(length, kMost);
  auto made = std::make_unique<KernelLoan>(fd, most, false);
  const ssize_t n = ::recv(fd, made->bytes.get(), most, flags);
  if (n <= 0) return n;
  made->tell(static_cast<size_t>(n));
  *loan = made.release();
  return n;
}

int kernel_recv_return(lp_loan* loan) {
  KernelLoan* const text = known(loan, false);
  if (text == nullptr) return fail(EINVAL);
  delete text;
  return 0;
}

}  // namespace limpid
