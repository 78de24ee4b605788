// Memory for what is to be sent, in chunks of one size. The one that was given back last is taken first: it is still in
// the processor's cache, and a stream that is acknowledged as fast as it is written never touches new memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace limpid {

class ChunkPool {
 public:
  static constexpr size_t kChunk = size_t{32} * 1024;
  static constexpr size_t kMostKept = 64;  // more than so many free ones go back to the system

  // Gives a chunk back to its pool; what has none is freed.
  struct GiveBack {
    ChunkPool* pool = nullptr;
    void operator()(std::byte* chunk) const {
      if (pool != nullptr) {
        pool->give_back(chunk);
      } else {
        delete[] chunk;
      }
    }
  };
  using Memory = std::unique_ptr<std::byte[], GiveBack>;

  ChunkPool() = default;
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();

  Memory take();  // kChunk bytes
  size_t kept() const { return kept_; }

 private:
  struct Free {
    Free* next;
  };
  void give_back(std::byte* chunk);

  Free* free_ = nullptr;
  size_t kept_ = 0;
};

}  // namespace limpid
