// What the sender knows of its own speed: how fast the network delivers, and when the next burst may leave. In memory
// of its own, which a connection gets with the first text that it sends.
#pragma once

#include "stack/tcp/delivery_rate.h"
#include "stack/tcp/pacer.h"

namespace limpid {

struct SendPace {
  DeliveryRate rate;
  Pacer pacer;
  uint32_t delivered_segments = 0;
  bool held_back = false;  // the last output stopped because the next burst is not due

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&SendPace::rate, &SendPace::pacer, &SendPace::delivered_segments, &SendPace::held_back);
  }
};

}  // namespace limpid
