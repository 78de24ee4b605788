#include "stack/tcp/fold.h"

#include <bit>

namespace limpid {

bool Connection::quiet() const {
  if (!synchronized(state_) || released()) return false;
  if (snd_.una != snd_.nxt || unsent() > 0 || (fin_queued_ && !fin_sent()) || reserved_ > 0) return false;
  if (!queue_.owns_nothing() || !rcv_.queue().owns_nothing() || rcv_.queue().readable() > 0 || rcv_.lent() > 0)
    return false;
  if (recovery_.board() != nullptr || fast_open_ || !sack_report_.empty()) return false;
  if (traffic_ && !traffic_->chunks.filling_first()) return false;
  if (ListHook<DirtyTag>::linked() || ListHook<BlockedTag>::linked() || ListHook<HeldTag>::linked()) return false;
  if (timers_.next_deadline() == kNever) return true;
  for (size_t i = 0; i < kTcpTimerCount; ++i) {
    const auto timer = static_cast<TcpTimer>(i);
    if (timer != TcpTimer::keepalive && timer != TcpTimer::fin_wait_2 && timers_.running(timer)) return false;
  }
  return true;
}

void FoldWriter::end_block() {
  uint8_t groups = 0;
  for (unsigned i = 0; i < 8; ++i)
    if ((mask_ >> 8 * i & 0xff) != 0) groups = static_cast<uint8_t>(groups | 1u << i);
  put(static_cast<std::byte>(groups));
  for (unsigned i = 0; i < 8; ++i)
    if ((mask_ >> 8 * i & 0xff) != 0) put(static_cast<std::byte>(mask_ >> 8 * i));
  for (size_t i = 0; i < pending_size_; ++i) put(pending_[i]);
  mask_ = 0;
  count_ = 0;
  pending_size_ = 0;
}

void FoldReader::begin_block() {
  const auto groups = std::to_integer<unsigned>(in_[at_++]);
  mask_ = 0;
  for (unsigned i = 0; i < 8; ++i)
    if ((groups >> i & 1) != 0) mask_ |= std::to_integer<uint64_t>(in_[at_++]) << 8 * i;
}

size_t fold(Connection& c, const Connection& like, const FoldPlace& place, MutableByteSpan into) {
  FoldWriter writer(into);
  FoldCoder(writer, place).code(c, like);
  return writer.finish();
}

void unfold(Connection& c, const Connection& like, const FoldPlace& place, ByteSpan from) {
  FoldReader reader(from);
  FoldCoder(reader, place).code(c, like);
}

}  // namespace limpid
