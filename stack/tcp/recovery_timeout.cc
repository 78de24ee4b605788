// The timers of loss detection: the reordering timer (RFC 8985 §6.2), the retransmission timer (RFC 6298 §5.4,
// RFC 8985 §6.3), and whether that one expired for nothing (F-RTO, RFC 5682).
#include "stack/tcp/recovery.h"

namespace limpid {

Conclusions Recovery::on_reordering_timeout(SeqPos una, SeqPos nxt, uint32_t mss, const RttEstimator& rtt, Time now) {
  Conclusions c;
  if (!board_) return c;
  find_losses_by_time(rtt, now, c);
  if (c.lost == 0 || state_ == CaState::recovery) return c;
  if (state_ == CaState::loss && !c.retransmission_lost) return c;
  enter({.ack = una, .nxt = nxt, .mss = mss, .now = now}, Rule::tcp_rack_timer, c);
  return c;
}

Conclusions Recovery::on_timeout(SeqPos una, SeqPos nxt, bool first, bool frto, const RttEstimator& rtt, Time now) {
  Conclusions c;
  const bool new_recovery = state_ < CaState::recovery;
  c.lost_from = una;
  // The receiver has the first octet and yet does not acknowledge it: it forgot what it had reported (RFC 2018 §8).
  if (board_->first().sacked) board_->forget_sacks();
  Time sent_until = now;
  if (use_rack_ && rack_.delivered_any()) {
    sent_until = now - rack_.rtt() - rack_.reordering_window({.repairing = true}, rtt);
  }
  c.lost = board_->mark_timed_out(sent_until, Rule::tcp_retransmit_timeout);
  if (new_recovery || una >= high_seq_ || (state_ == CaState::loss && first)) {
    c.reduce = true;
    begin_undo(una);
  }
  state_ = CaState::loss;
  window_kept_ = false;
  high_seq_ = nxt;
  duplicates_ = 0;
  urgent_ = true;
  probe_.forget();
  // RFC 5682 §2.1 (1) and §3.1 (1): not when fast recovery had begun, for then the holes are known.
  frto_ = frto && (new_recovery || !first) ? Frto::first_ack : Frto::off;
  return c;
}

// Repair after a timeout goes on. True: it was undone.
bool Recovery::in_loss(const AckInput& in, const AckNews& news, Conclusions& c) {
  if (news.advanced() && retransmissions_were_spurious(in)) {
    undo(original_came_late(in) ? Rule::tcp_undo_eifel : Rule::tcp_undo_dsack, c);
    return true;
  }
  return frto_ != Frto::off && frto_step(in, news, c);
}

// RFC 5682 §2.1 and §3.1, steps 2 and 3. True: the timeout was spurious.
bool Recovery::frto_step(const AckInput& in, const AckNews& news, Conclusions& c) {
  // (3b): something that was sent once only, before the timeout, has arrived after all.
  if (news.original_delivered) {
    undo(Rule::tcp_undo_frto, c);
    return true;
  }
  if (frto_ == Frto::second_ack) {
    // (3a): new data went out, and what it draws is a duplicate ACK: the loss was real.
    if (news.sacked > 0 || in.duplicate || !news.advanced()) frto_ = Frto::off;
    return false;
  }
  if (!news.advanced()) {
    if (in.duplicate || news.sacked > 0) frto_ = Frto::off;  // (2a)
    return false;
  }
  // (2b): two new segments instead of retransmissions, if there are any that may go.
  high_seq_ = in.nxt;
  frto_ = in.new_data_may_go ? Frto::second_ack : Frto::off;
  return false;
}

}  // namespace limpid
