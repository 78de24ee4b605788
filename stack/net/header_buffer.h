// Room for the headers of one outgoing packet, filled from the back: the transport writes its header first, IP puts
// its own in front of it, the interface its Ethernet header in front of that.
//
//   |<-------- free --------| Ethernet 14 | IPv4 20..60 | TCP 20..60 |
#pragma once

#include <array>

#include "stack/base/bytes.h"

namespace limpid {

class HeaderBuffer {
 public:
  static constexpr size_t kCapacity = 192;

  // Room for `n` more bytes in front of what is there; the caller fills all of it.
  MutableByteSpan prepend(size_t n) {
    begin_ -= n;
    return MutableByteSpan(bytes_).subspan(begin_, n);
  }
  void drop_front(size_t n) { begin_ += n; }
  void clear() { begin_ = kCapacity; }
  // What was put in first, or last.
  MutableByteSpan innermost(size_t n) { return MutableByteSpan(bytes_).last(n); }
  MutableByteSpan outermost(size_t n) { return MutableByteSpan(bytes_).subspan(begin_, n); }
  ByteSpan bytes() const { return ByteSpan(bytes_).subspan(begin_); }
  size_t size() const { return kCapacity - begin_; }

 private:
  std::array<std::byte, kCapacity> bytes_;
  size_t begin_ = kCapacity;
};

}  // namespace limpid
