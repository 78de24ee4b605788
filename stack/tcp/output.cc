// Output decides: what may and should be sent now, in order of urgency, one SegmentPlan at a time. A plan is looked at,
// sent, and committed only if the device took it; a refused plan moves nothing.
#include <algorithm>
#include <array>
#include <utility>

#include "stack/tcp/connection.h"

namespace limpid {

// A row: what one output sends of new text differs in its numbers, its length and its flags only. So its headers are
// made once, for the first segment, and stand in `head` for the next.
struct Connection::Row {
  TcpHeader header;
  Receiver::Window window;
  IpSend ip;
  HeaderBuffer head;
  size_t size = 0;  // of the TCP header
  bool begun = false;
};

void Connection::output(Time now, Extent extent) {
  const SeqPos nxt_before = snd_.nxt;
  ListHook<HeldTag>::unlink();
  burst_ = {};
  deferred_ = false;
  in_write_ = extent == Extent::one_burst;
  follow_path_mtu(now);
  Row row;
  while (const SegmentPlan plan = next_plan(now)) {
    if (transmit(plan, row, now) == SendOutcome::refused) {
      if (!ListHook<BlockedTag>::linked()) env_.blocked.push_back(*this);  // Tcp::link_writable() drives it on
      break;
    }
    if (extent == Extent::one_burst && burst_.end <= snd_.nxt) break;
  }
  if (tail_waits()) env_.held.push_back(*this);
  if (std::exchange(text_went_, false)) arm_loss_timer_behind_text(now);
  congestion_.on_output(snd_.una, snd_.nxt, in_flight(), snd_.nxt > nxt_before, deferred_);
  note_app_limit();
  if (std::exchange(acked_, false) && !room_told_) widen_send_buffer();
  tell_room();
  account(now);
  adjust_timers(now);
}

// An ACK, a larger congestion window or a changed option may have made some.
void Connection::tell_room() {
  const bool room = has_room();
  if (room) writer_waits_ = false;
  if (room && !room_told_) raise(kWritable);
  room_told_ = room;
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
  if (!recovery_.may_risk() || snd_.wnd == 0 || in_flight() + mss_ > congestion_.cwnd()) return {};
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
  if (held_back_by_pace() || (burst_.end <= snd_.nxt && tail_waits())) return {};

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
  if (!p.fin && may_go_uncut()) {
    take_whole_burst(p);
    p.fin = fin_waits && p.length == unsent_bytes && usable > p.length;  // on the last of its segments
  }
  const SeqPos end = p.seq + p.length;
  p.push = (p.burst.many && end >= p.burst.end) || push_due(end);
  return p;
}

// Silly-window avoidance and Nagle (RFC 9293 §3.8.6.2.1 and §3.7.4): a full segment; or all there is, if no other small
// segment is under way (Appendix A.3, Minshall's variant, as on Linux); or at least half the largest window that the
// peer ever offered; or it waited long enough.
bool Connection::small_is_worth_sending(uint32_t length, uint32_t unsent_bytes, uint32_t usable) const {
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

bool Connection::holds_ack(AcksWait acks, Time now) {
  if (!ack_now_) return false;
  const bool early = ack_reason_ == Rule::tcp_ack_quick || ack_reason_ == Rule::tcp_fin_received;
  if (!(early && acks.for_user) && !(acks.for_frames && is_bulk_ack())) return false;
  if (released() || unsent() > 0 || snd_.una != snd_.nxt || fin_queued_ || syn_due_ || probe_due_ || keepalive_due_)
    return false;
  tell_room();
  account(now);
  return true;
}

// --- onto the wire
// -------------------------------------------------------------------------------------------------------

bool Connection::carries_on(const Row& row, const SegmentPlan& plan) const {
  return row.begun && plan.kind == SegmentPlan::Kind::data && plan.length > 0 && sack_report_.empty();
}

void Connection::begin_row(Row& row, const SegmentPlan& plan, Time now) const {
  row.header = {};
  row.head.clear();
  add_options(row.header.options, plan, now);
  row.size = row.header.size();
  const bool scaled = agreed_.window_scaling && plan.kind != SegmentPlan::Kind::syn;
  row.window = rcv_.window(scaled, agreed_.advertised_mss);
  row.header.source_port = tuple().local.port;
  row.header.destination_port = tuple().remote.port;
  row.header.window = row.window.wire;
  if (state_ != TcpState::syn_sent) row.header.acknowledgment = wrap(rcv_.nxt(), irs_).value;
  row.ip = {.source = tuple().local.address,
            .destination = tuple().remote.address,
            .protocol = IpProtocol::tcp,
            .ttl = options_.ttl,
            .tos = static_cast<uint8_t>((options_.tos & ~ecn_bits::mask) | (ecn_capable(plan) ? ecn_bits::ect0 : 0)),
            .dont_fragment = options_.dont_fragment};
}

void Connection::fill_progress(TcpHeader& h, const SegmentPlan& plan) const {
  using Kind = SegmentPlan::Kind;
  h.sequence = wrap(plan.seq, iss_).value;
  uint8_t flags = ecn_flags(plan);
  if (plan.kind == Kind::syn) flags |= tcp_flag::syn;
  if (state_ != TcpState::syn_sent) flags |= tcp_flag::ack;
  if (plan.push && plan.length > 0) flags |= tcp_flag::psh;
  if (plan.fin) flags |= tcp_flag::fin;
  if (plan.kind == Kind::reset) flags |= tcp_flag::rst;
  h.urgent_pointer = 0;
  if (snd_.up > plan.seq && plan.length > 0 && plan.kind != Kind::syn) {
    flags |= tcp_flag::urg;
    h.urgent_pointer = static_cast<uint16_t>(std::min<int64_t>(snd_.up - plan.seq, 65'535));
  }
  h.flags = flags;
}

SendOutcome Connection::transmit(const SegmentPlan& plan, Row& row, Time now) {
  std::array<ByteSpan, 8> pieces;
  SegmentPlan p = plan;
  const bool on = carries_on(row, p);
  if (!on) begin_row(row, p, now);
  const uint32_t room = text_room(row.header.options);
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
  fill_progress(row.header, p);
  row.ip.offload = write_header(row, p, body, on);
  row.ip.event = trace_segment(p, row.header, now);
  const SendOutcome outcome =
      on ? env_.ip.send_next(row.ip, path_, row.head, body, now) : env_.ip.send(row.ip, path_, row.head, body, now);
  row.begun = false;
  if (outcome == SendOutcome::refused) return outcome;
  if (outcome == SendOutcome::partly) {  // what has gone has gone; the rest is planned anew when the device has room
    p.segments = env_.ip.packets_taken();
    p.length = p.segments * room;
    p.fin = p.push = false;
    commit(p, row.window, now);
    return SendOutcome::refused;
  }
  row.begun = p.kind == SegmentPlan::Kind::data && p.length > 0 && p.segments == 1 &&
              row.header.options.sack_count == 0 && outcome == SendOutcome::sent;
  commit(p, row.window, now);  // a packet that found no route is lost, like one that the network lost
  return outcome;
}

// What is left to the device.
FrameOffload Connection::write_header(Row& row, const SegmentPlan& plan, std::span<const ByteSpan> body,
                                      bool on) const {
  if (!on) row.header.write_fields(row.head.prepend(row.size));
  const MutableByteSpan place = row.head.innermost(row.size);
  if (on) row.header.write_progress(place);
  const IpAddress& source = tuple().local.address;
  const IpAddress& destination = tuple().remote.address;
  if (!path_.open_checksums && plan.segments == 1) {
    TcpHeader::close(place, source, destination, body);
    return {};
  }
  TcpHeader::leave_open(place, source, destination, plan.length);
  FrameOffload offload{.checksum_field = TcpHeader::kChecksumField, .checksum_open = true};
  if (plan.segments > 1) offload.segment_text = static_cast<uint16_t>(text_room(row.header.options));
  return offload;
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
  const SeqPos end = plan.end();
  if (end > snd_.nxt) {
    if (snd_.una == snd_.nxt) {
      stalled_since_ = now;
      congestion_.on_transmit_start(now);
    }
    if (plan.kind == SegmentPlan::Kind::syn && plan.length > 0) {  // two, as Linux counts them: the SYN, and its text
      recovery_.sent(snd_.nxt, plan.text_begin(), 1, stamp, now);
      recovery_.sent(plan.text_begin(), end, plan.length, stamp, now);
      recovery_.burst_ended(true);
    } else {
      recovery_.sent(snd_.nxt, end, mss_, stamp, now);
      if (end >= plan.burst.end) recovery_.burst_ended(push_due(plan.seq + plan.length));
    }
    snd_.nxt = end;
    if (traffic_) traffic_->chunks.sent(snd_.nxt);
  } else {
    recovery_.resent(plan.seq, end, mss_, stamp, now);
    if (plan.why == Rule::tcp_rescue) recovery_.rescue_sent();
  }
  if (plan.tail_probe) {
    tail_probe_due_ = false;
    recovery_.probe_sent(snd_.nxt, plan.kind == SegmentPlan::Kind::resend);
  }
  congestion_.on_sent(plan.length);
  if (paced()) pace(plan.length, now);
  last_sent_ = now;
  arm_loss_timer_for(plan, now);
}

// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>: acceptable to any peer whose state agrees with ours (RFC 9293 §3.10.5).
void Connection::send_reset(Rule why, Time now) {
  env_.counters.add(Counter::tcp_resets_sent);
  Row row;
  transmit({.kind = SegmentPlan::Kind::reset, .seq = snd_.nxt, .why = why}, row, now);
}

}  // namespace limpid
