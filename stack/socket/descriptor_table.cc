#include "stack/socket/descriptor_table.h"

namespace limpid {

DescriptorTable::DescriptorTable() {
  slots_.extend(3);
  for (int fd = 0; fd < 3; ++fd) slots_[static_cast<size_t>(fd)].kernel = fd;
  free_from_ = 3;
}

Descriptor DescriptorTable::find(int fd) const {
  const std::lock_guard guard(mutex_);
  if (fd < 0 || static_cast<size_t>(fd) >= slots_.size()) return {};
  const Slot& slot = slots_[static_cast<size_t>(fd)];
  if (slot.socket) return {.socket = slot.socket.share()};
  return {.socket = {}, .kernel = slot.kernel};
}

int DescriptorTable::enter(SocketRef socket) {
  const std::lock_guard guard(mutex_);
  const int fd = lowest_free();
  if (fd >= 0) slots_[static_cast<size_t>(fd)].socket = std::move(socket);
  return fd;
}

int DescriptorTable::enter_kernel(int kernel) {
  const std::lock_guard guard(mutex_);
  const int fd = lowest_free();
  if (fd >= 0) slots_[static_cast<size_t>(fd)].kernel = kernel;
  return fd;
}

bool DescriptorTable::replace(int fd, const OpenSocket& from, SocketRef socket) {
  const std::lock_guard guard(mutex_);
  if (fd < 0 || static_cast<size_t>(fd) >= slots_.size()) return false;
  SocketRef& slot = slots_[static_cast<size_t>(fd)].socket;
  if (!slot || &*slot != &from) return false;
  slot = std::move(socket);
  return true;
}

Descriptor DescriptorTable::remove(int fd) {
  const std::lock_guard guard(mutex_);
  if (fd < 0 || static_cast<size_t>(fd) >= slots_.size()) return {};
  Slot& slot = slots_[static_cast<size_t>(fd)];
  Descriptor removed{.socket = std::move(slot.socket), .kernel = std::exchange(slot.kernel, -1)};
  if (removed) free_from_ = std::min(free_from_, static_cast<size_t>(fd));
  return removed;
}

std::vector<int> DescriptorTable::all() const {
  const std::lock_guard guard(mutex_);
  std::vector<int> used;
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].socket || slots_[i].kernel >= 0) used.push_back(static_cast<int>(i));
  return used;
}

int DescriptorTable::lowest_free() {
  while (free_from_ < slots_.size() && (slots_[free_from_].socket || slots_[free_from_].kernel >= 0)) ++free_from_;
  if (free_from_ == slots_.size()) {
    if (free_from_ >= kMaximum) return -1;
    slots_.push_back();
  }
  return static_cast<int>(free_from_++);
}

}  // namespace limpid
