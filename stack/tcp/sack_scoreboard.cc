#include "stack/tcp/sack_scoreboard.h"

#include <algorithm>

namespace limpid {
namespace {

uint32_t segments_in(uint32_t bytes, uint32_t mss) { return bytes <= mss ? 1 : (bytes + mss - 1) / mss; }

void add(SackScoreboard::Tally& t, const SendRecord& r, bool in) {
  t.bytes += in ? r.length() : 0u - r.length();
  t.segments += in ? r.segments : 0u - r.segments;
}

// Whether nothing tells `b` from `a`, behind which it lies. SACKed ranges have no history any more. Of others the
// segments must stay countable: all of `a` are full ones.
inline bool alike(const SendRecord& a, const SendRecord& b, uint32_t mss) {
  if (a.sacked && b.sacked) return true;
  return !a.apart && a.sacked == b.sacked && a.lost == b.lost && a.resent == b.resent && a.sent == b.sent &&
         a.times_sent == b.times_sent && a.lost_why == b.lost_why && a.stamp == b.stamp &&
         a.length() == a.segments * mss;
}

// Whether nothing tells what goes out now, for the first time, from `last`.
bool takes_more(const SendRecord& last, uint32_t mss, const DeliveryStamp& stamp, Time now) {
  return last.sent == now && !last.apart && last.times_sent == 1 && !last.sacked && !last.lost && !last.resent &&
         last.lost_why == Rule::none && last.length() == last.segments * mss && last.stamp == stamp;
}

}  // namespace

void SackScoreboard::count(const SendRecord& r, bool in) {
  add(all_, r, in);
  if (r.sacked) add(sacked_, r, in);
  if (r.lost) add(lost_, r, in);
  if (r.resent) add(resent_, r, in);
}

void SackScoreboard::store(Pos p, const SendRecord& r) {
  count(list_[p], false);
  list_[p] = r;
  count(r, true);
}

// Makes `at` the edge of two records. Refused only when there are far more records than segments: then a peer reports
// octets, not segments, and what it reports in part is not taken (as on Linux).
bool SackScoreboard::cut(SeqPos at, uint32_t mss) {
  const Pos p = list_.find(at);
  if (!list_.valid(p) || list_[p].seq == at) return true;
  if (list_.size() >= most_records(mss)) return false;
  SendRecord left = list_[p];
  SendRecord right = left;
  left.end = right.seq = at;
  left.segments = std::clamp(segments_in(left.length(), mss), 1u, left.segments);
  left.pushed = left.apart = false;
  right.segments = std::max(right.segments - left.segments, 1u);
  store(p, left);
  list_.insert_after(p, right);
  count(right, true);
  return true;
}

// With the record before it, if nothing tells them apart. The place of what it has become.
SackScoreboard::Pos SackScoreboard::join(Pos p, uint32_t mss) {
  if (list_.is_first(p)) return p;
  const Pos before = list_.prev(p);
  const SendRecord r = list_[p];
  SendRecord one = list_[before];
  if (!alike(one, r, mss)) return p;
  one.end = r.end;
  one.pushed = r.pushed;
  one.apart = r.apart;
  one.segments += r.segments;
  one.sent = std::max(one.sent, r.sent);
  one.times_sent = std::max(one.times_sent, r.times_sent);
  count(r, false);
  list_.erase(p);
  store(before, one);
  return before;
}

// --- sending
// -----------------------------------------------------------------------------------------------------------

void SackScoreboard::sent(SeqPos seq, SeqPos end, uint32_t mss, const DeliveryStamp& stamp, Time now) {
  const uint32_t segments = segments_in(static_cast<uint32_t>(end - seq), mss);
  all_.bytes += static_cast<uint32_t>(end - seq);
  all_.segments += segments;
  if (list_.empty()) {
    undecided_ = resend_from_ = highest_sacked_ = seq;
  } else if (SendRecord& last = list_.back(); takes_more(last, mss, stamp, now)) {  // the usual case: the row grows
    last.end = end;
    last.segments += segments;
    last.pushed = false;
    return;
  }
  list_.push_back({.seq = seq, .end = end, .sent = now, .stamp = stamp, .segments = segments});
}

void SackScoreboard::burst_ended(bool pushed) {
  SendRecord r = list_[list_.last()];
  r.pushed = pushed;
  r.apart = true;
  store(list_.last(), r);
}

void SackScoreboard::resent(SeqPos seq, SeqPos end, uint32_t mss, const DeliveryStamp& stamp, Time now) {
  cut(seq, mss);
  cut(end, mss);
  for (Pos p = list_.find(seq); list_.valid(p) && list_[p].seq < end; p = list_.next(p)) {
    SendRecord r = list_[p];
    if (r.sacked) continue;
    ++r.times_sent;
    r.sent = now;
    r.resent = true;
    r.stamp = stamp;
    store(p, r);
    p = join(p, mss);
  }
  if (!resent_order_.empty() && resent_order_.back().end == seq && resent_order_.back().at == now) {
    resent_order_.back().end = end;
  } else {
    resent_order_.push_back({seq, end, now});
  }
}

// --- what the peer says
// ------------------------------------------------------------------------------------------------

void SackScoreboard::acked(SeqPos una, uint32_t mss, AckNews& news) {
  while (!list_.empty() && list_.front().end <= una) {
    news.deliver(list_.front(), true);
    count(list_.front(), false);
    list_.pop_front();
  }
  if (!list_.empty() && list_.front().seq < una) {  // a part of the first
    SendRecord gone = list_.front();
    SendRecord rest = gone;
    gone.end = rest.seq = una;
    gone.segments = std::min(gone.length() / mss, gone.segments - 1);
    rest.segments -= gone.segments;
    store(list_.first(), rest);
    news.deliver(gone, true);
  }
  while (!resent_order_.empty() && resent_order_.front().end <= una) resent_order_.pop_front();
  highest_sacked_ = std::max(highest_sacked_, una);
  undecided_ = std::max(undecided_, una);
  resend_from_ = std::max(resend_from_, una);
}

void SackScoreboard::sacked(SeqPos left, SeqPos right, uint32_t mss, AckNews& news) {
  const bool from_edge = cut(left, mss);
  Pos p = list_.find(left);
  if (!from_edge && list_.valid(p)) p = list_.next(p);
  for (; list_.valid(p) && list_[p].seq < right; p = list_.next(p)) {
    if (!list_[p].sacked) {
      if (list_[p].end > right) {
        const SeqPos seq = list_[p].seq;
        if (!cut(right, mss)) break;
        p = list_.find(seq);
      }
      SendRecord r = list_[p];
      news.deliver(r, false);
      r.sacked = true;
      r.lost = r.resent = false;
      store(p, r);
      highest_sacked_ = std::max(highest_sacked_, r.end);
    }
    p = join(p, mss);
  }
  if (list_.valid(p)) join(p, mss);
}

void SackScoreboard::forget_sacks() {
  if (sacked_.bytes == 0) return;
  for (Pos p = list_.first(); list_.valid(p); p = list_.next(p)) {
    if (!list_[p].sacked) continue;
    SendRecord r = list_[p];
    r.sacked = false;
    store(p, r);
  }
  highest_sacked_ = undecided_ = first().seq;
}

// --- what is lost
// ------------------------------------------------------------------------------------------------------

void SackScoreboard::mark_lost(Pos p, Rule why) {
  SendRecord r = list_[p];
  r.lost = true;
  r.resent = false;
  r.lost_why = why;
  store(p, r);
  resend_from_ = std::min(resend_from_, r.seq);
}

SackScoreboard::Overdue SackScoreboard::mark_overdue(Time newest, SeqPos newest_end, Duration allowance, Rule why,
                                                     Time now) {
  Overdue o;
  overdue_first_transmissions(newest, newest_end, allowance, why, now, o);
  overdue_retransmissions(newest, newest_end, allowance, why, now, o);
  return o;
}

// First transmissions left in the order of their sequence numbers: the first that is not overdue ends the search.
void SackScoreboard::overdue_first_transmissions(Time newest, SeqPos newest_end, Duration allowance, Rule why, Time now,
                                                 Overdue& o) {
  for (Pos p = list_.find(undecided_); list_.valid(p); p = list_.next(p)) {
    const SendRecord& r = list_[p];
    undecided_ = r.seq;
    if (r.sacked || r.lost || r.resent) continue;
    if (!sent_after(newest, newest_end, r.sent, r.end)) return;
    if (const Duration remaining = r.sent + allowance - now; remaining > Duration{}) {
      o.next = remaining;
      return;
    }
    o.lost += r.length();
    mark_lost(p, why);
  }
}

// Retransmissions have an order of their own.
void SackScoreboard::overdue_retransmissions(Time newest, SeqPos newest_end, Duration allowance, Rule why, Time now,
                                             Overdue& o) {
  while (!resent_order_.empty()) {
    const Retransmission again = resent_order_.front();
    const Duration remaining = again.at + allowance - now;
    if (!overdue_retransmission(again, newest, newest_end, remaining, why, o)) return;
    resent_order_.pop_front();
  }
}

// False: it is to be looked at again later.
bool SackScoreboard::overdue_retransmission(const Retransmission& again, Time newest, SeqPos newest_end,
                                            Duration remaining, Rule why, Overdue& o) {
  Pos p = list_.find(list_.empty() ? again.seq : std::max(again.seq, first().seq));
  for (; list_.valid(p) && list_[p].seq < again.end; p = list_.next(p)) {
    const SendRecord& r = list_[p];
    if (!r.resent || r.sent != again.at) continue;  // delivered, or sent once more since
    if (!sent_after(newest, newest_end, r.sent, r.end)) return false;
    if (remaining > Duration{}) {
      o.next = std::min(o.next.value_or(remaining), remaining);
      return false;
    }
    o.lost += r.length();
    o.retransmission_lost = true;
    mark_lost(p, why);
  }
  return true;
}

uint32_t SackScoreboard::mark_lost_until(SeqPos end, Rule why) {
  uint32_t newly = 0;
  for (Pos p = list_.find(undecided_); list_.valid(p) && list_[p].seq < end; p = list_.next(p)) {
    const SendRecord& r = list_[p];
    undecided_ = r.end;
    if (r.sacked || r.lost || r.resent) continue;
    newly += r.length();
    mark_lost(p, why);
  }
  return newly;
}

uint32_t SackScoreboard::mark_timed_out(Time sent_until, Rule why) {
  uint32_t newly = 0;
  for (Pos p = list_.first(); list_.valid(p); p = list_.next(p)) {
    const SendRecord& r = list_[p];
    if (r.sacked || r.to_resend()) continue;
    if (!list_.is_first(p) && r.sent > sent_until) continue;
    newly += r.length();
    mark_lost(p, why);
  }
  return newly;
}

uint32_t SackScoreboard::mark_first_lost(uint32_t mss, Rule why) {
  cut(first().seq + mss, mss);
  const Pos p = list_.first();
  if (list_[p].sacked || list_[p].to_resend()) return 0;
  mark_lost(p, why);
  return list_[p].length();
}

uint32_t SackScoreboard::mark_larger_than(uint32_t mss, Rule why) {
  uint32_t newly = 0;
  for (Pos p = list_.first(); list_.valid(p); p = list_.next(p)) {
    const SendRecord& r = list_[p];
    const bool small = r.length() <= mss || r.length() <= uint64_t{r.segments} * (mss / 2);
    if (r.sacked || r.to_resend() || small) continue;
    newly += r.length();
    mark_lost(p, why);
  }
  return newly;
}

void SackScoreboard::forget_losses() {
  for (Pos p = list_.first(); list_.valid(p); p = list_.next(p)) {
    if (!list_[p].lost) continue;
    SendRecord r = list_[p];
    r.lost = false;
    r.lost_why = Rule::none;
    store(p, r);
  }
  undecided_ = first().seq;
}

SeqPos SackScoreboard::lost_boundary(uint32_t dup_thresh, uint32_t mss) const {
  uint32_t ranges = 0;
  uint32_t octets = 0;
  Pos p = list_.find(highest_sacked_ - 1);
  while (list_.valid(p)) {
    const SendRecord& r = list_[p];
    if (r.sacked) {
      octets += r.length();
      if (++ranges >= dup_thresh || octets > (dup_thresh - 1) * mss) return r.seq;
    }
    if (list_.is_first(p)) break;
    p = list_.prev(p);
  }
  return first().seq;
}

// --- what to send again
// ------------------------------------------------------------------------------------------------

std::optional<SentRange> SackScoreboard::next_to_resend(uint32_t mss) {
  Pos p = list_.find(resend_from_);
  while (list_.valid(p) && !list_[p].to_resend()) {
    resend_from_ = list_[p].end;
    p = list_.next(p);
  }
  if (!list_.valid(p)) return {};
  SentRange range{list_[p].seq, list_[p].end, list_[p].lost_why, list_[p].pushed, list_[p].end};
  while (range.end - range.seq < mss) {
    p = list_.next(p);
    if (!list_.valid(p) || !list_[p].to_resend()) break;
    range.end = list_[p].end;
    range.pushed = list_[p].pushed;
  }
  if (range.end > range.seq + mss) {
    range.end = range.seq + mss;
    range.pushed = false;
  }
  return range;
}

std::optional<SentRange> SackScoreboard::next_hole(uint32_t mss) const {
  for (Pos p = list_.find(undecided_); list_.valid(p) && list_[p].seq < highest_sacked_; p = list_.next(p)) {
    const SendRecord& r = list_[p];
    if (!r.sacked && !r.lost && !r.resent) return SentRange{r.seq, std::min(r.end, r.seq + mss)};
  }
  return {};
}

SentRange SackScoreboard::last_segment(uint32_t mss) const {
  Pos p = list_.last();
  while (list_[p].sacked && !list_.is_first(p)) p = list_.prev(p);
  const SendRecord& r = list_[p];
  const uint32_t whole = (r.length() - 1) / mss * mss;  // before the last segment of the range
  return {r.seq + whole, r.end, Rule::none, r.pushed};
}

// --- looking in
// ------------------------------------------------------------------------------------------------------

const SendRecord* SackScoreboard::find(SeqPos at) const {
  const Pos p = list_.find(at);
  return list_.valid(p) ? &list_[p] : nullptr;
}

const char* SackScoreboard::broken_invariant(SeqPos una, SeqPos nxt) const {
  if (list_.empty()) return una == nxt ? nullptr : "octets are outstanding and the scoreboard is empty";
  SackScoreboard recount;
  SeqPos at = una;
  for (Pos p = list_.first(); list_.valid(p); p = list_.next(p)) {
    const SendRecord& r = list_[p];
    if (r.seq != at || r.end <= r.seq) return "the scoreboard has a gap";
    if (r.sacked && (r.lost || r.resent)) return "what was SACKed is called lost or resent";
    if (r.segments == 0) return "a range of the scoreboard was sent as no segment";
    if (r.to_resend() && r.end <= resend_from_) return "what is lost lies behind the cursor";
    recount.count(r, true);
    at = r.end;
  }
  if (at != nxt) return "the scoreboard does not end at SND.NXT";
  const bool right =
      recount.all_ == all_ && recount.sacked_ == sacked_ && recount.lost_ == lost_ && recount.resent_ == resent_;
  return right ? nullptr : "the scoreboard miscounts";
}

}  // namespace limpid
