// Which bytes are lost: duplicate ACKs and NewReno's recovery point (RFC 5681 §3.2, 6582), and what a timeout condemns
// (6298).
//
//   una                       resend                        nxt
//    | sent again, or in flight  | presumed lost, to be sent again |
//
// In fast recovery one segment at `una` is resent for the third duplicate ACK and for each partial ACK. After a
// timeout everything up to `nxt` is presumed lost, and `resend` walks through it as the window allows.
#pragma once

#include <cstdint>

#include "stack/tcp/seq.h"

namespace limpid {

enum class Loss : uint8_t { none, fast_retransmit, more_duplicates, partial_ack, recovered };

class Recovery {
 public:
  enum class Phase : uint8_t {
    open,     // nothing is believed lost
    fast,     // fast recovery
    timeout,  // after a retransmission timeout
    window,   // after a zero window that refused what we had sent
  };

  Phase phase() const { return phase_; }
  uint32_t duplicate_acks() const { return duplicates_; }
  SeqPos recover() const { return recover_; }

  // The same ACK again. `una`, `nxt`: the sender's.
  Loss on_duplicate_ack(SeqPos una, SeqPos nxt);
  // `una` has moved on to its new value.
  Loss on_new_ack(SeqPos una);
  void on_timeout(SeqPos una, SeqPos nxt) { walk(Phase::timeout, una, nxt); }
  // The peer's zero window refused what lies between una and nxt: it is to be sent again, though nothing was lost.
  void on_window_opened(SeqPos una, SeqPos nxt) { walk(Phase::window, una, nxt); }

  bool walking() const { return phase_ == Phase::timeout || phase_ == Phase::window; }
  // What has to be sent again next; nothing when there is no such thing.
  bool wants_resend() const { return resend_one_ || (walking() && resend_ < recover_); }
  SeqPos resend_from(SeqPos una) const { return resend_one_ ? una : resend_; }
  void resent(SeqPos end);  // that was sent, up to `end`

  // Bytes believed to be in the network: all between una and nxt, less what a timeout condemned and is not resent yet.
  uint32_t in_flight(SeqPos una, SeqPos nxt) const;

 private:
  void walk(Phase why, SeqPos una, SeqPos nxt);

  Phase phase_ = Phase::open;
  uint32_t duplicates_ = 0;
  SeqPos recover_{-1};  // RFC 6582: an ACK must cover more than this before a new fast retransmit
  SeqPos resend_;
  bool resend_one_ = false;
};

}  // namespace limpid
