// Frames: the memory that packets live in. Pooled in two sizes, counted, with headroom.
//
//   storage()                data()                     tail
//   |<------ headroom ------>|<------- length --------->|<--- tailroom --->|
//   | virtio-net, Ethernet   | the packet               |                  |
//
// Counts are plain integers: a frame's count moves only under the lock of the stack that owns its pool (the runtime
// hands a device empty frames beforehand, so that reads can run outside it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "stack/base/bytes.h"
#include "stack/base/frame_offload.h"

namespace limpid {

class FramePool;

struct Frame {
  FramePool* pool;
  Frame* next_free;
  uint32_t references;
  uint32_t capacity;     // bytes of storage, headroom included
  uint32_t begin;        // where the packet starts in storage
  uint32_t length;       // bytes of the packet
  FrameOffload offload;  // as the device gave it to us

  std::byte* storage() { return reinterpret_cast<std::byte*>(this + 1); }
  std::byte* data() { return storage() + begin; }
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(this + 1) + begin; }
  uint32_t tailroom() const { return capacity - begin - length; }
  ByteSpan bytes() const { return {data(), length}; }
  // The room for a device to read into: everything from `begin` on.
  MutableByteSpan writable() { return {data(), capacity - begin}; }
};

// A counted reference to a frame; null when empty.
class FrameRef {
 public:
  FrameRef() = default;
  explicit FrameRef(Frame* adopt) : frame_(adopt) {}
  FrameRef(const FrameRef& o) : frame_(o.frame_) {
    if (frame_ != nullptr) ++frame_->references;
  }
  FrameRef(FrameRef&& o) noexcept : frame_(std::exchange(o.frame_, nullptr)) {}
  FrameRef& operator=(const FrameRef& o) { return *this = FrameRef(o); }
  FrameRef& operator=(FrameRef&& o) noexcept {
    Frame* const taken = std::exchange(o.frame_, nullptr);
    reset();
    frame_ = taken;
    return *this;
  }
  ~FrameRef() { reset(); }

  void reset();
  explicit operator bool() const { return frame_ != nullptr; }
  Frame* operator->() const { return frame_; }
  Frame& operator*() const { return *frame_; }
  Frame* get() const { return frame_; }

 private:
  Frame* frame_ = nullptr;
};

class FramePool {
 public:
  static constexpr uint32_t kHeadroom = 64;        // virtio-net header, Ethernet header, alignment
  static constexpr uint32_t kSmall = 2048;         // holds an Ethernet frame of MTU 1500
  static constexpr uint32_t kLarge = 65536 + 256;  // holds the largest IP datagram or super-segment

  // At most `limit_bytes` of frames exist at once; past that make() gives null, which callers count and survive.
  explicit FramePool(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool();

  // An empty frame with room for `payload` bytes behind the headroom.
  FrameRef make(uint32_t payload);
  // A frame that holds a copy of these bytes.
  FrameRef copy(ByteSpan bytes);

  uint64_t frames_out() const { return frames_out_; }  // referenced now
  uint64_t bytes_allocated() const { return bytes_allocated_; }

 private:
  friend class FrameRef;
  void recycle(Frame* frame);
  Frame* take(Frame*& free_list, uint32_t payload_room);

  Frame* free_small_ = nullptr;  // last in, first out: the hottest frame is reused first
  Frame* free_large_ = nullptr;
  uint64_t limit_bytes_;
  uint64_t bytes_allocated_ = 0;
  uint64_t frames_out_ = 0;
};

inline void FrameRef::reset() {
  if (frame_ == nullptr) return;
  if (--frame_->references == 0) frame_->pool->recycle(frame_);
  frame_ = nullptr;
}

}  // namespace limpid
