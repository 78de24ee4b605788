#include "tests/packetdrill/descriptors.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace limpid::packetdrill {

int Descriptors::enter(int ours) {
  const int number = eventfd(0, EFD_CLOEXEC);
  if (number < 0) return -1;
  const std::lock_guard guard(mutex_);
  if (ours_.size() <= static_cast<size_t>(number)) ours_.resize(static_cast<size_t>(number) + 1, -1);
  ours_[static_cast<size_t>(number)] = ours;
  return number;
}

int Descriptors::find(int number) const {
  const std::lock_guard guard(mutex_);
  const auto at = static_cast<size_t>(number);
  return number >= 0 && at < ours_.size() ? ours_[at] : -1;
}

int Descriptors::remove(int number) {
  const std::lock_guard guard(mutex_);
  const auto at = static_cast<size_t>(number);
  if (number < 0 || at >= ours_.size() || ours_[at] < 0) return -1;
  syscall(SYS_close, number);  // not close(): that is ours (preload.cc)
  return std::exchange(ours_[at], -1);
}

}  // namespace limpid::packetdrill
