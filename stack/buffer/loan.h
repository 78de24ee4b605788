// Text that the user writes and reads where the stack keeps it, without a copy.
//
// Both live outside of their connection, so that they may outlive it; the pools that they come from outlive them. They
// are made, given back and destroyed under the stack's lock; only the bytes are touched without it.
#pragma once

#include <cstddef>
#include <vector>

#include "stack/buffer/chunk_pool.h"
#include "stack/buffer/reassembly_queue.h"

namespace limpid {

// Room for what is to be sent: whole chunks of the pool, the last of which may be promised in part.
struct SendRoom {
  std::vector<ChunkPool::Memory> chunks;
  size_t length = 0;
};

// What was received, in the frames that it came in.
struct LentText {
  static constexpr size_t kMostPieces = 1024;  // IOV_MAX: one writev() can take them all

  std::vector<ReassemblyQueue::Piece> pieces;
  size_t length = 0;
};

}  // namespace limpid
