#include "stack/tcp/connection_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace limpid {
namespace {

constexpr size_t kWord = sizeof(uint32_t);
constexpr size_t kTimerAt = PieceStore::kAlignment;

}  // namespace

Handle<Connection> ConnectionTable::emplace(uint32_t number, const FourTuple& tuple, const Path& path,
                                            const TcpOptions& options) {
  uint32_t index = free_slot_;
  if (index == kNone) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.push_back();
  } else {
    free_slot_ = slots_[index].piece & ~kFree;
  }
  Slot& slot = slots_[index];
  slot.whole = std::make_unique<Connection>(env_, number, tuple, path, options);
  slot.whole->demux_.owner.index = index;
  slot.whole->timer_.owner = index;
  ++whole_;
  touch(*slot.whole);
  return {index, slot.generation};
}

void ConnectionTable::erase(Handle<Connection> handle) {
  Slot& slot = slots_[handle.index];
  slot.whole.reset();
  slot.piece = free_slot_ | kFree;
  free_slot_ = handle.index;
  ++slot.generation;
  --whole_;
}

// --- when -----------------------------------------------------------------------------------------------------------

void ConnectionTable::fold_some(Time now) {
  const uint32_t keep = env_.config.whole_connections;
  uint32_t looks = now >= look_again_ ? kLooksIdle : kLooks + kLooksEach * std::min(joined_, kLooksIdle);
  if (keep == 0) looks = UINT32_MAX;  // all that are quiet
  while (looks-- > 0 && whole_ > keep && !clock_.empty()) {
    Connection& c = clock_.pop_front();
    if (std::exchange(c.used_, false) && keep > 0) {
      clock_.push_back(c);
    } else if (c.quiet()) {
      fold(c);
    }
  }
  joined_ = 0;
  look_again_ = now + kLookAgain;
}

// --- records --------------------------------------------------------------------------------------------------------

bool ConnectionTable::fold(Connection& c) {
  if (!like_ && !choose_likeness(c)) return false;
  const uint32_t index = c.demux_.owner.index;
  const bool timed = c.timer_.heap_index != UINT32_MAX;
  const size_t begin = timed ? kTimerAt + sizeof(TimerEntry) : kWord;
  std::array<std::byte, PieceStore::kLargest> numbers;
  const size_t length = limpid::fold(c, *like_, place_of(index, c.tuple()), numbers);
  if (length == 0 || begin + length > PieceStore::kLargest) return false;

  const PieceStore::Name piece = pieces_.take(begin + length);
  std::byte* at = pieces_.at(piece);
  const uint32_t word = c.demux_.node | (timed ? kHasTimer : 0);
  std::memcpy(at, &word, kWord);
  if (timed) {
    auto* timer = new (at + kTimerAt) TimerEntry;
    timer->owner = index;
    timer->owner_kind = c.timer_.owner_kind;
    env_.timers.hand_over(c.timer_, *timer);
  }
  std::memcpy(at + begin, numbers.data(), length);
  slots_[index].whole.reset();
  slots_[index].piece = piece;
  --whole_;
  ++folded_;
  env_.counters.add(Counter::tcp_folds);
  return true;
}

ConnectionTable::Record ConnectionTable::record_of(const Slot& slot) const {
  std::byte* at = pieces_.at(slot.piece);
  Record record;
  std::memcpy(&record.node, at, kWord);
  size_t begin = kWord;
  if ((record.node & kHasTimer) != 0) {
    record.node &= ~kHasTimer;
    record.timer = std::launder(reinterpret_cast<TimerEntry*>(at + kTimerAt));
    begin = kTimerAt + sizeof(TimerEntry);
  }
  record.numbers = {at + begin, PieceStore::size_of(slot.piece) - begin};
  return record;
}

std::unique_ptr<Connection> ConnectionTable::copy_of(uint32_t index) const {
  const Record record = record_of(slots_[index]);
  const FourTuple tuple = demux_.tuple_of(record.node);
  auto c = std::make_unique<Connection>(env_, 0, tuple, like_->path(), like_->options());
  limpid::unfold(*c, *like_, place_of(index, tuple), record.numbers);
  return c;
}

Connection& ConnectionTable::unfold(uint32_t index) {
  Slot& slot = slots_[index];
  const Record record = record_of(slot);
  slot.whole = copy_of(index);
  Connection& c = *slot.whole;
  c.demux_.owner.index = index;
  c.demux_.node = record.node;
  c.timer_.owner = index;
  if (record.timer != nullptr) env_.timers.hand_over(*record.timer, c.timer_);
  pieces_.give_back(slot.piece);
  --folded_;
  ++whole_;
  env_.counters.add(Counter::tcp_unfolds);
  touch(c);
  return c;
}

bool ConnectionTable::choose_likeness(Connection& first) {
  const FoldPlace place{first.tuple(), first.id()};
  const Connection bare(env_, 0, first.tuple(), first.path(), first.options());
  std::array<std::byte, 8 * PieceStore::kLargest> numbers;
  if (limpid::fold(first, bare, place, numbers) == 0) return false;
  like_ = std::make_unique<Connection>(env_, 0, first.tuple(), first.path(), first.options());
  limpid::unfold(*like_, bare, place, numbers);
  return true;
}

const char* ConnectionTable::broken_invariant(Time now) const {
  constexpr size_t kAtMost = 64;
  const auto stride = static_cast<uint32_t>(std::max<size_t>(slots_.size() / kAtMost, 1));
  for (uint32_t i = folded_ % stride; i < slots_.size(); i += stride) {
    if (!slots_[i].folded()) continue;
    const Record record = record_of(slots_[i]);
    const auto c = copy_of(i);
    std::array<std::byte, PieceStore::kLargest> again;
    const size_t length = limpid::fold(*c, *like_, place_of(i, c->tuple()), again);
    if (const char* broken = c->broken_invariant(now)) return broken;
    if (!c->quiet()) return "a folded connection is not quiet";
    if (length > record.numbers.size() ||
        !std::ranges::equal(ByteSpan(again).first(length), record.numbers.first(length)))
      return "what was folded comes out as something else";
    if (record.timer != nullptr && record.timer->deadline != c->next_deadline())
      return "the timer of a folded connection is not its own";
  }
  return nullptr;
}

}  // namespace limpid
