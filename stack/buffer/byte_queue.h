// The send queue: bytes in stable chunks, addressed by their position in the stream (the first byte ever sent is 0).
//
//      begin()                                       end()
//        | acknowledged next   sent   |   not sent yet  |
//   [ chunk ][ chunk ][ chunk ][ chunk                  | room ]
//
// User bytes are copied in once, or written by the user into a chunk that the queue then takes; segments, sent for the
// first or the fifth time, are slices of the chunks. A chunk does not move and does not change until all of it is
// acknowledged. Small writes share a chunk; an empty queue owns none.
#pragma once

#include <cstdint>
#include <span>

#include "stack/base/bytes.h"
#include "stack/base/members.h"
#include "stack/base/ring.h"
#include "stack/buffer/chunk_pool.h"

namespace limpid {

class ByteQueue {
 public:
  uint64_t begin() const { return begin_; }  // position of the oldest byte held
  uint64_t end() const { return end_; }      // one past the newest
  size_t size() const { return static_cast<size_t>(end_ - begin_); }
  bool empty() const { return begin_ == end_; }
  size_t memory() const { return memory_; }  // bytes of chunks
  bool owns_nothing() const { return chunks_.empty(); }

  void append(ByteSpan bytes, ChunkPool& pool);  // the pool outlives the queue
  // Takes a chunk of the pool whose first `length` bytes the user has written. A few are copied behind what is there
  // instead, so that they do not keep a whole chunk.
  void adopt(ChunkPool::Memory chunk, size_t length, ChunkPool& pool);
  // Releases everything before `position` (acknowledged); begin() <= position <= end().
  void consume_to(uint64_t position);
  void clear();

  // The bytes [from, from + length) as pieces, where they lie; returns how many pieces were used. All of the range
  // must be held. If `pieces` is too short the range is cut there: `covered` says how many bytes the pieces hold.
  struct Gathered {
    size_t pieces = 0;
    size_t covered = 0;
  };
  Gathered gather(uint64_t from, size_t length, std::span<ByteSpan> pieces) const;

 private:
  struct Chunk {
    uint64_t first = 0;  // position of its first byte
    uint32_t used = 0;
    uint32_t capacity = 0;
    ChunkPool::Memory bytes;
  };
  void add_chunk(size_t wanted, ChunkPool& pool);
  size_t chunk_of(uint64_t position) const;

  Ring<Chunk> chunks_;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
  size_t memory_ = 0;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(Elsewhere<Ring<Chunk>>{}, &ByteQueue::begin_, &ByteQueue::end_, &ByteQueue::memory_);
  }
};

}  // namespace limpid
