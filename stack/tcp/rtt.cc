#include "stack/tcp/rtt.h"

namespace limpid {

// RFC 6298 §2.2 and §2.3, in their order: RTTVAR uses the SRTT of before.
void RttEstimator::sample(Duration rtt) {
  rtt = std::max(rtt, Duration{1});
  latest_ = rtt;
  min_ = min_ == Duration{} ? rtt : std::min(min_, rtt);
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

bool RttEstimator::on_ack(SeqPos una, Time now) {
  if (!timing_ || una < timed_end_) return false;
  timing_ = false;
  sample(now - timed_at_);
  return true;
}

}  // namespace limpid
