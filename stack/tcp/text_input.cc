// RFC 9293 §3.10.7.4, seventh: the segment text, what is reported of it (RFC 2018, 2883), and when it is acknowledged.
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {

Verdict Connection::take_text(Segment& s, Time now) {
  const bool fin = s.has(tcp_flag::fin);
  if (!may_receive(state_)) {  // the peer's FIN was reached: text beyond it is ignored
    if (s.text.length > 0) drop(s, Counter::tcp_drop_text_after_fin, Rule::tcp_text_refused, now);
    return Verdict::next;
  }
  if (s.text.length > 0 && !attached_) {  // RFC 2525 §2.17: nobody will read it, and the peer must learn that
    drop(s, Counter::tcp_drop_after_close, Rule::tcp_text_refused, now);
    die(TcpEvent::abort, Error::none, Rule::tcp_text_refused, now);
    rcv_.clear();
    return Verdict::refused_text;
  }
  const SeqPos fin_at = s.text_end();
  if (s.text.length > 0) {
    const SeqPos at = s.text_begin();
    if (s.cut_from < s.seq) note_duplicate(s.cut_from, s.seq);
    expect_quick_acks(s.packet_text, now);
    if (agreed_.ecn && ecn_.on_text(s)) want_ack(Rule::tcp_ecn_marked);
    if (fin && at <= rcv_.nxt() &&
        rcv_.queue().out_of_order_bytes() > 0) {  // this FIN comes in order: nothing is behind it
      rcv_.drop_out_of_order();
      sack_report_.told(rcv_.queue());
    }
    const auto in = rcv_.take(s);
    note_traffic_in(s, in, now);
    note_arrival_of_text(at, in, now);
  }
  if (fin) {
    rcv_.note_fin(fin_at);
    want_ack(Rule::tcp_fin_received);
  }
  return Verdict::next;
}

void Connection::note_traffic_in(const Segment& s, const ReassemblyQueue::Inserted& in, Time now) {
  Traffic& t = traffic();
  t.totals.data_segments_in += s.packets;
  if (in.held > 0) ++t.totals.out_of_order_in;
  if (s.marked) ++t.totals.marked_in;
  std::optional<int64_t> echo;  // one stamp is one sample, and a row of segments brings the same
  if (s.stamped() && t.echo_taken != s.ts_echo()) {
    echo = echoed_at(s.ts_echo(), now);
    if (echo) t.echo_taken = s.ts_echo();
  }
  t.tuning.on_text(rcv_.nxt(), rcv_.wnd(), echo, now);
}

void Connection::note_arrival_of_text(SeqPos at, const ReassemblyQueue::Inserted& in, Time now) {
  if (in.held > 0 && env_.tracer.on())
    env_.tracer.emit(EventKind::tcp_reassembly_updated, Rule::tcp_text_out_of_order, number_, now,
                     {rcv_.nxt().low(), static_cast<uint32_t>(rcv_.queue().out_of_order_bytes())});
  if (agreed_.sack) {
    sack_report_.forget_discarded();  // it was the newest until now
    if (!in.duplicates.empty())
      note_duplicate(SeqPos::from_stream(in.duplicates.begin), SeqPos::from_stream(in.duplicates.end));
    if (in.held > 0 || !in.duplicates.empty()) sack_report_.note_held(at, rcv_.queue());
  }
  bound_out_of_order(at, in);
  if (in.held > 0) tune_receive_buffer_for_gap(at);
  choose_ack(in, now);
  if (in.advanced > 0 && rcv_.readable() >= options_.receive_low_water) raise(kReadable);
}

// The stack's memory comes first: out-of-order text is dropped, counted, and sent again by the peer. What was dropped
// is not reported any more, but for what came just now: the ACK must say what caused it (RFC 2018 §8).
void Connection::bound_out_of_order(SeqPos at, const ReassemblyQueue::Inserted& in) {
  // A window that was promised before the user made the buffer small is still the peer's to fill, and the smallest
  // buffer is worth a few frames: else each loss would wait for the peer's timer.
  constexpr size_t kFewFrames = size_t{4} * (FramePool::kHeadroom + FramePool::kSmall);
  if (rcv_.queue().charge() <= std::max(size_t{4} * std::max(rcv_.buffer(), rcv_.wnd()), kFewFrames)) return;
  env_.counters.add(Counter::tcp_drop_out_of_order_full);
  const auto newest = rcv_.queue().range_after(at.stream());
  rcv_.drop_out_of_order();
  if (agreed_.sack && in.held > 0 && newest)
    sack_report_.note_discarded(
        {std::max(at, SeqPos::from_stream(newest->begin)), std::min(at + in.held, SeqPos::from_stream(newest->end))});
}

void Connection::tune_receive_buffer_for_gap(SeqPos at) {
  if (!tunes_receive_buffer()) return;
  const auto newest = rcv_.queue().range_after(at.stream());
  const uint64_t beyond = newest ? newest->end - rcv_.queue().next() : 0;
  if (beyond > rcv_.buffer() / 2) widen_receive_buffer(traffic_->tuning.on_held(beyond, agreed_.advertised_mss));
}

// RFC 5681 §4.2: at once for a gap, and for what fills one or a part of it; else with every second segment, or when the
// timer says so. At once too while the sender's window is still small (§3.2 lets us, and it opens with each ACK).
void Connection::choose_ack(const ReassemblyQueue::Inserted& in, Time now) {
  const bool gap_left = rcv_.queue().out_of_order_bytes() > 0;
  if (in.held > 0 || in.filled_gap || gap_left || in.advanced == 0) {
    want_ack(Rule::tcp_ack_now);
  } else if (octets_unacked_ += in.advanced; octets_unacked_ >= 2 * peer_segment_) {
    want_ack(Rule::tcp_ack_second);
  } else if (quick_acks_ > 0 && options_.quick_ack) {
    want_ack(Rule::tcp_ack_quick);
  } else if (!timers_.running(TcpTimer::delayed_ack)) {
    set_timer(TcpTimer::delayed_ack, env_.config.delayed_ack, now);
    env_.tracer.emit(EventKind::tcp_ack_scheduled, Rule::tcp_delayed_ack, number_, now,
                     {static_cast<uint32_t>(to_us(env_.config.delayed_ack))});
  }
}

// Text begins, or begins again after so long a pause that the sender's window is small once more: as on Linux the next
// few ACKs do not wait, as many as it takes to fill half the window, but two at least.
void Connection::expect_quick_acks(uint32_t length, Time now) {
  const bool begins = peer_segment_ == 0 || now - last_text_ > rtt_.rto();
  peer_segment_ = std::max(peer_segment_, length);
  last_text_ = now;
  if (!begins) return;
  const uint32_t worth = std::max<uint32_t>(rcv_.wnd() / (2 * std::max<uint32_t>(peer_segment_, 536)), 2);
  quick_acks_ = static_cast<uint8_t>(std::min<uint32_t>(worth, env_.config.quick_acks));
}

// RFC 2883 §4. What lies before the stream was never text.
void Connection::note_duplicate(SeqPos begin, SeqPos end) {
  if (!agreed_.sack || !env_.config.send_dsack || begin < SeqPos{1} || begin >= end) return;
  sack_report_.note_once({begin, end});
}

}  // namespace limpid
