// A growing ring: a queue with access by index. It owns no memory until it is used, and none but the first few slots
// while it is empty: a connection that answers one request after the other needs them each time.
//
// std::deque would do the same, but takes 576 bytes from the start.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace limpid {

template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  T& operator[](size_t i) { return slots_[(head_ + i) & (capacity_ - 1)]; }
  const T& operator[](size_t i) const { return slots_[(head_ + i) & (capacity_ - 1)]; }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  void push_back(const T& value) { push_back(T(value)); }
  void push_back(T&& value) {
    if (size_ == capacity_) grow();
    ++size_;
    back() = std::move(value);
  }

  void pop_front() {
    front() = T{};  // what the slot owned goes now, not when the slot is used again
    head_ = (head_ + 1) & (capacity_ - 1);
    if (--size_ == 0 && capacity_ > kFirstSlots) clear();
  }

  void clear() {
    slots_.reset();
    capacity_ = head_ = size_ = 0;
  }

 private:
  static constexpr size_t kFirstSlots = 4;

  [[gnu::noinline]] void grow() {  // so that the usual push is a short one
    // A power of two; the first steps are large, for a ring that has just been empty often fills again.
    const size_t capacity = capacity_ == 0 ? kFirstSlots : capacity_ < 64 ? 4 * capacity_ : 2 * capacity_;
    auto slots = std::make_unique<T[]>(capacity);
    for (size_t i = 0; i < size_; ++i) slots[i] = std::move((*this)[i]);
    slots_ = std::move(slots);
    capacity_ = capacity;
    head_ = 0;
  }

  std::unique_ptr<T[]> slots_;
  size_t capacity_ = 0;
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace limpid
