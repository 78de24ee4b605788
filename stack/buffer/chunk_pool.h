// Memory for what is to be sent, in chunks of two sizes. The one that was given back last is taken first: it is still
// in the processor's cache, and a stream that is acknowledged as fast as it is written never touches new memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace limpid {

class ChunkPool {
 public:
  static constexpr size_t kChunk = size_t{32} * 1024;
  static constexpr size_t kSmall = 1024;   // a request or a keystroke: most connections never hold more
  static constexpr size_t kMostKept = 64;  // of a size: more free ones go back to the system

  // Gives a chunk back to its pool; what has none is freed.
  struct GiveBack {
    ChunkPool* pool = nullptr;
    bool small = false;
    void operator()(std::byte* chunk) const {
      if (pool != nullptr) {
        (small ? pool->small_ : pool->large_).give_back(chunk);
      } else {
        delete[] chunk;
      }
    }
  };
  using Memory = std::unique_ptr<std::byte[], GiveBack>;

  ChunkPool() = default;
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  Memory take() { return {large_.take(kChunk), {this, false}}; }
  Memory take_small() { return {small_.take(kSmall), {this, true}}; }
  size_t kept() const { return large_.kept; }
  size_t bytes_in_use() const { return large_.out * kChunk + small_.out * kSmall; }

 private:
  struct Free {
    Free* next;
  };
  // The free ones of a size.
  struct Shelf {
    Shelf() = default;
    Shelf(const Shelf&) = delete;
    Shelf& operator=(const Shelf&) = delete;
    ~Shelf();
    std::byte* take(size_t size);
    void give_back(std::byte* chunk);

    Free* free = nullptr;
    size_t kept = 0;
    size_t out = 0;
  };

  Shelf large_;
  Shelf small_;
};

}  // namespace limpid
