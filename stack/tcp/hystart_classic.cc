#include "stack/tcp/hystart_classic.h"

#include <algorithm>

namespace limpid {
namespace {

constexpr uint32_t kLowWindow = 16;         // segments below which nothing is decided; Linux hystart_low_window
constexpr uint32_t kTrainSpacing = 2'000;   // microseconds between the ACKs of a train; Linux hystart_ack_delta_us
constexpr uint32_t kTrainSlack = 1'000;     // microseconds by which receivers' offloads delay it
constexpr uint32_t kMinThreshold = 4'000;   // microseconds
constexpr uint32_t kMaxThreshold = 16'000;  // microseconds
constexpr uint8_t kSamples = 8;             // of a round before one is looked at

uint32_t microseconds(Duration d) { return static_cast<uint32_t>(to_us(d)); }

}  // namespace

Rule ClassicHyStart::on_ack(Window& w, const AckEvent& ack) {
  if (ack.rtt <= Duration{}) return Rule::none;
  const uint32_t rtt = std::max(microseconds(ack.rtt), 1u);
  const uint32_t now = microseconds(ack.now.time_since_epoch());  // differences are right for an hour
  least_ = std::min(least_, rtt);
  if (static_cast<int32_t>(ack.una.low() - round_end_) > 0) begin_round(ack, now);
  if (w.cwnd < kLowWindow * w.mss) return Rule::none;
  Rule why = Rule::none;
  if (long_train(ack.paced, now)) why = Rule::tcp_hystart_train;
  if (delay_rose(rtt)) why = Rule::tcp_hystart_delay;
  if (why != Rule::none) w.ssthresh = w.cwnd;
  return why;
}

void ClassicHyStart::begin_round(const AckEvent& ack, uint32_t now) {
  round_begin_ = last_ack_ = now;
  round_end_ = ack.nxt.low();
  round_least_ = kNone;
  samples_ = 0;
}

bool ClassicHyStart::long_train(bool paced, uint32_t now) {
  if (now - last_ack_ > kTrainSpacing) return false;
  last_ack_ = now;
  const uint32_t enough = least_ + kTrainSlack;
  return now - round_begin_ > (paced ? enough : enough / 2);
}

bool ClassicHyStart::delay_rose(uint32_t rtt) {
  round_least_ = std::min(round_least_, rtt);
  if (samples_ < kSamples) {
    ++samples_;
    return false;
  }
  return round_least_ > least_ + std::clamp(least_ / 8, kMinThreshold, kMaxThreshold);
}

}  // namespace limpid
