// What an ACK means to the sender: it reads what was delivered, draws conclusions (recovery), and tells congestion
// control of them, in that order.
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {

void Connection::take_ack(const Segment& s, bool duplicate, Time now) {
  acked_ = true;
  ecn_.on_ack(agreed_.ecn && s.has(tcp_flag::ece));
  if (tells_of_window_only(s)) {
    take_window(s, now);
    trace_metrics(Rule::tcp_ack_duplicate, now);
  } else {
    take_news(s, duplicate, now);
  }
  // The peer answers: however long its window stays zero, the connection lives (RFC 9293 §3.8.6.1, MUST-37).
  probes_ = 0;
}

// The ACK on each segment of a peer to whom we have nothing to say.
bool Connection::tells_of_window_only(const Segment& s) const {
  return snd_.una == snd_.nxt && s.ack == snd_.una && s.options.sack_count == 0 && recovery_.at_rest();
}

void Connection::take_news(const Segment& s, bool duplicate, Time now) {
  AckInput in = ack_input(s, duplicate, now);
  const uint32_t flying = in_flight();
  const FlightBefore before{
      .in_flight = flying,
      .flight_size = std::min(static_cast<uint32_t>(snd_.nxt - snd_.una), std::max(congestion_.cwnd(), flying))};
  const bool alone = recovery_.outstanding().segments == 1;
  const AckNews news = recovery_.read(in, rtt_.min_rtt());
  if (alone && news.advanced()) note_delayed_ack(news, now);
  if (traffic_) {
    TrafficTotals& totals = traffic_->totals;
    if (news.dsack) ++totals.duplicates_told;
    if (news.reordered) ++totals.reorderings;
    if (ecn_.echoed()) totals.marked_out += (news.delivered + mss_ - 1) / mss_;
  }
  if (s.ack > snd_.una) on_new_ack(s.ack, now);
  const Duration rtt = sample_rtt(news);
  take_window(s, now);
  in.new_data_may_go = unsent() > 0 && snd_.una + snd_.wnd > snd_.nxt;
  if (duplicate) env_.counters.add(Counter::tcp_duplicate_acks);

  const CaState state = recovery_.state();
  const Conclusions c = recovery_.conclude(in, news, rtt_);
  trace_conclusions(state, c, now);
  tell_congestion(c, before.flight_size, now);
  check_echo(s, before.flight_size, now);
  tell_congestion(news, before, rtt, c, now);
  arm_loss_timer(news.advanced(), c.reordering_timer, now);
}

AckInput Connection::ack_input(const Segment& s, bool duplicate, Time now) const {
  AckInput in{.ack = std::max(s.ack, snd_.una),
              .nxt = snd_.nxt,
              .mss = mss_,
              .max_window = snd_.max_wnd,
              .duplicate = duplicate,
              .stale = s.ack < snd_.una,
              .now = now};
  for (const SackBlock& b : std::span(s.options.sack).first(s.options.sack_count))
    in.sack[in.sack_count++] = {unwrap_own(Seq{b.left}), unwrap_own(Seq{b.right})};
  if (s.stamped()) in.echo_ms = echoed_at(s.ts_echo(), now);
  return in;
}

// SND.UNA moves on.
void Connection::on_new_ack(SeqPos ack, Time now) {
  const bool fin_was_acked = fin_acked();
  const SeqPos before = snd_.una;
  snd_.una = ack;
  note_delivered(before, ack);
  more_coming_ = false;
  queue_.consume_to(std::min(ack, data_end()).stream());
  if (env_.tracer.on())
    env_.tracer.emit(EventKind::tcp_packets_acked, Rule::tcp_ack_new, number_, now,
                     {before.low(), ack.low(), in_flight()});
  if (timeouts_ > 0 && traffic_ && traffic_->timeouts_since != kNever)
    traffic_->totals.timeout_time += now - std::exchange(traffic_->timeouts_since, kNever);
  timeouts_ = 0;
  tail_probe_due_ = false;
  stalled_since_ = snd_.una < snd_.nxt ? now : kNever;
  soft_error_ = Error::none;
  if (!fin_was_acked && fin_acked()) set_state(TcpEvent::rcv_ack_of_fin, Rule::tcp_fin_acked, now);
}

// RFC 5681 §2: outstanding data, no text, no SYN or FIN, the same ACK, the same window.
bool Connection::is_duplicate_ack(const Segment& s) const {
  return snd_.una < snd_.nxt && s.length() == 0 && s.ack == snd_.una && s.wnd == snd_.wnd && s.wnd > 0;
}

// Karn (RFC 6298 §3): never from what was sent twice, unless timestamps tell which of the two was answered (RFC 7323
// §4.1), and never so from the handshake, whose own rule is RFC 6298 §5.7. Until there is a sample a backed-off RTO
// stands, or a path that became slower than the RTO would never be measured again.
Duration Connection::sample_rtt(const AckNews& news) {
  Duration rtt{};
  if (news.first_sent && !news.resent_acked) {
    rtt = news.now - *news.first_sent;
  } else if (news.sack_sent) {
    rtt = news.now - *news.sack_sent;
  } else if (news.advanced() && snd_.una > SeqPos{1} && news.echo_ms) {
    rtt = std::max<Duration>(std::chrono::milliseconds(to_ms(news.now.time_since_epoch()) - *news.echo_ms), 1ms);
  } else {
    return {};
  }
  rtt_.note(rtt, news.now);
  recovery_.on_rtt_sample();
  // SRTT moves once a round trip, as the weights of RFC 6298 want it (RFC 7323 §4.2).
  if (news.advanced() && snd_.una > rtt_sampled_to_) {
    rtt_.sample(rtt, news.now);
    rtt_sampled_to_ = snd_.nxt;
    if (!news.first_sent || news.resent_acked) trace_metrics(Rule::tcp_rtt_echo, news.now);
  }
  return rtt_.latest();
}

// --- to congestion control
// ----------------------------------------------------------------------------------------------------

// What a loss, or its end, or its undoing means for the window.
void Connection::tell_congestion(const Conclusions& c, uint32_t flight_size, Time now) {
  if (c.undone) congestion_.on_undo();
  if (c.recovered) congestion_.on_recovered(in_flight(), recovery_.by_sack());
  if (c.probe_repaired) {
    congestion_.on_loss({.kind = LossKind::fast, .flight_size = flight_size, .now = now});
    congestion_.on_recovered(in_flight(), recovery_.by_sack());
  }
  if (c.probe_repaired || (c.entered && c.reduce)) ecn_.on_reduced(snd_.nxt);
  if (c.entered) {
    env_.counters.add(Counter::tcp_fast_retransmits);
    if (c.reduce) congestion_.on_loss({.kind = LossKind::fast, .flight_size = flight_size, .now = now});
  }
}

// What was delivered, in recovery for each ACK that tells of something.
void Connection::tell_congestion(const AckNews& news, const FlightBefore& before, Duration rtt, const Conclusions& c,
                                 Time now) {
  const CaState state = recovery_.state();
  const bool coming_down = state == CaState::recovery || state == CaState::cwr;
  const RateSample rate = sample_rate(news, now);
  Rule why = c.undone ? *c.undone : c.recovered ? Rule::tcp_recovered : c.entered.value_or(Rule::tcp_ack_duplicate);
  // The ACK that ends recovery counts like any other if the window has come down to ssthresh, and not where a bound on
  // the burst keeps it below (RFC 6582 §3.2 (3); a timeout).
  const bool at_ssthresh = recovery_.by_sack() && !congestion_.in_slow_start();
  const bool counts = news.advanced() && (!c.recovered || at_ssthresh);
  const bool by_window = counts || (coming_down && news.delivered > 0);
  const bool by_model = congestion_.bbr() != nullptr && (news.delivered > 0 || c.lost > 0);
  if (by_window || by_model) {
    // What SACK had reported before is no news: it made room when it was reported (as Linux counts).
    const Rule moved = congestion_.on_ack({.newly_acked = std::min(news.acked, news.delivered),
                                           .delivered = news.delivered,
                                           .in_flight_before = before.in_flight,
                                           .in_flight = in_flight(),
                                           .una = snd_.una,
                                           .nxt = snd_.nxt,
                                           .rtt = rtt,
                                           .min_rtt = rtt_.min_rtt(),
                                           .srtt = rtt_.srtt(),
                                           .rate = rate,
                                           .total_delivered = pace_ ? pace_->rate.delivered() : 0,
                                           .lost = c.lost,
                                           .in_recovery = coming_down,
                                           .in_loss = state == CaState::loss,
                                           .ece = ecn_.echoed(),
                                           .paced = paced(),
                                           .safe_ack = news.advanced() && c.lost == 0 && !ecn_.echoed(),
                                           .now = now});
    if (!c.undone && !c.recovered && !c.entered) why = moved;
  }
  trace_metrics(why, now);
}

void Connection::emit_conclusions(CaState before, const Conclusions& c, Time now) {
  const Rule why = c.undone ? *c.undone : c.entered ? *c.entered : Rule::none;
  if (c.undone) env_.tracer.emit(EventKind::recovery_spurious_loss, *c.undone, number_, now, {snd_.una.low(), 0});
  if (c.probe_repaired)
    env_.tracer.emit(EventKind::recovery_packet_lost, Rule::tcp_probe_repaired, number_, now, {snd_.una.low(), mss_});
  if (c.lost > 0)
    env_.tracer.emit(EventKind::recovery_packet_lost, c.entered.value_or(Rule::tcp_rack_lost), number_, now,
                     {snd_.una.low(), c.lost});
  if (recovery_.state() != before)
    env_.tracer.emit(EventKind::recovery_congestion_state_updated, why, number_, now,
                     {static_cast<uint32_t>(before), static_cast<uint32_t>(recovery_.state())});
}

}  // namespace limpid
