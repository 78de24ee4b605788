// A slab of T with stable addresses, named from outside by handles that carry a generation.
//
// What crosses a module is a Handle, never a pointer: a stale one is a null look-up, not a use after free.
//
//   pages_ -> [ slot slot slot … 64 of them ] [ … ] [ … ]     a page never moves, so a T* lives as long as its T
//   free slots are linked through next_free; the generation of a slot grows each time it is freed
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace limpid {

template <class T>
struct Handle {
  uint32_t index = UINT32_MAX;
  uint32_t generation = 0;

  explicit operator bool() const { return index != UINT32_MAX; }
  friend bool operator==(const Handle&, const Handle&) = default;
};

template <class T>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (uint32_t i = 0; i < capacity(); ++i)
      if (slot(i).live) slot(i).value()->~T();
  }

  template <class... Args>
  Handle<T> emplace(Args&&... args) {
    if (free_ == kNone) grow();
    const uint32_t index = free_;
    Slot& s = slot(index);
    free_ = s.next_free;
    new (s.storage) T(std::forward<Args>(args)...);
    s.live = true;
    ++live_;
    return {index, s.generation};
  }

  // Null when the handle is stale or empty.
  T* get(Handle<T> h) {
    if (h.index >= capacity()) return nullptr;
    Slot& s = slot(h.index);
    return s.live && s.generation == h.generation ? s.value() : nullptr;
  }
  const T* get(Handle<T> h) const { return const_cast<Slab*>(this)->get(h); }

  // The handle of what lives at this index; the caller knows that something does.
  Handle<T> handle_at(uint32_t index) const { return {index, const_cast<Slab*>(this)->slot(index).generation}; }
  T* at(uint32_t index) { return index < capacity() && slot(index).live ? slot(index).value() : nullptr; }

  void erase(Handle<T> h) {
    T* value = get(h);
    if (value == nullptr) return;
    value->~T();
    Slot& s = slot(h.index);
    s.live = false;
    ++s.generation;
    s.next_free = free_;
    free_ = h.index;
    --live_;
  }

  uint32_t size() const { return live_; }
  // Indices run from 0 to capacity() - 1: the deterministic way to visit all that lives.
  uint32_t capacity() const { return static_cast<uint32_t>(pages_.size()) * kPage; }

 private:
  static constexpr uint32_t kPage = 64;
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Slot {
    alignas(T) std::byte storage[sizeof(T)];
    uint32_t generation = 1;
    uint32_t next_free = kNone;
    bool live = false;
    T* value() { return std::launder(reinterpret_cast<T*>(storage)); }
  };

  Slot& slot(uint32_t index) { return pages_[index / kPage][index % kPage]; }

  void grow() {
    const uint32_t first = capacity();
    pages_.push_back(std::make_unique<Slot[]>(kPage));
    for (uint32_t i = kPage; i-- > 0;) {  // so that the lowest index is taken first
      slot(first + i).next_free = free_;
      free_ = first + i;
    }
  }

  std::vector<std::unique_ptr<Slot[]>> pages_;
  uint32_t free_ = kNone;
  uint32_t live_ = 0;
};

}  // namespace limpid
