// The neighbors on our Ethernet links: IP address -> link address, and the packets that wait for one.
//
//               a packet needs it            ARP reply
//   (no entry) ------------------> incomplete ---------> reachable <-----------.
//                                      |                     | 30 s passed,     | ARP reply
//                      3 requests      |                     v it is used again |
//                      unanswered      v        3 requests probing ------------'
//                                   failed <---------------- (packets go on to the address known so far)
//
// The table is bounded. What is not resolved goes before what is, the longest unused first, so that a scan of a network
// pushes out its own entries and not those of peers that answer.
#pragma once

#include <deque>
#include <unordered_map>

#include "stack/base/intrusive_list.h"
#include "stack/base/siphash.h"
#include "stack/base/slab.h"
#include "stack/base/timer_queue.h"
#include "stack/base/trace.h"
#include "stack/buffer/frame.h"
#include "stack/net/ip.h"
#include "stack/wire/address.h"

namespace limpid {

struct NeighborKey {
  InterfaceId interface = 0;
  IpAddress address;
  friend bool operator==(const NeighborKey&, const NeighborKey&) = default;
};

// A packet that waits: from its IP header on. What was left undone on it stays so (the frame says what).
struct WaitingPacket {
  FrameRef frame;
  uint32_t headers = 0;  // bytes, IP and transport
  EventNumber event = 0;
};

struct Neighbor : ListHook<> {
  enum class State : uint8_t { incomplete, reachable, stale, probing, failed };

  NeighborKey key;
  MacAddress mac;
  State state = State::incomplete;
  Time confirmed{};     // when it last answered us
  Time last_request{};  // at most one a second: RFC 1122 §2.3.2.1
  bool asked = false;   // last_request means something
  uint32_t tries = 0;   // requests in this round
  std::deque<WaitingPacket> waiting;
  TimerEntry timer;

  bool usable() const { return state == State::reachable || state == State::stale || state == State::probing; }
};
using NeighborId = Handle<Neighbor>;

class NeighborTable {
 public:
  NeighborTable(uint32_t capacity, const SipKey& key) : capacity_(capacity), by_key_(16, Hasher{key}) {}

  Neighbor* find(const NeighborKey& key);
  // A new entry in state incomplete. When the table is full another goes; `evicted` gets the packets that waited for
  // it.
  Neighbor& create(const NeighborKey& key, std::deque<WaitingPacket>& evicted);
  // It was used, or changed its state: the youngest now.
  void touch(Neighbor& neighbor);

  void set_timer(Neighbor& neighbor, Time deadline) { timers_.set(neighbor.timer, deadline); }
  Time next_deadline() const { return timers_.next_deadline(); }
  Neighbor* pop_due(Time now);

  uint32_t size() const { return entries_.size(); }
  uint32_t index_end() const { return entries_.capacity(); }
  Neighbor* at(uint32_t index) { return entries_.at(index); }  // null: nothing lives there

 private:
  struct Hasher {
    SipKey key;
    size_t operator()(const NeighborKey& k) const;
  };
  void erase(Neighbor& neighbor);

  uint32_t capacity_;
  Slab<Neighbor> entries_;
  std::unordered_map<NeighborKey, NeighborId, Hasher> by_key_;  // never iterated
  IntrusiveList<Neighbor> resolved_;                            // the longest unused first
  IntrusiveList<Neighbor> unresolved_;
  TimerQueue timers_;
};

}  // namespace limpid
