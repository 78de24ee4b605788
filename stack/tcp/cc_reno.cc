#include "stack/tcp/cc_reno.h"

namespace limpid {

Rule Reno::on_ack(Window& w, const AckEvent& ack) {
  if (!ack.cwnd_limited) return Rule::tcp_cwnd_unused;
  uint32_t acked = ack.newly_acked;
  if (w.in_slow_start()) {
    acked = w.slow_start(acked, ack.in_loss ? kSegmentsAnAckAfterTimeout * w.mss : UINT32_MAX);
    if (acked == 0) return Rule::tcp_slow_start;
  }
  // RFC 5681 §3.1: one segment for each window of bytes acknowledged, so at most one a round trip. The part of the
  // window that is less than a segment cannot be sent, and so does not have to be acknowledged.
  const uint32_t usable = std::max(w.cwnd / w.mss, 1u) * w.mss;
  counted_ += std::min(acked, usable);
  if (counted_ >= usable) {
    counted_ -= usable;
    w.grow(w.mss);
  }
  return Rule::tcp_avoidance;
}

// RFC 5681 §3.1 (4).
uint32_t Reno::ssthresh_after(const Window& w, const LossEvent& loss) {
  counted_ = 0;
  return std::max(loss.flight_size / 2, 2 * w.mss);
}

}  // namespace limpid
