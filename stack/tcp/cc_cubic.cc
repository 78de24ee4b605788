#include "stack/tcp/cc_cubic.h"

namespace limpid {
namespace {

// RFC 9438 §5: C = 0.4, beta = 0.7. alpha = 3 (1 - beta) / (1 + beta) = 9/17.
constexpr uint32_t kBetaTenths = 7;
constexpr uint32_t kAlphaNumerator = 9;
constexpr uint32_t kAlphaDenominator = 17;
constexpr uint32_t kLookEvery = 1000 / 32;  // ms
constexpr int64_t kLongest = 1'000'000;     // ms from K beyond which the curve is not followed: its cube fits 64 bits

// Of stack time; differences of two are right for 24 days.
uint32_t milliseconds(Time t) { return static_cast<uint32_t>(to_ms(t.time_since_epoch())); }

uint32_t tenths(uint32_t bytes, uint32_t n) { return static_cast<uint32_t>(uint64_t{bytes} * n / 10); }

}  // namespace

uint32_t cube_root(uint64_t x) {
  uint64_t root = 0;
  for (int bit = 21; bit >= 0; --bit) {
    const uint64_t wider = root | (uint64_t{1} << bit);
    if (wider <= x / (wider * wider)) root = wider;
  }
  return static_cast<uint32_t>(root);
}

Rule Cubic::on_ack(Window& w, const AckEvent& ack) {
  if (auto* hystart = std::get_if<HyStart>(&phase_)) {
    if (w.ssthresh == UINT32_MAX) return hystart->on_ack(w, ack);
    phase_ = std::monostate{};
  }
  Rule left_slow_start = Rule::none;
  if (auto* hystart = std::get_if<ClassicHyStart>(&phase_); hystart != nullptr && w.in_slow_start())
    left_slow_start = hystart->on_ack(w, ack);
  if (!ack.cwnd_limited) {  // the application sent less than it could have: that time does not count (§4.2)
    on_transmit_start(ack.now);
    return Rule::tcp_cwnd_unused;
  }
  uint32_t acked = ack.newly_acked;
  if (w.in_slow_start()) {
    acked = w.slow_start(acked, ack.in_loss ? kSegmentsAnAckAfterTimeout * w.mss : UINT32_MAX);
    if (acked == 0) return Rule::tcp_slow_start;
  }
  const Rule why = avoid(w, ack, acked);
  return left_slow_start != Rule::none ? left_slow_start : why;
}

// §4.2 to §4.5.
Rule Cubic::avoid(Window& w, const AckEvent& ack, uint32_t acked) {
  Curve* running = std::get_if<Curve>(&phase_);
  Curve& curve = running != nullptr ? *running : begin_epoch(w, ack.now);
  curve.last_ack = milliseconds(ack.now);
  grow_estimate(w, curve, acked);
  // §4.3: the Reno-friendly region. Linux takes its window 32 times a second at most.
  const bool look = !classic_ || curve.last_ack - curve.looked > kLookEvery;
  if (look) curve.looked = curve.last_ack;
  if (w_cubic(w, ack.now) < curve.w_est) {
    if (look) w.cwnd = std::max(w.cwnd, curve.w_est);
    return Rule::tcp_reno_friendly;
  }
  // §4.4, §4.5: to where the curve is a round trip from now, at most by half of the window.
  const uint32_t most = w.cwnd > UINT32_MAX / 3 * 2 ? UINT32_MAX : w.cwnd + w.cwnd / 2;
  const uint32_t target = std::clamp(w_cubic(w, ack.now + ack.srtt), w.cwnd, most);
  if (target == w.cwnd) return Rule::tcp_cubic;
  // (target - cwnd) / cwnd for each byte, in whole segments, so that nothing is lost in rounding.
  curve.counted += acked;
  const uint64_t price = std::max<uint64_t>(uint64_t{w.cwnd} * w.mss / (target - w.cwnd), 1);
  const uint64_t segments = curve.counted / price;
  curve.counted -= static_cast<uint32_t>(segments * price);
  w.cwnd = static_cast<uint32_t>(std::min<uint64_t>(w.cwnd + segments * w.mss, std::max(target, w.cwnd + w.mss)));
  return Rule::tcp_cubic;
}

Cubic::Curve& Cubic::begin_epoch(const Window& w, Time now) {
  Curve& curve = phase_.emplace<Curve>();
  curve.begin = milliseconds(now);
  curve.w_est = curve.origin = w.cwnd;
  if (w_max_ > w.cwnd) {  // else it is not known, or outgrown in slow start. K = cbrt((W_max - cwnd) / C) seconds
    curve.origin = w_max_;
    curve.k = cube_root(uint64_t{w_max_ - w.cwnd} * 2'500'000'000 / w.mss);
  }
  return curve;
}

uint32_t Cubic::k() const {
  const Curve* curve = std::get_if<Curve>(&phase_);
  return curve != nullptr ? curve->k : 0;
}

uint32_t Cubic::w_cubic(const Window& w, Time t) const {
  const Curve* curve = std::get_if<Curve>(&phase_);
  if (curve == nullptr) return w.cwnd;
  const int64_t elapsed = static_cast<int32_t>(milliseconds(t) - curve->begin);
  const int64_t from_k = std::clamp(elapsed - int64_t{curve->k}, -kLongest, kLongest);
  const int64_t rise = from_k * from_k * from_k / 1'000'000 * (4 * int64_t{w.mss}) / 10'000;
  return static_cast<uint32_t>(std::clamp<int64_t>(curve->origin + rise, 0, UINT32_MAX));
}

// §4.3: W_est grows by alpha segments for each window acknowledged; by one once it is where Reno was at the loss.
void Cubic::grow_estimate(const Window& w, Curve& curve, uint32_t acked) const {
  const bool caught_up = curve.w_est >= cwnd_prior_;
  curve.est_counted += caught_up ? acked : static_cast<uint32_t>(uint64_t{acked} * kAlphaNumerator / kAlphaDenominator);
  while (curve.est_counted >= w.cwnd) {
    curve.est_counted -= w.cwnd;
    curve.w_est += w.mss;
  }
}

// §4.6, from the window, which cwnd validation keeps near what is in flight; §4.7; §4.8.
uint32_t Cubic::ssthresh_after(const Window& w, const LossEvent& loss) {
  phase_ = std::monostate{};
  if (classic_ && loss.kind == LossKind::timeout) phase_ = ClassicHyStart{};
  const bool falling = w.cwnd < w_max_;  // fast convergence: leave room for a newcomer
  w_max_ = falling ? static_cast<uint32_t>(uint64_t{w.cwnd} * (10 + kBetaTenths) / 20) : w.cwnd;
  cwnd_prior_ = w.cwnd;
  // After a timeout the first congestion avoidance begins afresh: K = 0, W_max the window of then.
  if (loss.kind == LossKind::timeout) w_max_ = 0;
  return std::max(tenths(w.cwnd, kBetaTenths), 2 * w.mss);
}

void Cubic::on_transmit_start(Time now) {
  Curve* curve = std::get_if<Curve>(&phase_);
  if (curve == nullptr) return;
  curve->begin += milliseconds(now) - curve->last_ack;
  curve->last_ack = milliseconds(now);
}

void Cubic::restart() {
  if (std::holds_alternative<Curve>(phase_)) phase_ = std::monostate{};
  w_max_ = 0;
}

}  // namespace limpid
