// Slices one behind the other: the text of a segment. As a rule it is one; several where segments were merged on their
// way up (stack/net/merge.h), each in the frame that it came in.
//
//   | first |  | more[0] |  | more[1] |      `more` belongs to whoever merged them, and is used up
#pragma once

#include <algorithm>
#include <span>
#include <utility>

#include "stack/buffer/slice.h"

namespace limpid {

class SliceChain {
 public:
  SliceChain() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): one slice is a chain
  SliceChain(Slice only) : length(only.length), first_(std::move(only)) {}
  SliceChain(Slice first, std::span<Slice> more) : length(first.length), first_(std::move(first)), more_(more) {
    for (const Slice& slice : more_) length += slice.length;
  }

  uint32_t length = 0;

  bool empty() const { return length == 0; }
  bool single() const { return more_.empty() && length > 0; }
  // The first of them that is not empty, off the front; the chain was not empty.
  Slice pop() {
    while (first_.empty()) step();
    length -= first_.length;
    return std::exchange(first_, Slice{});
  }
  void drop_front(uint32_t n) {
    length -= n;
    while (n > first_.length) {
      n -= first_.length;
      step();
    }
    first_.drop_front(n);
  }
  void drop_back(uint32_t n) {
    length -= n;
    for (; n > 0 && !more_.empty(); more_ = more_.first(more_.size() - 1)) {
      const uint32_t part = std::min(n, more_.back().length);
      more_.back().drop_back(part);
      n -= part;
      if (!more_.back().empty()) return;
    }
    first_.drop_back(n);
  }
  std::byte at(size_t offset) const {
    if (offset < first_.length) return first_.bytes()[offset];
    offset -= first_.length;
    const Slice* slice = more_.data();
    for (; offset >= slice->length; ++slice) offset -= slice->length;
    return slice->bytes()[offset];
  }

 private:
  void step() {
    first_ = std::move(more_.front());
    more_ = more_.subspan(1);
  }

  Slice first_;
  std::span<Slice> more_;
};

}  // namespace limpid
