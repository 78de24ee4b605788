// The descriptor table of a host: small integers, lowest free first. Each leads to a socket of ours or to a descriptor
// of the kernel's (0, 1, 2, and what lp_adopt() entered).
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "stack/base/paged_array.h"
#include "stack/socket/open_socket.h"

namespace limpid {

// A counted reference to an open socket: a call that is under way keeps it, whoever closes the descriptor meanwhile.
class SocketRef {
 public:
  SocketRef() = default;
  explicit SocketRef(OpenSocket* adopt) : socket_(adopt) {}
  SocketRef(SocketRef&& other) noexcept : socket_(std::exchange(other.socket_, nullptr)) {}
  SocketRef& operator=(SocketRef&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~SocketRef() {
    if (socket_ != nullptr && socket_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete socket_;
  }
  static SocketRef make(uint16_t home) { return SocketRef(new OpenSocket(home)); }
  SocketRef share() const {
    socket_->references.fetch_add(1, std::memory_order_relaxed);
    return SocketRef(socket_);
  }
  explicit operator bool() const { return socket_ != nullptr; }
  OpenSocket* operator->() const { return socket_; }
  OpenSocket& operator*() const { return *socket_; }

 private:
  OpenSocket* socket_ = nullptr;
};

// What a number leads to; neither: it is free.
struct Descriptor {
  SocketRef socket;
  int kernel = -1;

  explicit operator bool() const { return socket || kernel >= 0; }
};

// Has a lock of its own, never held together with a machine's.
class DescriptorTable {
 public:
  static constexpr int kMaximum = 1 << 24;

  DescriptorTable();  // 0, 1 and 2 are the process's own

  Descriptor find(int fd) const;
  // Enters under the lowest free number; -1: the table is full (EMFILE).
  int enter(SocketRef socket);
  int enter_kernel(int kernel);
  // The number leads to `socket` from now on, if it still leads to `from`.
  bool replace(int fd, const OpenSocket& from, SocketRef socket);
  // Takes the number out of the table.
  Descriptor remove(int fd);
  std::vector<int> all() const;  // the numbers in use

 private:
  struct Slot {
    SocketRef socket;
    int kernel = -1;
  };
  int lowest_free();

  mutable std::mutex mutex_;
  PagedArray<Slot> slots_;  // grows under the lock
  size_t free_from_ = 0;    // no number below it is free
};

}  // namespace limpid
