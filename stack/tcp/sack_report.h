// What the receiving side reports in SACK options: text held beyond a gap (RFC 2018 §4), and text that came twice
// (D-SACK, RFC 2883 §4).
//
//   first: what came twice, once    then: the ranges of the latest arrivals, the newest first    then: any others held
//
// The ranges themselves are the reassembly queue's. Here is remembered only in what order they were touched, and only
// while there is a gap: a connection without one carries a null pointer.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "stack/buffer/reassembly_queue.h"
#include "stack/tcp/seq.h"

namespace limpid {

class SackReport {
 public:
  struct Block {
    SeqPos begin;
    SeqPos end;
    friend bool operator==(const Block&, const Block&) = default;
  };

  bool empty() const { return memory_ == nullptr; }

  // Text at this position arrived and is held: its range is the first to be reported, and once more with each of the
  // next arrivals, so that the loss of an ACK loses nothing.
  void note_held(SeqPos at, const ReassemblyQueue& queue);
  // To be reported in one ACK only, in the first place: text that came twice.
  void note_once(Block block);
  // The same for text that came last and was not kept: what comes after it makes that untrue (forget_discarded).
  void note_discarded(Block block);
  void forget_discarded() {
    if (memory_ && memory_->discarded) memory_->has_once = memory_->discarded = false;
  }

  // The blocks for the next segment; how many.
  size_t blocks(std::span<Block> out, const ReassemblyQueue& queue) const;
  // They were sent.
  void told(const ReassemblyQueue& queue) {
    if (!memory_) return;
    memory_->has_once = memory_->discarded = false;
    if (queue.out_of_order_bytes() == 0) memory_.reset();
  }

 private:
  struct Memory {
    std::array<uint64_t, 4> recent{};  // stream positions in the ranges touched last, newest first
    uint8_t count = 0;
    bool has_once = false;
    bool discarded = false;  // what `once` tells of
    Block once;
  };

  Memory& memory();

  std::unique_ptr<Memory> memory_;
};

}  // namespace limpid
