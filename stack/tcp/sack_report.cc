#include "stack/tcp/sack_report.h"

#include <algorithm>

namespace limpid {
namespace {

using Range = ReassemblyQueue::Range;

bool contains(const Range& range, uint64_t position) { return range.begin <= position && position < range.end; }

SackReport::Block block_of(const Range& range) {
  return {SeqPos::from_stream(range.begin), SeqPos::from_stream(range.end)};
}

}  // namespace

SackReport::Memory& SackReport::memory() {
  if (!memory_) memory_ = std::make_unique<Memory>();
  return *memory_;
}

// RFC 2018 §4: one entry a range, and the oldest goes when there are more than a segment has room for.
void SackReport::note_held(SeqPos at, const ReassemblyQueue& queue) {
  const auto range = queue.range_after(at.stream());
  if (!range || !contains(*range, at.stream())) return;
  Memory& m = memory();
  std::array<uint64_t, 4> kept{at.stream()};
  size_t n = 1;
  for (size_t i = 0; i < m.count && n < kept.size(); ++i)
    if (!contains(*range, m.recent[i])) kept[n++] = m.recent[i];
  m.recent = kept;
  m.count = static_cast<uint8_t>(n);
}

// Duplicates that touch are told of together; of others the newest, as one ACK has one such block (RFC 2883 §4).
void SackReport::note_once(Block block) {
  Memory& m = memory();
  const bool touch = m.has_once && !m.discarded && block.begin <= m.once.end && m.once.begin <= block.end;
  m.once = touch ? Block{std::min(m.once.begin, block.begin), std::max(m.once.end, block.end)} : block;
  m.has_once = true;
  m.discarded = false;
}

void SackReport::note_discarded(Block block) {
  Memory& m = memory();
  m.once = block;
  m.has_once = m.discarded = true;
}

// RFC 2883 §4: behind a duplicate comes the range that it lies in, if that is still held, whatever came after it.
size_t SackReport::blocks(std::span<Block> out, const ReassemblyQueue& queue) const {
  size_t n = 0;
  const bool once = memory_ && memory_->has_once;
  if (once) out[n++] = memory_->once;
  const size_t first = n;
  const auto add = [&](const Range& range) {
    const Block block = block_of(range);
    const auto listed = out.subspan(first, n - first);
    if (std::ranges::find(listed, block) == listed.end()) out[n++] = block;
  };
  const auto add_around = [&](uint64_t position) {
    const auto range = queue.range_after(position);
    if (range && contains(*range, position)) add(*range);
  };
  if (once) add_around(memory_->once.begin.stream());
  for (size_t i = 0; memory_ && i < memory_->count && n < out.size(); ++i) add_around(memory_->recent[i]);
  uint64_t from = queue.next();
  while (n < out.size()) {
    const auto range = queue.range_after(from);
    if (!range) break;
    add(*range);
    from = range->end;
  }
  return n;
}

}  // namespace limpid
