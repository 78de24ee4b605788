// How large a receive buffer the path needs: dynamic right-sizing, as on Linux.
//
//   round trip      |<- copied: 80 KB ->|<- copied: 160 KB ->|
//   buffer          128 KB              |  grows: twice that, and as much more as the growth goes on
//
// What the user copied within a round trip is what the path brought and the user could take; a window of twice that
// lets a sender in slow start double once more. A user who reads slowly copies little, and its buffer stays. What is
// held beyond a gap comes on top: the gap may last for several round trips, if its repair is lost too.
//
// The receiver's round trip: by the timestamps that come back, on paths long enough for a clock of milliseconds; else
// from the handshake; and never more than the time in which a whole window arrived, which is a round trip exactly when
// the window is what holds the sender back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "stack/base/time.h"
#include "stack/tcp/seq.h"

namespace limpid {

class ReceiveTuning {
 public:
  // Text arrived, and RCV.NXT may have moved. `echo_ms`: when the stamp that it echoes was made.
  void on_text(SeqPos nxt, uint32_t wnd, std::optional<int64_t> echo_ms, Time now);
  // The user has copied all before `position`. The buffer that this asks for; 0: nothing new.
  uint32_t on_copied(uint64_t position, uint32_t mss, Duration handshake_rtt, Time now);

  // Text is held so far beyond a gap: nothing can be copied until that is filled, and the sender goes on meanwhile. The
  // buffer that this asks for; newer Linux counts it, too.
  uint32_t on_held(uint64_t beyond, uint32_t mss) const;

  Duration rtt(Duration handshake_rtt) const;
  uint32_t space() const { return space_; }  // copied in the best round trip so far

 private:
  static constexpr Duration kCoarse = 2ms;  // below this a clock of milliseconds says nothing

  Duration by_echo_{};    // smoothed
  Duration by_window_{};  // the least
  SeqPos window_end_{0};  // when RCV.NXT is here, a window has arrived since window_since_
  Time window_since_{};
  uint64_t round_from_ = 0;  // position of the reader when the present round began
  Time round_since_{};
  int64_t last_echo_ms_ = -1;  // one stamp is one sample: later ones would count a sender's pause too
  uint32_t space_ = 0;
  bool begun_ = false;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&ReceiveTuning::by_echo_, &ReceiveTuning::by_window_, &ReceiveTuning::window_end_,
             &ReceiveTuning::window_since_, &ReceiveTuning::round_from_, &ReceiveTuning::round_since_,
             &ReceiveTuning::last_echo_ms_, &ReceiveTuning::space_, &ReceiveTuning::begun_);
  }
};

}  // namespace limpid
