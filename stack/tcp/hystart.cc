#include "stack/tcp/hystart.h"

namespace limpid {
namespace {

// RFC 9406 §4.3.
constexpr uint32_t kMinThreshold = 4'000;   // microseconds
constexpr uint32_t kMaxThreshold = 16'000;  // microseconds
constexpr uint32_t kRttDivisor = 8;
constexpr uint8_t kSamples = 8;
constexpr uint32_t kGrowthDivisor = 4;
constexpr uint8_t kRounds = 5;

uint32_t microseconds(Duration d) { return static_cast<uint32_t>(std::clamp<int64_t>(to_us(d), 1, UINT32_MAX - 1)); }

}  // namespace

Rule HyStart::on_ack(Window& w, const AckEvent& ack) {
  if (ack.round_start) {
    on_round();
    if (conservative() && --rounds_left_ == 0) {  // the rise was no accident
      w.ssthresh = w.cwnd;
      return Rule::tcp_css_done;
    }
  }
  if (ack.rtt > Duration{}) {
    round_min_ = std::min(round_min_, microseconds(ack.rtt));
    if (samples_ < kSamples) ++samples_;
  }
  // §4.3 with L = infinity, which it has for senders that pace: see docs/deviations.md.
  const uint32_t step = ack.newly_acked;
  const bool was_conservative = conservative();
  if (ack.cwnd_limited) w.grow(was_conservative ? step / kGrowthDivisor : step);
  if (samples_ >= kSamples) look_for_delay();
  if (!ack.cwnd_limited) return Rule::tcp_cwnd_unused;
  return was_conservative ? Rule::tcp_css : Rule::tcp_slow_start;
}

// §4.2: a round begins.
void HyStart::on_round() {
  last_round_min_ = round_min_;
  round_min_ = kNone;
  samples_ = 0;
}

// §4.2: with enough samples in this round.
void HyStart::look_for_delay() {
  if (conservative()) {
    if (round_min_ < baseline_) {  // spurious: on with slow start
      baseline_ = kNone;
      rounds_left_ = 0;
    }
    return;
  }
  if (round_min_ == kNone || last_round_min_ == kNone) return;
  const uint32_t threshold = std::clamp(last_round_min_ / kRttDivisor, kMinThreshold, kMaxThreshold);
  if (round_min_ < last_round_min_ + threshold) return;
  baseline_ = round_min_;
  rounds_left_ = kRounds;  // the round in which it begins counts, though it is not whole
}

}  // namespace limpid
