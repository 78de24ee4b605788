// Output decides: what may and should be sent now, in order of urgency, one SegmentPlan at a time. A plan is looked at,
// sent, and committed only if the device took it; a refused plan moves nothing.
#include <algorithm>
#include <array>
#include <utility>

#include "stack/tcp/connection.h"

namespace limpid {

void Connection::output(Time now, Extent extent) {
  const SeqPos nxt_before = snd_.nxt;
  burst_ = {};
  deferred_ = false;
  in_write_ = extent == Extent::one_burst;
  follow_path_mtu(now);
  while (const SegmentPlan plan = next_plan(now)) {
    if (transmit(plan, now) == SendOutcome::refused) {
      if (!ListHook<BlockedTag>::linked()) env_.blocked.push_back(*this);  // Tcp::link_writable() drives it on
      break;
    }
    if (extent == Extent::one_burst && burst_.end <= snd_.nxt) break;
  }
  congestion_.on_output(snd_.una, snd_.nxt, in_flight(), snd_.nxt > nxt_before, deferred_);
  note_app_limit();
  if (std::exchange(acked_, false) && !room_told_) widen_send_buffer();
  const bool room = has_room();  // an ACK, a larger congestion window or a changed option may have made some
  if (room) writer_waits_ = false;
  if (room && !room_told_) raise(kWritable);
  room_told_ = room;
  account(now);
  adjust_timers(now);
}

SegmentPlan Connection::next_plan(Time now) {
  if (released()) return {};
  if (syn_due_) return plan_syn();
  if (may_carry_text()) {
    if (tail_probe_due_) {
      if (SegmentPlan p = plan_tail_probe()) return p;
    }
    if (recovery_.lost().bytes > 0) {
      if (SegmentPlan p = plan_resend()) return p;
    }
    probe_due_ = probe_due_ && must_probe();  // it may have waited for the device until nothing was left to ask
    if (probe_due_) return plan_probe();
    if (SegmentPlan p = plan_new_data(now)) return p;
    if (SegmentPlan p = plan_risked_resend()) return p;
    if (keepalive_due_) return plan_keepalive();
  }
  if (ack_now_ && state_ != TcpState::syn_sent) return plan_ack();
  return {};
}

SegmentPlan Connection::plan_syn() const {
  Rule first = opened_fast_ ? Rule::tcp_fast_open : Rule::tcp_simultaneous_open;
  if (state_ == TcpState::syn_sent) first = Rule::tcp_active_open;
  SegmentPlan p{.kind = SegmentPlan::Kind::syn, .seq = SeqPos{0}, .why = first};
  if (timeouts_ > 0) p.why = Rule::tcp_retransmit_syn;
  if (syn_goes_bare()) p.why = Rule::tcp_path_mtu;
  if (state_ == TcpState::syn_sent && carries_fast_open(p)) {
    p.length = fast_open_->text;
    p.why = p.length > 0 ? Rule::tcp_fast_open_text : Rule::tcp_fast_open_request;
  }
  return p;
}

// What was sent before and is lost, in the order of sequence numbers, as congestion control permits (RFC 8985 §9.3):
// but the first one, which recovery begins with, at once.
SegmentPlan Connection::plan_resend() {
  if (snd_.una == snd_.nxt) return {};
  // Not into a window that shrank to nothing: probes do that work (RFC 9293 §3.8.6, SHLD-16).
  if (snd_.wnd == 0) return {};
  const auto range = recovery_.next_to_resend(mss_);
  if (!range || (!recovery_.urgent() && held_back_by_pace())) return {};
  const uint32_t flying = in_flight();
  const bool fits = flying == 0 || flying + (range->end - range->seq) <= congestion_.cwnd();
  if (!fits && !recovery_.urgent()) return {};
  return plan_again(*range);
}

// What is only missing so far, once there is nothing better to send (RFC 6675 §5 (C)).
SegmentPlan Connection::plan_risked_resend() {
  if (snd_.wnd == 0 || in_flight() + mss_ > congestion_.cwnd()) return {};
  const auto range = recovery_.next_to_risk(mss_);
  return range && !held_back_by_pace() ? plan_again(*range) : SegmentPlan{};
}

SegmentPlan Connection::plan_again(const SentRange& range) const {
  SegmentPlan p = plan_range(range);
  p.burst = burst_.end > p.seq ? burst_ : begin_resend_burst(range);
  p.push = p.push || (p.burst.many && p.seq + p.length >= p.burst.end);
  return p;
}

SegmentPlan Connection::plan_range(const SentRange& range) const {
  SegmentPlan p{.kind = SegmentPlan::Kind::resend, .seq = range.seq, .why = range.why};
  p.length = static_cast<uint32_t>(std::clamp<int64_t>(std::min(data_end(), range.end) - range.seq, 0, mss_));
  p.fin = range.end > data_end() && range.seq + p.length == data_end();
  p.push = p.length > 0 && (range.pushed || range.seq + p.length == data_end());
  return p;
}

// RFC 8985 §7.3: what was never sent, if there is such a thing and the peer's window takes it; else the last segment.
SegmentPlan Connection::plan_tail_probe() const {
  if (snd_.una == snd_.nxt || snd_.wnd == 0) return {};
  const int64_t usable = std::max<int64_t>(0, snd_.una + snd_.wnd - snd_.nxt);
  const auto fresh = static_cast<uint32_t>(std::min<int64_t>({static_cast<int64_t>(unsent()), usable, int64_t{mss_}}));
  SegmentPlan p;
  if (fresh > 0) {
    p = {.kind = SegmentPlan::Kind::data, .seq = snd_.nxt, .length = fresh, .push = push_due(snd_.nxt + fresh)};
  } else {
    p = plan_range(recovery_.last_segment(mss_));
  }
  p.why = Rule::tcp_tail_probe;
  p.tail_probe = true;
  return p;
}

// RFC 9293 §3.8.6.2.1: what is new, as far as the peer's window (usable) and the congestion window allow.
SegmentPlan Connection::plan_new_data(Time now) {
  const auto unsent_bytes = static_cast<uint32_t>(unsent());
  const bool fin_waits = fin_queued_ && !fin_sent() && synchronized(state_);
  if (unsent_bytes == 0 && !fin_waits) return {};
  if (recovery_.next_to_resend(mss_)) return {};  // old bytes first
  if (held_back_by_pace()) return {};

  // Ahead of the handshake's end the window counts from behind our SYN, whose octet is nothing that could congest.
  const int64_t usable = std::max<int64_t>(0, std::max(snd_.una, SeqPos{1}) + snd_.wnd - snd_.nxt);
  // RFC 5681 §4.1: after an idle time longer than the RTO the congestion window begins anew.
  const bool begins = snd_.una == snd_.nxt && snd_.nxt > SeqPos{1} && usable > 0;
  if (begins && now - last_sent_ > rtt_.rto()) congestion_.on_idle();
  const uint32_t flying = in_flight() - (snd_.una == SeqPos{0} ? std::min(in_flight(), 1u) : 0);
  const uint32_t allowed = congestion_.cwnd() > flying ? congestion_.cwnd() - flying : 0;

  SegmentPlan p{.kind = SegmentPlan::Kind::data, .seq = snd_.nxt, .why = Rule::tcp_new_data};
  p.length = static_cast<uint32_t>(std::min<int64_t>({int64_t{unsent_bytes}, usable, int64_t{allowed}, int64_t{mss_}}));
  if (fin_waits && p.length == unsent_bytes && usable > p.length) {  // the congestion window does not hold back a FIN
    p.fin = true;
    p.why = p.length == 0 ? Rule::tcp_close : p.why;
  }
  if (p.length == 0) return p.fin ? p : SegmentPlan{};
  const auto window = static_cast<uint32_t>(std::min<int64_t>(usable, UINT32_MAX));
  if (!p.fin && !worth_sending(p.length, unsent_bytes, window)) return {};
  if (override_due_) p.why = Rule::tcp_sws_override;
  if (burst_.end <= snd_.nxt && !p.fin && better_later(window, allowed, now)) return {};
  p.burst = burst_.end > snd_.nxt ? burst_ : begin_burst(unsent_bytes, window, allowed);
  if (!p.fin && may_go_uncut()) take_whole_burst(p);
  const SeqPos end = p.seq + p.length;
  p.push = (p.burst.many && end >= p.burst.end) || push_due(end);
  return p;
}

// Silly-window avoidance and Nagle (RFC 9293 §3.8.6.2.1 and §3.7.4): a full segment; or all there is, if no other small
// segment is under way (Appendix A.3, Minshall's variant, as on Linux); or at least half the largest window that the
// peer ever offered; or it waited long enough.
bool Connection::worth_sending(uint32_t length, uint32_t unsent_bytes, uint32_t usable) const {
  if (length == mss_ || override_due_) return true;
  const bool all = length == unsent_bytes;
  const bool corked = options_.cork || more_coming_;
  const bool nagle_allows = options_.no_delay || small_end_ <= snd_.una;
  if (all && !corked && (nagle_allows || snd_.up > snd_.nxt)) return true;
  return length == usable && usable >= std::max<uint32_t>(snd_.max_wnd / 2, 1) && !corked;
}

// RFC 9293 §3.8.6.1: one octet into the zero window; one that was sent before if there is such a one. Or as Linux: an
// octet number that the peer has, which it answers too.
SegmentPlan Connection::plan_probe() const {
  if (env_.config.empty_window_probes)
    return {.kind = SegmentPlan::Kind::probe, .seq = snd_.una - 1, .why = Rule::tcp_zero_window_probe};
  SegmentPlan p{.kind = SegmentPlan::Kind::probe,
                .seq = snd_.una < snd_.nxt ? snd_.una : snd_.nxt,
                .why = Rule::tcp_zero_window_probe};
  if (p.seq < data_end()) {
    p.length = 1;
  } else {
    p.fin = true;
  }
  return p;
}

// RFC 9293 §3.8.4: SEG.SEQ = SND.NXT-1, no text: the peer answers an old number with an ACK.
SegmentPlan Connection::plan_keepalive() const {
  return {.kind = SegmentPlan::Kind::keepalive, .seq = snd_.una - 1, .why = Rule::tcp_keepalive_probe};
}

SegmentPlan Connection::plan_ack() const {
  return {.kind = SegmentPlan::Kind::ack, .seq = snd_.nxt, .why = ack_reason_};
}

// --- onto the wire
// -------------------------------------------------------------------------------------------------------

TcpHeader Connection::header_of(const SegmentPlan& plan, const Receiver::Window& window,
                                const TcpOptionSet& options) const {
  TcpHeader h;
  h.source_port = tuple().local.port;
  h.destination_port = tuple().remote.port;
  h.sequence = wrap(plan.seq, iss_).value;
  h.window = window.wire;
  h.options = options;
  if (plan.kind == SegmentPlan::Kind::syn) h.flags |= tcp_flag::syn;
  if (state_ != TcpState::syn_sent) {
    h.flags |= tcp_flag::ack;
    h.acknowledgment = wrap(rcv_.nxt(), irs_).value;
  }
  if (plan.push && plan.length > 0) h.flags |= tcp_flag::psh;
  if (plan.fin) h.flags |= tcp_flag::fin;
  if (plan.kind == SegmentPlan::Kind::reset) h.flags = static_cast<uint8_t>(h.flags | tcp_flag::rst);
  h.flags = static_cast<uint8_t>(h.flags | ecn_flags(plan));
  if (snd_.up > plan.seq && plan.length > 0 && plan.kind != SegmentPlan::Kind::syn) {
    h.flags |= tcp_flag::urg;
    h.urgent_pointer = static_cast<uint16_t>(std::min<int64_t>(snd_.up - plan.seq, 65'535));
  }
  return h;
}

SendOutcome Connection::transmit(const SegmentPlan& plan, Time now) {
  std::array<ByteSpan, 8> pieces;
  SegmentPlan p = plan;
  const TcpOptionSet options = options_of(p, now);
  const uint32_t room = text_room(options);
  if (p.length > p.segments * room &&
      p.kind != SegmentPlan::Kind::syn) {  // SACK blocks go with it: the rest comes next
    p.length = p.segments * room;
    p.fin = p.push = false;
  }
  size_t count = 0;
  if (p.length > 0) {
    const auto gathered = queue_.gather(p.text_begin().stream(), p.length, pieces);
    count = gathered.pieces;
    if (gathered.covered < p.length) {  // many tiny chunks: what fits goes now, the rest next
      p.length = static_cast<uint32_t>(gathered.covered);
      p.segments = 1 + (p.length - 1) / room;
      p.fin = p.push = false;
    }
  }
  const std::span<const ByteSpan> body(pieces.data(), count);
  const bool scaled = agreed_.window_scaling && p.kind != SegmentPlan::Kind::syn;
  const Receiver::Window window = rcv_.window(scaled, agreed_.advertised_mss);
  const TcpHeader header = header_of(p, window, options);

  HeaderBuffer head;
  FrameOffload offload;
  const MutableByteSpan place = head.prepend(header.size());
  if (path_.offloads || p.segments > 1) {
    header.write_open(place, tuple().local.address, tuple().remote.address, p.length);
    offload = {.checksum_field = TcpHeader::kChecksumField, .checksum_open = true};
    if (p.segments > 1) offload.segment_text = static_cast<uint16_t>(room);
  } else {
    header.write(place, tuple().local.address, tuple().remote.address, body);
  }
  const EventNumber event = trace_segment(p, header, now);
  const IpSend what{
      .source = tuple().local.address,
      .destination = tuple().remote.address,
      .protocol = IpProtocol::tcp,
      .ttl = options_.ttl,
      .tos = static_cast<uint8_t>((options_.tos & ~ecn_bits::mask) | (ecn_capable(p) ? ecn_bits::ect0 : 0)),
      .dont_fragment = options_.dont_fragment,
      .event = event,
      .offload = offload};
  const SendOutcome outcome = env_.ip.send(what, path_, head, body, now);
  if (outcome == SendOutcome::refused) return outcome;
  if (outcome == SendOutcome::partly) {  // what has gone has gone; the rest is planned anew when the device has room
    p.segments = env_.ip.packets_taken();
    p.length = p.segments * room;
    p.fin = p.push = false;
    commit(p, window, now);
    return SendOutcome::refused;
  }
  commit(p, window, now);  // a packet that found no route is lost, like one that the network lost
  return outcome;
}

void Connection::commit(const SegmentPlan& plan, const Receiver::Window& window, Time now) {
  using Kind = SegmentPlan::Kind;
  env_.counters.add(Counter::tcp_out, plan.segments);
  segments_out_ += plan.segments;
  rcv_.promised(window.edge);
  last_ack_sent_ = rcv_.nxt();
  sack_report_.told(rcv_.queue());
  if (quick_acks_ > 0) --quick_acks_;
  ack_now_ = false;  // every segment says where we stand
  octets_unacked_ = 0;
  cancel_timer(TcpTimer::delayed_ack, now);
  if (plan.kind == Kind::ack || plan.kind == Kind::reset) return;

  const bool again = plan.kind == Kind::resend ||
                     (plan.kind == Kind::probe && plan.seq < snd_.nxt && plan.length > 0) ||
                     (plan.kind == Kind::syn && (timeouts_ > 0 || syn_goes_bare()));
  if (again) {
    ++resent_;
    env_.counters.add(Counter::tcp_retransmits);
  }
  if (plan.length > 0) {
    TrafficTotals& totals = traffic().totals;
    ++totals.data_segments_out;
    totals.bytes_sent += plan.length;
    if (again) totals.bytes_resent += plan.length;
  }
  burst_ = plan.end() < plan.burst.end ? plan.burst : Burst{};
  switch (plan.kind) {
    case Kind::syn:
      syn_due_ = false;
      if (carries_fast_open(plan)) fast_open_->text = plan.length;
      break;
    case Kind::resend:
      break;
    case Kind::probe:
      probe_due_ = false;
      probed_ = true;
      env_.counters.add(Counter::tcp_window_probes);
      if (plan.end() < snd_.una) return;  // an empty one
      break;
    case Kind::keepalive:
      keepalive_due_ = false;
      env_.counters.add(Counter::tcp_keepalive_probes);
      return;
    default:
      if (plan.length > 0) ecn_.told();
      if (plan.length > 0 && plan.length < mss_) small_end_ = plan.text_begin() + plan.length;
      override_due_ = false;
      if (now - last_text_ < env_.config.delayed_ack) options_.quick_ack = false;
      break;
  }
  note_sent(plan, now);
}

// What takes sequence numbers is on record from now on.
void Connection::note_sent(const SegmentPlan& plan, Time now) {
  const DeliveryStamp stamp = stamp_text(plan, now);
  if (plan.end() > snd_.nxt) {
    if (snd_.una == snd_.nxt) {
      stalled_since_ = now;
      congestion_.on_transmit_start(now);
    }
    if (plan.kind == SegmentPlan::Kind::syn && plan.length > 0) {  // two, as Linux counts them: the SYN, and its text
      recovery_.sent(snd_.nxt, plan.text_begin(), 1, stamp, now);
      recovery_.sent(plan.text_begin(), plan.end(), plan.length, stamp, now);
      recovery_.burst_ended(true);
    } else {
      recovery_.sent(snd_.nxt, plan.end(), mss_, stamp, now);
      if (plan.end() >= plan.burst.end) recovery_.burst_ended(push_due(plan.seq + plan.length));
    }
    snd_.nxt = plan.end();
    if (traffic_) traffic_->chunks.sent(snd_.nxt);
  } else {
    recovery_.resent(plan.seq, plan.end(), mss_, stamp, now);
    if (plan.why == Rule::tcp_rescue) recovery_.rescue_sent();
  }
  if (plan.tail_probe) {
    tail_probe_due_ = false;
    recovery_.probe_sent(snd_.nxt, plan.kind == SegmentPlan::Kind::resend);
  }
  congestion_.on_sent(plan.length);
  pace(plan.length, now);
  last_sent_ = now;
  arm_loss_timer_for(plan, now);
}

// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>: acceptable to any peer whose state agrees with ours (RFC 9293 §3.10.5).
void Connection::send_reset(Rule why, Time now) {
  env_.counters.add(Counter::tcp_resets_sent);
  transmit({.kind = SegmentPlan::Kind::reset, .seq = snd_.nxt, .why = why}, now);
}

}  // namespace limpid
