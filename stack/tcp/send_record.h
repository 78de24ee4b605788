// What the sender knows of a range of what it has sent: when last, how often, and what became of it.
#pragma once

#include <cstdint>

#include "stack/base/rules.h"
#include "stack/base/time.h"
#include "stack/tcp/seq.h"

namespace limpid {

// The sender's delivery figures when the range was last sent: what a sample of the delivery rate subtracts from.
struct DeliveryStamp {
  uint64_t delivered = 0;    // bytes delivered until then
  Time delivered_at{};       // when the last of them was
  Time first_sent{};         // start of the flight that the range belongs to
  bool app_limited = false;  // the application, not the network, decided how much was under way
  friend bool operator==(const DeliveryStamp&, const DeliveryStamp&) = default;
};

struct SendRecord {
  SeqPos seq;
  SeqPos end;   // one past its last octet (FIN counts as one)
  Time sent{};  // last
  DeliveryStamp stamp;
  uint32_t segments = 1;  // that it was sent as
  uint16_t times_sent = 1;
  Rule lost_why = Rule::none;
  bool sacked = false;
  bool lost = false;
  bool resent = false;  // a retransmission of it is believed to be in the network
  bool pushed = false;  // a SEND ended with it, or PSH was due there otherwise: again, whenever it goes again
  bool apart = false;   // a burst ended with it: what goes again in one piece ends there too

  uint32_t length() const { return static_cast<uint32_t>(end - seq); }
  bool retransmitted() const { return times_sent > 1; }
  bool to_resend() const { return lost && !resent; }
};

// RACK_sent_after of RFC 8985 §6.2 step 2: ties of a coarse clock, or of a burst, are broken by sequence numbers.
constexpr bool sent_after(Time t1, SeqPos end1, Time t2, SeqPos end2) { return t1 > t2 || (t1 == t2 && end1 > end2); }

}  // namespace limpid
