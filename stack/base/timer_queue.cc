#include "stack/base/timer_queue.h"

#include <utility>

namespace limpid {

void TimerQueue::move(TimerEntry& entry, Time deadline) {
  entry.deadline = deadline;
  if (deadline == kNever) return remove(entry);
  if (entry.heap_index == UINT32_MAX) {
    heap_.push_back() = {deadline, next_order_++, &entry};
    entry.heap_index = static_cast<uint32_t>(heap_.size() - 1);
    sift_up(entry.heap_index);
    return;
  }
  Node& node = heap_[entry.heap_index];
  if (deadline >= node.at) return;  // lazily: found out when the old place comes up
  node.at = deadline;
  node.order = next_order_++;
  sift_up(entry.heap_index);
}

void TimerQueue::remove(TimerEntry& entry) {
  entry.deadline = kNever;
  if (entry.heap_index != UINT32_MAX) erase_at(entry.heap_index);
}

void TimerQueue::hand_over(TimerEntry& from, TimerEntry& to) {
  to.deadline = std::exchange(from.deadline, kNever);
  to.heap_index = std::exchange(from.heap_index, UINT32_MAX);
  if (to.heap_index != UINT32_MAX) heap_[to.heap_index].entry = &to;
}

TimerEntry* TimerQueue::pop_due(Time now) {
  while (heap_.size() > 0 && heap_[0].at <= now) {
    TimerEntry& entry = *heap_[0].entry;
    if (entry.deadline <= now) {
      remove(entry);
      return &entry;
    }
    heap_[0].at = entry.deadline;  // it was pushed back meanwhile
    heap_[0].order = next_order_++;
    sift_down(0);
  }
  return nullptr;
}

void TimerQueue::place(size_t i, const Node& node) {
  heap_[i] = node;
  node.entry->heap_index = static_cast<uint32_t>(i);
}

void TimerQueue::sift_up(size_t i) {
  const Node node = heap_[i];
  while (i > 0 && before(node, heap_[(i - 1) / 2])) {
    place(i, heap_[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  place(i, node);
}

void TimerQueue::sift_down(size_t i) {
  const Node node = heap_[i];
  for (size_t child = 2 * i + 1; child < heap_.size(); child = 2 * i + 1) {
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], node)) break;
    place(i, heap_[child]);
    i = child;
  }
  place(i, node);
}

void TimerQueue::erase_at(size_t i) {
  heap_[i].entry->heap_index = UINT32_MAX;
  const Node last = heap_[heap_.size() - 1];
  heap_.pop_back();
  if (i == heap_.size()) return;
  place(i, last);
  sift_up(i);
  sift_down(last.entry->heap_index);
}

}  // namespace limpid
