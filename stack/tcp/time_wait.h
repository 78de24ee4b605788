// A connection in TIME-WAIT (RFC 9293 §3.3.2): it only remembers which numbers were used, for 2 MSL, so that a late
// segment meets an answer instead of a new connection. Small: a server that closes first keeps many.
#pragma once

#include <cstdint>

#include "stack/base/intrusive_list.h"
#include "stack/base/slab.h"
#include "stack/base/timer_queue.h"
#include "stack/net/ip.h"
#include "stack/net/port_table.h"
#include "stack/tcp/demux.h"
#include "stack/tcp/seq.h"
#include "stack/tcp/timestamps.h"

namespace limpid {

class Connection;

struct TimeWait : ListHook<> {
  DemuxEntry demux;
  TimerEntry timer;
  Seq snd_nxt;
  Seq rcv_nxt;
  Seq snd_base;  // both initial ones, for the trace
  Seq rcv_base;
  uint16_t window = 0;  // as it stood in our last segment
  uint8_t shift = 0;    // by which the peer shifts it
  uint32_t number = 0;  // of the connection, in the trace
  ReusePolicy reuse;    // of the port that it still holds
  uint8_t ttl = 64;
  bool timestamps = false;  // every segment of the connection carried them
  RecentTimestamp recent;
  Handle<Connection> user;  // who still holds the connection, if anybody
};

}  // namespace limpid
