#include "stack/tcp/cc_bbr.h"

#include <utility>

namespace limpid {
namespace {

constexpr uint32_t kBetaPercent = 70;
constexpr uint32_t kHeadroomPercent = 15;
constexpr Duration kMinRttFilter = 10s;
constexpr Duration kProbeRttInterval = 5s;
constexpr uint8_t kFullBandwidthRounds = 3;
constexpr uint8_t kStartupLossEvents = 6;
constexpr uint32_t kAggregationRounds = 5;
constexpr Duration kRttNoise = 100us;

uint64_t percent(uint64_t value, uint32_t p) { return value / 100 * p + value % 100 * p / 100; }

uint64_t bytes_in(uint64_t rate, Duration d) {
  return static_cast<uint64_t>(std::max<int64_t>(to_us(d), 0)) * (rate / 1000) / 1000;
}

uint32_t narrow(uint64_t bytes) { return static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX / 2)); }

}  // namespace

// §5.2.3: first the model, then the state, then what follows from both.
Rule BbrModel::on_ack(Window& w, const AckEvent& ack) {
  if (pacing_rate_ == 0 && ack.srtt > Duration{}) pacing_rate_ = pacing_rate(w, ack.srtt);
  if (ack.delivered > 0) idle_restart_ = false;
  update_round(w, ack);
  update_bandwidth(w, ack);
  update_aggregation(w, ack);
  check_full_bandwidth(ack);
  update_min_rtt(ack);
  update_state(w, ack);
  const uint64_t rate = percent(percent(bandwidth(), pacing_percent()), 99);  // a percent below: no queue by rounding
  if (full_bw_reached_ || rate > pacing_rate_) pacing_rate_ = rate;
  set_window(w, ack);
  return Rule::tcp_bbr;
}

// --- §5.5: the model
// -----------------------------------------------------------------------------------------------------

void BbrModel::update_round(const Window& w, const AckEvent& ack) {
  round_inflight_ = std::max(round_inflight_, ack.in_flight_before);
  note_losses(w, ack.delivered, ack.lost);
  round_start_ = ack.rate && ack.rate.prior_delivered >= next_round_;
  if (!round_start_) return;
  start_round(ack);
  ++rounds_since_probe_;
}

void BbrModel::note_losses(const Window& w, uint32_t delivered, uint32_t lost) {
  losses_.note(delivered, lost);
  if (lost == 0) return;
  congested_ |= !losses_.path_loses() || too_much_lost(w);
  if (loss_events_ < UINT8_MAX) ++loss_events_;
}

// Whether a queue stood: the fastest packet of the round trip took clearly longer than the fastest of all.
void BbrModel::end_round(const Window& w, const AckEvent& ack) {
  const bool quick = round_rtt_ > Duration{} && round_rtt_ <= min_rtt_ + min_rtt_ / 8 + kRttNoise;
  losses_.end_round(quick && state_ != State::probe_up && !probe_ending_, w.mss);
  round_rtt_ = Duration{};
  congested_ = false;
  loss_events_ = 0;
  round_inflight_ = ack.in_flight;
}

void BbrModel::update_bandwidth(const Window& w, const AckEvent& ack) {
  const auto delivered = narrow(ack.total_delivered - ack.rate.prior_delivered);
  if (ack.rate) {
    bw_latest_ = std::max(bw_latest_, ack.rate.rate);
    inflight_latest_ = std::max(inflight_latest_, delivered);
    if (ack.rate.rate >= max_bw() || !ack.rate.app_limited) bw_filter_[0] = std::max(bw_filter_[0], ack.rate.rate);
  }
  if (!round_start_) return;
  // §5.5.10.3: what the losses of this round left, unless the probe itself caused them.
  const bool probing = state_ == State::startup || state_ == State::probe_refill || state_ == State::probe_up;
  if (congested_ && !probing) {
    losses_.forgive();
    if (bw_lo_ == kNoRate) bw_lo_ = max_bw();
    if (inflight_lo_ == kNoBound) inflight_lo_ = w.cwnd;
    bw_lo_ = std::max(bw_latest_, percent(bw_lo_, kBetaPercent));
    inflight_lo_ = std::max(inflight_latest_, narrow(percent(inflight_lo_, kBetaPercent)));
  }
  // §5.3.1.3: a startup that loses much has found the end, too.
  if (state_ == State::startup && loss_events_ >= kStartupLossEvents && too_much_lost(w)) {
    full_bw_reached_ = true;
    inflight_hi_ = std::max(bdp(w, 100), inflight_latest_);
  }
  bw_latest_ = ack.rate.rate;
  inflight_latest_ = delivered;
}

// §5.5.9: receivers and links that acknowledge in bunches need more in flight than the product of rate and delay.
void BbrModel::update_aggregation(const Window& w, const AckEvent& ack) {
  const uint64_t expected = bytes_in(bandwidth() == kNoRate ? 0 : bandwidth(), ack.now - aggregate_since_);
  if (aggregate_ <= expected) {
    aggregate_ = 0;
    aggregate_since_ = ack.now;
  }
  aggregate_ += ack.delivered;
  const uint64_t before = aggregate_since_ == ack.now ? 0 : expected;
  const auto extra = narrow(std::min<uint64_t>(aggregate_ > before ? aggregate_ - before : 0, w.cwnd));
  if (round_start_ && ++aggregation_rounds_ >= (full_bw_reached_ ? kAggregationRounds : 1)) {
    aggregation_rounds_ = 0;
    extra_acked_[1] = extra_acked_[0];
    extra_acked_[0] = 0;
  }
  extra_acked_[0] = std::max(extra_acked_[0], extra);
}

// §5.3.1.2: three rounds without a quarter more.
void BbrModel::check_full_bandwidth(const AckEvent& ack) {
  if (full_bw_now_ || !round_start_ || ack.rate.app_limited) return;
  if (ack.rate.rate >= percent(full_bw_, 125)) return reset_full_bandwidth(ack.rate.rate);
  full_bw_now_ = ++full_bw_rounds_ >= kFullBandwidthRounds;
  full_bw_reached_ |= full_bw_now_;
}

void BbrModel::reset_full_bandwidth(uint64_t rate) {
  full_bw_ = rate;
  full_bw_rounds_ = 0;
  full_bw_now_ = false;
}

// §5.5.7.
void BbrModel::update_min_rtt(const AckEvent& ack) {
  if (ack.rtt <= Duration{}) return;
  if (round_rtt_ == Duration{} || ack.rtt < round_rtt_) round_rtt_ = ack.rtt;
  // A minimum that is too old gives way to any sample, and check_probe_rtt() sees by its age that it is to be probed.
  const bool old = ack.now > probe_rtt_min_at_ + kProbeRttInterval;
  const bool lower = probe_rtt_min_ == Duration{} || ack.rtt < probe_rtt_min_;
  if (lower) probe_rtt_min_at_ = ack.now;
  if (lower || (old && state_ == State::probe_rtt)) probe_rtt_min_ = ack.rtt;
  if (min_rtt_ == Duration{} || probe_rtt_min_ < min_rtt_ || ack.now > min_rtt_at_ + kMinRttFilter) {
    min_rtt_ = probe_rtt_min_;
    min_rtt_at_ = ack.now;
  }
}

uint32_t BbrModel::bdp(const Window& w, uint32_t gain) const {
  if (min_rtt_ == Duration{} || max_bw() == 0) return 10 * w.mss;
  return narrow(percent(bytes_in(bandwidth(), min_rtt_), gain));
}

// Room for others (§5.3.3.2).
uint32_t BbrModel::with_headroom(const Window& w) const {
  if (inflight_hi_ == kNoBound) return kNoBound;
  const uint32_t headroom = std::max(w.mss, narrow(percent(inflight_hi_, kHeadroomPercent)));
  return std::max(inflight_hi_ > headroom ? inflight_hi_ - headroom : 0, least(w));
}

// --- §5.6: control
// -------------------------------------------------------------------------------------------------------

uint64_t BbrModel::pacing_rate(const Window& w, Duration srtt) const {
  if (pacing_rate_ > 0) return pacing_rate_;
  const auto round = static_cast<uint64_t>(std::max<int64_t>(to_us(srtt > Duration{} ? srtt : Duration{1ms}), 1));
  return percent(uint64_t{w.cwnd} * 1'000'000 / round, 277);
}

void BbrModel::set_window(Window& w, const AckEvent& ack) {
  // On a path that loses by itself one recovery follows the other: what is missing in flight would never be refilled.
  const bool chance = losses_.path_loses() && !too_much_lost(w);
  if (conserving_ && chance && ack.in_flight < bdp(w, 100)) {
    conserving_ = false;
    w.cwnd = std::max(w.cwnd, prior_cwnd_);
  }
  if (conserving_) {
    if (ack.rate.prior_delivered >= conserve_until_) conserving_ = false;
    w.cwnd = std::max(w.cwnd, ack.in_flight + std::max(ack.delivered, w.mss));
  }
  const uint64_t burst = std::clamp<uint64_t>(pacing_rate(w, ack.srtt) / 1000, uint64_t{2} * w.mss, 64 << 10);
  const uint64_t room = std::max<uint64_t>(3 * burst, least(w)) + (state_ == State::probe_up ? 2 * w.mss : 0);
  const uint64_t extra = full_bw_reached_ ? std::max(extra_acked_[0], extra_acked_[1]) : extra_acked_[0];
  const uint32_t most = narrow(std::max<uint64_t>(bdp(w, window_percent()) + extra, room));
  if (!conserving_) {
    if (full_bw_reached_) {
      w.cwnd = std::min(narrow(uint64_t{w.cwnd} + ack.delivered), most);
    } else if (w.cwnd < most || ack.total_delivered < 10 * uint64_t{w.mss}) {
      w.grow(ack.delivered);
    }
  }
  w.cwnd = std::max(w.cwnd, least(w));
  if (state_ == State::probe_rtt) w.cwnd = std::min(w.cwnd, probe_rtt_window(w));
  uint32_t cap = kNoBound;
  if (probing_bandwidth() && state_ != State::probe_cruise) cap = inflight_hi_;
  if (state_ == State::probe_rtt || state_ == State::probe_cruise) cap = with_headroom(w);
  cap = std::max(std::min(cap, inflight_lo_), least(w));
  w.cwnd = std::min(w.cwnd, cap);
}

// §5.6.4.4: a loss is no reason to send much less, but in the first round no more goes in than comes out.
void BbrModel::on_loss(Window& w, const LossEvent& loss) {
  undo_ = {.state = state_, .bw_lo = bw_lo_, .inflight_lo = inflight_lo_, .inflight_hi = inflight_hi_};
  if (loss.kind == LossKind::ecn) {  // RFC 3168 §6.1.2: as a loss, and no chance
    congested_ = true;
    return;
  }
  prior_cwnd_ = std::max(prior_cwnd_, w.cwnd);
  note_losses(w, 0, loss.lost);
  conserving_ = true;
  conserve_until_ = next_round_;
  w.cwnd = w.mss;  // and with the next ACK what is in flight then
}

void BbrModel::on_recovered(Window& w) {
  conserving_ = false;
  w.cwnd = std::max(w.cwnd, std::exchange(prior_cwnd_, 0));
}

void BbrModel::on_undo(Window& w) {
  on_recovered(w);
  congested_ = false;
  losses_.forgive();
  reset_full_bandwidth(0);
  bw_lo_ = std::max(bw_lo_, undo_.bw_lo);
  inflight_lo_ = std::max(inflight_lo_, undo_.inflight_lo);
  inflight_hi_ = std::max(inflight_hi_, undo_.inflight_hi);
  const bool probed = undo_.state == State::startup || undo_.state == State::probe_up;
  if (!probed || state_ == undo_.state || state_ == State::probe_rtt) return;
  state_ = undo_.state;
  full_bw_reached_ = state_ != State::startup;
}

// §5.4.1: the queue is empty, so at the modelled rate, and no need to look for the least round trip time right now.
void BbrModel::on_transmit_start(Time now) {
  idle_restart_ = true;
  aggregate_since_ = now;
  aggregate_ = 0;
  if (probing_bandwidth() && bandwidth() > 0) pacing_rate_ = bandwidth();
}

}  // namespace limpid
