// The round-trip time and the retransmission timeout that follows from it (RFC 6298).
#pragma once

#include <algorithm>

#include "stack/config.h"
#include "stack/tcp/seq.h"

namespace limpid {

class RttEstimator {
 public:
  explicit RttEstimator(const TcpConfig& config)
      : granularity_(config.clock_granularity),
        minimum_(config.minimum_rto),
        maximum_(config.maximum_rto),
        rto_(config.initial_rto) {}

  Duration rto() const { return rto_; }
  Duration srtt() const { return srtt_; }
  Duration rttvar() const { return rttvar_; }
  // The smallest of the last minutes: two windows, so that a path that became longer is believed in time.
  Duration min_rtt() const {
    if (min_before_ == Duration{}) return min_;
    return std::min(min_, min_before_);
  }
  Duration latest() const { return latest_; }
  bool has_sample() const { return srtt_ != Duration{}; }

  void note(Duration rtt, Time now);                        // of any ACK: the latest, and the smallest
  void sample(Duration rtt, Time now);                      // moves SRTT and the RTO
  void back_off() { rto_ = std::min(2 * rto_, maximum_); }  // RFC 6298 §5.5
  // RFC 6298 §5.7: the SYN was retransmitted with a timeout below 3 s, so data starts with 3 s.
  void restart_after_syn_timeout() { rto_ = std::clamp(Duration{3s}, minimum_, maximum_); }

 private:
  Duration granularity_;
  Duration minimum_;
  Duration maximum_;
  Duration rto_;
  Duration srtt_{};
  Duration rttvar_{};
  Duration min_{};         // of this window
  Duration min_before_{};  // of the one before
  Time window_start_{};
  Duration latest_{};

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&RttEstimator::granularity_, &RttEstimator::minimum_, &RttEstimator::maximum_, &RttEstimator::rto_,
             &RttEstimator::srtt_, &RttEstimator::rttvar_, &RttEstimator::min_, &RttEstimator::min_before_,
             &RttEstimator::window_start_, &RttEstimator::latest_);
  }
};

}  // namespace limpid
