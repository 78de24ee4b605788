#include "stack/buffer/chunk_pool.h"

#include <new>
#include <utility>

namespace limpid {

ChunkPool::~ChunkPool() {
  while (free_ != nullptr) delete[] reinterpret_cast<std::byte*>(std::exchange(free_, free_->next));
}

ChunkPool::Memory ChunkPool::take() {
  if (free_ == nullptr) return Memory(new std::byte[kChunk], GiveBack{this});
  --kept_;
  return Memory(reinterpret_cast<std::byte*>(std::exchange(free_, free_->next)), GiveBack{this});
}

void ChunkPool::give_back(std::byte* chunk) {
  if (kept_ == kMostKept) {
    delete[] chunk;
    return;
  }
  free_ = new (chunk) Free{free_};
  ++kept_;
}

}  // namespace limpid
