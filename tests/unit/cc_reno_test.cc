// Reno by itself (RFC 5681), with the initial window (RFC 6928), byte counting (RFC 3465) and what every algorithm
// shares: window validation (RFC 7661), idle restart, undo.
#include <gtest/gtest.h>

#include "stack/tcp/congestion.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;

// A window, and a sender that always fills it.
struct Reno1000 {
  Congestion c{TcpConfig{}, CongestionChoice::reno, kMss};
  int64_t una = 1;

  void ack(uint32_t bytes, bool in_loss = false) {
    c.on_output(SeqPos{una}, SeqPos{una + c.cwnd()}, c.cwnd(), true);
    una += bytes;
    c.on_ack({.newly_acked = bytes, .una = SeqPos{una}, .nxt = SeqPos{una + c.cwnd()}, .in_loss = in_loss});
  }
  void lose(uint32_t flight, LossKind kind = LossKind::fast, bool first = true) {
    c.on_loss({.kind = kind, .flight_size = flight, .first = first});
  }
};

Reno1000 in_avoidance(uint32_t window = 10'000) {
  Reno1000 r;
  r.lose(2 * window);
  r.c.on_recovered(2 * window);
  EXPECT_EQ(r.c.cwnd(), window);
  EXPECT_FALSE(r.c.in_slow_start());
  return r;
}

// req: 6928-2-a, 5681-3.1-d
TEST(Reno, BeginsWithTenSegmentsOrNearly15000Octets) {
  for (const auto& [mss, window] :
       {std::pair<uint32_t, uint32_t>{536, 5360}, {1460, 14'600}, {8960, 17'920}, {2190, 14'600}, {48, 480}}) {
    const Congestion reno(TcpConfig{}, CongestionChoice::reno, mss);
    EXPECT_EQ(reno.cwnd(), window) << mss;
    EXPECT_EQ(reno.ssthresh(), UINT32_MAX);
    EXPECT_TRUE(reno.in_slow_start());
  }
}

// req: 5681-3.1-e, ATK-ackdiv
TEST(Reno, SlowStartGrowsByWhatIsAcknowledged) {
  Reno1000 each;
  for (int i = 0; i < 10; ++i) each.ack(kMss);
  EXPECT_EQ(each.c.cwnd(), 20'000u);
  Reno1000 less;
  less.ack(700);
  EXPECT_EQ(less.c.cwnd(), 10'700u);
  Reno1000 divided;
  for (int octet = 0; octet < 1000; ++octet) divided.ack(1);
  EXPECT_EQ(divided.c.cwnd(), 11'000u);
}

// RFC 3465 §2.3.
// req: 3465-2.3-a
TEST(Reno, AnAckCountsForAllThatItAcknowledgesAndAfterATimeoutForOne) {  // L of §2.2: docs/deviations.md
  Reno1000 r;
  r.ack(2 * kMss);
  EXPECT_EQ(r.c.cwnd(), 12'000u);
  r.ack(7 * kMss);
  EXPECT_EQ(r.c.cwnd(), 19'000u);
  r.lose(14'000, LossKind::timeout);
  EXPECT_EQ(r.c.cwnd(), 1000u);
  r.ack(5 * kMss, true);
  EXPECT_EQ(r.c.cwnd(), 2000u);
}

// req: 5681-3.1-f
TEST(Reno, AvoidanceAddsOneSegmentARoundTrip) {
  Reno1000 r = in_avoidance();
  for (uint32_t round = 0; round < 50; ++round) {
    const uint32_t segments = r.c.cwnd() / kMss;
    for (uint32_t i = 0; i < segments; ++i) r.ack(kMss);
    EXPECT_EQ(r.c.cwnd(), 10'000 + (round + 1) * kMss);
  }
}

// req: 5681-3.1-g, ATK-ackdiv
TEST(Reno, AvoidanceCountsOctetsNotAcks) {
  Reno1000 r = in_avoidance();
  for (int octet = 0; octet < 9999; ++octet) r.ack(1);
  EXPECT_EQ(r.c.cwnd(), 10'000u);
  r.ack(1);
  EXPECT_EQ(r.c.cwnd(), 11'000u);
  Reno1000 huge = in_avoidance(1'000'000'000);
  for (uint32_t octets = 0; octets < 1'000'000'000; octets += 10'000'000) huge.ack(10'000'000);
  EXPECT_EQ(huge.c.cwnd(), 1'000'000'000 + kMss);
}

// Three segments and a half: three can be in flight, so a round trip brings ACKs of three.
TEST(Reno, WhatIsNoWholeSegmentNeedNotBeAcknowledged) {
  Reno1000 r = in_avoidance(3500);
  for (int i = 0; i < 3; ++i) r.ack(kMss);
  EXPECT_EQ(r.c.cwnd(), 4500u);
  for (int i = 0; i < 4; ++i) r.ack(kMss);
  EXPECT_EQ(r.c.cwnd(), 5500u);
}

// req: 5681-3.1-h, 5681-3.1-i
TEST(Reno, ATimeoutHalvesOnceAndLeavesOneSegment) {
  Reno1000 r;
  r.lose(10'000, LossKind::timeout);
  EXPECT_EQ(r.c.ssthresh(), 5000u);
  EXPECT_EQ(r.c.cwnd(), kMss);
  r.lose(1000, LossKind::timeout, false);
  EXPECT_EQ(r.c.ssthresh(), 5000u);
  r.lose(1000, LossKind::timeout);
  EXPECT_EQ(r.c.ssthresh(), 2 * kMss);
}

// --- what every algorithm shares
// ---------------------------------------------------------------------------------------

// A window that was not used says nothing about the path. In slow start half of it will do: it may double.
// req: 7661-4.4-a
TEST(Congestion, DoesNotGrowWhileMostOfItIsUnused) {
  for (const auto choice : {CongestionChoice::reno, CongestionChoice::cubic}) {
    Congestion c(TcpConfig{}, choice, kMss);
    int64_t una = 1;
    for (int i = 0; i < 100; ++i) {
      c.on_output(SeqPos{una}, SeqPos{una + 5000}, 5000, true);
      una += 5000;
      c.on_ack({.newly_acked = 5000, .una = SeqPos{una}, .nxt = SeqPos{una}});
    }
    EXPECT_EQ(c.cwnd(), 10'000u);
    c.on_output(SeqPos{una}, SeqPos{una + 6000}, 6000, true);
    c.on_ack({.newly_acked = 1000, .una = SeqPos{una + 1000}, .nxt = SeqPos{una + 6000}});
    EXPECT_EQ(c.cwnd(), 11'000u);
  }
}

// In avoidance the window itself must have stopped the sender.
TEST(Congestion, InAvoidanceItMustHaveBeenFull) {
  Reno1000 r = in_avoidance();
  for (int i = 0; i < 100; ++i) {
    r.c.on_output(SeqPos{r.una}, SeqPos{r.una + 8000}, 8000, true);
    r.una += 8000;
    r.c.on_ack({.newly_acked = 8000, .una = SeqPos{r.una}, .nxt = SeqPos{r.una}});
  }
  EXPECT_EQ(r.c.cwnd(), 10'000u);
}

// req: 5681-4.1-a
TEST(Congestion, IdlenessBringsTheInitialWindowBackUnlessToldNotTo) {
  for (const bool restarts : {true, false}) {
    TcpConfig config;
    config.slow_start_after_idle = restarts;
    Congestion c(config, CongestionChoice::cubic, kMss);
    for (int64_t una = 1; una < 30'000; una += 1000) {
      c.on_output(SeqPos{una}, SeqPos{una + c.cwnd()}, c.cwnd(), true);
      c.on_ack({.newly_acked = 1000, .una = SeqPos{una + 1000}, .nxt = SeqPos{una + c.cwnd()}});
    }
    EXPECT_EQ(c.cwnd(), 40'000u);
    c.on_idle();
    EXPECT_EQ(c.cwnd(), restarts ? 10'000u : 40'000u);
    EXPECT_EQ(c.ssthresh(), UINT32_MAX);
  }
}

// req: 9438-4.9-a
TEST(Congestion, ALossThatWasNoneIsTakenBack) {
  for (const auto choice : {CongestionChoice::reno, CongestionChoice::cubic}) {
    for (const auto kind : {LossKind::fast, LossKind::timeout}) {
      Congestion c(TcpConfig{}, choice, kMss);
      c.on_loss({.kind = kind, .flight_size = 10'000});
      c.on_loss({.kind = LossKind::timeout, .flight_size = 5000, .first = false});
      EXPECT_EQ(c.cwnd(), kMss);
      c.on_undo();
      EXPECT_EQ(c.cwnd(), 10'000u);
      EXPECT_EQ(c.ssthresh(), UINT32_MAX);
      c.on_undo();  // nothing is left to take back
      EXPECT_EQ(c.cwnd(), 10'000u);
    }
  }
}

// The report that a loss was none may come up to a round trip after its repair; the ACK that ended it begins none.
TEST(Congestion, TheAckThatEndsARecoveryLeavesTheUndo) {
  Reno1000 r;
  r.lose(10'000);
  r.c.on_recovered(10'000);
  r.ack(kMss);
  EXPECT_EQ(r.c.cwnd(), 5000u);
  r.c.on_undo();
  EXPECT_EQ(r.c.cwnd(), 10'000u);
}

// While recovery lasts the window comes down with what leaves the network, and is ssthresh at its end (RFC 6937).
TEST(Congestion, RecoveryIsProportional) {
  Reno1000 r;
  r.lose(10'000);
  uint32_t in_flight = 9000;
  for (int i = 0; i < 8; ++i) {
    in_flight -= kMss;
    r.c.on_ack(
        {.delivered = kMss, .in_flight = in_flight, .una = SeqPos{1}, .nxt = SeqPos{10'001}, .in_recovery = true});
    ASSERT_GE(r.c.cwnd(), in_flight);
    const uint32_t sent = (r.c.cwnd() - in_flight) / kMss * kMss;
    r.c.on_sent(sent);
    in_flight += sent;
  }
  EXPECT_LE(in_flight, 5000u);
  r.c.on_recovered(in_flight);
  EXPECT_EQ(r.c.cwnd(), 5000u);
}

// req: 5681-3.1-j
TEST(Congestion, ASmallerSegmentLeavesTheNumberOfSegments) {
  Congestion fresh(TcpConfig{}, CongestionChoice::cubic, 536);
  fresh.set_mss(1460);
  EXPECT_EQ(fresh.cwnd(), 14'600u);
  fresh.on_loss({.flight_size = 14'600});
  fresh.on_recovered(14'600);
  EXPECT_EQ(fresh.cwnd(), 10'220u);
  fresh.set_mss(730);
  EXPECT_EQ(fresh.cwnd(), 5110u);
  EXPECT_EQ(fresh.ssthresh(), 5110u);
}

// The loss was of small segments, and the path takes large ones again before it is repaired. A window of less than one
// would never send.
TEST(Congestion, ALargerSegmentRaisesTheLeastThatTheWindowComesBackTo) {
  for (const LossKind kind : {LossKind::timeout, LossKind::fast}) {
    Congestion c(TcpConfig{}, CongestionChoice::reno, 1000);
    c.set_mss(500);
    c.on_loss({.kind = kind, .flight_size = 1000});
    EXPECT_EQ(c.ssthresh(), 1000u);
    c.set_mss(3000);
    EXPECT_EQ(c.ssthresh(), 6000u);
    c.on_recovered(0);
    EXPECT_GE(c.cwnd(), 3000u);
  }
}

TEST(Congestion, AnotherAlgorithmTakesTheWindowAsItIs) {
  Reno1000 r = in_avoidance();
  r.c.choose(CongestionChoice::cubic);
  EXPECT_EQ(r.c.choice(), CongestionChoice::cubic);
  EXPECT_EQ(r.c.cwnd(), 10'000u);
  EXPECT_EQ(r.c.ssthresh(), 10'000u);
  r.lose(10'000);
  EXPECT_EQ(r.c.ssthresh(), 7000u);
}

}  // namespace
}  // namespace limpid
