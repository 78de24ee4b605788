// RACK by itself (RFC 8985 §6.2): whose delivery tells of the others, and how long to wait for what may only be late.
#include "stack/tcp/rack.h"

#include <gtest/gtest.h>

#include "stack/config.h"

namespace limpid {
namespace {

Time at(int64_t ms) { return Time{std::chrono::milliseconds(ms)}; }

SendRecord range(int64_t seq, Time sent, uint16_t times = 1) {
  return {.seq = SeqPos{seq}, .end = SeqPos{seq + 1000}, .sent = sent, .stamp = {}, .times_sent = times};
}

RttEstimator path_of(Duration rtt) {
  RttEstimator e{TcpConfig{}};
  e.note(rtt, at(1));
  e.sample(rtt, at(1));
  return e;
}

// req: 8985-6.2-a
TEST(Rack, TheMostRecentlySentOfWhatWasDeliveredIsWhatCounts) {
  Rack rack;
  EXPECT_FALSE(rack.delivered_any());
  AckNews first{.now = at(110)};
  first.deliver(range(1001, at(10)), false);
  first.deliver(range(3001, at(12)), false);
  first.deliver(range(2001, at(11)), false);
  rack.on_ack(first);
  EXPECT_EQ(rack.sent(), at(12));
  EXPECT_EQ(rack.end(), SeqPos{4001});
  EXPECT_EQ(rack.rtt(), Duration{99ms});  // of the last that it told of, as Linux (docs/deviations.md)
  AckNews older{.now = at(130)};          // what was sent before it takes nothing back
  older.deliver(range(1, at(5)), true);
  rack.on_ack(older);
  EXPECT_EQ(rack.sent(), at(12));
}

// An ACK that comes sooner than any round trip, or echoes a stamp from before the retransmission, answers the original.
// req: 8985-6.2-b
TEST(Rack, AnAckOfARetransmissionThatMayBeTheOriginalsTellsNothing) {
  const SendRecord again = range(1, at(200), 2);
  AckNews early{.now = at(201), .min_rtt = 100ms};
  early.deliver(again, true);
  EXPECT_FALSE(early.rack.has_value());
  AckNews stamped{.now = at(320), .min_rtt = 100ms, .echo_ms = 100};
  stamped.deliver(again, true);
  EXPECT_FALSE(stamped.rack.has_value());
  Rack rack;
  rack.on_ack(early);
  rack.on_ack(stamped);
  EXPECT_FALSE(rack.delivered_any());
  EXPECT_EQ(rack.rtt(), Duration{});
  AckNews its_own{.now = at(320), .min_rtt = 100ms, .echo_ms = 200};
  its_own.deliver(again, true);
  rack.on_ack(its_own);
  EXPECT_EQ(rack.rtt(), Duration{120ms});
}

// req: 8985-6.2-c
TEST(Rack, TheWindowIsAQuarterOfTheLeastRoundTripOrNothing) {
  const RttEstimator rtt = path_of(100ms);
  Rack rack;
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{25ms});
  EXPECT_EQ(rack.reordering_window({.repairing = true}, rtt), Duration{});
  EXPECT_EQ(rack.reordering_window({.dup_thresh_met = true}, rtt), Duration{});
  rack.note_reordering();  // the path does reorder: wait, whatever is known
  EXPECT_EQ(rack.reordering_window({.repairing = true, .dup_thresh_met = true}, rtt), Duration{25ms});
}

// req: 8985-6.2-c
TEST(Rack, TheWindowGrowsWithEachRoundTripThatBringsADuplicateUpToSrtt) {
  const RttEstimator rtt = path_of(100ms);
  Rack rack;
  rack.on_dsack(SeqPos{1001}, SeqPos{5001});
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{50ms});
  rack.on_dsack(SeqPos{4001}, SeqPos{9001});  // of the same round trip
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{50ms});
  rack.on_dsack(SeqPos{5001}, SeqPos{9001});
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{75ms});
  for (int64_t round = 0; round < 1000; ++round) rack.on_dsack(SeqPos{9001 + round}, SeqPos{9002 + round});
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{100ms});
}

// req: 8985-6.2-c
TEST(Rack, SixteenRecoveriesWithoutADuplicateMakeItSmallAgain) {
  const RttEstimator rtt = path_of(100ms);
  Rack rack;
  rack.on_dsack(SeqPos{1}, SeqPos{2});
  for (int recovery = 0; recovery < 15; ++recovery) rack.on_recovered();
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{50ms});
  rack.on_dsack(SeqPos{2}, SeqPos{3});  // one more, and the sixteen begin anew
  for (int recovery = 0; recovery < 15; ++recovery) rack.on_recovered();
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{75ms});
  rack.on_recovered();
  EXPECT_EQ(rack.reordering_window({}, rtt), Duration{25ms});
}

}  // namespace
}  // namespace limpid
