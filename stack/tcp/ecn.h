// Explicit Congestion Notification (RFC 3168 §6.1): routers mark packets instead of dropping them.
//
//   sender                      router             receiver
//     | text, ECT(0)  ----------> CE -------------> |  echo begins
//     | <------------------------------- ACK, ECE   |
//     | window comes down, once a round trip        |
//     | text, CWR  -------------------------------> |  echo ends
//
// Both roles of one connection; what it means for the window is congestion control's business.
#pragma once

#include <cstdint>

#include "stack/tcp/segment.h"

namespace limpid {

// The two ECN bits of the IP header's traffic class (RFC 3168 §5).
namespace ecn_bits {
inline constexpr uint8_t mask = 3, ect0 = 2, ce = 3;
}

class Ecn {
 public:
  // §6.1.1: what the flags of a SYN, or of a SYN,ACK, say. Both set on a SYN,ACK is a peer that reflects what it gets.
  static bool offered(uint8_t syn_flags) { return (syn_flags & kBoth) == kBoth; }
  static bool accepted(uint8_t syn_ack_flags) { return (syn_ack_flags & kBoth) == tcp_flag::ece; }
  static constexpr uint8_t kBoth = tcp_flag::ece | tcp_flag::cwr;

  // --- receiver (§6.1.3) ---
  // Text within the window arrived. True: the sender should know at once that its packets are marked.
  bool on_text(const Segment& s) {
    if (s.has(tcp_flag::cwr)) echoes_ = false;
    if (!s.marked) return false;
    const bool news = !echoes_;
    echoes_ = true;
    return news;
  }
  bool echoes() const { return echoes_; }  // ECE on all that we send, until CWR comes

  // --- sender (§6.1.2) ---
  // An ACK of ours to `ack` came with ECE: whether the window has to come down, which it does once for each window.
  void on_ack(bool ece) { echoed_ = ece; }
  bool echoed() const { return echoed_; }  // the last ACK did
  bool on_echo(SeqPos ack) const { return ack > reduced_at_; }
  void on_reduced(SeqPos nxt) {  // for whatever reason
    reduced_at_ = nxt;
    tells_ = true;
  }
  bool tells_reduction() const { return tells_; }  // CWR on the next new text
  void told() { tells_ = false; }

 private:
  SeqPos reduced_at_;  // SND.NXT then: echoes below it tell of the same congestion
  bool echoes_ = false;
  bool echoed_ = false;
  bool tells_ = false;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Ecn::reduced_at_, &Ecn::echoes_, &Ecn::echoed_, &Ecn::tells_);
  }
};

}  // namespace limpid
