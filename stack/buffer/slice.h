// A slice: some bytes of a frame, and a reference that keeps the frame alive.
#pragma once

#include <cstdint>

#include "stack/buffer/frame.h"

namespace limpid {

struct Slice {
  FrameRef frame;
  uint32_t begin = 0;  // offset into the frame's storage (not its data(), which may move)
  uint32_t length = 0;

  // All of the frame's packet.
  static Slice whole(FrameRef f) {
    const uint32_t b = f->begin;
    const uint32_t n = f->length;
    return {std::move(f), b, n};
  }

  ByteSpan bytes() const { return length == 0 ? ByteSpan{} : ByteSpan{frame->storage() + begin, length}; }
  bool empty() const { return length == 0; }
  void drop_front(uint32_t n) {
    begin += n;
    length -= n;
  }
  void drop_back(uint32_t n) { length -= n; }
  // What this slice keeps from being reused: the memory that a socket is charged for.
  uint32_t pinned() const { return frame ? frame->capacity : 0; }
};

}  // namespace limpid
