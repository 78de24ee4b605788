#include "stack/tcp/congestion.h"

#include <utility>

namespace limpid {
namespace {

constexpr uint32_t kPacingInSlowStart = 200;  // percent; Linux tcp_pacing_ss_ratio
constexpr uint32_t kPacing = 120;             // Linux tcp_pacing_ca_ratio

}  // namespace

Congestion::Congestion(const TcpConfig& config, CongestionChoice choice, uint32_t mss)
    : initial_segments_(static_cast<uint16_t>(std::clamp(config.initial_window_segments, 1u, 1000u))),
      bbr_path_loss_percent_(static_cast<uint8_t>(std::min(config.bbr_path_loss_percent, 100u))),
      idle_restart_(config.slow_start_after_idle),
      classic_hystart_(config.classic_hystart),
      algorithm_(make(choice == CongestionChoice::unset ? config.congestion : choice)) {
  w_.mss = mss;
  w_.cwnd = initial_window();
}

Congestion::Algorithm Congestion::make(CongestionChoice choice) const {
  switch (choice) {
    case CongestionChoice::reno:
      return Reno{};
    case CongestionChoice::bbr:
      return Bbr{bbr_path_loss_percent_};
    default:
      return Cubic(classic_hystart_);
  }
}

// Linux tcp_update_pacing_rate().
uint64_t Congestion::pacing_rate(Duration srtt) const {
  if (const BbrModel* model = bbr()) return model->pacing_rate(w_, srtt);
  if (srtt <= Duration{}) return 0;
  const uint32_t percent = w_.cwnd < w_.ssthresh / 2 ? kPacingInSlowStart : kPacing;
  return uint64_t{w_.cwnd} * percent * 10'000 / static_cast<uint64_t>(std::max<int64_t>(to_us(srtt), 1));
}

void Congestion::choose(CongestionChoice choice) {
  if (choice == CongestionChoice::unset || choice == this->choice()) return;
  algorithm_ = make(choice);
  if (bbr() != nullptr) episode_.reset();
  if (episode_) episode_->algorithm = algorithm_;
}

// RFC 6928 §2: min(10 MSS, max(2 MSS, 14600)).
uint32_t Congestion::initial_window() const {
  return std::min(initial_segments_ * w_.mss, std::max(2 * w_.mss, initial_segments_ * 1460u));
}

// RFC 5681 §3.1, last paragraph but one: a smaller segment size must not turn the window into a burst of small
// segments. A larger one raises the least that a window may be: two segments behind a loss (§3.1 eq. 4), one to send at
// all.
void Congestion::set_mss(uint32_t mss) {
  if (mss == w_.mss) return;
  const uint32_t before = std::exchange(w_.mss, mss);
  if (untouched_) {
    w_.cwnd = initial_window();
    return;
  }
  if (mss > before) {
    w_.cwnd = std::max(w_.cwnd, mss);
    w_.ssthresh = std::max(w_.ssthresh, 2 * mss);
    return;
  }
  const auto scaled = [&](uint32_t bytes) {
    return static_cast<uint32_t>(std::min<uint64_t>(uint64_t{bytes} * mss / before, UINT32_MAX));
  };
  w_.cwnd = std::max(scaled(w_.cwnd), mss);
  if (w_.ssthresh != UINT32_MAX) w_.ssthresh = std::max(scaled(w_.ssthresh), 2 * mss);
  std::visit([](auto& a) { a.restart(); }, algorithm_);
}

Rule Congestion::on_ack(AckEvent ack) {
  untouched_ = false;
  ack.round_start = ack.una >= round_end_;
  if (ack.round_start) round_end_ = ack.nxt;
  if (auto* model = std::get_if<Bbr>(&algorithm_)) {
    ack.cwnd_limited = usage_.limited(w_);
    return model->on_ack(w_, ack);
  }
  if (ack.in_recovery && episode_) {
    w_.cwnd =
        std::max(ack.in_flight + episode_->prr.on_ack(ack.delivered, ack.in_flight, ack.safe_ack, w_.mss), w_.mss);
    return Rule::tcp_prr;
  }
  if (episode_ && !ack.in_loss) {
    if (!episode_->repairing && ack.round_start) {
      episode_.reset();  // too late for an undo
    } else {
      episode_->repairing = false;
    }
  }
  if (ack.ece) return Rule::tcp_ecn_echo;  // RFC 3168 §6.1.2
  ack.cwnd_limited = usage_.limited(w_);
  return std::visit([&](auto& a) { return a.on_ack(w_, ack); }, algorithm_);
}

void Congestion::on_loss(const LossEvent& loss) {
  untouched_ = false;
  if (auto* model = std::get_if<Bbr>(&algorithm_)) return model->on_loss(w_, loss);
  if (!episode_) episode_ = std::make_unique<Episode>();
  if (!std::exchange(episode_->repairing, true) || episode_->before.cwnd == 0) {
    episode_->before = w_;
    episode_->algorithm = algorithm_;
  }
  // RFC 5681 §3.1 (4): the timer that expires again for the same segment tells nothing new.
  const bool again = loss.kind == LossKind::timeout && !loss.first;
  if (!again) w_.ssthresh = std::visit([&](auto& a) { return a.ssthresh_after(w_, loss); }, algorithm_);
  if (loss.kind == LossKind::timeout) {
    w_.cwnd = w_.mss;  // the loss window
    episode_->prr = {};
    return;
  }
  // RFC 9438 §4.6: marks, unlike losses, may bring the window down to a single segment.
  const bool at_bottom = loss.kind == LossKind::ecn && w_.cwnd <= w_.ssthresh;
  w_.cwnd = at_bottom ? w_.mss : w_.ssthresh;
  episode_->prr.begin(w_.cwnd, loss.flight_size, loss.kind == LossKind::fast);
}

// Proportional reduction has brought the window to ssthresh. Without SACK the last ACK may cover so much at once that
// the pipe is empty: RFC 6582 §3.2 (3), full ACK, option 1, no burst.
void Congestion::on_recovered(uint32_t in_flight, bool by_sack) {
  if (auto* model = std::get_if<Bbr>(&algorithm_)) return model->on_recovered(w_);
  if (!episode_) return;
  const uint32_t aim = episode_->prr.ssthresh();  // 0 after a timeout: nothing came down proportionally
  w_.cwnd = aim > 0 ? std::clamp(aim, w_.mss, w_.ssthresh) : w_.ssthresh;
  if (!by_sack || episode_->prr.delivered() == 0) w_.cwnd = std::min(w_.cwnd, std::max(in_flight, w_.mss) + w_.mss);
  // The ACK that ended it is still to count, and begins no round trip: see on_ack().
  episode_->repairing = by_sack && !w_.in_slow_start();
}

// The loss was none (RFC 4015 §3.2, RFC 9438 §4.9).
void Congestion::on_undo() {
  if (auto* model = std::get_if<Bbr>(&algorithm_)) return model->on_undo(w_);
  if (!episode_ || episode_->before.cwnd == 0) return;
  w_.cwnd = std::max(w_.cwnd, episode_->before.cwnd);
  w_.ssthresh = std::max(w_.ssthresh, episode_->before.ssthresh);
  algorithm_ = episode_->algorithm;
  episode_.reset();
}

void Congestion::on_output(SeqPos una, SeqPos nxt, uint32_t in_flight, bool sent, bool deferred) {
  const bool full = deferred || in_flight + w_.mss > w_.cwnd;
  if (sent || full) usage_.note(una, nxt, in_flight, full);
}

void Congestion::on_transmit_start(Time now) {
  std::visit([&](auto& a) { a.on_transmit_start(now); }, algorithm_);
}

// RFC 5681 §4.1: the path may have changed meanwhile. Where the window was stays known (RFC 2861 §3.1).
void Congestion::on_idle() {
  if (!idle_restart_ || bbr() != nullptr) return;  // BBR's rate stands, and pacing makes a burst of none (as Linux)
  const uint32_t restart = initial_window();
  if (w_.cwnd <= restart) return;
  if (w_.ssthresh != UINT32_MAX) w_.ssthresh = std::max(w_.ssthresh, w_.cwnd / 4 * 3);
  w_.cwnd = restart;
}

}  // namespace limpid
