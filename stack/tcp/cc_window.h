// What a congestion control algorithm is told, and the window that it moves.
//
// An algorithm (cc_reno, cc_cubic) answers two questions: how far does this ACK open the window, and what is left of
// it after a loss; or it keeps a model of the path, and answers what the window is (cc_bbr). What all of them share,
// such as the initial window, the undo of a reduction that was for nothing and the share of an ACK in recovery, is in
// congestion.h. None of them sees the sender.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/rules.h"
#include "stack/base/time.h"
#include "stack/tcp/delivery_rate.h"
#include "stack/tcp/seq.h"

namespace limpid {

// Bytes throughout. `una` and `nxt` are the sender's after this ACK: only round trips are counted by them.
struct AckEvent {
  uint32_t newly_acked = 0;       // that SND.UNA moved over
  uint32_t delivered = 0;         // that left the network: acknowledged, or selectively, for the first time
  uint32_t in_flight_before = 0;  // before this ACK
  uint32_t in_flight = 0;         // after it
  SeqPos una{};
  SeqPos nxt{};
  Duration rtt{};      // a sample, zero: none
  Duration min_rtt{};  // the smallest sample of the connection
  Duration srtt{};     // after this ACK
  RateSample rate{};   // of the newest range that was delivered
  uint64_t total_delivered = 0;
  uint32_t lost = 0;         // bytes that this ACK told to be lost
  bool in_recovery = false;  // fast recovery: the window comes down, proportionally
  bool in_loss = false;      // the walk that follows a timeout
  bool ece = false;          // it echoes congestion (RFC 3168): no reason to grow
  bool paced = false;        // text is spread over the round trip
  bool safe_ack = true;      // it moved SND.UNA and told of no further loss (RFC 9937)
  Time now{};
  // Known to Congestion, which adds them:
  bool round_start = false;   // the first ACK of what was sent after the previous round's first ACK
  bool cwnd_limited = false;  // the window, and not the application, was what held the sender back
};

enum class LossKind : uint8_t {
  fast,     // found by duplicate ACKs, SACK or RACK
  ecn,      // the path marked instead of dropping (RFC 3168)
  timeout,  // the retransmission timer expired
};

struct LossEvent {
  LossKind kind = LossKind::fast;
  uint32_t flight_size = 0;  // sent and not acknowledged, without what limited transmit added (RFC 5681 §3.1 (4))
  bool first = true;         // timeout: the first one of this segment
  uint32_t lost = 0;         // bytes, if a timer told of them and no ACK
  Time now{};
};

struct Window {
  uint32_t mss = 536;
  uint32_t cwnd = 0;
  uint32_t ssthresh = UINT32_MAX;  // arbitrarily high: nothing was lost yet (RFC 5681 §3.1)

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Window::mss, &Window::cwnd, &Window::ssthresh);
  }

  bool in_slow_start() const { return cwnd < ssthresh; }

  void grow(uint32_t bytes) { cwnd = cwnd > UINT32_MAX - bytes ? UINT32_MAX : cwnd + bytes; }

  // RFC 5681 §3.1 (2) by bytes (RFC 3465): at most so much for one ACK, and not beyond ssthresh. The bytes of the ACK
  // that are left for congestion avoidance.
  uint32_t slow_start(uint32_t acked, uint32_t most = UINT32_MAX) {
    const uint32_t step = std::min({acked, most, ssthresh - cwnd});
    grow(step);
    return in_slow_start() ? 0 : acked - step;
  }
};

// RFC 3465 §2.3: after a timeout a single ACK may cover much that never left the receiver, so it counts for one
// segment.
constexpr uint32_t kSegmentsAnAckAfterTimeout = 1;

}  // namespace limpid
