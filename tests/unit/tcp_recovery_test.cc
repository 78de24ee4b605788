// Loss recovery with SACK, segment by segment: RACK-TLP (RFC 8985).
#include "stack/base/rng.h"
#include "tests/unit/recovery_flow.h"

namespace limpid {
namespace {

// --- RACK: what is lost
// -----------------------------------------------------------------------------------------------------

// Three segments SACKed, and no reordering was ever seen: the first is lost at once.
// req: 8985-6.2-c
TEST(TcpRack, ThreeSackedSegmentsNeedNoWaiting) {
  RecoveryFlow f;
  f.fill(10'000);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 2001:5001"), Words{". 1001:2001(1000) ack 1"});
  EXPECT_TRUE(f.status().in_recovery);
}

// One segment SACKed and then silence: the reordering timer, a quarter of the round trip, not the RTO.
// req: 8985-6.2-a, 8985-6.2-d
TEST(TcpRack, TheReorderingTimerNeedsNoFurtherAck) {
  RecoveryFlow f;
  f.fill(2000);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 2001:3001"), Words{});
  f.t.pass(24ms);
  f.t.expect_nothing();
  f.t.pass(2ms);
  f.t.expect(". 1001:2001(1000) ack 1");
  EXPECT_EQ(f.t.count(Counter::tcp_timeouts), 0u);
}

// Times need SACK: without it only the count of duplicates and the timer tell. With it the time of each range does.
// req: 8985-4-a
TEST(TcpRack, WithoutSackDuplicatesAreCountedInstead) {
  RecoveryFlow plain("win 65535 mss 1000");
  plain.fill(10'000);
  plain.t.pass(100ms);
  EXPECT_EQ(plain.ack(1001), Words{});
  EXPECT_EQ(plain.ack(1001), Words{});
  plain.t.pass(150ms);  // far beyond a reordering window
  plain.t.expect_nothing();
  EXPECT_EQ(plain.ack(1001), Words{". 1001:2001(1000) ack 1"});

  RecoveryFlow timed;
  timed.fill(1000);
  timed.t.pass(40ms);
  timed.fill(1000);  // sent 40 ms later
  timed.t.pass(100ms);
  EXPECT_EQ(timed.ack(1001, "sack 2001:3001"), Words{"P. 1001:2001(1000) ack 1"});  // overdue by 15 ms already
}

// The original comes 1 ms after it was sent again. Were that its round trip, all that was sent later would be overdue.
// req: 8985-6.2-b
TEST(TcpRack, ANeedlessRetransmissionThatIsAcknowledgedAtOnceMakesNothingElseLate) {
  RecoveryFlow f;
  f.fill(4000);
  f.t.pass(100ms);
  f.ack(1001, "sack 2001:3001");
  f.t.pass(26ms);
  f.t.expect(". 1001:2001(1000) ack 1");
  f.t.pass(1ms);
  EXPECT_EQ(f.ack(3001), Words{});
  EXPECT_EQ(f.status().lost_segments, 0u);
  f.t.pass(20ms);
  f.t.expect_nothing();
}

// A path that reorders: three SACKed segments say nothing any more, only time does. RFC 6675 would call the first one
// lost, and would use spare window to resend what is merely missing.
// req: 8985-9.2-a
TEST(TcpRack, TimeDecidesAloneAndCountsDoNotJoinIn) {
  RecoveryFlow f;
  f.fill(4000);
  f.t.pass(100ms);
  f.ack(1001, "sack 2001:3001");
  f.ack(3001);  // it was reordering
  f.ack(5001);
  f.fill(8000);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(5001, "sack 6001:11001"), Words{});  // five, and room in the window
  EXPECT_EQ(f.status().lost_segments, 0u);
  f.t.pass(24ms);
  f.t.expect_nothing();
  f.t.pass(2ms);
  EXPECT_EQ(f.t.take_words(), Words{". 5001:6001(1000) ack 1"});
  // In recovery RFC 6675's rules (3) and (4) would send again what lies above the hole, or the hole a second time.
  EXPECT_EQ(f.ack(5001, "sack 6001:12001"), Words{});
  EXPECT_EQ(f.status().total_retransmits, 1u);
}

// Twenty lost at once are not resent at once: no more than what the ACKs deliver, by RFC 6937.
// req: 8985-9.3-a
TEST(TcpRack, WhatIsLostGoesAsCongestionControlPermits) {
  Config c;
  c.tcp.initial_window_segments = 30;
  RecoveryFlow f("win 65535 mss 1000 sackOK", c);
  f.fill(30'000);
  f.t.pass(100ms);
  size_t again = f.ack(1001, "sack 21001:22001").size();
  for (int64_t right = 23'001; right <= 31'001; right += 1000) {
    again += f.ack(1001, "sack 21001:" + std::to_string(right)).size();
    const auto delivered = static_cast<size_t>(right - 21'001) / 1000;
    EXPECT_LE(again, delivered + 1) << right;
  }
  EXPECT_EQ(f.status().lost_segments, 20u);
  EXPECT_LT(again, 12u);
}

// --- tail loss probes
// -------------------------------------------------------------------------------------------------------

// The tail of a flight is lost: one probe at twice the round trip, of the last segment; then the timer.
// req: 8985-7.2-a, 8985-7.3-a, 8985-7.3-b, 8985-7.3-c
TEST(TcpTailLossProbe, TheLastSegmentGoesAgainBeforeTheTimerExpires) {
  RecoveryFlow f;
  f.fill(3000);
  f.t.pass(201ms);
  f.t.expect_nothing();
  f.t.pass(2ms);
  f.t.expect("P. 3001:4001(1000) ack 1");
  EXPECT_EQ(f.t.count(Counter::tcp_timeouts), 0u);
  f.t.pass(2s);
  f.t.expect(". 1001:2001(1000) ack 1");
  EXPECT_GE(f.t.count(Counter::tcp_timeouts), 1u);
}

// What was never sent says more than what was, if the peer's window takes it.
// req: 8985-7.3-b
TEST(TcpTailLossProbe, IsNewTextIfThereIsSome) {
  RecoveryFlow f;
  f.fill(15'000);  // ten segments leave
  f.t.pass(203ms);
  f.t.expect(". 11001:12001(1000) ack 1");
  EXPECT_EQ(f.status().total_retransmits, 0u);
}

// req: 8985-7.2-b
TEST(TcpTailLossProbe, IsNotScheduledInRecoveryNorWhileSomethingIsSacked) {
  RecoveryFlow f;
  f.fill(10'000);
  EXPECT_STREQ(f.status().timer, "tail-probe");
  f.t.pass(100ms);
  f.ack(1001, "sack 2001:3001");
  EXPECT_STREQ(f.status().timer, "reordering");
  f.ack(1001, "sack 2001:5001");
  EXPECT_TRUE(f.status().in_recovery);
  EXPECT_STREQ(f.status().timer, "rto");
  f.ack(11'001);
  f.fill(1000);
  EXPECT_STREQ(f.status().timer, "tail-probe");
}

// The probe repaired a loss that nobody has noticed; the window comes down for it, unless the receiver had both.
// req: 8985-7.4-a
TEST(TcpTailLossProbe, ALossThatItRepairedCountsUnlessBothCopiesArrived) {
  for (const char* answer : {"lost", "dsack", "duplicate ack"}) {
    RecoveryFlow f;
    f.fill(3000);
    f.t.pass(203ms);
    f.t.expect("P. 3001:4001(1000) ack 1");
    f.t.pass(100ms);
    f.ack(4001, answer == std::string("dsack") ? "sack 3001:4001" : "");
    if (answer == std::string("duplicate ack")) {
      f.fill(1000);  // so that an ACK of nothing new is a duplicate
      f.ack(4001);
    } else {
      EXPECT_EQ(f.status().ssthresh, UINT32_MAX) << answer;  // it may still be told
      f.fill(1000);
    }
    f.t.pass(100ms);
    f.ack(5001);
    EXPECT_EQ(f.status().ssthresh == UINT32_MAX, answer != std::string("lost")) << answer;
    EXPECT_FALSE(f.status().in_recovery);
  }
}

// The probe's SACK shows the hole before it: RACK repairs it, without a timeout.
// req: 8985-7.4-a
TEST(TcpTailLossProbe, ItsSackBringsFastRecovery) {
  RecoveryFlow f;
  f.fill(3000);
  f.t.pass(203ms);
  f.t.take_all();
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 3001:4001"), Words{". 1001:2001(1000) ack 1"});
  EXPECT_TRUE(f.status().in_recovery);
  EXPECT_EQ(f.ack(2001, "sack 3001:4001"), Words{". 2001:3001(1000) ack 1"});
  EXPECT_LT(f.status().ssthresh, 10'000u);
  EXPECT_EQ(f.t.count(Counter::tcp_timeouts), 0u);
}

// Of the four timers one runs at a time: the stack's invariants, which a dialogue checks after every step, say so. Here
// windows close and open, and segments are lost, SACKed and acknowledged at random.
// req: 8985-8-a
TEST(TcpLossTimers, OneAtATime) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    RecoveryFlow f;
    int64_t una = 1001;
    int64_t nxt = 1001;
    for (int step = 0; step < 300; ++step) {
      f.t.send(f.id, 1 + rng.below(5000));
      f.t.pass(Duration{std::chrono::milliseconds(rng.below(150))});
      for (const auto& s : f.t.take_all())
        nxt =
            std::max(nxt, static_cast<int32_t>(s.header.sequence - f.t.our_isn) + static_cast<int64_t>(s.text.size()));
      if (rng.below(2) == 0) una += static_cast<int64_t>(rng.below(static_cast<uint64_t>(nxt - una) + 1));
      std::string more = rng.below(8) == 0 ? "win 0 " : "";
      if (nxt - una > 2000 && rng.below(2) == 0) {
        const int64_t left = una + 1000 + static_cast<int64_t>(rng.below(static_cast<uint64_t>(nxt - una - 1000)));
        more += "sack " + std::to_string(left) + ":" + std::to_string(nxt);
      }
      f.ack(una, more);
      ASSERT_FALSE(HasFailure()) << step;
    }
  }
}

}  // namespace
}  // namespace limpid
