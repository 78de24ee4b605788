// What output has decided to send, and why: looked at first, sent then, and committed only when the device took it.
#pragma once

#include <cstdint>

#include "stack/base/rules.h"
#include "stack/tcp/burst.h"
#include "stack/tcp/seq.h"

namespace limpid {

struct SegmentPlan {
  enum class Kind : uint8_t {
    none,
    syn,        // SYN, perhaps with text; or SYN,ACK in a simultaneous open, or of one that was opened fast
    data,       // text never sent before, perhaps with FIN
    resend,     // text (and FIN) sent before
    probe,      // one octet into a zero window
    keepalive,  // an octet number that the peer has acknowledged
    ack,        // nothing but news about our receiving side
    reset,      // RST: the connection ends with it
  };
  Kind kind = Kind::none;
  SeqPos seq;
  uint32_t length = 0;  // octets of text
  bool fin = false;
  bool push = false;
  Burst burst{};            // that it is a part of
  uint32_t segments = 1;    // of full size that this plan stands for: more than one where the device cuts them apart
  bool tail_probe = false;  // of RFC 8985 §7: goes whatever the congestion window says
  Rule why = Rule::none;

  explicit operator bool() const { return kind != Kind::none; }
  SeqPos text_begin() const { return seq + (kind == Kind::syn ? 1 : 0); }
  SeqPos end() const { return seq + length + (fin ? 1 : 0) + (kind == Kind::syn ? 1 : 0); }
};

}  // namespace limpid
