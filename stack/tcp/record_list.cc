#include "stack/tcp/record_list.h"

#include <algorithm>
#include <iterator>

namespace limpid {

RecordList::Pos RecordList::next(Pos p) const {
  if (++p.slot < chunks_[p.chunk]->end) return p;
  ++p.chunk;
  p.slot = valid(p) ? chunks_[p.chunk]->begin : 0;
  return p;
}

RecordList::Pos RecordList::prev(Pos p) const {
  if (p.slot > chunks_[p.chunk]->begin) return {p.chunk, p.slot - 1};
  return {p.chunk - 1, chunks_[p.chunk - 1]->end - 1};
}

RecordList::Pos RecordList::find(SeqPos at) const {
  const Pos none{chunks_.size(), 0};
  if (empty() || at < front().seq || at >= back().end) return none;
  const auto chunk = std::partition_point(chunks_.begin(), chunks_.end(),
                                          [at](const auto& c) { return c->records[c->end - 1].end <= at; });
  const Chunk& c = **chunk;
  size_t low = c.begin;
  size_t high = c.end - 1;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (c.records[middle].end <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return {static_cast<size_t>(chunk - chunks_.begin()), low};
}

void RecordList::push_back(const SendRecord& record) {
  if (chunks_.empty() || chunks_.back()->end == kChunk) chunks_.push_back(std::make_unique<Chunk>());
  Chunk& c = *chunks_.back();
  c.records[c.end++] = record;
  ++size_;
}

void RecordList::pop_front() {
  --size_;
  Chunk& c = *chunks_.front();
  if (++c.begin == c.end) release(0);
}

// A chunk that has become empty.
void RecordList::release(size_t chunk) {
  if (size_ > 0) {
    chunks_.erase(chunks_.begin() + static_cast<ptrdiff_t>(chunk));
  } else {
    chunks_.front()->begin = chunks_.front()->end = 0;
  }
}

// After this the chunk of `p` has a free slot behind its last record.
void RecordList::make_room(Pos& p) {
  Chunk& c = *chunks_[p.chunk];
  if (c.end < kChunk) return;
  if (c.begin > 0) {
    std::move(c.records.begin() + static_cast<ptrdiff_t>(c.begin), c.records.begin() + static_cast<ptrdiff_t>(c.end),
              c.records.begin());
    p.slot -= c.begin;
    c.end -= c.begin;
    c.begin = 0;
    return;
  }
  auto half = std::make_unique<Chunk>();
  constexpr size_t kKept = kChunk / 2;
  std::move(c.records.begin() + kKept, c.records.end(), half->records.begin());
  half->end = kChunk - kKept;
  c.end = kKept;
  chunks_.insert(chunks_.begin() + static_cast<ptrdiff_t>(p.chunk) + 1, std::move(half));
  if (p.slot >= kKept) p = {p.chunk + 1, p.slot - kKept};
}

RecordList::Pos RecordList::insert_after(Pos p, const SendRecord& record) {
  make_room(p);
  Chunk& c = *chunks_[p.chunk];
  const auto at = c.records.begin() + static_cast<ptrdiff_t>(p.slot) + 1;
  std::move_backward(at, c.records.begin() + static_cast<ptrdiff_t>(c.end),
                     c.records.begin() + static_cast<ptrdiff_t>(c.end) + 1);
  *at = record;
  ++c.end;
  ++size_;
  return {p.chunk, p.slot + 1};
}

void RecordList::erase(Pos p) {
  --size_;
  Chunk& c = *chunks_[p.chunk];
  std::move(c.records.begin() + static_cast<ptrdiff_t>(p.slot) + 1, c.records.begin() + static_cast<ptrdiff_t>(c.end),
            c.records.begin() + static_cast<ptrdiff_t>(p.slot));
  if (--c.end == c.begin) release(p.chunk);
}

}  // namespace limpid
