#include "stack/tcp/congestion.h"

namespace limpid {

Reno::Reno(const TcpConfig& config, uint32_t mss) : initial_segments_(config.initial_window_segments), mss_(mss) {
  cwnd_ = initial_window();
}

// RFC 6928 §2: min(10 MSS, max(2 MSS, 14600)).
uint32_t Reno::initial_window() const {
  return std::min(initial_segments_ * mss_, std::max(2 * mss_, initial_segments_ * 1460));
}

void Reno::set_mss(uint32_t mss) {
  mss_ = mss;
  cwnd_ = initial_window();
}

void Reno::on_ack(const AckEvent& ack) {
  // A window that the sender did not use was not tested by the path, so it does not grow (RFC 7661 §4).
  if (ack.in_flight_before < cwnd_ / 2) return;
  if (in_slow_start()) {  // RFC 5681 §3.1 (2): by what is acknowledged, at most one segment for an ACK
    cwnd_ += std::min(ack.newly_acked, mss_);
    return;
  }
  // RFC 5681 §3.1: one segment for each window of bytes acknowledged, so at most one a round trip.
  counted_ += ack.newly_acked;
  if (counted_ >= cwnd_) {
    counted_ -= cwnd_;
    cwnd_ += mss_;
  }
}

// RFC 5681 §3.2 (2) and (3).
void Reno::on_fast_retransmit(uint32_t in_flight) {
  ssthresh_ = half(in_flight);
  cwnd_ = ssthresh_ + 3 * mss_;
  counted_ = 0;
}

void Reno::on_duplicate_ack() { cwnd_ += mss_; }

// RFC 6582 §3.2 (3), partial ACK: deflate by what left the network, add back one segment.
void Reno::on_partial_ack(uint32_t newly_acked) {
  cwnd_ -= std::min(newly_acked, cwnd_ - mss_);
  if (newly_acked >= mss_) cwnd_ += mss_;
}

// RFC 6582 §3.2 (3), full ACK, option 1: no burst.
void Reno::on_recovered(uint32_t in_flight) {
  cwnd_ = std::min(ssthresh_, std::max(in_flight, mss_) + mss_);
  counted_ = 0;
}

// RFC 5681 §3.1 (4): ssthresh moves for the first timeout of a segment only; the loss window is one segment.
void Reno::on_timeout(uint32_t in_flight, bool first) {
  if (first) ssthresh_ = half(in_flight);
  cwnd_ = mss_;
  counted_ = 0;
}

// RFC 5681 §4.1: the path may have changed meanwhile.
void Reno::on_idle() { cwnd_ = std::min(cwnd_, initial_window()); }

}  // namespace limpid
