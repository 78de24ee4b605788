// BBR, version 3 (draft-ietf-ccwg-bbr): the window follows a model of the path, how fast it delivers (max_bw) and how
// long the way is when no queue stands (min_rtt), instead of waiting for losses.
//
//   startup --- the rate has stopped growing ---> drain --- the queue is gone ---> probe_down
//
//   probe_down -> probe_cruise -> probe_refill -> probe_up -> probe_down …     asks now and then whether there is more
//
//   probe_rtt   at least every 5 s, unless the queue emptied by itself: 200 ms of half a window, to see min_rtt again
//
// inflight_hi bounds what is in flight by where losses began; bw_lo and inflight_lo are what the last losses left,
// until the next probe. Which losses count is in cc_bbr_losses.h.
#pragma once

#include <array>
#include <memory>

#include "stack/tcp/cc_bbr_losses.h"
#include "stack/tcp/cc_window.h"

namespace limpid {

class BbrModel {
 public:
  explicit BbrModel(uint32_t path_loss_percent) : losses_(path_loss_percent) {}

  enum class State : uint8_t { startup, drain, probe_down, probe_cruise, probe_refill, probe_up, probe_rtt };

  Rule on_ack(Window& w, const AckEvent& ack);
  void on_loss(Window& w, const LossEvent& loss);
  void on_recovered(Window& w);
  void on_undo(Window& w);           // the loss was none
  void on_transmit_start(Time now);  // text goes out after nothing was in flight

  // Bytes a second. `srtt`: what the handshake measured, while nothing better is known.
  uint64_t pacing_rate(const Window& w, Duration srtt) const;
  uint32_t pacing_percent() const;
  uint32_t window_percent() const;
  State state() const { return state_; }
  uint64_t bandwidth() const { return std::min(max_bw(), bw_lo_); }
  Duration min_rtt() const { return min_rtt_; }

 private:
  // --- the model ---
  void update_round(const Window& w, const AckEvent& ack);
  void update_bandwidth(const Window& w, const AckEvent& ack);
  void update_aggregation(const Window& w, const AckEvent& ack);
  void check_full_bandwidth(const AckEvent& ack);
  void update_min_rtt(const AckEvent& ack);
  uint64_t max_bw() const { return std::max(bw_filter_[0], bw_filter_[1]); }
  uint32_t bdp(const Window& w, uint32_t percent) const;
  uint32_t target_inflight(const Window& w) const { return std::min(bdp(w, 100), w.cwnd); }
  uint32_t with_headroom(const Window& w) const;
  uint32_t least(const Window& w) const { return 4 * w.mss; }
  void note_losses(const Window& w, uint32_t delivered, uint32_t lost);
  bool too_much_lost(const Window& w) const { return losses_.too_much(round_inflight_, w.mss); }
  void end_round(const Window& w, const AckEvent& ack);
  void start_round(const AckEvent& ack) { next_round_ = ack.total_delivered; }
  void reset_full_bandwidth(uint64_t rate);

  // --- cc_bbr_probe.cc: the states ---
  void update_state(Window& w, const AckEvent& ack);
  void update_probe_phase(Window& w, const AckEvent& ack);
  void adapt_upper_bound(const Window& w, const AckEvent& ack);
  bool time_to_probe(const Window& w, const AckEvent& ack);
  void raise_slope(const Window& w);
  void start_down(const AckEvent& ack);
  void start_refill(const AckEvent& ack);
  void start_up(const Window& w, const AckEvent& ack);
  void check_probe_rtt(Window& w, const AckEvent& ack);
  bool probing_bandwidth() const { return state_ >= State::probe_down && state_ <= State::probe_up; }
  uint32_t probe_rtt_window(const Window& w) const { return std::max(bdp(w, 50), least(w)); }

  // --- control ---
  void set_window(Window& w, const AckEvent& ack);

  static constexpr uint64_t kNoRate = UINT64_MAX;
  static constexpr uint32_t kNoBound = UINT32_MAX;

  State state_ = State::startup;
  bool round_start_ = false;
  bool full_bw_now_ = false;
  bool full_bw_reached_ = false;
  bool judges_probe_ = false;  // samples tell of what the last probe put in flight
  bool probe_ending_ = false;  // its last samples are still to come
  bool rtt_round_done_ = false;
  bool congested_ = false;     // a loss or a mark in this round, and no chance
  bool idle_restart_ = false;  // nothing was delivered since the connection was idle
  uint8_t full_bw_rounds_ = 0;
  uint8_t loss_events_ = 0;
  uint8_t aggregation_rounds_ = 0;
  uint8_t up_rounds_ = 0;
  uint32_t rounds_since_probe_ = 0;

  uint64_t next_round_ = 0;              // delivered then
  std::array<uint64_t, 2> bw_filter_{};  // maximum of this cycle of probing, and of the one before
  uint64_t bw_latest_ = 0;
  uint64_t bw_lo_ = kNoRate;
  uint64_t full_bw_ = 0;
  uint32_t inflight_latest_ = 0;
  uint32_t inflight_lo_ = kNoBound;
  uint32_t inflight_hi_ = kNoBound;
  uint32_t round_inflight_ = 0;  // the most in flight in this round
  Duration round_rtt_{};         // the least of this round; zero: no sample
  PathLosses losses_;

  uint32_t up_acked_ = 0;
  uint32_t up_price_ = kNoBound;  // bytes acknowledged for a segment more
  std::array<uint32_t, 2> extra_acked_{};
  uint64_t aggregate_ = 0;
  Time aggregate_since_{};

  Duration min_rtt_{};
  Duration probe_rtt_min_{};
  Time min_rtt_at_{};
  Time probe_rtt_min_at_{};
  Time probe_rtt_done_ = kNever;
  Time phase_begin_{};
  Duration probe_wait_ = 2s;
  uint32_t prior_cwnd_ = 0;
  bool conserving_ = false;  // the first round of a recovery: no more goes in than comes out
  uint64_t conserve_until_ = 0;
  uint64_t pacing_rate_ = 0;

  // What the last loss changed, should it have been none (§5.5.10.4).
  struct Undo {
    State state = State::startup;
    uint64_t bw_lo = kNoRate;
    uint32_t inflight_lo = kNoBound;
    uint32_t inflight_hi = kNoBound;

    template <class V>
    static constexpr auto members(V&& v) {
      return v(&Undo::state, &Undo::bw_lo, &Undo::inflight_lo, &Undo::inflight_hi);
    }
  };
  Undo undo_;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&BbrModel::state_, &BbrModel::round_start_, &BbrModel::full_bw_now_, &BbrModel::full_bw_reached_,
             &BbrModel::judges_probe_, &BbrModel::probe_ending_, &BbrModel::rtt_round_done_, &BbrModel::congested_,
             &BbrModel::idle_restart_, &BbrModel::full_bw_rounds_, &BbrModel::loss_events_,
             &BbrModel::aggregation_rounds_, &BbrModel::up_rounds_, &BbrModel::rounds_since_probe_,
             &BbrModel::next_round_, &BbrModel::bw_filter_, &BbrModel::bw_latest_, &BbrModel::bw_lo_,
             &BbrModel::full_bw_, &BbrModel::inflight_latest_, &BbrModel::inflight_lo_, &BbrModel::inflight_hi_,
             &BbrModel::round_inflight_, &BbrModel::round_rtt_, &BbrModel::losses_, &BbrModel::up_acked_,
             &BbrModel::up_price_, &BbrModel::extra_acked_, &BbrModel::aggregate_, &BbrModel::aggregate_since_,
             &BbrModel::min_rtt_, &BbrModel::probe_rtt_min_, &BbrModel::min_rtt_at_, &BbrModel::probe_rtt_min_at_,
             &BbrModel::probe_rtt_done_, &BbrModel::phase_begin_, &BbrModel::probe_wait_, &BbrModel::prior_cwnd_,
             &BbrModel::conserving_, &BbrModel::conserve_until_, &BbrModel::pacing_rate_, &BbrModel::undo_);
  }
};

// The model in memory of its own: it is eight times as large as what other algorithms keep.
class Bbr {
 public:
  explicit Bbr(uint32_t path_loss_percent) : model_(std::make_unique<BbrModel>(path_loss_percent)) {}
  Bbr(Bbr&&) = default;
  Bbr& operator=(Bbr&&) = default;
  Bbr(const Bbr& o) : model_(std::make_unique<BbrModel>(*o.model_)) {}
  Bbr& operator=(const Bbr& o) { return *this = Bbr(o); }

  Rule on_ack(Window& w, const AckEvent& ack) { return model_->on_ack(w, ack); }
  void on_loss(Window& w, const LossEvent& loss) { model_->on_loss(w, loss); }
  void on_recovered(Window& w) { model_->on_recovered(w); }
  void on_undo(Window& w) { model_->on_undo(w); }
  const BbrModel& model() const { return *model_; }
  // A loss does not move ssthresh: nothing here asks for it.
  uint32_t ssthresh_after(const Window& w, const LossEvent&) const { return w.ssthresh; }
  void on_transmit_start(Time now) { model_->on_transmit_start(now); }
  void restart() {}

 private:
  std::unique_ptr<BbrModel> model_;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Bbr::model_);
  }
};

}  // namespace limpid
