#include "stack/tcp/recovery.h"

#include <algorithm>

namespace limpid {

Loss Recovery::on_duplicate_ack(SeqPos una, SeqPos nxt) {
  if (phase_ == Phase::fast) {
    ++duplicates_;
    return Loss::more_duplicates;
  }
  if (++duplicates_ != 3) return Loss::none;
  // RFC 6582 §3.2 (1): the ACK must cover more than `recover`, or these are echoes of an earlier recovery's resends.
  // RFC 6582 §4.1 would tell more cases apart; the timeout repairs those.
  if (una <= recover_) return Loss::none;
  phase_ = Phase::fast;
  recover_ = nxt;
  resend_one_ = true;
  return Loss::fast_retransmit;
}

Loss Recovery::on_new_ack(SeqPos una) {
  duplicates_ = 0;
  resend_one_ = false;
  if (walking()) {
    resend_ = std::max(resend_, una);
    if (una >= recover_) phase_ = Phase::open;
    return Loss::none;
  }
  if (phase_ != Phase::fast) return Loss::none;
  if (una < recover_) {
    resend_one_ = true;
    return Loss::partial_ack;
  }
  phase_ = Phase::open;
  return Loss::recovered;
}

// RFC 6582 §3.2 (4): `recover` is the highest sequence number sent, and fast recovery ends.
void Recovery::walk(Phase why, SeqPos una, SeqPos nxt) {
  phase_ = why;
  duplicates_ = 0;
  resend_one_ = false;
  resend_ = una;
  recover_ = nxt;
}

void Recovery::resent(SeqPos end) {
  if (resend_one_) {
    resend_one_ = false;
  } else {
    resend_ = end;
  }
}

uint32_t Recovery::in_flight(SeqPos una, SeqPos nxt) const {
  if (walking()) {
    const SeqPos from = std::max(resend_, una);
    return static_cast<uint32_t>((from - una) + (nxt - std::max(from, recover_)));
  }
  return static_cast<uint32_t>(nxt - una);
}

}  // namespace limpid
