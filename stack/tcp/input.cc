// SEGMENT ARRIVES: RFC 9293 §3.10.7.3 (SYN-SENT) and §3.10.7.4 (all later states), one function a step, in the RFC's
// order. Each step returns Verdict::next to go on, or the name of where the segment ended. Nothing is sent from here:
// the steps change state and note what is owed (ack_now_, resend, …); output() decides afterwards.
#include <algorithm>
#include <utility>

#include "stack/tcp/connection.h"

namespace limpid {

Segment Connection::unwrap_segment(const TcpHeader& h, SliceChain text) const {
  Segment s;
  s.wire_seq = Seq{h.sequence};
  // Before the peer's SYN there is no reference: the number of a SYN is position 0 by definition.
  s.seq = state_ == TcpState::syn_sent ? SeqPos{0} : unwrap(s.wire_seq, irs_, rcv_.nxt());
  s.ack = unwrap(Seq{h.acknowledgment}, iss_, snd_.una);
  // RFC 7323 §2.2: the window of a SYN is never scaled, whatever becomes of the SYN later.
  s.wnd = uint32_t{h.window} << (agreed_.window_scaling && !h.has(tcp_flag::syn) ? agreed_.send_shift : 0);
  s.flags = h.flags;
  s.urgent_pointer = h.urgent_pointer;
  s.up = s.seq + h.urgent_pointer;
  s.options = h.options;
  // What was not agreed on means nothing (RFC 7323 §3.2, 2018 §2); in SYN-SENT nothing is agreed on yet.
  if (state_ != TcpState::syn_sent && !agreed_.timestamps) s.options.timestamps.reset();
  if (!agreed_.sack) s.options.sack_count = 0;
  s.packet_text = text.length;
  s.text = std::move(text);
  return s;
}

Verdict Connection::on_segment(Segment& s, Time now) {
  segments_in_ += s.packets;
  trace_arrival(s, now);
  if (state_ == TcpState::syn_sent) return arrives_in_syn_sent(s, now);

  // RFC 9293 §3.10.7.4. (Third, security, is not used on the Internet.)
  Verdict v = check_timestamp(s, now);                 // RFC 7323 §5.3
  if (v == Verdict::next) v = check_sequence(s, now);  // first
  if (v == Verdict::next) v = check_reset(s, now);     // second
  if (v == Verdict::next) v = check_syn(s, now);       // fourth
  if (v == Verdict::next) v = check_ack(s, now);       // fifth
  if (v == Verdict::next) {
    check_urgent(s, now);   // sixth
    v = take_text(s, now);  // seventh
  }
  if (v == Verdict::next) {
    check_fin(now);  // eighth
    v = Verdict::taken;
  }
  adjust_timers(now);
  mark_dirty();
  return v;
}

// --- RFC 9293 §3.10.7.3
// ------------------------------------------------------------------------------------------------

Verdict Connection::arrives_in_syn_sent(Segment& s, Time now) {
  const bool acks = s.has(tcp_flag::ack);
  const bool acceptable_ack = acks && s.ack > snd_.una && s.ack <= snd_.nxt;

  // First, the ACK bit: SEG.ACK =< ISS or > SND.NXT draws a RST, unless the segment is one. The stack sends it
  // (bad_ack).
  if (acks && !acceptable_ack) {
    drop(s, Counter::tcp_drop_bad_ack, Rule::tcp_bad_ack_reset, now);
    return s.has(tcp_flag::rst) ? Verdict::ignored : Verdict::bad_ack;
  }
  if (acks && !s.has(tcp_flag::rst) && syn_ack_is_old(s, now)) {
    drop(s, Counter::tcp_drop_bad_ack, Rule::tcp_bad_ack_reset, now);
    return Verdict::bad_ack;
  }
  // Second, the RST bit: only with an acceptable ACK (RFC 5961 §3.2 too).
  if (s.has(tcp_flag::rst)) {
    if (!acceptable_ack) return Verdict::ignored;
    env_.counters.add(Counter::tcp_resets_received);
    die(TcpEvent::rcv_rst, Error::refused, Rule::tcp_syn_sent_refused, now);
    return Verdict::reset_taken;
  }
  // Fourth, the SYN bit; fifth, without SYN or RST the segment is dropped.
  if (!s.has(tcp_flag::syn)) {
    drop(s, Counter::tcp_drop_no_connection, Rule::tcp_flags, now);
    return Verdict::ignored;
  }
  hear_from_peer(now);
  irs_ = s.wire_seq;
  agreed_.read_peer_syn(s.options, env_.config);
  agreed_.ecn = env_.config.ecn == EcnMode::on && acceptable_ack && Ecn::accepted(s.flags);
  if (agreed_.timestamps) recent_.take(s.ts_value(), now);
  rcv_.set_shift(agreed_.receive_shift);
  note_mss();
  env_.tracer.emit(EventKind::tcp_options_negotiated, Rule::tcp_options, number_, now,
                   {mss_, agreed_.receive_shift, agreed_.send_shift, agreed_.flags()});
  snd_.wnd = s.wnd;  // never scaled on a SYN (RFC 7323 §2.2)
  snd_.max_wnd = s.wnd;
  snd_.wl1 = s.seq;
  snd_.wl2 = s.ack;

  if (!acceptable_ack) {  // simultaneous open: both SYNs crossed; ours is sent again as SYN,ACK
    set_state(TcpEvent::rcv_syn, Rule::tcp_simultaneous_open, now);
    syn_due_ = true;
    adjust_timers(now);
    mark_dirty();
    return Verdict::taken;
  }
  const AckNews news = recovery_.read(ack_input(s, false, now), rtt_.min_rtt());
  if (unsent() > 0) last_text_ = now;  // the user has something to say: no need of ACKs that carry none
  snd_.una = s.ack;
  syn_due_ = false;  // one may still wait for the device
  queue_.consume_to(std::min(snd_.una, data_end()).stream());
  if (sample_rtt(news) > Duration{}) trace_metrics(Rule::tcp_rtt, now);
  if (fast_open_) {
    remember_server(s);
    conclude_fast_open(now);
  }
  if (timeouts_ > 0) {  // RFC 6298 §5.7, RFC 5681 §3.1
    rtt_.restart_after_syn_timeout();
    congestion_.on_syn_lost();
  }
  timeouts_ = 0;
  stalled_since_ = snd_.una < snd_.nxt ? now : kNever;
  cancel_timer(TcpTimer::rto, now);
  set_state(TcpEvent::rcv_syn_ack, Rule::tcp_syn_acked, now);
  want_ack(Rule::tcp_syn_acked);
  raise(kConnected | kWritable);

  // Text or FIN on the SYN,ACK: on with the sixth step of §3.10.7.4. The SYN octet is behind RCV.NXT now.
  Verdict v = Verdict::next;
  if (s.length() > 1) {
    rcv_.trim(s);
    check_urgent(s, now);
    v = take_text(s, now);
    if (v == Verdict::next) check_fin(now);
  }
  adjust_timers(now);
  mark_dirty();
  return v == Verdict::next ? Verdict::taken : v;
}

// --- RFC 9293 §3.10.7.4
// ------------------------------------------------------------------------------------------------

// First, check the sequence number.
Verdict Connection::check_sequence(Segment& s, Time now) {
  // In a simultaneous open the peer's SYN,ACK brings its SYN a second time: what counts is its ACK (RFC 9293 §3.5,
  // Figure 7).
  if (state_ == TcpState::syn_received && s.has(tcp_flag::syn) && s.has(tcp_flag::ack) && s.seq == SeqPos{0}) {
    s.flags = static_cast<uint8_t>(s.flags & ~tcp_flag::syn);
    s.seq += 1;
  }
  if (!rcv_.acceptable(s)) {
    const bool keepalive_probe =
        s.seq == rcv_.nxt() - 1 && s.length() <= 1 && !s.has(tcp_flag::syn | tcp_flag::fin | tcp_flag::rst);
    // A FIN sent again because our ACK of it was lost, old text, a keep-alive: all are answered with where we stand.
    drop(s, Counter::tcp_drop_unacceptable, keepalive_probe ? Rule::tcp_ack_keepalive : Rule::tcp_sequence, now);
    if (!s.has(tcp_flag::rst))
      answer_with_ack(s, keepalive_probe ? Rule::tcp_ack_keepalive : Rule::tcp_ack_out_of_window, now);
    // In SYN-RECEIVED the peer's SYN came again: our SYN,ACK was lost (§3.10.7.4, and simultaneous open).
    if (state_ == TcpState::syn_received && s.has(tcp_flag::syn) && s.seq == SeqPos{0}) syn_due_ = true;
    take_ack_of_unacceptable(s, now);
    return Verdict::unacceptable;
  }
  s.may_be_echoed = s.seq <= last_ack_sent_;
  s.cut_from = s.seq;
  // A RST keeps its number: the next step asks for exactly RCV.NXT, which a cut would have made of it.
  if (!s.has(tcp_flag::rst) && rcv_.trim(s)) want_ack(Rule::tcp_ack_out_of_window);
  return Verdict::next;
}

// What a segment acknowledges is true even if its text is old, or is the octet with which the peer probes our zero
// window: without this, two ends that both probe could starve. Farther from the window it may be anybody's.
void Connection::take_ack_of_unacceptable(const Segment& s, Time now) {
  if (!s.has(tcp_flag::ack) || s.has(tcp_flag::rst | tcp_flag::syn) || !synchronized(state_)) return;
  if (s.seq < rcv_.nxt() - int64_t{rcv_.buffer()} || s.seq > rcv_.edge() + 1) return;
  if (s.ack < snd_.una || s.ack > snd_.nxt) return;
  hear_from_peer(now);
  take_ack(s, false, now);
}

// Second, check the RST bit (RFC 5961 §3.2: it must be exactly at RCV.NXT).
Verdict Connection::check_reset(const Segment& s, Time now) {
  if (!s.has(tcp_flag::rst)) return Verdict::next;
  if (s.seq != rcv_.nxt()) {
    drop(s, Counter::tcp_drop_blind_rst, Rule::tcp_reset_challenged, now);
    challenge(Rule::tcp_reset_challenged, now);
    return Verdict::challenged;
  }
  env_.counters.add(Counter::tcp_resets_received);
  // In SYN-RECEIVED after an active OPEN the connection was refused; in CLOSE-WAIT the user learns it as EPIPE on
  // Linux.
  Error error = state_ == TcpState::syn_received && !opened_fast_ ? Error::refused : Error::reset;
  if (state_ == TcpState::close_wait) error = Error::closing;
  die(TcpEvent::rcv_rst, error, Rule::tcp_reset_taken, now);
  return Verdict::reset_taken;
}

// Fourth, check the SYN bit (RFC 5961 §4.2: whatever its sequence number, a challenge ACK).
Verdict Connection::check_syn(const Segment& s, Time now) {
  if (!s.has(tcp_flag::syn)) return Verdict::next;
  drop(s, Counter::tcp_drop_syn_in_window, Rule::tcp_syn_challenged, now);
  challenge(Rule::tcp_syn_challenged, now);
  return Verdict::challenged;
}

// Fifth, check the ACK field.
Verdict Connection::check_ack(const Segment& s, Time now) {
  if (!s.has(tcp_flag::ack)) {
    drop(s, Counter::tcp_drop_no_ack, Rule::tcp_no_ack, now);
    return Verdict::no_ack;
  }
  if (state_ == TcpState::syn_received) {
    if (const Verdict v = ack_in_syn_received(s, now); v != Verdict::next) return v;
  }
  // RFC 5961 §5.2: not beyond SND.NXT, and not older than the largest window that the peer ever offered; nor (as Linux)
  // of what was never sent, for that window may reach back beyond our SYN.
  if (s.ack > snd_.nxt || s.ack < std::max(snd_.una - int64_t{snd_.max_wnd}, SeqPos{1})) {
    drop(s, Counter::tcp_drop_bad_ack, Rule::tcp_ack_challenged, now);
    challenge(Rule::tcp_ack_challenged, now);
    return Verdict::challenged;
  }
  hear_from_peer(now);
  note_timestamp(s, now);
  take_ack(s, is_duplicate_ack(s), now);
  if (fast_open_) conclude_fast_open(now);
  return released() ? Verdict::taken : Verdict::next;
}

Verdict Connection::ack_in_syn_received(const Segment& s, Time now) {
  if (s.ack <= snd_.una || s.ack > snd_.nxt) {
    drop(s, Counter::tcp_drop_bad_ack, Rule::tcp_bad_ack_reset, now);
    return Verdict::bad_ack;
  }
  if (std::exchange(syn_due_, false)) want_ack(Rule::tcp_simultaneous_open);  // a SYN,ACK still waits for the device
  snd_.wnd = s.wnd;
  snd_.max_wnd = std::max(snd_.max_wnd, snd_.wnd);
  snd_.wl1 = s.seq;
  snd_.wl2 = s.ack;
  if (timeouts_ > 0) {  // RFC 6298 §5.7, RFC 5681 §3.1
    rtt_.restart_after_syn_timeout();
    congestion_.on_syn_lost();
  }
  set_state(TcpEvent::rcv_ack_of_syn, Rule::tcp_established, now);
  raise(kConnected | kWritable);
  if (fin_queued_) set_state(TcpEvent::close, Rule::tcp_close, now);
  return Verdict::next;
}

// RFC 9293 §3.10.7.4, fifth: SND.WND moves only with segments newer than the last that moved it (WL1, WL2). One that
// acknowledges more is newer too, even if its text was sent before (as on Linux): SND.WND counts from SND.UNA, and an
// old value behind a new SND.UNA would reach beyond what the peer has promised.
void Connection::take_window(const Segment& s, Time now) {
  if (s.ack < snd_.una) return;
  if (!(snd_.wl2 < s.ack || snd_.wl1 < s.seq || (snd_.wl1 == s.seq && snd_.wl2 <= s.ack))) return;
  const uint32_t before = snd_.wnd;
  snd_.wnd = s.wnd;
  snd_.max_wnd = std::max(snd_.max_wnd, snd_.wnd);
  snd_.wl1 = s.seq;
  snd_.wl2 = s.ack;
  if (before == snd_.wnd) return;
  if (env_.tracer.on())
    env_.tracer.emit(EventKind::tcp_window_updated, Rule::tcp_window_update_taken, number_, now, {before, snd_.wnd});
  if (before == 0) {
    cancel_timer(TcpTimer::persist, now);
    probe_interval_ = {};
    // What lies between una and nxt was refused by the zero window that we probed: send it again, the path lost
    // nothing.
    if (std::exchange(probed_, false) && snd_.una < snd_.nxt) recovery_.on_window_opened();
  }
}

// Sixth, check the URG bit.
void Connection::check_urgent(const Segment& s, Time now) {
  if (!s.has(tcp_flag::urg) || !may_receive(state_) || s.urgent_pointer == 0) return;
  if (!rcv_.note_urgent(s.up)) return;
  env_.tracer.emit(EventKind::tcp_window_updated, Rule::tcp_urgent, number_, now, {rcv_.wnd(), rcv_.wnd()});
  raise(kUrgent | kReadable);
}

// Eighth, check the FIN bit: it counts once all text before it has arrived.
void Connection::check_fin(Time now) {
  if (!rcv_.reach_fin()) return;
  if (rcv_.queue().out_of_order_bytes() > 0) {  // behind its own FIN the peer can have sent nothing (as on Linux)
    rcv_.drop_out_of_order();
    sack_report_.told(rcv_.queue());
  }
  set_state(fin_acked() && state_ == TcpState::fin_wait_1 ? TcpEvent::rcv_fin_ack : TcpEvent::rcv_fin,
            Rule::tcp_fin_received, now);
  want_ack(Rule::tcp_fin_received);
  raise(kReadable | kPeerFin);
}

// --- answers
// -----------------------------------------------------------------------------------------------------------

// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply." Those without text are limited
// in rate, or two ends that disagree would answer each other for ever (an ACK storm).
void Connection::answer_with_ack(const Segment& s, Rule why, Time now) {
  if (s.length() > 0 && !s.has(tcp_flag::syn)) note_duplicate(s.seq, std::min(s.end(), rcv_.nxt()));
  if (s.text.length > 0) {  // our ACKs got lost or came too late: the next ones do not wait
    quick_acks_ = env_.config.quick_acks;
    options_.quick_ack = true;
  }
  if (s.text.length == 0 && !s.has(tcp_flag::syn | tcp_flag::fin) && answered_lately(now)) return;
  want_ack(why);
}

bool Connection::answered_lately(Time now) {
  if (now - last_invalid_answer_ < env_.config.invalid_ack_interval) {
    env_.counters.add(Counter::tcp_acks_limited);
    return true;
  }
  last_invalid_answer_ = now;
  return false;
}

// RFC 5961 §3.2, §4.2, §5.2: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, limited in rate on this connection, so that two ends
// that disagree do not challenge each other for ever, and over the whole stack (§7).
void Connection::challenge(Rule why, Time now) {
  if (answered_lately(now)) return;
  if (!env_.challenge_acks.allow(now)) {
    env_.counters.add(Counter::tcp_challenge_acks_limited);
    return;
  }
  env_.counters.add(Counter::tcp_challenge_acks);
  want_ack(why);
}

void Connection::drop(const Segment& s, Counter reason, Rule why, Time now) {
  env_.counters.add(reason);
  if (!env_.tracer.on()) return;
  env_.tracer.emit(EventKind::tcp_packet_dropped, why, number_, now,
                   {s.seq.low(), s.ack.low(), s.text.length, s.flags, static_cast<uint32_t>(reason),
                    static_cast<uint32_t>(state_), tuple().remote.port, tuple().local.port});
}

}  // namespace limpid
