// What every socket call begins with, and how it waits.
#pragma once

#include "stack/socket/errors.h"
#include "stack/socket/host.h"

namespace limpid {

// From a number to a socket: the current host, its table, and whether the number is a socket of ours.
class Call {
 public:
  explicit Call(int fd) : host_(Host::current()) {
    if (host_ != nullptr) descriptor_ = host_->descriptors().find(fd);
  }
  // EBADF (no host, or a free number), ENOTSOCK (a descriptor of the kernel's, or an epoll set), or 0.
  int error() const {
    if (!descriptor_) return EBADF;
    return descriptor_.socket && !descriptor_.socket->is_epoll() ? 0 : ENOTSOCK;
  }
  bool is_epoll() const { return descriptor_.socket && descriptor_.socket->is_epoll(); }
  bool is_kernel() const { return descriptor_.kernel >= 0; }
  int kernel() const { return descriptor_.kernel; }
  Host& host() const { return *host_; }
  Machine& machine() const { return host_->machine_of(socket()); }
  OpenSocket& socket() const { return *descriptor_.socket; }
  SocketRef share() const { return descriptor_.socket.share(); }
  void turn_to(SocketRef socket) { descriptor_.socket = std::move(socket); }

 private:
  Host* host_;
  Descriptor descriptor_;
};

// Wake-ups among the calls on one socket, beside those of the stack.
inline constexpr ReadyEvents kTurnFree = 1 << 14;  // the reader or the writer is done
inline constexpr ReadyEvents kGivenUp = 1 << 15;   // closed or shut by another thread
inline constexpr ReadyEvents kAlwaysWakes = kError | kHangUp | kReleased | kGivenUp;

// Wakes the calls that wait for any of these. Under the lock.
void notify(Machine& machine, OpenSocket& socket, ReadyEvents events);

// Lets go of the lock until one of `interest` is raised, and takes it again. 0: look again; else the errno with which
// the call ends: EAGAIN (the deadline came), EINTR, ECANCELED, EBADF (closed by another thread).
int wait_for(Host& host, Hold& hold, OpenSocket& socket, ReadyEvents interest, Time deadline);

inline Time deadline_after(Time now, Duration timeout) { return timeout > Duration::zero() ? now + timeout : kNever; }

// The reader's or the writer's turn on a socket, for the length of a call.
class Turn {
 public:
  Turn(Hold& hold, OpenSocket& socket, bool& taken) : hold_(hold), socket_(socket), taken_(taken) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (!mine_) return;
    taken_ = false;
    notify(hold_.machine(), socket_, kTurnFree);
  }
  // 0, or the errno with which the call ends before it has begun.
  int take(Host& host, bool may_wait, Time deadline);

 private:
  Hold& hold_;
  OpenSocket& socket_;
  bool& taken_;
  bool mine_ = false;
};

}  // namespace limpid
