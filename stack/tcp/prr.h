// Proportional Rate Reduction (RFC 6937, with the SafeACK rule of its successor, RFC 9937): how much each ACK lets go
// while the window comes down from what was in flight at the loss to ssthresh.
//
//   in flight > ssthresh   the reduction is spread: for prr_delivered bytes that left the network,
//                          prr_delivered * ssthresh / RecoverFS may enter it, rounded up to a segment
//   in flight <= ssthresh  losses took more than the reduction asked for: what was delivered may be replaced, and a
//                          segment more (slow start) for an ACK that moves SND.UNA and tells of no further loss
//
// All amounts are bytes.
#pragma once

#include <cstdint>

namespace limpid {

class Prr {
 public:
  // Recovery (or CWR) begins. `recover_fs`: what was outstanding and not SACKed when it did, before this ACK's news.
  // `repairs`: something is to be sent again, at once.
  void begin(uint32_t ssthresh, uint32_t recover_fs, bool repairs = true);

  // One ACK: `delivered` by it (cumulatively or by SACK), `in_flight` after it. The answer may be sent now; the
  // congestion window is in_flight plus that. An ACK that delivers nothing lets nothing go.
  uint32_t on_ack(uint32_t delivered, uint32_t in_flight, bool safe_ack, uint32_t mss);

  void on_sent(uint32_t bytes) { out_ += bytes; }  // of text, old or new

  uint32_t ssthresh() const { return ssthresh_; }
  uint64_t delivered() const { return delivered_; }  // prr_delivered
  uint64_t out() const { return out_; }              // prr_out

 private:
  int64_t reduce(uint32_t mss) const;
  int64_t refill(uint32_t delivered, uint32_t in_flight, bool safe_ack, uint32_t mss) const;

  uint64_t delivered_ = 0;
  uint64_t out_ = 0;
  uint32_t ssthresh_ = 0;
  uint32_t recover_fs_ = 1;
  bool repairs_ = true;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Prr::delivered_, &Prr::out_, &Prr::ssthresh_, &Prr::recover_fs_, &Prr::repairs_);
  }
};

}  // namespace limpid
