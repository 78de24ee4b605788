// Tail loss probes (RFC 8985 §7): when ACKs stop coming, one segment more asks for one, well before the timer that
// presumes all lost.
#pragma once

#include <algorithm>

#include "stack/tcp/ack_news.h"
#include "stack/tcp/rtt.h"

namespace limpid {

class TailLossProbe {
 public:
  // §7.3: one probe at a time, and a new RTT sample since the last one.
  bool allowed() const { return end_ == kNone && sampled_; }
  bool outstanding() const { return end_ != kNone; }
  void on_rtt_sample() { sampled_ = true; }
  void on_sent(SeqPos nxt, bool retransmission) {
    end_ = nxt;
    retransmission_ = retransmission;
    sampled_ = false;
  }
  void forget() { end_ = kNone; }  // §7.1: recovery begins

  // §7.2. `until_rto`: when the timer would fire.
  // `max_ack_delay`: for a segment that is alone; `slack` covers timers on both sides, where round trips are short.
  static Duration timeout(const RttEstimator& rtt, Duration max_ack_delay, Duration slack, Duration until_rto) {
    Duration pto = 1s;
    if (rtt.has_sample()) pto = 2 * rtt.srtt() + std::max(max_ack_delay, slack);
    return std::max(std::min(pto, until_rto), Duration{});
  }

  // §7.4.2: what an ACK tells of the probe. True: the probe repaired a loss that nobody else has noticed, which
  // congestion control must hear of.
  bool repaired_loss(SeqPos ack, const AckNews& news, bool bare_duplicate) {
    if (!outstanding() || ack < end_) return false;
    if (!retransmission_ || news.dsack || (bare_duplicate && ack == end_)) {  // new data delivered; or both arrived
      forget();
      return false;
    }
    if (ack == end_) return false;  // a DSACK, or a duplicate ACK, may still tell that nothing was lost
    forget();
    return true;
  }

 private:
  static constexpr SeqPos kNone{-1};
  SeqPos end_ = kNone;  // TLP.end_seq
  bool retransmission_ = false;
  bool sampled_ = true;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&TailLossProbe::end_, &TailLossProbe::retransmission_, &TailLossProbe::sampled_);
  }
};

}  // namespace limpid
