// A connection in SYN-RECEIVED after a passive OPEN: small, since a SYN flood makes many of them and most come to
// nothing.
#pragma once

#include <cstdint>

#include "stack/base/intrusive_list.h"
#include "stack/base/slab.h"
#include "stack/base/timer_queue.h"
#include "stack/net/ip.h"
#include "stack/tcp/demux.h"
#include "stack/tcp/negotiated.h"
#include "stack/tcp/seq.h"
#include "stack/tcp/timestamps.h"

namespace limpid {

class Listener;

struct HalfOpen : ListHook<> {
  DemuxEntry demux;
  TimerEntry timer;
  Handle<Listener> listener;
  Path path;
  Seq iss;
  Seq irs;
  Negotiated agreed;
  uint32_t peer_window = 0;
  uint32_t number = 0;   // of the connection, in the trace
  uint32_t sent = 0;     // SYN,ACKs so far
  uint8_t timeouts = 0;  // expiries of the timer
  bool acked = false;    // the handshake is through, and text is waited for (TCP_DEFER_ACCEPT)
  Time first_sent{};
  RecentTimestamp recent;  // of the peer's SYN, if both sides offered timestamps
};

}  // namespace limpid
