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
  Duration min_rtt() const { return min_; }
  Duration latest() const { return latest_; }
  bool has_sample() const { return srtt_ != Duration{}; }

  void sample(Duration rtt);
  void back_off() { rto_ = std::min(2 * rto_, maximum_); }  // RFC 6298 §5.5
  // RFC 6298 §5.7: the SYN was retransmitted with a timeout below 3 s, so data starts with 3 s.
  void restart_after_syn_timeout() { rto_ = std::clamp(Duration{3s}, minimum_, maximum_); }

  // --- one segment at a time is timed, at least one a round trip; Karn: never one that was sent twice (RFC 6298 §3)
  // ---
  void start_timing(SeqPos end, Time now) {
    timed_end_ = end;
    timed_at_ = now;
    timing_ = true;
  }
  bool timing() const { return timing_; }
  void cancel_timing() { timing_ = false; }
  // The ACK reached `una`: takes the sample if the timed segment is covered.
  bool on_ack(SeqPos una, Time now);

 private:
  Duration granularity_;
  Duration minimum_;
  Duration maximum_;
  Duration rto_;
  Duration srtt_{};
  Duration rttvar_{};
  Duration min_{};
  Duration latest_{};
  SeqPos timed_end_;
  Time timed_at_{};
  bool timing_ = false;
};

}  // namespace limpid
