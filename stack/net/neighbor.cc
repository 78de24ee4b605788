#include "stack/net/neighbor.h"

#include <array>

namespace limpid {

size_t NeighborTable::Hasher::operator()(const NeighborKey& k) const {
  std::array<std::byte, 17> bytes;
  std::memcpy(bytes.data(), k.address.bytes().data(), 16);
  bytes[16] = std::byte{k.interface};
  return siphash(key, bytes);
}

Neighbor* NeighborTable::find(const NeighborKey& key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : entries_.get(found->second);
}

Neighbor& NeighborTable::create(const NeighborKey& key, std::deque<WaitingPacket>& evicted) {
  if (entries_.size() >= capacity_) {
    Neighbor& victim = unresolved_.empty() ? resolved_.front() : unresolved_.front();
    evicted = std::move(victim.waiting);
    erase(victim);
  }
  const NeighborId id = entries_.emplace();
  Neighbor& neighbor = *entries_.get(id);
  neighbor.key = key;
  neighbor.timer.owner = id.index;
  by_key_.emplace(key, id);
  touch(neighbor);
  return neighbor;
}

void NeighborTable::touch(Neighbor& neighbor) {
  neighbor.unlink();
  (neighbor.usable() ? resolved_ : unresolved_).push_back(neighbor);
}

Neighbor* NeighborTable::pop_due(Time now) {
  const TimerEntry* due = timers_.pop_due(now);
  return due == nullptr ? nullptr : entries_.at(due->owner);
}

void NeighborTable::erase(Neighbor& neighbor) {
  timers_.remove(neighbor.timer);
  const auto found = by_key_.find(neighbor.key);
  const NeighborId id = found->second;
  by_key_.erase(found);
  entries_.erase(id);
}

}  // namespace limpid
