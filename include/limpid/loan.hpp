// loan.hpp: what Socket::reserve() and Socket::borrow() of socket.hpp hand out (limpid.h, "sending and receiving in
// place"). Move-only; what was not given back goes back with its owner.
#pragma once

#include <limpid/calls.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

namespace limpid {

// The part that both have: bytes in pieces, in the order of the stream.
class LoanPieces {
 public:
  size_t size() const { return loan_ == nullptr ? 0 : loan_->length; }  // bytes
  bool empty() const { return loan_ == nullptr; }
  size_t count() const { return loan_ == nullptr ? 0 : static_cast<size_t>(loan_->count); }

 protected:
  LoanPieces() = default;
  LoanPieces(const SocketCalls& calls, lp_loan* loan) : calls_(&calls), loan_(loan) {}
  LoanPieces(LoanPieces&& other) noexcept : calls_(other.calls_), loan_(std::exchange(other.loan_, nullptr)) {}
  LoanPieces& operator=(LoanPieces&& other) noexcept {
    std::swap(calls_, other.calls_);
    std::swap(loan_, other.loan_);
    return *this;
  }
  ~LoanPieces() = default;

  std::span<std::byte> piece(size_t i) const {
    return {static_cast<std::byte*>(loan_->pieces[i].iov_base), loan_->pieces[i].iov_len};
  }

  const SocketCalls* calls_ = nullptr;
  lp_loan* loan_ = nullptr;
};

// Room in the send buffer, to be written to and then committed.
class Reservation : public LoanPieces {
 public:
  Reservation() = default;
  Reservation(const SocketCalls& calls, lp_loan* loan) : LoanPieces(calls, loan) {}
  Reservation(Reservation&&) noexcept = default;
  Reservation& operator=(Reservation&&) noexcept = default;
  ~Reservation() { give_back(); }

  std::span<std::byte> operator[](size_t i) const { return piece(i); }

  // Sends the first `length` bytes and gives back the rest. How many were taken: all, on Limpid's sockets. Throws
  // std::system_error; where the reservation is still out then (limpid.h), this still has it.
  size_t commit(size_t length, int flags = 0) {
    const auto taken = committed(length, flags);
    if (taken < 0) throw std::system_error(errno, std::generic_category(), "send_commit");
    return static_cast<size_t>(taken);
  }
  // Nothing where it would have to wait.
  std::optional<size_t> try_commit(size_t length, int flags = 0) {
    const auto taken = committed(length, flags);
    if (taken < 0 && errno == EAGAIN) return {};
    if (taken < 0) throw std::system_error(errno, std::generic_category(), "send_commit");
    return static_cast<size_t>(taken);
  }
  void give_back() {
    if (loan_ != nullptr) calls_->send_commit(std::exchange(loan_, nullptr), 0, 0);
  }

 private:
  ssize_t committed(size_t length, int flags) {
    const ssize_t taken = calls_->send_commit(loan_, length, flags | MSG_NOSIGNAL);
    const bool still_out = taken < 0 && (errno == EINVAL || errno == EOPNOTSUPP || errno == EAGAIN || errno == EINTR ||
                                         errno == ECANCELED);
    if (!still_out) loan_ = nullptr;
    return taken;
  }
};

// What was received, where it lies. Empty: the end of the stream.
class Borrowed : public LoanPieces {
 public:
  Borrowed() = default;
  Borrowed(const SocketCalls& calls, lp_loan* loan) : LoanPieces(calls, loan) {}
  Borrowed(Borrowed&&) noexcept = default;
  Borrowed& operator=(Borrowed&&) noexcept = default;
  ~Borrowed() { give_back(); }

  std::span<const std::byte> operator[](size_t i) const { return piece(i); }

  void give_back() {
    if (loan_ != nullptr) calls_->recv_return(std::exchange(loan_, nullptr));
  }
};

}  // namespace limpid
