// All connections of a stack: the whole ones, and those that were folded (fold.h) because nothing happened on them.
//
//   slots_  | generation, Connection* | generation, piece of bytes | …        16 bytes each, named by handles
//
// Whoever asks for a connection gets a whole one: get() and at() unfold what is folded. What is only looked at can stay
// as it is: look() and each() show a copy.
//
// `TcpConfig::whole_connections` stay whole. Beyond those, whoever was not used since it was last looked at is folded
// if it is quiet (the algorithm known as CLOCK); with something under way, it is looked at again when something happens
// on it. A few are looked at in each step, so that no step waits for all of them; and when none comes, a few each tenth
// of a second.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "stack/base/intrusive_list.h"
#include "stack/base/paged_array.h"
#include "stack/base/piece_store.h"
#include "stack/tcp/connection.h"
#include "stack/tcp/fold.h"

namespace limpid {

class ConnectionTable {
 public:
  ConnectionTable(TcpEnvironment& env, const Demux& demux) : env_(env), demux_(demux) {}
  ConnectionTable(const ConnectionTable&) = delete;
  ConnectionTable& operator=(const ConnectionTable&) = delete;

  // Its demux entry and its timer know its index.
  Handle<Connection> emplace(uint32_t number, const FourTuple& tuple, const Path& path, const TcpOptions& options);
  void erase(Handle<Connection> handle);  // of a whole one

  // Null when the handle is stale or empty.
  Connection* get(Handle<Connection> h) { return contains(h) ? at(h.index) : nullptr; }
  bool contains(Handle<Connection> h) const {
    return h.index < slots_.size() && slots_[h.index].generation == h.generation;
  }
  // Null when nothing lives there.
  Connection* at(uint32_t index) {
    Slot& slot = slots_[index];
    if (!slot.whole) return slot.folded() ? &unfold(index) : nullptr;
    touch(*slot.whole);
    return slot.whole.get();
  }
  Handle<Connection> handle_at(uint32_t index) const { return {index, slots_[index].generation}; }

  // Something happens on it.
  void touch(Connection& c) {
    c.used_ = true;
    if (!c.ListHook<ClockTag>::linked()) join(c);
  }

  // Shows the connection, or a copy of it; false when there is none.
  template <class Look>
  bool look(Handle<Connection> h, Look&& show) const {
    return contains(h) && look_at(h.index, show);
  }
  template <class Look>
  void each(Look&& show) const {  // in the order of their indices
    for (uint32_t i = 0; i < slots_.size(); ++i) look_at(i, show);
  }
  template <class Look>
  void each_whole(Look&& show) const {
    for (uint32_t i = 0; i < slots_.size(); ++i)
      if (const Connection* c = slots_[i].whole.get()) show(*c);
  }

  uint32_t size() const { return whole_ + folded_; }
  uint32_t folded() const { return folded_; }

  // At the end of each step; and when to come back for it.
  void fold_idle(Time now) {
    if (whole_ > env_.config.whole_connections && !clock_.empty()) fold_some(now);
  }
  Time next_look() const { return whole_ > env_.config.whole_connections && !clock_.empty() ? look_again_ : kNever; }

  // What is folded comes out as it went in; null if so. Of thousands a part is looked at, another one with each that is
  // folded.
  const char* broken_invariant(Time now) const;

 private:
  static constexpr uint32_t kFree = uint32_t{1} << 31;
  static constexpr uint32_t kNone = kFree - 1;
  static constexpr uint32_t kHasTimer = uint32_t{1} << 31;  // of a record's first word
  static constexpr uint32_t kLooks = 2;                     // in each step,
  static constexpr uint32_t kLooksEach = 4;                 // more for each connection that joined,
  static constexpr uint32_t kLooksIdle = 256;
  static constexpr Duration kLookAgain = 100ms;

  struct Slot {
    std::unique_ptr<Connection> whole;
    uint32_t generation = 1;
    uint32_t piece = kFree;  // of the folded one; with kFree: the next free slot

    bool folded() const { return !whole && (piece & kFree) == 0; }
  };
  // A record, taken apart.
  struct Record {
    uint32_t node = 0;  // in the demux
    TimerEntry* timer = nullptr;
    ByteSpan numbers;
  };

  void join(Connection& c) {
    clock_.push_back(c);
    ++joined_;
  }
  void fold_some(Time now);
  bool fold(Connection& c);
  bool choose_likeness(Connection& first);
  Connection& unfold(uint32_t index);
  Record record_of(const Slot& slot) const;
  FoldPlace place_of(uint32_t index, const FourTuple& tuple) const {
    return {tuple, {SocketId::Kind::tcp, index, slots_[index].generation}};
  }
  std::unique_ptr<Connection> copy_of(uint32_t index) const;
  template <class Look>
  bool look_at(uint32_t index, Look&& show) const {
    const Slot& slot = slots_[index];
    if (slot.whole) {
      show(std::as_const(*slot.whole));
    } else if (slot.folded()) {
      show(std::as_const(*copy_of(index)));
    } else {
      return false;
    }
    return true;
  }

  TcpEnvironment& env_;
  const Demux& demux_;
  PagedArray<Slot> slots_;
  PieceStore pieces_;
  // What the others are written as a difference from: the connection that was folded first, as it was then.
  std::unique_ptr<Connection> like_;
  IntrusiveList<Connection, ClockTag> clock_;  // whole ones, to be looked at in this order
  Time look_again_{};
  uint32_t joined_ = 0;  // the clock, since a few were looked at
  uint32_t free_slot_ = kNone;
  uint32_t whole_ = 0;
  uint32_t folded_ = 0;
};

}  // namespace limpid
