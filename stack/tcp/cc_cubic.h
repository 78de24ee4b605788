// CUBIC (RFC 9438): after a loss the window grows along a cubic of the time since then: fast back towards the window
// that was lost at (w_max), flat around it, and fast again beyond. Time, not ACKs, drives it, so long paths are not
// behind short ones.
//
//    cwnd |                          /
//         |               __________/
//   w_max |- - - - - - --/- - - - - - - - W_cubic(t) = C (t - K)^3 + w_max
//         |          ___/ |
//         |         /     |
//   ·beta |________/      K               C = 0.4 segments/s^3, beta = 0.7
//         +------------------------- t
//
// All in integers, so that every compiler gives the same window: bytes, and milliseconds for t and K.
#pragma once

#include <variant>

#include "stack/tcp/cc_window.h"
#include "stack/tcp/hystart.h"
#include "stack/tcp/hystart_classic.h"

namespace limpid {

class Cubic {
 public:
  explicit Cubic(bool classic_hystart = false) : classic_(classic_hystart) {
    if (classic_) phase_ = ClassicHyStart{};
  }
  Rule on_ack(Window& w, const AckEvent& ack);
  uint32_t ssthresh_after(const Window& w, const LossEvent& loss);
  // Text goes out again after nothing was in flight: that time does not count (§4.2).
  void on_transmit_start(Time now);
  void restart();  // the window was set from outside: a new epoch

  uint32_t w_max() const { return w_max_; }
  uint32_t k() const;                               // milliseconds
  uint32_t w_cubic(const Window& w, Time t) const;  // where the curve is, bytes

 private:
  // One congestion avoidance, from its first ACK on.
  struct Curve {
    uint32_t origin = 0;       // W_max of this curve
    uint32_t k = 0;            // milliseconds until it reaches that
    uint32_t w_est = 0;        // what Reno would have (§4.3)
    uint32_t counted = 0;      // bytes acknowledged and not yet turned into growth
    uint32_t est_counted = 0;  // likewise, of Reno's
    uint32_t begin = 0;        // stack time, milliseconds; moves on while the application sends too little
    uint32_t last_ack = 0;     // milliseconds
    uint32_t looked = 0;       // at Reno's, likewise

    template <class V>
    static constexpr auto members(V&& v) {
      return v(&Curve::origin, &Curve::k, &Curve::w_est, &Curve::counted, &Curve::est_counted, &Curve::begin,
               &Curve::last_ack, &Curve::looked);
    }
  };

  Rule avoid(Window& w, const AckEvent& ack, uint32_t acked);
  Curve& begin_epoch(const Window& w, Time now);
  void grow_estimate(const Window& w, Curve& curve, uint32_t acked) const;

  uint32_t w_max_ = 0;       // the window before the last reduction, less if it was falling (§4.7); 0: not known
  uint32_t cwnd_prior_ = 0;  // at the last reduction
  // The first slow start (with the classic HyStart also one after a timeout), or congestion avoidance, or neither: what
  // is not needed at a time takes no room.
  std::variant<HyStart, std::monostate, Curve, ClassicHyStart> phase_;
  bool classic_;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Cubic::w_max_, &Cubic::cwnd_prior_, &Cubic::phase_, &Cubic::classic_);
  }
};

// The integer part of the cube root.
uint32_t cube_root(uint64_t x);

}  // namespace limpid
