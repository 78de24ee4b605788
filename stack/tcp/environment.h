// What a connection may touch of the machine around it.
#pragma once

#include <cstdint>

#include "stack/base/counters.h"
#include "stack/base/intrusive_list.h"
#include "stack/base/rng.h"
#include "stack/base/timer_queue.h"
#include "stack/base/trace.h"
#include "stack/buffer/chunk_pool.h"
#include "stack/config.h"
#include "stack/net/ip_layer.h"
#include "stack/socket_id.h"
#include "stack/tcp/fast_open.h"
#include "stack/tcp/timestamps.h"

namespace limpid {

class Connection;
struct DirtyTag;
struct BlockedTag;
struct HeldTag;
struct ClockTag;

// At most `per_second` in any second of stack time.
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

// About `per_second` in any second: from half of it to half as much again, so that nobody can tell from how many
// answers it got itself how many others there were. Challenge ACKs (RFC 5961 §7; CVE-2016-5696).
class SecretPerSecondLimit {
 public:
  SecretPerSecondLimit(uint32_t per_second, Rng rng) : per_second_(per_second), rng_(rng) {}

  bool allow(Time now) {
    if (!begun_ || now - window_start_ >= 1s) {
      begun_ = true;
      window_start_ = now;
      left_ = per_second_ / 2 + static_cast<uint32_t>(rng_.below(uint64_t{per_second_} + 1));
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  uint32_t per_second_;
  Rng rng_;
  Time window_start_{};
  uint32_t left_ = 0;
  bool begun_ = false;
};

struct TcpEnvironment {
  const TcpConfig& config;
  Ip& ip;
  Counters& counters;
  Tracer& tracer;
  ReadySink& ready;
  TimerQueue timers;
  SecretPerSecondLimit challenge_acks;
  PerSecondLimit resets;  // to segments that belong to nobody
  TimestampClock timestamps;
  IntrusiveList<Connection, DirtyTag> dirty;      // have something to send, or to be told about
  IntrusiveList<Connection, BlockedTag> blocked;  // the device refused a frame of theirs
  IntrusiveList<Connection, HeldTag> held;        // keep an ACK, or a tail, for the user's next words
  Time acks_held_since = kNever;                  // the first of these ACKs
  FastOpenCache fast_open;                        // what servers we have spoken to gave us
  ChunkPool chunks;                               // for what is to be sent
  uint32_t next_connection_number = 1;            // in the trace
};

// Owners in the timer queue.
enum class TimerOwner : uint8_t { connection, half_open, time_wait };

}  // namespace limpid
