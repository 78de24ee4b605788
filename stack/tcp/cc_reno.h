// Reno (RFC 5681): doubling a round trip up to ssthresh, one segment a round trip beyond it, half of it after a loss.
#pragma once

#include "stack/tcp/cc_window.h"

namespace limpid {

class Reno {
 public:
  Rule on_ack(Window& w, const AckEvent& ack);
  uint32_t ssthresh_after(const Window& w, const LossEvent& loss);
  void on_transmit_start(Time) {}
  void restart() { counted_ = 0; }

 private:
  uint32_t counted_ = 0;  // bytes acknowledged since the last increase, in congestion avoidance

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Reno::counted_);
  }
};

}  // namespace limpid
