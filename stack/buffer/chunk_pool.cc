#include "stack/buffer/chunk_pool.h"

#include <new>
#include <utility>

namespace limpid {

ChunkPool::Shelf::~Shelf() {
  while (free != nullptr) delete[] reinterpret_cast<std::byte*>(std::exchange(free, free->next));
}

std::byte* ChunkPool::Shelf::take(size_t size) {
  ++out;
  if (free == nullptr) return new std::byte[size];
  --kept;
  return reinterpret_cast<std::byte*>(std::exchange(free, free->next));
}

void ChunkPool::Shelf::give_back(std::byte* chunk) {
  --out;
  if (kept == kMostKept) {
    delete[] chunk;
    return;
  }
  free = new (chunk) Free{free};
  ++kept;
}

}  // namespace limpid
