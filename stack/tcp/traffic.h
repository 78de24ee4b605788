// What only a connection that carries text keeps: made with the first octet, so that an idle one stays small.
#pragma once

#include <cstdint>
#include <optional>

#include "stack/base/time.h"
#include "stack/tcp/receive_tuning.h"
#include "stack/tcp/send_streak.h"
#include "stack/tcp/unsent_chunks.h"

namespace limpid {

// Since the connection stands, for TCP_INFO.
struct TrafficTotals {
  uint64_t bytes_sent = 0;  // of text, what was sent again included
  uint64_t bytes_resent = 0;
  uint32_t data_segments_out = 0;  // that carried text
  uint32_t data_segments_in = 0;
  uint32_t out_of_order_in = 0;  // segments
  uint32_t marked_in = 0;        // segments that a router had marked (CE)
  uint32_t marked_out = 0;       // segments delivered by ACKs that tell of a mark (ECE)
  uint32_t duplicates_told = 0;  // D-SACKs
  uint32_t reorderings = 0;      // ACKs that show that a segment was overtaken
  uint32_t timeouts = 0;
  uint32_t timeout_recoveries = 0;  // runs of them
  Duration timeout_time{};          // from the first of a run to the ACK that ends it

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&TrafficTotals::bytes_sent, &TrafficTotals::bytes_resent, &TrafficTotals::data_segments_out,
             &TrafficTotals::data_segments_in, &TrafficTotals::out_of_order_in, &TrafficTotals::marked_in,
             &TrafficTotals::marked_out, &TrafficTotals::duplicates_told, &TrafficTotals::reorderings,
             &TrafficTotals::timeouts, &TrafficTotals::timeout_recoveries, &TrafficTotals::timeout_time);
  }
};

struct Traffic {
  TrafficTotals totals;
  ReceiveTuning tuning;
  UnsentChunks chunks;
  SendStreak streak;
  std::optional<uint32_t> echo_taken;  // TSecr of the last stamp that was measured by
  Time timeouts_since = kNever;

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Traffic::totals, &Traffic::tuning, &Traffic::chunks, &Traffic::streak, &Traffic::echo_taken,
             &Traffic::timeouts_since);
  }
};

}  // namespace limpid
