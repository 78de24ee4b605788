// Which segments go out together (burst.h): the burst that begins, of what is new and of what goes again, and whether
// it goes now.
#include <algorithm>
#include <utility>

#include "stack/tcp/connection.h"

namespace limpid {

void Connection::take_whole_burst(SegmentPlan& plan) const {
  constexpr uint32_t kMostText = 65'535 - 120;             // the largest datagram, less the largest headers
  if (plan.length < mss_ || mss_ > kMostText / 2) return;  // a piece of one segment is none
  const auto left = static_cast<uint32_t>(std::max<int64_t>(plan.burst.end - plan.seq, mss_));
  plan.segments = std::min(left, kMostText) / mss_;
  plan.length = plan.segments * mss_;
}

// As Linux (tcp_tso_should_defer): a burst that the windows cut short waits for the next ACK, if that is near and text
// went just now anyhow, so that it becomes a larger one.
bool Connection::better_later(uint32_t usable, uint32_t allowed, Time now) {
  const uint32_t divisor = env_.config.burst_window_divisor;
  if (divisor == 0 || in_write_ || recovery_.repairing() || override_due_ || now - last_sent_ > 1ms) return false;
  const SackScoreboard* board = std::as_const(recovery_).board();
  if (snd_.una == snd_.nxt || board == nullptr) return false;
  const uint32_t limit = std::min(usable, allowed);
  const auto chunk = static_cast<uint32_t>(traffic().chunks.first_end(data_end()) - snd_.nxt);
  if (chunk <= mss_ || limit >= chunk || limit >= burst_most() * mss_) return false;
  if (limit >= std::min(snd_.wnd, congestion_.cwnd()) / divisor) return false;
  if (2 * (now - board->first().sent) < rtt_.srtt()) return false;
  deferred_ = true;
  return true;
}

// What a SEND left over, less than a burst, waits for the next SEND, if that is near and makes a whole one of it. Only
// behind text that is under way, and so at most for its ACK (as Nagle has it, for full segments too; Linux calls it
// autocorking, and waits for the device).
bool Connection::tail_waits() const {
  if (!tail_may_wait_ || fin_queued_ || snd_.una == snd_.nxt || !traffic_->chunks.filling_first()) return false;
  const size_t waiting = unsent();
  return waiting > 0 && waiting < std::min<size_t>(chunk_goal(), size_t{largest_burst()} * mss_);
}

// A writer without room has more to say, or will be told of room within a round trip: by the ACKs of what is under way.
bool Connection::release_held(Release what, Time now) {
  if (!tail_waits()) return what.bulk_acks || !is_bulk_ack();
  if (!room_told_ && (writer_waits_ || rtt_.srtt() < kHeldForLong)) return false;
  const Duration waited = now - last_sent_;
  if (!what.tails && waited < kHeldForLong) return false;
  traffic().streak.on_vain_wait(waited);
  tail_may_wait_ = false;
  return true;
}

uint32_t Connection::burst_most() const {
  if (snd_.up > snd_.nxt) return 1;
  return burst_segments({.mss = mss_,
                         .rate = congestion_.pacing_rate(std::max(rtt_.srtt(), rtt_.latest())),
                         .min_rtt = rtt_.min_rtt(),
                         .least = env_.config.least_burst_segments});
}

// In segments, of new text: at most half of the congestion window.
uint32_t Connection::largest_burst() const {
  return std::min(burst_most(), std::max(congestion_.cwnd() / mss_ / 2, 1u));
}

// What goes again in one piece: of what was lost in one piece, as much as the congestion window takes.
Burst Connection::begin_resend_burst(const SentRange& range) const {
  const uint32_t flying = in_flight();
  const uint32_t allowed = congestion_.cwnd() > flying ? (congestion_.cwnd() - flying) / mss_ * mss_ : 0;
  const int64_t length = std::min<int64_t>({range.whole_end - range.seq, allowed, int64_t{burst_most()} * mss_});
  return {.end = range.seq + length, .many = length > mss_};
}

// The burst that begins at SND.NXT: as far as the windows let it go, within one chunk; in full segments, but for the
// last, if that may go too.
Burst Connection::begin_burst(uint32_t unsent, uint32_t usable, uint32_t allowed) const {
  uint32_t length = std::min({unsent, usable, allowed, largest_burst() * mss_});
  if (traffic_) {
    const auto chunk = static_cast<uint32_t>(traffic_->chunks.first_end(data_end()) - snd_.nxt);
    if (chunk < length) length = std::min(length, (chunk + mss_ - 1) / mss_ * mss_);
  }
  const uint32_t rest = length % mss_;
  const uint32_t full = length - rest;
  if (full > 0 && rest > 0 && !worth_sending(rest, unsent - full, usable - full)) length = full;
  return {.end = snd_.nxt + length, .many = length > mss_};
}

}  // namespace limpid
