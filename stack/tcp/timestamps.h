// The timestamps option (RFC 7323 §3 to §5): our clock on the wire, and the peer's timestamp that we echo.
#pragma once

#include <cstdint>

#include "stack/base/time.h"
#include "stack/tcp/demux.h"

namespace limpid {

// TSval: a clock of 1 ms a tick (§5.4) with an offset of its own for each four-tuple, so that nobody reads from one
// connection what another one's clock says, nor how long the host is up (§7). The same four-tuple keeps its offset:
// what follows a connection in TIME-WAIT continues its clock (RFC 6191).
class TimestampClock {
 public:
  explicit TimestampClock(const SipKey& key) : keyed_(key) {}

  uint32_t offset(const FourTuple& tuple) const { return static_cast<uint32_t>(keyed_.hash(tuple)); }
  static uint32_t value(uint32_t offset, Time now) {
    return offset + static_cast<uint32_t>(now.time_since_epoch() / 1ms);
  }

 private:
  TupleHash keyed_;
};

// TS.Recent of §4.3: the peer's timestamp that our next segment echoes.
struct RecentTimestamp {
  uint32_t value = 0;
  Time taken{};

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&RecentTimestamp::value, &RecentTimestamp::taken);
  }

  // After 24 days of silence the peer's clock may have come halfway round: TS.Recent says nothing any more (§5.5).
  static constexpr Duration kLifetime = std::chrono::days{24};

  // Modulo 2^32, as sequence numbers are compared (§5.3).
  bool before(uint32_t tsval) const { return static_cast<int32_t>(tsval - value) > 0; }
  // PAWS: a segment with this timestamp is an old duplicate.
  bool forbids(uint32_t tsval, Time now) const {
    return static_cast<int32_t>(tsval - value) < 0 && now - taken <= kLifetime;
  }
  void take_if_newer(uint32_t tsval, Time now) {
    if (!forbids(tsval, now)) take(tsval, now);
  }
  void take(uint32_t tsval, Time now) {
    value = tsval;
    taken = now;
  }
};

}  // namespace limpid
