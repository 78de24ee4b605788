// What is sent, and what an ACK tells of it. What follows from that is in recovery_steps.cc.
#include "stack/tcp/recovery.h"

#include <algorithm>

namespace limpid {

void Recovery::resent(SeqPos seq, SeqPos end, uint32_t mss, const DeliveryStamp& stamp, Time now) {
  if (!board_) return;  // the SYN,ACK of a half-open entry, which was sent before we were there
  urgent_ = false;
  if (first_resent_ == kNever) first_resent_ = now;
  unproven_ += static_cast<uint32_t>(end - seq);
  resent_any_ = true;
  board_->resent(seq, end, mss, stamp, now);
}

std::optional<SentRange> Recovery::next_to_risk(uint32_t mss) const {
  if (!may_risk()) return {};
  if (auto hole = board_->next_hole(mss)) {
    hole->why = Rule::tcp_hole;
    return hole;
  }
  if (rescued_) return {};
  SentRange last = board_->last_segment(mss);
  const SendRecord& record = *board_->find(last.seq);
  if (record.sacked || record.resent) return {};
  last.why = Rule::tcp_rescue;
  return last;
}

// Without SACK each duplicate ACK says that some segment has left the network (RFC 5681 §3.2): never the first one, nor
// what is known to be lost.
uint32_t Recovery::duplicates_in_flight(uint32_t mss) const {
  const uint32_t all = board_->outstanding().bytes;
  const uint32_t missing = std::max(board_->lost().bytes, std::min(mss, all));
  return std::min({duplicates_ * mss, all - missing, board_->in_flight()});
}

// --- an ACK
// ------------------------------------------------------------------------------------------------------------

AckNews Recovery::read(const AckInput& in, Duration min_rtt) {
  AckNews news{.now = in.now, .min_rtt = min_rtt, .echo_ms = in.echo_ms, .high_seq = high_seq_};
  const SeqPos una_before = board_ ? board_->first().seq : in.ack;
  if (is_dsack(in)) {
    news.dsack = true;
    note_dsack(in, una_before);
  }
  if (!board_) return news;
  news.fack = std::max(rack_.fack(), una_before);
  board_->acked(in.ack, in.mss, news);
  read_blocks(in, news);
  if (!sack_) count_duplicates(in, news);
  if (news.reordered) {
    const int64_t distance = (news.fack - *news.reordered + in.mss - 1) / in.mss;
    reordering_ = std::max(reordering_, static_cast<uint16_t>(std::min<int64_t>(distance, kMostReordering)));
  }
  if (board_->empty()) spare_board_ = std::move(board_);
  return news;
}

// The next edge of a segment from here, up or down.
static SeqPos segment_edge(const SendRecord& r, SeqPos at, uint32_t mss, bool up) {
  const bool size_known = r.length() <= r.segments * mss && r.length() > (r.segments - 1) * mss;
  if (!size_known || r.sacked) return at;
  const auto into = static_cast<uint32_t>(at - r.seq);
  return std::min(r.seq + (into + (up ? mss - 1 : 0)) / mss * mss, r.end);
}

// Blocks in ascending order, so that what one ACK reports does not look as if it had arrived out of order. A block
// outside of what is outstanding is believed by nobody (RFC 2018 §3, RFC 6675 §4).
void Recovery::read_blocks(const AckInput& in, AckNews& news) {
  std::array<SackRange, 4> sorted = in.sack;
  const std::span<SackRange> blocks(sorted.data(), std::min(in.sack_count, sorted.size()));
  std::ranges::sort(blocks, {}, &SackRange::left);
  for (const SackRange& b : blocks) {
    if (b.left < in.ack || b.right <= b.left || b.right > in.nxt) continue;
    // As Linux a segment counts once all of it is reported: receivers hold whole ones, and whoever tells of less would
    // have us keep a record of each octet.
    const SendRecord* first = board_->find(b.left);
    const SendRecord* last = board_->find(b.right);
    const SeqPos left = first != nullptr ? segment_edge(*first, b.left, in.mss, true) : b.left;
    const SeqPos right = last != nullptr ? segment_edge(*last, b.right, in.mss, false) : b.right;
    if (left < right) board_->sacked(left, right, in.mss, news);
  }
}

// RFC 2883 §4: the first block reports a duplicate if the cumulative ACK covers it, or if the second contains it.
bool Recovery::is_dsack(const AckInput& in) const {
  if (in.sack_count == 0 || in.stale) return false;
  const SackRange& b = in.sack[0];
  if (b.right <= b.left || b.right > in.nxt || b.left < in.ack - int64_t{in.max_window}) return false;
  if (b.left < in.ack) return true;
  return in.sack_count > 1 && b.left >= in.sack[1].left && b.right <= in.sack[1].right;
}

// A retransmission that arrived twice was not needed. What the path itself duplicated is taken for one too, as
// anywhere: therefore only what lies behind undo_from_ counts.
void Recovery::note_dsack(const AckInput& in, SeqPos una_before) {
  const SackRange& b = in.sack[0];
  if (undo_from_ == kNone || b.right <= undo_from_) return;
  if (b.right > una_before) {  // not acknowledged yet: the scoreboard knows whether it was resent at all
    const SendRecord* r = board_ ? board_->find(b.left) : nullptr;
    if (r && !r->retransmitted()) return;
  }
  unproven_ -= std::min(unproven_, static_cast<uint32_t>(b.right - b.left));
}

// RFC 5681 §3.2 counts them; an ACK that moves on fills one hole, and takes back the others that it covers.
void Recovery::count_duplicates(const AckInput& in, AckNews& news) {
  // Without SACK nobody can say whether it was the original or the retransmission that filled the hole.
  if (news.resent_acked) news.original_delivered = false;
  if (!news.advanced()) {
    // Each segment that is out can cause one. Whoever sends more forges them, to have us send beyond all measure
    // (RFC 5681 §3.2).
    if (duplicates_ == 0) most_duplicates_ = board_->outstanding().segments;
    if (!in.duplicate || duplicates_ >= most_duplicates_) return;
    ++duplicates_;
    news.delivered = in.mss;
    news.delivered_segments = 1;
    return;
  }
  const uint32_t known = std::min(duplicates_ * in.mss, news.acked);
  news.delivered_segments = std::max(news.acked_segments - std::min(news.acked_segments, duplicates_), 1u);
  news.delivered = std::max(news.acked - known, std::min(in.mss, news.acked));
  if (state_ != CaState::recovery || in.ack >= high_seq_) {
    duplicates_ = 0;
    return;
  }
  duplicates_ -= std::min(duplicates_, std::max(news.acked_segments, 1u) - 1);
  most_duplicates_ = board_->outstanding().segments;
}

}  // namespace limpid
