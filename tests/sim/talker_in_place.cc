// A talker that writes and reads in place: it holds its loans for a while, gives them back in any order, commits less
// than it reserved now and then, and looks whether what it borrowed is still there when it gives it back.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/talker.h"

namespace limpid::sim {
namespace {

constexpr size_t kMostLent = 3;

size_t first_wrong_of(uint64_t stream, uint64_t offset, const LentText& text) {
  size_t at = 0;
  for (const ReassemblyQueue::Piece& piece : text.pieces) {
    const size_t right = first_wrong(stream, offset + at, piece.text.bytes());
    at += right;
    if (right != piece.text.length) break;
  }
  return at;
}

}  // namespace

Result<size_t> Talker::send_in_place(Time now) {
  const bool held = room_.length > 0;
  if (!held) {
    const Result<size_t> reserved = stack_->tcp_reserve(id_, next_write_size(), room_, now);
    if (!reserved) return reserved;
    size_t filled = 0;
    for (const ChunkPool::Memory& chunk : room_.chunks) {
      const size_t n = std::min(room_.length - filled, ChunkPool::kChunk);
      fill_pattern(out_, written_ + filled, {chunk.get(), n});
      filled += n;
    }
  }
  if (!held && written_ % 3 == 1) {  // until the next turn
    awake_ = true;
    return 0;
  }
  const size_t length = written_ % 5 == 0 ? room_.length - room_.length / 2 : room_.length;
  const Result<void> sent = stack_->tcp_commit(id_, room_, length, send_flags(), now);
  if (!sent) return std::unexpected(sent.error());
  return length;
}

Result<size_t> Talker::receive_in_place(Time now) {
  LentText text;
  Result<size_t> got = stack_->tcp_borrow(id_, plan_.read_chunk, text, now);
  // The window may be shut because of us; and over loopback more comes at once.
  if (!got && got.error() == Error::would_block && !lent_.empty()) {
    give_back_all(now);
    got = stack_->tcp_borrow(id_, plan_.read_chunk, text, now);
  }
  if (!got || *got == 0) return got;
  const size_t wrong = first_wrong_of(in_, received_, text);
  if (wrong != *got) complain_(fmt::format("{}: byte {} of the stream is wrong", name_, received_ + wrong));
  lent_.push_back({received_, std::move(text)});
  if (lent_.size() > kMostLent) give_back(received_ % lent_.size(), now);
  return got;
}

void Talker::give_back(size_t which, Time now) {
  Lent& lent = lent_[which];
  if (first_wrong_of(in_, lent.from, lent.text) != lent.text.length)
    complain_(fmt::format("{}: what was borrowed from byte {} on has changed", name_, lent.from));
  stack_->tcp_give_back(id_, lent.text, now);
  lent_.erase(lent_.begin() + static_cast<ptrdiff_t>(which));
}

void Talker::give_back_all(Time now) {
  while (!lent_.empty()) give_back(lent_.size() / 2, now);
}

}  // namespace limpid::sim
