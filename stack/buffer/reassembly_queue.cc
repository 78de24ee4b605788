#include "stack/buffer/reassembly_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace limpid {
namespace {

constexpr uint32_t kSmallFrame = FramePool::kHeadroom + FramePool::kSmall;

Slice part_of(const Slice& text, uint32_t length) { return {text.frame, text.begin, length}; }

}  // namespace

// --- arriving ------------------------------------------------------------------------------------------------------

ReassemblyQueue::Inserted ReassemblyQueue::insert(uint64_t position, Slice text) {
  Inserted done;
  if (position == next_ && ranges_.empty() && !text.empty()) {  // what is expected, and nothing waits for it
    done.advanced = text.length;
    append_in_order(std::move(text));
    return done;
  }
  const uint64_t next_before = next_;
  while (!text.empty()) {
    const uint64_t known = known_until(position);
    const uint64_t stop = known > position ? known : next_range_after(position);
    const auto n = static_cast<uint32_t>(std::min<uint64_t>(text.length, stop - position));
    if (known > position) {
      done.duplicate += n;
      if (done.duplicates.empty()) done.duplicates = {.begin = position, .end = position};
      if (done.duplicates.end == position) done.duplicates.end += n;
    } else if (position == next_) {
      append_in_order(part_of(text, n));
      done.filled_gap |= absorb_held();
    } else {
      hold(position, part_of(text, n));
      done.held += n;
    }
    text.drop_front(n);
    position += n;
  }
  done.advanced = static_cast<uint32_t>(next_ - next_before);
  return done;
}

void ReassemblyQueue::Inserted::add(const Inserted& next) {
  advanced += next.advanced;
  held += next.held;
  duplicate += next.duplicate;
  if (duplicates.empty()) {
    duplicates = next.duplicates;
  } else if (duplicates.end == next.duplicates.begin) {
    duplicates.end = next.duplicates.end;
  }
  filled_gap |= next.filled_gap;
}

// The end of the run of bytes that are there already, from `position` on; `position` itself when that byte is missing.
uint64_t ReassemblyQueue::known_until(uint64_t position) const {
  if (position < next_) return next_;
  const auto after = ranges_.upper_bound(position);
  return after == ranges_.begin() ? position : std::max(position, std::prev(after)->second);
}

uint64_t ReassemblyQueue::next_range_after(uint64_t position) const {
  const auto after = ranges_.upper_bound(position);
  return after == ranges_.end() ? UINT64_MAX : after->first;
}

void ReassemblyQueue::append_in_order(Slice&& text) {
  next_ += text.length;
  if (!pins_too_much(text)) return keep({.text = std::move(text), .copied = false});
  while (!text.empty()) {
    Piece piece = settle(text, true);
    if (!in_order_.empty() && continues(in_order_.back(), piece)) {
      in_order_.back().text.length += piece.text.length;
      continue;
    }
    keep(std::move(piece));
  }
}

void ReassemblyQueue::keep(Piece&& piece) {
  charge_for(piece);
  in_order_.push_back(std::move(piece));
}

void ReassemblyQueue::hold(uint64_t position, Slice text) {
  out_of_order_bytes_ += text.length;
  add_range(position, position + text.length);
  const bool copy = pins_too_much(text);
  while (!text.empty()) {
    Piece piece = settle(text, copy);
    const uint64_t at = std::exchange(position, position + piece.text.length);
    const auto after = held_.lower_bound(at);
    if (after != held_.begin()) {
      auto& [begin, before] = *std::prev(after);
      if (begin + before.text.length == at && continues(before, piece)) {
        before.text.length += piece.text.length;
        continue;
      }
    }
    charge_for(piece);
    held_.emplace_hint(after, at, std::move(piece));
  }
}

void ReassemblyQueue::add_range(uint64_t begin, uint64_t end) {
  auto after = ranges_.lower_bound(begin);
  if (after != ranges_.end() && after->first == end) {
    end = after->second;
    after = ranges_.erase(after);
  }
  if (after != ranges_.begin() && std::prev(after)->second == begin) {
    std::prev(after)->second = end;
  } else {
    ranges_.emplace_hint(after, begin, end);
  }
}

// Moves what the last arrival has joined to the in-order bytes. True when there was something.
bool ReassemblyQueue::absorb_held() {
  const auto range = ranges_.begin();
  if (range == ranges_.end() || range->first != next_) return false;
  const uint64_t end = range->second;
  ranges_.erase(range);
  out_of_order_bytes_ -= static_cast<size_t>(end - next_);
  next_ = end;
  while (!held_.empty() && held_.begin()->first < end) {
    Piece piece = std::move(held_.begin()->second);
    held_.erase(held_.begin());
    if (continues(in_order_.back(), piece)) {
      in_order_.back().text.length += piece.text.length;
      charge_ -= kPieceCost;
    } else {
      in_order_.push_back(std::move(piece));
    }
  }
  return true;
}

// --- what is kept, and what it costs ---------------------------------------------------------------------------------

bool ReassemblyQueue::pins_too_much(const Slice& text) const {
  if (uint64_t{text.length} * 4 >= text.frame->capacity) return false;
  // The only text there is, in a small frame: a copy would lie in just such a frame. So a ping-pong is never copied.
  const bool alone = in_order_.empty() && held_.empty();
  return !alone || text.frame->capacity > kSmallFrame;
}

ReassemblyQueue::Piece ReassemblyQueue::settle(Slice& text, bool copy) {
  if (!copy || !room_for_copies(*text.frame->pool)) return {.text = std::exchange(text, {}), .copied = false};
  Frame& frame = *copies_;
  const uint32_t n = std::min(text.length, frame.tailroom());
  Piece piece{.text = {copies_, frame.begin + frame.length, n}, .copied = true};
  std::memcpy(frame.data() + frame.length, text.bytes().data(), n);
  frame.length += n;
  text.drop_front(n);
  return piece;
}

// Makes sure that copies_ has at least one byte of room. False when the pool is exhausted: then the original is kept.
bool ReassemblyQueue::room_for_copies(FramePool& pool) {
  if (copies_ && copies_->tailroom() > 0) return true;
  FrameRef fresh = pool.make(FramePool::kSmall);
  if (!fresh) return false;
  release_copies();
  copies_ = std::move(fresh);
  charge_ += copies_->capacity;
  return true;
}

// Copies that follow each other in one frame are one piece.
bool ReassemblyQueue::continues(const Piece& before, const Piece& piece) {
  return before.copied && piece.copied && before.text.frame.get() == piece.text.frame.get() &&
         before.text.begin + before.text.length == piece.text.begin;
}

void ReassemblyQueue::charge_for(const Piece& piece) {
  charge_ += kPieceCost + (piece.copied ? 0 : piece.text.pinned());
}

// A frame of copies is known to nobody else, so the last reference to it is the end of it, and of its charge.
void ReassemblyQueue::release(Piece& piece) {
  charge_ -= kPieceCost;
  if (!piece.copied || piece.text.frame->references == 1) charge_ -= piece.text.pinned();
  piece = {};
}

void ReassemblyQueue::release_copies() {
  if (copies_ && copies_->references == 1) charge_ -= copies_->capacity;
  copies_.reset();
}

// --- leaving ---------------------------------------------------------------------------------------------------------

size_t ReassemblyQueue::peek(MutableByteSpan into) const {
  size_t copied = 0;
  for (size_t i = 0; i < in_order_.size() && copied < into.size(); ++i) {
    const ByteSpan bytes = in_order_[i].text.bytes();
    const size_t n = std::min(bytes.size(), into.size() - copied);
    std::memcpy(into.data() + copied, bytes.data(), n);
    copied += n;
  }
  return copied;
}

size_t ReassemblyQueue::read(MutableByteSpan into) { return consume(peek(into)); }

size_t ReassemblyQueue::discard(size_t bytes) { return consume(std::min(bytes, readable())); }

size_t ReassemblyQueue::consume(size_t bytes) {
  read_position_ += bytes;
  for (size_t left = bytes; left > 0;) {
    Piece& front = in_order_.front();
    const auto n = static_cast<uint32_t>(std::min<size_t>(left, front.text.length));
    left -= n;
    front.text.drop_front(n);
    if (!front.text.empty()) break;
    release(front);
    in_order_.pop_front();
  }
  if (in_order_.empty() && held_.empty()) release_copies();
  return bytes;
}

size_t ReassemblyQueue::lend(size_t bytes, size_t most_pieces, std::vector<Piece>& into) {
  size_t lent = 0;
  while (lent < bytes && into.size() < most_pieces && !in_order_.empty()) {
    Piece& front = in_order_.front();
    const auto n = static_cast<uint32_t>(std::min<size_t>(bytes - lent, front.text.length));
    lent += n;
    if (n == front.text.length) {
      into.push_back(std::move(front));
      in_order_.pop_front();
      continue;
    }
    Piece part{.text = part_of(front.text, n), .copied = front.copied};
    charge_for(part);
    into.push_back(std::move(part));
    front.text.drop_front(n);
  }
  read_position_ += lent;
  if (in_order_.empty() && held_.empty()) release_copies();
  return lent;
}

void ReassemblyQueue::drop_out_of_order() {
  for (auto& [position, piece] : held_) release(piece);
  held_.clear();
  ranges_.clear();
  out_of_order_bytes_ = 0;
  if (in_order_.empty()) release_copies();
}

void ReassemblyQueue::clear() {
  drop_out_of_order();
  consume(readable());
}

std::optional<ReassemblyQueue::Range> ReassemblyQueue::range_after(uint64_t position) const {
  auto range = ranges_.upper_bound(position);  // begins after position; the one before may reach beyond it
  if (range != ranges_.begin() && std::prev(range)->second > position) --range;
  if (range == ranges_.end()) return std::nullopt;
  return Range{.begin = range->first, .end = range->second};
}

}  // namespace limpid
