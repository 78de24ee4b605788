#include "stack/tcp/connection.h"

#include <algorithm>

namespace limpid {
namespace {

constexpr uint32_t kHeaders = 40;  // IPv4 and TCP without options: what separates an MTU from an MSS

TcpOptions with_defaults(TcpOptions o, const TcpConfig& config) {
  if (o.syn_retries == 0) o.syn_retries = config.syn_retries;
  o.push_pending = o.quick_ack_set = false;
  return o;
}

}  // namespace

Connection::Connection(TcpEnvironment& env, uint32_t number, const FourTuple& tuple, const Path& path,
                       const TcpOptions& options)
    : env_(env),
      path_(path),
      number_(number),
      rtt_(env.config),
      congestion_(env.config, options.congestion, 536),
      timestamp_offset_(env.timestamps.offset(tuple)) {
  demux_.tuple = tuple;
  demux_.owner.kind = DemuxKind::connection;
  timer_.owner_kind = static_cast<uint8_t>(TimerOwner::connection);
  options_ = with_defaults(options, env.config);
  rcv_.set_buffer(options_.receive_buffer > 0 ? options_.receive_buffer : env.config.receive_buffer);
  rcv_.set_urgent_inline(options_.urgent_inline);
  agreed_.advertised_mss = Negotiated::mss_to_advertise(path_.mtu, kHeaders, options_.max_segment);
  agreed_.receive_shift = shift_for_buffer(rcv_.buffer(), env.config);
  agreed_.offer(env.config);
  rcv_.set_shift(agreed_.receive_shift);
}

// RFC 9293 §3.10.1: <SEQ=ISS><CTL=SYN>, SND.UNA = ISS, SND.NXT = ISS+1, SYN-SENT.
void Connection::open_actively(Seq iss, SynText text, Time now) {
  iss_ = iss;
  opened_ = last_received_ = now;
  limits_.open(now);
  env_.counters.add(Counter::tcp_active_opens);
  env_.tracer.emit(
      EventKind::tcp_connection_started, Rule::tcp_active_open, number_, now,
      {tuple().local.address.v4_bits(), tuple().remote.address.v4_bits(), tuple().local.port, tuple().remote.port});
  set_state(TcpEvent::active_open, Rule::tcp_active_open, now);
  if (text == SynText::wanted) attempt_fast_open();
  syn_due_ = !syn_held();
  output(now);
}

void Connection::open_passively(const Handshake& h, Time now) {
  iss_ = h.iss;
  irs_ = h.irs;
  agreed_ = h.agreed;
  recent_ = h.recent;
  last_ack_sent_ = rcv_.nxt();
  rcv_.set_shift(agreed_.receive_shift);
  snd_.nxt = SeqPos{1};
  snd_.wnd = snd_.max_wnd = h.peer_window;
  snd_.wl1 = SeqPos{0};
  snd_.wl2 = SeqPos{0};
  opened_ = last_received_ = now;
  limits_.open(now);
  rcv_.promised(rcv_.nxt() + std::min<uint32_t>(rcv_.buffer(), 65'535));  // what the SYN,ACK said
  note_mss();
  if (h.syn_ack_was_lost) {  // RFC 5681 §3.1, RFC 6298 §5.7
    congestion_.on_syn_lost();
    rtt_.restart_after_syn_timeout();
  }
  if (h.rtt > Duration{}) rtt_.sample(h.rtt, now);
  state_ = TcpState::syn_received;  // born there: the half-open entry told of the change
}

// RFC 7413 §4.2.2: the SYN,ACK acknowledges the text too, and text of ours may follow it at once.
void Connection::open_fast(const Handshake& h, Segment& syn, const std::optional<FastOpenOption>& answer, Time now) {
  open_passively(h, now);
  snd_.nxt = SeqPos{0};
  opened_fast_ = true;
  if (answer) {
    fast_open_ = std::make_unique<FastOpenAttempt>();
    fast_open_->option = answer;
  }
  rcv_.trim(syn);
  syn_text_acked_ = syn.text.length > 0;
  if (syn_text_acked_) {
    expect_quick_acks(syn.text.length, now);
    rcv_.take(syn);
  }
  syn_due_ = true;
  output(now);
}

// The MSS of what we send, once the peer's is known (RFC 9293 §3.7.1).
void Connection::note_mss() {
  mss_ = agreed_.send_mss(path_.mtu, kHeaders, options_.max_segment);
  congestion_.set_mss(mss_);
  recovery_.use_sack(agreed_.sack, env_.config);
}

void Connection::set_state(TcpEvent event, Rule why, Time now) {
  const TcpState before = state_;
  state_ = transition(before, event);
  if (state_ == before) return;
  env_.tracer.emit(EventKind::tcp_state_updated, why, number_, now,
                   {static_cast<uint32_t>(before), static_cast<uint32_t>(state_)});
  if (!released()) return;
  timers_.cancel_all();
  raise(kReadable | kWritable | kHangUp);
}

void Connection::die(TcpEvent event, Error error, Rule why, Time now) {
  if (state_ == TcpState::closed) return;
  error_ = error;
  set_state(event, why, now);
  env_.tracer.emit(EventKind::tcp_connection_closed, why, number_, now,
                   {static_cast<uint32_t>(state_), static_cast<uint32_t>(error)});
  queue_.clear();
  fast_open_.reset();
  syn_due_ = ack_now_ = probe_due_ = keepalive_due_ = false;
  raise(kReadable | kWritable | kError | kHangUp);
  mark_dirty();
}

void Connection::raise(ReadyEvents events) {
  if (attached_ && !waits_for_accept_) env_.ready.raise(id_, events);
}

void Connection::mark_dirty() {
  if (!ListHook<DirtyTag>::linked()) env_.dirty.push_back(*this);
}

// RFC 9293 §3.9.2.2, RFC 5927 §4.1: only what quotes a segment that is under way counts.
void Connection::on_icmp_error(uint8_t type, uint8_t code, uint32_t mtu, SeqPos quoted, Time now) {
  if (quoted < snd_.una || quoted >= snd_.nxt) {
    env_.counters.add(Counter::tcp_drop_icmp_out_of_window);
    return;
  }
  const bool unreachable = type == 3;
  if (unreachable && code == 4) return on_fragmentation_needed(mtu, quoted, now);
  Error error = Error::host_unreachable;
  if (unreachable) {
    switch (code) {
      case 0:
      case 6:
      case 9:
      case 11:
        error = Error::network_unreachable;
        break;
      case 2:
        error = Error::protocol_unreachable;
        break;
      case 3:
        error = Error::refused;
        break;
      default:
        break;
    }
  }
  if (!unreachable && type != 11 && type != 12) return;  // Source Quench and the like (RFC 6633)
  // Hard only before synchronization (RFC 5927 §5.2), and never for Time Exceeded or Parameter Problem. One that was
  // opened fast and has its user counts as synchronized, as on Linux.
  if (unreachable && !synchronized(state_) && !(opened_fast_ && !waits_for_accept_)) {
    die(TcpEvent::abort, error, Rule::tcp_icmp_hard, now);
    return;
  }
  soft_error_ = error;
  env_.tracer.emit(EventKind::icmp_received, Rule::tcp_icmp_soft, number_, now,
                   {type, code, tuple().remote.address.v4_bits(), 0});
}

// --- looking in
// ------------------------------------------------------------------------------------------------------------

TcpStatus Connection::status() const {
  TcpStatus s;
  s.id = id_;
  s.connection = number_;
  s.state = state_;
  s.local = tuple().local;
  s.remote = tuple().remote;
  s.receive_queue = static_cast<uint32_t>(rcv_.queue().readable());
  s.send_queue = static_cast<uint32_t>(queue_.size());
  s.unsent = static_cast<uint32_t>(unsent());
  s.at_urgent_mark = rcv_.at_urgent_mark();
  s.out_of_order = static_cast<uint32_t>(rcv_.queue().out_of_order_bytes());
  s.memory = static_cast<uint32_t>(queue_.memory() + rcv_.queue().charge());
  s.mss = mss_;
  s.advertised_mss = agreed_.advertised_mss;
  s.peer_mss = agreed_.peer_mss;
  s.send_window_shift = agreed_.send_shift;
  s.receive_window_shift = agreed_.receive_shift;
  s.window_scaling = agreed_.window_scaling;
  s.limits = limits_.times();
  s.syn_text_acked = syn_text_acked_;
  s.timestamps = agreed_.timestamps;
  s.sack = agreed_.sack;
  s.send_window = snd_.wnd;
  s.receive_window = rcv_.wnd();
  s.cwnd = congestion_.cwnd();
  s.ssthresh = congestion_.ssthresh();
  s.in_flight = in_flight();
  s.srtt = rtt_.srtt();
  s.rttvar = rtt_.rttvar();
  s.min_rtt = rtt_.min_rtt();
  s.rto = rtt_.rto();
  s.retransmits = timeouts_;
  s.probes = probes_ + keepalives_;
  s.total_retransmits = resent_;
  s.segments_out = segments_out_;
  s.segments_in = segments_in_;
  s.bytes_acked = snd_.una > SeqPos{0} ? std::min(snd_.una, data_end()).stream() : 0;
  s.bytes_received = rcv_.queue().next();
  s.congestion_state = recovery_.state();
  s.in_recovery = recovery_.state() == CaState::recovery;
  s.in_loss = recovery_.state() == CaState::loss;
  s.unacked_segments = recovery_.outstanding().segments;
  s.sacked_segments = recovery_.sacked().segments + recovery_.duplicate_acks();
  s.lost_segments = recovery_.lost().segments;
  s.resent_segments = recovery_.retransmitted().segments;
  s.reordering = recovery_.reordering();
  fill_pace(s);
  if (traffic_) {
    s.totals = traffic_->totals;
    s.receive_rtt = traffic_->tuning.rtt(rtt_.min_rtt());
    s.receive_space = traffic_->tuning.space();
  }
  s.peer_segment = peer_segment_;
  s.path_mtu = path_.mtu;
  s.send_buffer = send_buffer();
  s.receive_buffer = rcv_.buffer();
  s.ecn = agreed_.ecn;
  s.last_text = last_text_ < Time{} ? last_received_ : last_text_;
  s.opened = opened_;
  s.last_received = last_received_;
  s.last_sent = last_sent_;
  if (timers_.next_deadline() != kNever) {
    s.timer = kTcpTimerNames[static_cast<size_t>(timers_.next())].data();
    s.timer_deadline = timers_.next_deadline();
  }
  return s;
}

const char* Connection::broken_invariant(Time now) const {
  if (ListHook<DirtyTag>::linked()) return "a dirty connection was not flushed";
  if (limits_.sum_of_sending(now) != now - opened_) return "the limits of sending do not sum up to the age";
  if (limits_.sum_of_receiving(now) != now - opened_) return "the limits of receiving do not sum up to the age";
  if (limits_.sending() != send_limit() || limits_.receiving() != receive_limit()) return "a limit changed unnoticed";
  if (released()) return nullptr;  // what is left of it is for the user only
  if (snd_.una > snd_.nxt) return "SND.UNA is beyond SND.NXT";
  if (snd_.nxt > data_end() + 1) return "SND.NXT is beyond what the user gave and the FIN";
  if (SeqPos::from_stream(queue_.begin()) > std::max(snd_.una, SeqPos{1}))
    return "octets were released before they were acknowledged";
  if (rcv_.nxt() > rcv_.edge() + 1) return "RCV.NXT is beyond the promised right edge";
  if (congestion_.cwnd() < mss_) return "the congestion window is less than a segment";
  if (in_flight() > 2 * static_cast<uint32_t>(snd_.nxt - snd_.una)) return "more in flight than was sent";
  if (recovery_.board()) {
    if (const char* broken = recovery_.board()->broken_invariant(snd_.una, snd_.nxt)) return broken;
  } else if (snd_.una != snd_.nxt && snd_.nxt > SeqPos{1}) {
    return "octets are outstanding and the scoreboard is empty";
  }
  if (timers_.next_deadline() < now) return "a timer lies in the past";
  const int running = timers_.running(TcpTimer::rto) + timers_.running(TcpTimer::reordering) +
                      timers_.running(TcpTimer::tail_probe) + (must_probe() && timers_.running(TcpTimer::persist));
  if (running > 1) return "two timers of loss detection run at once";
  const bool blocked = ListHook<BlockedTag>::linked();
  if (snd_.una < snd_.nxt && !blocked && !loss_timer_running() && !timers_.running(TcpTimer::persist))
    return "octets are unacknowledged and no timer runs";
  const bool will_come = timers_.running(TcpTimer::persist) || timers_.running(TcpTimer::pacing);
  if (synchronized(state_) && unsent() > 0 && snd_.una == snd_.nxt && !blocked && !will_come)
    return "octets wait and nothing will send them";
  return nullptr;
}

// --- tracing: words as event_kinds.h has them
// ----------------------------------------------------------------------------------

void Connection::emit_arrival(const Segment& s, Time now) {
  env_.tracer.emit(EventKind::tcp_packet_received, Rule::tcp_arrived, number_, now,
                   {s.seq.low(), s.ack.low(), s.text.length, s.flags, s.wnd, static_cast<uint32_t>(state_),
                    s.urgent_pointer, tuple().remote.port, tuple().local.port});
}

EventNumber Connection::emit_segment(const SegmentPlan& plan, const TcpHeader& header, Time now) {
  const bool again = plan.kind == SegmentPlan::Kind::resend || plan.seq < snd_.nxt;
  const uint8_t shift =
      agreed_.window_scaling && plan.kind != SegmentPlan::Kind::syn ? agreed_.receive_shift : uint8_t{0};
  return env_.tracer.emit(EventKind::tcp_packet_sent, plan.why, number_, now,
                          {plan.seq.low(), header.has(tcp_flag::ack) ? rcv_.nxt().low() : 0, plan.length, header.flags,
                           uint32_t{header.window} << shift, static_cast<uint32_t>(state_), again ? 1u : 0u,
                           tuple().local.port, tuple().remote.port});
}

void Connection::emit_metrics(Rule why, Time now) {
  const auto us = [](Duration d) { return static_cast<uint32_t>(std::min<int64_t>(to_us(d), UINT32_MAX)); };
  env_.tracer.emit(EventKind::recovery_metrics_updated, why, number_, now,
                   {congestion_.cwnd(), in_flight(), congestion_.ssthresh(), us(rtt_.srtt()), us(rtt_.latest()),
                    us(rtt_.min_rtt()), us(rtt_.rttvar()), us(rtt_.rto()), snd_.wnd});
}

}  // namespace limpid
