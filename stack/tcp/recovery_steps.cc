// What follows from an ACK, in the order of RFC 8985 §6.2 and §7.4, RFC 6675 §5 and RFC 6582 §3.2, within the states
// that Linux gives a sender.
#include <algorithm>
#include <utility>

#include "stack/tcp/recovery.h"

namespace limpid {

Conclusions Recovery::conclude(const AckInput& in, const AckNews& news, const RttEstimator& rtt) {
  Conclusions c;
  rack_.on_ack(news);
  if (news.dsack) rack_.on_dsack(in.ack, in.nxt);
  heed_probe(in, news, c);

  bool done = false;  // an undo has settled the matter
  if (in.ack >= high_seq_) done = leave(in, news, c);
  if (!done && state_ == CaState::recovery) done = in_recovery(in, news, c);
  if (!done && state_ == CaState::loss) done = in_loss(in, news, c);
  if (!done && state_ <= CaState::disorder) undo_by_dsack(c);
  if (!board_) {
    if (state_ == CaState::disorder) state_ = CaState::open;
    return c;
  }
  if (!done) find_losses(in, news, rtt, c);

  if (state_ == CaState::recovery || (state_ == CaState::loss && !c.retransmission_lost)) return c;
  if (c.lost > 0) {
    enter(in, why_lost(), c);
  } else if (state_ <= CaState::disorder) {
    keep_open();
  }
  return c;
}

Rule Recovery::why_lost() const {
  if (!sack_) return Rule::tcp_fast_retransmit;
  return use_rack_ ? Rule::tcp_rack_lost : Rule::tcp_sack_lost;
}

// RFC 8985 §7.4.2: the window comes down as for any loss, although nothing is left to repair.
void Recovery::heed_probe(const AckInput& in, const AckNews& news, Conclusions& c) {
  const bool bare_duplicate = in.duplicate && in.sack_count == 0;
  if (!probe_.repaired_loss(in.ack, news, bare_duplicate)) return;
  c.probe_repaired = state_ <= CaState::disorder;
}

// SND.UNA has reached the point where the sender was when it began (RFC 6675 §5, 6582 §3.2 (3) "full ACK").
bool Recovery::leave(const AckInput& in, const AckNews& news, Conclusions& c) {
  switch (state_) {
    case CaState::cwr:
      if (!news.advanced()) return false;
      c.recovered = true;
      break;
    case CaState::recovery:
    case CaState::loss:
      if (retransmissions_were_spurious(in)) {
        undo(original_came_late(in) ? Rule::tcp_undo_eifel : Rule::tcp_undo_dsack, c);
      } else if (frto_ != Frto::off && news.original_delivered) {
        undo(Rule::tcp_undo_frto, c);
      } else {
        rack_.on_recovered();
        frto_ = Frto::off;
        c.recovered = !std::exchange(window_kept_, false);
      }
      break;
    default:
      return false;
  }
  duplicates_ = 0;
  urgent_ = false;
  state_ = CaState::open;
  return c.undone.has_value();
}

// Fast recovery goes on. True: it was undone.
bool Recovery::in_recovery(const AckInput& in, const AckNews& news, Conclusions& c) {
  if (news.advanced() && undo_partial(in, c)) return c.undone.has_value();
  return undo_by_dsack(c);
}

// --- what is lost
// ------------------------------------------------------------------------------------------------------

void Recovery::find_losses(const AckInput& in, const AckNews& news, const RttEstimator& rtt, Conclusions& c) {
  if (use_rack_) return find_losses_by_time(rtt, in.now, c);
  if (sack_) return find_losses_by_count(in, c);
  find_losses_without_sack(in, news, c);
}

// RFC 8985 §6.2, steps 4 and 5.
void Recovery::find_losses_by_time(const RttEstimator& rtt, Time now, Conclusions& c) {
  if (!rack_.delivered_any()) return;
  const Rack::Situation situation{.repairing = repairing(), .dup_thresh_met = board_->sacked().segments >= kDupThresh};
  const Duration allowance = rack_.rtt() + rack_.reordering_window(situation, rtt);
  const auto o = board_->mark_overdue(rack_.sent(), rack_.end(), allowance, Rule::tcp_rack_lost, now);
  c.lost += o.lost;
  c.retransmission_lost = o.retransmission_lost;
  c.reordering_timer = o.next;
}

// RFC 6675 §5: DupThresh segments, or IsLost() of the first octet; then all for which IsLost() holds.
void Recovery::find_losses_by_count(const AckInput& in, Conclusions& c) {
  const SeqPos boundary = board_->lost_boundary(reordering_, in.mss);
  const bool enough = board_->sacked().segments >= reordering_;
  c.lost += board_->mark_lost_until(boundary, Rule::tcp_sack_lost);
  if (enough && state_ < CaState::recovery && c.lost == 0)
    c.lost = board_->mark_first_lost(in.mss, Rule::tcp_sack_lost);
}

// RFC 6582 §3.2: the third duplicate ACK, of something newer than the last recovery (2); each partial ACK (3).
void Recovery::find_losses_without_sack(const AckInput& in, const AckNews& news, Conclusions& c) {
  if (state_ == CaState::recovery) {
    if (!news.advanced()) return;
    c.lost = board_->mark_first_lost(in.mss, Rule::tcp_partial_ack);
    urgent_ = true;  // at once, whatever the proportion says
    return;
  }
  if (state_ == CaState::loss || duplicates_ < reordering_ || in.ack <= high_seq_) return;
  c.lost = board_->mark_first_lost(in.mss, Rule::tcp_fast_retransmit);
}

// --- from state to state
// ----------------------------------------------------------------------------------------------

void Recovery::enter(const AckInput& in, Rule why, Conclusions& c) {
  c.entered = why;
  c.reduce = state_ != CaState::cwr;
  begin_undo(in.ack);
  high_seq_ = in.nxt;
  probe_.forget();
  frto_ = Frto::off;
  rescued_ = false;
  urgent_ = true;
  state_ = CaState::recovery;
}

void Recovery::keep_open() {
  const bool disorder = duplicates_ > 0 || board_->sacked().bytes > 0 || board_->lost().bytes > 0;
  state_ = disorder ? CaState::disorder : CaState::open;
  if (board_->retransmitted().bytes == 0) first_resent_ = kNever;
}

// As Linux: the units of the window change, what is in the network does not, so the window stays as it is; in the state
// of loss, out of which SND.UNA leads once all that was sent until now has arrived.
uint32_t Recovery::on_smaller_path(SeqPos nxt, uint32_t mss) {
  if (!board_) return 0;
  const uint32_t lost = board_->mark_larger_than(mss, Rule::tcp_path_mtu);
  if (lost == 0 || state_ > CaState::disorder) return lost;
  state_ = CaState::loss;
  window_kept_ = true;
  high_seq_ = nxt;
  undo_from_ = kNone;
  duplicates_ = 0;
  frto_ = Frto::off;
  probe_.forget();
  return lost;
}

bool Recovery::enter_cwr(SeqPos nxt) {
  if (state_ > CaState::disorder) return false;
  undo_from_ = kNone;
  high_seq_ = nxt;
  state_ = CaState::cwr;
  return true;
}

void Recovery::on_window_opened() {
  if (!board_) return;
  board_->mark_timed_out(kNever, Rule::tcp_window_reopened);
  duplicates_ = 0;
}

void Recovery::on_syn_text_refused() {
  if (board_) board_->mark_timed_out(kNever, Rule::tcp_fast_open_refused);
}

}  // namespace limpid
