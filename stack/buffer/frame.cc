#include "stack/buffer/frame.h"

#include <cstdlib>
#include <new>

namespace limpid {

FramePool::~FramePool() {
  for (Frame* list : {free_small_, free_large_}) {
    while (list != nullptr) std::free(std::exchange(list, list->next_free));
  }
}

FrameRef FramePool::make(uint32_t payload) {
  if (payload <= kSmall) return FrameRef(take(free_small_, kSmall));
  if (payload <= kLarge) return FrameRef(take(free_large_, kLarge));
  return {};
}

FrameRef FramePool::copy(ByteSpan bytes) {
  FrameRef frame = make(static_cast<uint32_t>(bytes.size()));
  if (!frame) return frame;
  if (!bytes.empty()) std::memcpy(frame->data(), bytes.data(), bytes.size());
  frame->length = static_cast<uint32_t>(bytes.size());
  return frame;
}

Frame* FramePool::take(Frame*& free_list, uint32_t payload_room) {
  const uint32_t capacity = kHeadroom + payload_room;
  Frame* frame = free_list;
  if (frame != nullptr) {
    free_list = frame->next_free;
  } else {
    if (bytes_allocated_ + sizeof(Frame) + capacity > limit_bytes_) return nullptr;
    void* memory = std::malloc(sizeof(Frame) + capacity);
    if (memory == nullptr) return nullptr;
    frame = new (memory) Frame{};
    bytes_allocated_ += sizeof(Frame) + capacity;
  }
  *frame = Frame{.pool = this,
                 .next_free = nullptr,
                 .references = 1,
                 .capacity = capacity,
                 .begin = kHeadroom,
                 .length = 0,
                 .offload = {}};
  ++frames_out_;
  return frame;
}

void FramePool::recycle(Frame* frame) {
  --frames_out_;
  Frame*& list = frame->capacity == kHeadroom + kSmall ? free_small_ : free_large_;
  frame->next_free = list;
  list = frame;
}

}  // namespace limpid
