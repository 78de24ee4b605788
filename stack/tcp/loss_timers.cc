// The timers of loss detection: one of three runs at a time (RFC 8985 §8).
//
//   reordering   some range may only be late: until it is lost              RFC 8985 §6.2
//   tail probe   ACKs are overdue: one segment more asks for one            RFC 8985 §7.2
//   rto          nothing else helped: all is presumed lost                  RFC 6298 §5
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {

void Connection::stop_loss_timers(Time now) {
  cancel_timer(TcpTimer::rto, now);
  cancel_timer(TcpTimer::reordering, now);
  cancel_timer(TcpTimer::tail_probe, now);
}

void Connection::run_loss_timer(TcpTimer timer, Duration delay, Time now) {
  cancel_loss_timers(now);
  set_timer(timer, timer == TcpTimer::rto ? within_user_timeout(delay, now) : delay, now);
}

// After an ACK. RFC 6298 §5.2 and §5.3: all acknowledged, stop; else start anew.
void Connection::arm_loss_timer(bool advanced, std::optional<Duration> reordering, Time now) {
  if (advanced) cancel_loss_timers(now);
  if (snd_.una == snd_.nxt || must_probe()) return;
  if (reordering) return run_loss_timer(TcpTimer::reordering, *reordering + env_.config.reordering_slack, now);
  if (advanced) return run_probe_or_rto(rtt_.rto(), now);
  // What was late has arrived, or is lost by now; a probe waits for nothing any more once ACKs come.
  const bool moot =
      timers_.running(TcpTimer::reordering) || (timers_.running(TcpTimer::tail_probe) && !recovery_.probe_worthwhile());
  if (moot) run_loss_timer(TcpTimer::rto, until_rto(now), now);
}

// Something was sent. RFC 6298 §5.1: the timer runs while anything is unacknowledged; the first octet sent again starts
// it anew, as on Linux, or it would expire before the answer can be there.
void Connection::arm_loss_timer_for(const SegmentPlan& plan, Time now) {
  if (must_probe()) return;
  if (plan.tail_probe) return run_loss_timer(TcpTimer::rto, rtt_.rto(), now);  // RFC 8985 §7.3
  const bool first_again = plan.kind == SegmentPlan::Kind::resend && plan.seq == snd_.una;
  if (first_again && !timers_.running(TcpTimer::reordering)) {
    return run_loss_timer(TcpTimer::rto, rtt_.rto(), now);
  }
  if (plan.kind == SegmentPlan::Kind::data) {
    text_went_ = true;
  } else if (!loss_timer_running()) {
    set_timer(TcpTimer::rto, rtt_.rto(), now);
  }
}

// New text was sent, in one segment or in fifty: the timer is that of all of it, so it is set once, behind the last
// (as on Linux).
void Connection::arm_loss_timer_behind_text(Time now) {
  if (must_probe()) return;
  if (may_probe_tail()) return run_probe_or_rto(until_rto(now), now);
  if (!loss_timer_running()) set_timer(TcpTimer::rto, rtt_.rto(), now);
}

bool Connection::may_probe_tail() const {
  return env_.config.tail_loss_probe && synchronized(state_) && !timers_.running(TcpTimer::reordering) &&
         recovery_.probe_worthwhile();
}

// RFC 8985 §7.2.
void Connection::run_probe_or_rto(Duration rto, Time now) {
  if (!may_probe_tail()) return run_loss_timer(TcpTimer::rto, rto, now);
  const bool one = recovery_.outstanding().segments == 1;
  const Duration delay = one ? env_.config.probe_ack_delay : Duration{};
  const Duration pto = TailLossProbe::timeout(rtt_, delay, env_.config.probe_slack, rto);
  run_loss_timer(TcpTimer::tail_probe, pto, now);
}

// TCP_RTO_expiration() of RFC 8985 §7.2: as if the timer had run since the first octet was last sent.
Duration Connection::until_rto(Time now) const {
  if (!recovery_.board()) return rtt_.rto();
  return std::max(recovery_.board()->first().sent + rtt_.rto() - now, Duration{});
}

// --- expiry
// -----------------------------------------------------------------------------------------------------------------

void Connection::on_reordering_timeout(Time now) {
  const uint32_t flight_size =
      std::min(static_cast<uint32_t>(snd_.nxt - snd_.una), std::max(congestion_.cwnd(), in_flight()));
  const uint32_t before = in_flight();
  const CaState state = recovery_.state();
  const Conclusions c = recovery_.on_reordering_timeout(snd_.una, snd_.nxt, mss_, rtt_, now);
  trace_conclusions(state, c, now);
  tell_congestion(c, flight_size, now);
  // One segment may go, as for an ACK that had delivered one (RFC 6937 §3).
  if (c.entered || c.lost > 0)
    tell_congestion({.now = now, .delivered = c.entered ? mss_ : 0}, {before, flight_size}, {}, c, now);
  if (c.reordering_timer)
    return run_loss_timer(TcpTimer::reordering, *c.reordering_timer + env_.config.reordering_slack, now);
  run_loss_timer(TcpTimer::rto, until_rto(now), now);
}

// RFC 8985 §7.3: whether a probe goes or not, the retransmission timer is what runs then.
void Connection::on_tail_probe_timeout(Time now) {
  if (snd_.una == snd_.nxt) return;
  note_timer_wait(SendLimit::tlp_wait, now);
  tail_probe_due_ = recovery_.probe_worthwhile();
  run_loss_timer(TcpTimer::rto, rtt_.rto(), now);
}

}  // namespace limpid
