// An array that grows by pages: what stands in it never moves, and growing costs the same with a million elements as
// with ten. (A vector that doubles would move them all, under the stack's lock.)
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace limpid {

template <class T, size_t kPage = 256>
class PagedArray {
 public:
  size_t size() const { return size_; }
  T& operator[](size_t i) { return pages_[i / kPage][i % kPage]; }
  const T& operator[](size_t i) const { return pages_[i / kPage][i % kPage]; }

  // One more, as T's default says.
  T& push_back() {
    if (size_ == pages_.size() * kPage) pages_.push_back(std::make_unique<T[]>(kPage));
    return (*this)[size_++];
  }
  // At least so many.
  void extend(size_t size) {
    while (size_ < size) push_back();
  }
  // The last one; its place keeps what it held, and a page of room is kept behind.
  void pop_back() {
    --size_;
    if (size_ + 2 * kPage == pages_.size() * kPage) pages_.pop_back();
  }

 private:
  std::vector<std::unique_ptr<T[]>> pages_;  // only this moves: a pointer for each page
  size_t size_ = 0;
};

}  // namespace limpid
