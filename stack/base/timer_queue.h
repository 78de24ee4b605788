// Deadlines of many owners in one queue: a binary heap of (deadline, insertion order), and each owner has one entry.
//
// Ties break by insertion, so that two runs of the same inputs fire in the same order. An owner's entry is moved
// lazily: a deadline that goes later is left where it is and re-armed when it comes up; only an earlier one moves the
// entry. So the usual case, an ACK that pushes the retransmission timer back, costs one store.
#pragma once

#include <cstdint>

#include "stack/base/paged_array.h"
#include "stack/base/time.h"

namespace limpid {

// What an owner keeps: the true deadline, and where its entry sits in the heap.
struct TimerEntry {
  TimerEntry() = default;
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;

  Time deadline = kNever;            // when the owner wants to be called; kNever: not at all
  uint32_t heap_index = UINT32_MAX;  // UINT32_MAX: not in the heap
  uint32_t owner = 0;                // what the queue's user calls the owner (an index into a slab)
  uint8_t owner_kind = 0;
};

class TimerQueue {
 public:
  // Sets the owner's deadline; kNever disarms.
  void set(TimerEntry& entry, Time deadline) {
    if (deadline != entry.deadline) move(entry, deadline);
  }
  void remove(TimerEntry& entry);
  // What `from` has in the queue is `to`'s from now on, place and order included. `to` is not in it.
  void hand_over(TimerEntry& from, TimerEntry& to);

  // The earliest time at which an entry may be due. May be early, never late: an entry that was pushed back
  // shows its old place until it is looked at.
  Time next_deadline() const { return heap_.size() == 0 ? kNever : heap_[0].at; }

  // The next owner whose deadline is due, removed from the queue; null when none is.
  TimerEntry* pop_due(Time now);

  size_t size() const { return heap_.size(); }

 private:
  struct Node {
    Time at{};
    uint64_t order = 0;
    TimerEntry* entry = nullptr;
  };
  void move(TimerEntry& entry, Time deadline);
  static bool before(const Node& a, const Node& b) { return a.at != b.at ? a.at < b.at : a.order < b.order; }
  void place(size_t i, const Node& node);
  void sift_up(size_t i);
  void sift_down(size_t i);
  void erase_at(size_t i);

  PagedArray<Node> heap_;  // grows without a move of all
  uint64_t next_order_ = 0;
};

}  // namespace limpid
