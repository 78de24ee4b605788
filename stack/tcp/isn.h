// Initial sequence numbers (RFC 6528 §3): ISN = M + F(four-tuple, secret), M a clock of 4 microseconds a tick.
#pragma once

#include "stack/base/time.h"
#include "stack/tcp/demux.h"
#include "stack/tcp/seq.h"

namespace limpid {

class IsnGenerator {
 public:
  explicit IsnGenerator(const SipKey& key) : keyed_(key) {}

  Seq next(const FourTuple& tuple, Time now) const {
    const auto ticks = static_cast<uint32_t>(now.time_since_epoch() / 4us);
    return {ticks + static_cast<uint32_t>(keyed_.hash(tuple))};
  }

 private:
  TupleHash keyed_;
};

}  // namespace limpid
