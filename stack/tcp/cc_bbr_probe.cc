// The states of BBR (draft-ietf-ccwg-bbr §5.3): when it asks the path for more, and when it makes room.
#include <utility>

#include "stack/tcp/cc_bbr.h"

namespace limpid {
namespace {

constexpr uint32_t kMostRenoRounds = 63;
constexpr Duration kProbeRttDuration = 200ms;

uint32_t seventy(uint32_t bytes) { return static_cast<uint32_t>(uint64_t{bytes} * 7 / 10); }

// Between 0 and 1023: so that flows that share a bottleneck do not probe in step. The time of the ACK is as good as
// random for that, and the same in every run of the same inputs.
uint32_t scatter(Time now) {
  return static_cast<uint32_t>(static_cast<uint64_t>(now.time_since_epoch().count()) * 0x9e3779b97f4a7c15ull >> 54);
}

}  // namespace

uint32_t BbrModel::pacing_percent() const {
  switch (state_) {
    case State::startup:
      return 277;
    case State::drain:
      return 50;
    case State::probe_down:
      return 90;
    case State::probe_up:
      return 125;
    default:
      return 100;
  }
}

uint32_t BbrModel::window_percent() const {
  if (state_ == State::probe_up) return 225;
  return state_ == State::probe_rtt ? 50 : 200;
}

void BbrModel::update_state(Window& w, const AckEvent& ack) {
  if (state_ == State::startup && full_bw_reached_) state_ = State::drain;
  if (state_ == State::drain && ack.in_flight <= bdp(w, 100)) start_down(ack);
  update_probe_phase(w, ack);
  check_probe_rtt(w, ack);
  if (round_start_) end_round(w, ack);
}

// --- §5.3.3: probing for bandwidth
// ---------------------------------------------------------------------------------------

void BbrModel::update_probe_phase(Window& w, const AckEvent& ack) {
  if (!full_bw_reached_) return;
  adapt_upper_bound(w, ack);
  switch (state_) {
    case State::probe_down:
      if (time_to_probe(w, ack)) return start_refill(ack);
      if (ack.in_flight <= with_headroom(w) && ack.in_flight <= bdp(w, 100)) state_ = State::probe_cruise;
      return;
    case State::probe_cruise:
      if (time_to_probe(w, ack)) start_refill(ack);
      return;
    case State::probe_refill:  // one round at the estimated rate, so that the probe meets a full pipe
      if (round_start_) start_up(w, ack);
      return;
    case State::probe_up:
      if (ack.cwnd_limited && w.cwnd >= inflight_hi_) {
        reset_full_bandwidth(ack.rate.rate);  // the bound, not the path, holds the rate down
      } else if (full_bw_now_) {
        start_down(ack);
      }
      return;
    default:
      return;
  }
}

// Time has passed; or as many rounds as a Reno flow would need to reach this window again (§5.3.3.5.1).
bool BbrModel::time_to_probe(const Window& w, const AckEvent& ack) {
  const uint32_t reno_rounds = std::min(target_inflight(w) / w.mss, kMostRenoRounds);
  return ack.now - phase_begin_ > probe_wait_ || rounds_since_probe_ >= std::max(reno_rounds, 4u);
}

// §5.3.3.6: too many losses are the upper bound; without them a probe raises it.
void BbrModel::adapt_upper_bound(const Window& w, const AckEvent& ack) {
  if (probe_ending_ && round_start_) {
    probe_ending_ = judges_probe_ = false;
    if (probing_bandwidth() && !ack.rate.app_limited) {  // a new cycle: the maximum of the one before last is forgotten
      bw_filter_[1] = bw_filter_[0];
      bw_filter_[0] = 0;
    }
  }
  if (too_much_lost(w)) {
    if (!judges_probe_) return;
    judges_probe_ = false;  // one cut a probe
    losses_.forgive();
    if (!ack.rate.app_limited) inflight_hi_ = std::max(round_inflight_, seventy(target_inflight(w)));
    if (state_ == State::probe_up) start_down(ack);
    return;
  }
  if (inflight_hi_ == kNoBound) return;
  inflight_hi_ = std::max(inflight_hi_, round_inflight_);
  if (state_ != State::probe_up || !ack.cwnd_limited || w.cwnd < inflight_hi_) return;
  up_acked_ += ack.delivered;
  if (up_acked_ >= up_price_) {
    const uint32_t segments = up_acked_ / up_price_;
    up_acked_ -= segments * up_price_;
    inflight_hi_ = static_cast<uint32_t>(std::min<uint64_t>(inflight_hi_ + uint64_t{segments} * w.mss, kNoBound - 1));
  }
  if (round_start_) raise_slope(w);
}

// Growth doubles from round to round of a probe.
void BbrModel::raise_slope(const Window& w) {
  const uint32_t segments = 1u << up_rounds_;
  up_rounds_ = std::min<uint8_t>(static_cast<uint8_t>(up_rounds_ + 1), 30);
  up_price_ = std::max(w.cwnd / segments, w.mss);
}

void BbrModel::start_down(const AckEvent& ack) {
  state_ = State::probe_down;
  bw_latest_ = 0;
  inflight_latest_ = 0;
  congested_ = false;
  up_price_ = kNoBound;
  probe_ending_ = true;
  rounds_since_probe_ = scatter(ack.now) & 1;
  probe_wait_ = 2s + std::chrono::milliseconds(scatter(ack.now));
  phase_begin_ = ack.now;
  start_round(ack);
}

void BbrModel::start_refill(const AckEvent& ack) {
  state_ = State::probe_refill;
  losses_.forgive();
  bw_lo_ = kNoRate;
  inflight_lo_ = kNoBound;
  up_rounds_ = 0;
  up_acked_ = 0;
  start_round(ack);
}

void BbrModel::start_up(const Window& w, const AckEvent& ack) {
  state_ = State::probe_up;
  judges_probe_ = true;
  phase_begin_ = ack.now;
  reset_full_bandwidth(ack.rate.rate);
  raise_slope(w);
  start_round(ack);
}

// --- §5.3.4: probing for the round trip time
// -------------------------------------------------------------------------------

void BbrModel::check_probe_rtt(Window& w, const AckEvent& ack) {
  if (state_ != State::probe_rtt) {
    if (probe_rtt_min_ == Duration{} || ack.now <= probe_rtt_min_at_ + 5s || idle_restart_) return;
    state_ = State::probe_rtt;
    prior_cwnd_ = std::max(prior_cwnd_, w.cwnd);
    probe_rtt_done_ = kNever;
    probe_ending_ = true;
    start_round(ack);
    return;
  }
  if (probe_rtt_done_ == kNever) {
    if (ack.in_flight > probe_rtt_window(w)) return;
    probe_rtt_done_ = ack.now + kProbeRttDuration;
    rtt_round_done_ = false;
    start_round(ack);
    return;
  }
  rtt_round_done_ |= round_start_;
  if (!rtt_round_done_ || ack.now <= probe_rtt_done_) return;
  probe_rtt_min_at_ = ack.now;
  w.cwnd = std::max(w.cwnd, std::exchange(prior_cwnd_, 0));
  bw_lo_ = kNoRate;
  inflight_lo_ = kNoBound;
  if (!full_bw_reached_) {
    state_ = State::startup;
    return;
  }
  start_down(ack);
  state_ = State::probe_cruise;
}

}  // namespace limpid
