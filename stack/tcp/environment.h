// What a connection may touch of the machine around it.
#pragma once

#include <cstdint>

#include "stack/base/counters.h"
#include "stack/base/intrusive_list.h"
#include "stack/base/timer_queue.h"
#include "stack/base/trace.h"
#include "stack/config.h"
#include "stack/net/ip_layer.h"
#include "stack/socket_id.h"
#include "stack/tcp/fast_open.h"
#include "stack/tcp/timestamps.h"

namespace limpid {

class Connection;
struct DirtyTag;
struct BlockedTag;

// At most `per_second` in any second of stack time: challenge ACKs (RFC 5961 §7).
struct PerSecondLimit {
  uint32_t per_second;
  Time window_start{};
  uint32_t used = 0;

  bool allow(Time now) {
    if (now - window_start >= 1s) {
      window_start = now;
      used = 0;
    }
    return used++ < per_second;
  }
};

struct TcpEnvironment {
  const TcpConfig& config;
  Ip& ip;
  Counters& counters;
  Tracer& tracer;
  ReadySink& ready;
  TimerQueue timers;
  PerSecondLimit challenge_acks;
  TimestampClock timestamps;
  IntrusiveList<Connection, DirtyTag> dirty;      // have something to send, or to be told about
  IntrusiveList<Connection, BlockedTag> blocked;  // the device refused a frame of theirs
  FastOpenCache fast_open;                        // what servers we have spoken to gave us
  uint32_t next_connection_number = 1;            // in the trace
};

// Owners in the timer queue.
enum class TimerOwner : uint8_t { connection, half_open, time_wait };

}  // namespace limpid
