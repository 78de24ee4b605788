#include "stack/tcp/rtt.h"

namespace limpid {

// RFC 6298 §2.2 and §2.3, in their order: RTTVAR uses the SRTT of before.
void RttEstimator::sample(Duration rtt, Time now) {
  rtt = std::max(rtt, Duration{1});
  note(rtt, now);
  if (!has_sample()) {
    srtt_ = rtt;
    rttvar_ = rtt / 2;
  } else {
    const Duration error = srtt_ > rtt ? srtt_ - rtt : rtt - srtt_;
    rttvar_ = (3 * rttvar_ + error) / 4;
    srtt_ = (7 * srtt_ + rtt) / 8;
  }
  // As on Linux the least RTO is a least margin above the round trip: a steady path has no variance left to wait for
  // its delayed acknowledgments with. Never below what §2.4 makes of the formula, with our minimum in place of a
  // second.
  rto_ = std::clamp(srtt_ + std::max({granularity_, 4 * rttvar_, minimum_}), minimum_, maximum_);
}

// RFC 8985 §6.2 step 1: a windowed minimum; Linux tcp_min_rtt_wlen is 300 s.
void RttEstimator::note(Duration rtt, Time now) {
  rtt = std::max(rtt, Duration{1});
  latest_ = rtt;
  constexpr Duration kWindow = 150s;
  if (min_ == Duration{} || now - window_start_ >= kWindow) {
    min_before_ = now - window_start_ < 2 * kWindow ? min_ : Duration{};
    min_ = rtt;
    window_start_ = now;
    return;
  }
  min_ = std::min(min_, rtt);
}

}  // namespace limpid
