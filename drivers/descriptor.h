// A kernel descriptor that closes itself.
#pragma once

#include <unistd.h>

#include <utility>

namespace limpid {

class KernelDescriptor {
 public:
  KernelDescriptor() = default;
  explicit KernelDescriptor(int fd) : fd_(fd) {}
  KernelDescriptor(KernelDescriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  KernelDescriptor& operator=(KernelDescriptor&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~KernelDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace limpid
