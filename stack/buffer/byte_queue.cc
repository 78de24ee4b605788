#include "stack/buffer/byte_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace limpid {

void ByteQueue::append(ByteSpan bytes, ChunkPool& pool) {
  while (!bytes.empty()) {
    if (chunks_.empty() || chunks_.back().used == chunks_.back().capacity) add_chunk(bytes.size(), pool);
    Chunk& chunk = chunks_.back();
    const size_t n = std::min<size_t>(bytes.size(), chunk.capacity - chunk.used);
    std::memcpy(chunk.bytes.get() + chunk.used, bytes.data(), n);
    chunk.used += static_cast<uint32_t>(n);
    end_ += n;
    bytes = bytes.subspan(n);
  }
}

void ByteQueue::adopt(ChunkPool::Memory chunk, size_t length, ChunkPool& pool) {
  if (length < ChunkPool::kChunk / 4) return append({chunk.get(), length}, pool);
  chunks_.push_back({.first = end_,
                     .used = static_cast<uint32_t>(length),
                     .capacity = static_cast<uint32_t>(ChunkPool::kChunk),
                     .bytes = std::move(chunk)});
  end_ += length;
  memory_ += ChunkPool::kChunk;
}

void ByteQueue::add_chunk(size_t wanted, ChunkPool& pool) {
  const bool small = chunks_.empty() && wanted <= ChunkPool::kSmall;
  const size_t capacity = small ? ChunkPool::kSmall : ChunkPool::kChunk;
  chunks_.push_back({.first = end_,
                     .used = 0,
                     .capacity = static_cast<uint32_t>(capacity),
                     .bytes = small ? pool.take_small() : pool.take()});
  memory_ += capacity;
}

void ByteQueue::consume_to(uint64_t position) {
  begin_ = position;
  while (!chunks_.empty() && chunks_.front().first + chunks_.front().used <= position) {
    memory_ -= chunks_.front().capacity;
    chunks_.pop_front();
  }
}

void ByteQueue::clear() {
  chunks_.clear();
  memory_ = 0;
  begin_ = end_;
}

// The index of the chunk that holds this position: the last one that begins at or before it.
size_t ByteQueue::chunk_of(uint64_t position) const {
  size_t low = 0;
  size_t high = chunks_.size();
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (chunks_[middle].first <= position ? low : high) = middle;
  }
  return low;
}

ByteQueue::Gathered ByteQueue::gather(uint64_t from, size_t length, std::span<ByteSpan> pieces) const {
  Gathered done;
  if (length == 0) return done;
  const size_t first = chunk_of(from);
  if (const Chunk& chunk = chunks_[first]; from + length <= chunk.first + chunk.used) {  // nearly always
    pieces[0] = ByteSpan(chunk.bytes.get() + (from - chunk.first), length);
    return {.pieces = 1, .covered = length};
  }
  for (size_t i = first; done.covered < length && done.pieces < pieces.size(); ++i) {
    const Chunk& chunk = chunks_[i];
    const size_t offset = static_cast<size_t>(from + done.covered - chunk.first);
    const size_t n = std::min(length - done.covered, chunk.used - offset);
    pieces[done.pieces++] = ByteSpan(chunk.bytes.get() + offset, n);
    done.covered += n;
  }
  return done;
}

}  // namespace limpid
