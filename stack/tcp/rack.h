// RACK (RFC 8985 §6): a range is lost if something that was sent sufficiently later has been delivered. "Sufficiently"
// is the reordering window, which adapts to what the path does.
//
// It knows times, not ranges: the scoreboard applies them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/tcp/ack_news.h"
#include "stack/tcp/rtt.h"

namespace limpid {

class Rack {
 public:
  struct Situation {
    bool repairing = false;       // in fast recovery, or after a timeout
    bool dup_thresh_met = false;  // three segments or more are SACKed
  };

  // Steps 2 and 3: the most recently sent of what this ACK delivered, and whether anything overtook anything.
  void on_ack(const AckNews& news);
  // Step 4, of an ACK with a DSACK block: the window grows, once a round trip.
  void on_dsack(SeqPos una, SeqPos nxt);
  // Step 4, at the end of a recovery: sixteen without a DSACK, and the window is small again.
  void on_recovered();
  void note_reordering() { reordering_seen_ = true; }

  // Step 4: how long to wait for what may only be late.
  Duration reordering_window(const Situation& s, const RttEstimator& rtt) const;

  // Step 5 applies these: what was sent before (sent, end) and at least rtt() + window ago is lost.
  bool delivered_any() const { return end_ != SeqPos{}; }  // not by the time: at 0 the first text may go
  Time sent() const { return sent_; }
  SeqPos end() const { return end_; }
  Duration rtt() const { return rtt_; }
  SeqPos fack() const { return fack_; }
  bool reordering_seen() const { return reordering_seen_; }
  uint32_t window_multiplier() const { return multiplier_; }

 private:
  static constexpr uint8_t kPersist = 16;  // recoveries

  Time sent_{};                 // RACK.xmit_ts
  SeqPos end_;                  // RACK.end_seq
  Duration rtt_{};              // RACK.rtt
  SeqPos fack_;                 // RACK.fack
  SeqPos dsack_round_{-1};      // RACK.dsack_round; -1: none
  uint8_t multiplier_ = 1;      // RACK.reo_wnd_mult
  uint8_t persist_ = kPersist;  // RACK.reo_wnd_persist
  bool reordering_seen_ = false;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Rack::sent_, &Rack::end_, &Rack::rtt_, &Rack::fack_, &Rack::dsack_round_, &Rack::multiplier_,
             &Rack::persist_, &Rack::reordering_seen_);
  }
};

}  // namespace limpid
