// The deadline says when: what each named timer of a connection does when it expires, and which of them should run.
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {

void Connection::on_timer(Time now) {
  while (timers_.next_deadline() <= now && !released()) {
    const TcpTimer timer = timers_.next();
    const Time due = timers_.at(timer);
    timers_.cancel(timer);
    if (env_.tracer.on()) {
      const EventNumber n = env_.tracer.emit(EventKind::tcp_timer_expired, Rule::none, number_, now,
                                             {static_cast<uint32_t>(timer), static_cast<uint32_t>(to_us(now - due))});
      env_.tracer.begin_input(n);
    }
    switch (timer) {
      case TcpTimer::rto:
        on_retransmission_timeout(now);
        break;
      case TcpTimer::reordering:
        on_reordering_timeout(now);
        break;
      case TcpTimer::tail_probe:
        on_tail_probe_timeout(now);
        break;
      case TcpTimer::pacing:
        pace_->pacer.on_timer(now);
        pace_->held_back = false;
        break;
      case TcpTimer::delayed_ack:
        want_ack(Rule::tcp_ack_timer);
        options_.quick_ack = true;  // the user's answer did not come in time
        break;
      case TcpTimer::persist:
        on_persist_timeout(now);
        break;
      case TcpTimer::keepalive:
        on_keepalive_timeout(now);
        break;
      case TcpTimer::fin_wait_2:
        die(TcpEvent::timeout, Error::none, Rule::tcp_orphan_timeout, now);
        break;
    }
  }
  adjust_timers(now);
  mark_dirty();
}

// RFC 9293 §3.8.3: R2 is a count of expiries, its own for SYNs and for connections that nobody holds any more.
uint32_t Connection::retry_limit() const {
  if (state_ == TcpState::syn_sent) return options_.syn_retries;
  // One more for one that was opened fast, as on Linux: its user may have answered already.
  if (state_ == TcpState::syn_received) return env_.config.syn_ack_retries + (opened_fast_ ? 1 : 0);
  return attached_ ? env_.config.retries_r2 : std::min(env_.config.retries_r2, env_.config.orphan_retries);
}

// RFC 9293 §3.10.8, the user timeout: so long may something go without an answer.
bool Connection::user_gave_up(Time now) const {
  return options_.user_timeout > Duration{} && stalled_since_ != kNever &&
         now - stalled_since_ >= options_.user_timeout;
}

// No back-off reaches beyond it: the user is told when they wished to be.
Duration Connection::within_user_timeout(Duration delay, Time now) const {
  if (options_.user_timeout <= Duration{} || stalled_since_ == kNever) return delay;
  return std::clamp(stalled_since_ + options_.user_timeout - now, Duration{}, delay);
}

// RFC 6298 §5.4 to §5.7, RFC 5681 §3.1.
void Connection::on_retransmission_timeout(Time now) {
  env_.counters.add(Counter::tcp_timeouts);
  if (timeouts_ >= retry_limit() || user_gave_up(now)) {
    die(TcpEvent::abort, soft_error_ != Error::none ? soft_error_ : Error::timed_out, Rule::tcp_give_up, now);
    return;
  }
  // RFC 9293 §3.8.3: at R1 the layer below is told that this way may be none (MUST-20, SHLD-10).
  if (timeouts_ == env_.config.retries_r1) env_.ip.doubt(path_);
  const bool first = timeouts_++ == 0;
  Traffic& t = traffic();
  ++t.totals.timeouts;
  if (first) {
    ++t.totals.timeout_recoveries;
    t.timeouts_since = now;
  }
  rtt_.back_off();
  if (!synchronized(state_)) {
    syn_due_ = true;
  } else {
    note_timer_wait(SendLimit::rto_wait, now);
    suspect_path(now);
    presume_lost(first, now);
  }
  run_loss_timer(TcpTimer::rto, rtt_.rto(), now);
}

void Connection::presume_lost(bool first, Time now) {
  const auto flight_size = static_cast<uint32_t>(snd_.nxt - snd_.una);
  const CaState before = recovery_.state();
  const Conclusions c = recovery_.on_timeout(snd_.una, snd_.nxt, first, env_.config.frto, rtt_, now);
  env_.tracer.emit(EventKind::recovery_packet_lost, Rule::tcp_retransmit_timeout, number_, now,
                   {snd_.una.low(), c.lost});
  if (env_.tracer.on() && recovery_.state() != before)
    env_.tracer.emit(EventKind::recovery_congestion_state_updated, Rule::tcp_retransmit_timeout, number_, now,
                     {static_cast<uint32_t>(before), static_cast<uint32_t>(recovery_.state())});
  congestion_.on_loss(
      {.kind = LossKind::timeout, .flight_size = flight_size, .first = c.reduce, .lost = c.lost, .now = now});
  ecn_.on_reduced(snd_.nxt);
  trace_metrics(Rule::tcp_retransmit_timeout, now);
}

// Either the peer's window is zero and is to be probed (RFC 9293 §3.8.6.1), or a small segment waited long enough
// (§3.8.6.2.1).
void Connection::on_persist_timeout(Time now) {
  if (!must_probe()) {
    override_due_ = true;
    if (unsent() > 0) traffic().chunks.push(data_end());
    return;
  }
  // Answers keep a connection alive however long its window stays zero (MUST-37), but not one that nobody holds any
  // more: its memory is not the peer's to keep.
  const bool nobody_waits = !attached_ && probe_interval_ >= env_.config.maximum_rto;
  if (probes_ >= retry_limit() || user_gave_up(now) || nobody_waits) {
    die(TcpEvent::abort, soft_error_ != Error::none ? soft_error_ : Error::timed_out, Rule::tcp_give_up, now);
    return;
  }
  if (probes_++ == 0 && stalled_since_ == kNever) stalled_since_ = now;
  probe_due_ = true;
  probe_interval_ = std::min(2 * probe_interval_, env_.config.maximum_rto);
  set_timer(TcpTimer::persist, within_user_timeout(probe_interval_, now), now);
}

void Connection::on_keepalive_timeout(Time now) {
  const Duration silent = now - std::max(last_received_, opened_);
  if (keepalives_ == 0 && silent < keepalive_time()) {  // something came meanwhile
    timers_.set(TcpTimer::keepalive, now - silent + keepalive_time());
    return;
  }
  // TCP_USER_TIMEOUT, where it is set, says how long, and the number of probes does not matter (as on Linux).
  const bool dead = options_.user_timeout > Duration{} ? keepalives_ > 0 && silent >= options_.user_timeout
                                                       : keepalives_ >= keepalive_probes();
  if (dead) {
    send_reset(Rule::tcp_keepalive_dead, now);
    die(TcpEvent::abort, soft_error_ != Error::none ? soft_error_ : Error::timed_out, Rule::tcp_keepalive_dead, now);
    return;
  }
  if (snd_.una == snd_.nxt && unsent() == 0) {  // else retransmissions find out by themselves
    ++keepalives_;
    keepalive_due_ = true;
  }
  set_timer(TcpTimer::keepalive, keepalive_interval(), now);
}

// After every step: what should run, runs.
void Connection::adjust_timers(Time now) {
  if (released()) {
    timers_.cancel_all();
    env_.timers.remove(timer_);
    return;
  }
  if (synchronized(state_)) {
    const bool probing = must_probe();
    const bool outstanding = snd_.una < snd_.nxt;
    if (probing || !outstanding) cancel_loss_timers(now);
    if (outstanding && !probing && !loss_timer_running()) set_timer(TcpTimer::rto, rtt_.rto(), now);

    // Something small waits, nothing is under way whose ACK could release it, and the window is not zero.
    const bool held_back =
        !probing && !outstanding && unsent() > 0 && !override_due_ && !timers_.running(TcpTimer::pacing);
    // The first probe after one RTO (SHLD-29), also where the timer ran for a small segment until now.
    const bool first_probe = probe_interval_ == Duration{};
    if (probing && (first_probe || !timers_.running(TcpTimer::persist))) {
      if (first_probe) probe_interval_ = rtt_.rto();
      set_timer(TcpTimer::persist, probe_interval_, now);
    } else if (held_back && !timers_.running(TcpTimer::persist)) {
      set_timer(TcpTimer::persist, env_.config.sws_override, now);
    } else if (!probing && !held_back) {
      cancel_timer(TcpTimer::persist, now);
    }

    if (options_.keepalive && !timers_.running(TcpTimer::keepalive)) {
      // Asked for on a connection that has long been silent: now, as Linux does for TCP_KEEPIDLE.
      timers_.set(TcpTimer::keepalive, std::max(now, std::max(last_received_, opened_) + keepalive_time()));
    }
    if (!options_.keepalive) timers_.cancel(TcpTimer::keepalive);
    if (state_ == TcpState::fin_wait_2 && !attached_ && !timers_.running(TcpTimer::fin_wait_2)) {
      set_timer(TcpTimer::fin_wait_2, env_.config.fin_wait_2, now);
    }
  } else if (snd_.una < snd_.nxt && !timers_.running(TcpTimer::rto)) {
    set_timer(TcpTimer::rto, rtt_.rto(), now);
  }
  env_.timers.set(timer_, timers_.next_deadline());
}

void Connection::emit_timer_set(TcpTimer timer, Duration delay, Time now) {
  env_.tracer.emit(EventKind::tcp_timer_set, Rule::none, number_, now,
                   {static_cast<uint32_t>(timer), static_cast<uint32_t>(std::min<int64_t>(to_us(delay), UINT32_MAX))});
}

Duration Connection::keepalive_time() const {
  return options_.keepalive_time > Duration{} ? options_.keepalive_time : env_.config.keepalive_time;
}
Duration Connection::keepalive_interval() const {
  return options_.keepalive_interval > Duration{} ? options_.keepalive_interval : env_.config.keepalive_interval;
}
uint32_t Connection::keepalive_probes() const {
  return options_.keepalive_probes > 0 ? options_.keepalive_probes : env_.config.keepalive_probes;
}

}  // namespace limpid
