// How much may go: the congestion window (RFC 5681, with the recovery of RFC 6582).
//
// It is told what happened (AckEvent and the losses) and owns its window. It never sees the sender, and does not know
// which bytes are lost: that is recovery's business.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/config.h"

namespace limpid {

struct AckEvent {
  uint32_t newly_acked = 0;       // bytes
  uint32_t in_flight_before = 0;  // bytes, before this ACK
};

class Reno {
 public:
  Reno(const TcpConfig& config, uint32_t mss);

  uint32_t cwnd() const { return cwnd_; }
  uint32_t ssthresh() const { return ssthresh_; }  // UINT32_MAX: arbitrarily high, nothing was lost yet
  bool in_slow_start() const { return cwnd_ < ssthresh_; }

  void set_mss(uint32_t mss);                   // before anything was sent
  void on_syn_lost() { cwnd_ = mss_; }          // RFC 5681 §3.1: after a lost SYN the initial window is one segment
  void on_ack(const AckEvent& ack);             // new data acknowledged, outside recovery
  void on_fast_retransmit(uint32_t in_flight);  // three duplicate ACKs
  void on_duplicate_ack();                      // a further one, in recovery
  void on_partial_ack(uint32_t newly_acked);
  void on_recovered(uint32_t in_flight);
  void on_timeout(uint32_t in_flight, bool first);
  void on_idle();  // silent for more than an RTO

 private:
  uint32_t initial_window() const;
  uint32_t half(uint32_t in_flight) const { return std::max(in_flight / 2, 2 * mss_); }

  uint32_t initial_segments_;
  uint32_t mss_;
  uint32_t cwnd_;
  uint32_t ssthresh_ = UINT32_MAX;
  uint32_t counted_ = 0;  // bytes acknowledged since the last increase, in congestion avoidance
};

}  // namespace limpid
