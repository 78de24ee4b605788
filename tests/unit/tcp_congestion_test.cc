// How much may go: RFC 5681, NewReno's recovery (RFC 6582), the initial window (RFC 6928).
#include "stack/base/rng.h"
#include "stack/tcp/congestion.h"
#include "tests/unit/recovery_flow.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;

TcpOptions with_reno() {  // the algorithms by themselves: cc_reno_test.cc, cc_cubic_test.cc
  TcpOptions options;
  options.congestion = CongestionChoice::reno;
  return options;
}

// An established connection with 10 segments of 1000 octets in flight and more to send.
struct Flow {
  explicit Flow(size_t bytes = 200'000) : id(t.establish_passively(with_reno(), "win 65535 mss 1000")) {
    t.send(id, bytes);
    EXPECT_EQ(t.take_all().size(), 10u);
  }
  void ack(int64_t n) { t.peer(". 1:1(0) ack " + std::to_string(n)); }
  void duplicates(int n, int64_t at = 1) {
    for (int i = 0; i < n; ++i) ack(at);
  }
  uint32_t cwnd() const { return t.status(id).cwnd; }
  uint32_t ssthresh() const { return t.status(id).ssthresh; }
  TcpDialogue t;
  SocketId id;
};

// --- on the wire
// ------------------------------------------------------------------------------------------------------------------

// The bound of RFC 5681 itself (2 to 4 segments) is not used: docs/deviations.md.
// req: 5681-3.1-a, 6928-2-a, 5681-3.1-b
TEST(TcpInitialWindow, IsAllThatGoesBeforeTheFirstAck) {
  for (const auto& [mss, segments] : {std::pair<int, size_t>{536, 10}, {1460, 10}, {8960, 2}}) {
    for (bool passive : {false, true}) {
      TcpDialogue t({}, 9000);
      const std::string words = "win 65535 mss " + std::to_string(mss);
      const SocketId id = passive ? t.establish_passively({}, words) : t.establish_actively({}, words);
      t.send(id, 200'000);
      EXPECT_EQ(t.take_all().size(), segments) << mss;
    }
  }
}

// req: 5681-3.1-c
TEST(TcpInitialWindow, IsOneSegmentAfterALostSyn) {
  TcpDialogue active;
  const SocketId id = active.connect();
  active.pass(3s);
  EXPECT_EQ(active.take_all().size(), 3u);
  active.peer("S. 0:0(0) ack 1 win 65535 mss 1000");
  active.take_all();
  active.send(id, 100'000);
  EXPECT_EQ(active.take_all().size(), 1u);

  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1000");
  t.pass(1s);
  t.peer(". 1:1(0) ack 1");
  t.take_all();
  t.send(t.accept(), 100'000);
  EXPECT_EQ(t.take_all().size(), 1u);
}

// req: 9293-MUST-19, 5681-3.1-e, 5681-3.1-d
TEST(TcpSlowStart, DoublesTheFlightEachRoundTrip) {
  Flow f;
  int64_t acked = 1;
  for (size_t in_flight = 10; in_flight < 60;) {
    for (size_t i = 0; i < in_flight; ++i) f.ack(acked += kMss);
    const size_t sent = f.t.take_all().size();
    in_flight = std::min<size_t>(2 * in_flight, 65);  // then the peer's window limits
    EXPECT_EQ(sent, in_flight);
  }
}

// req: ATK-ackdiv, 5681-3.1-e
TEST(TcpSlowStart, DividedAcksGrowItNoFaster) {
  Flow f;
  for (int64_t octet = 1; octet <= 1000; ++octet) f.ack(1 + octet);
  EXPECT_EQ(f.cwnd(), 11'000u);
}

// Segments that only changed places: the ACK that ends it grows the window by what it delivers, not by what SACK had
// reported before.
TEST(TcpSlowStart, WhatWasSackedBeforeDoesNotCountTwice) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(with_reno(), "win 65535 mss 1000 sackOK");
  t.send(id, 1000);
  t.pass(100ms);
  t.peer(". 1:1(0) ack 1001");
  const uint32_t before = t.status(id).cwnd;
  t.send(id, 20'000);
  t.take_all();
  t.pass(100ms);
  t.peer(". 1:1(0) ack 1001 sack 2001:4001");
  t.peer(". 1:1(0) ack 4001");
  EXPECT_EQ(t.status(id).cwnd, before + 1000);
}

// req: 5681-2-a
TEST(TcpCongestion, NothingLeavesBeyondTheCongestionWindow) {
  Rng rng(11);
  Flow f(900'000);
  int64_t una = 1;
  int64_t nxt = 10'001;
  while (una < 600'000) {
    una += static_cast<int64_t>(rng.below(static_cast<uint64_t>(nxt - una) + 1));
    f.ack(una);
    for (const auto& s : f.t.take_all())
      nxt = std::max<int64_t>(
          nxt, static_cast<int32_t>(s.header.sequence - f.t.our_isn) + static_cast<int64_t>(s.text.size()));
    if (f.t.status(f.id).in_recovery) continue;
    ASSERT_LE(nxt - una, std::min<int64_t>(f.cwnd(), 65'535));
  }
}

// --- loss
// -----------------------------------------------------------------------------------------------------------------------------

// Limited transmit: the first two each release a new segment (RFC 3042 §2), without a change of the window. The third
// resends the first, and from then on the window comes down to the half: a segment for two duplicates (RFC 6937).
// req: 5681-3.2-c, 5681-3.2-e, 3042-2-a, 3042-2-b, 6937-3-a
TEST(TcpFastRetransmit, ThreeDuplicatesAndNotTwo) {
  Flow f;
  f.duplicates(1);
  f.t.expect(". 10001:11001(1000) ack 1");
  f.duplicates(1);
  f.t.expect(". 11001:12001(1000) ack 1");
  f.t.expect_nothing();
  EXPECT_EQ(f.cwnd(), 10'000u);
  f.duplicates(1);
  f.t.expect(". 1:1001(1000) ack 1");
  f.t.expect_nothing();
  EXPECT_EQ(f.ssthresh(), 5000u);
  f.duplicates(4);
  EXPECT_EQ(f.t.take_words(), (std::vector<std::string>{". 12001:13001(1000) ack 1", ". 13001:14001(1000) ack 1"}));
}

// req: 5681-2-b
TEST(TcpFastRetransmit, WhatBringsTextOrANewWindowOrAFinIsNoDuplicate) {
  Flow text;
  for (int64_t from : {1, 11, 21, 31}) {
    const std::string range = std::to_string(from) + ":" + std::to_string(from + 10);
    text.t.peer("P. " + range + "(10) ack 1");
  }
  EXPECT_EQ(text.t.count(Counter::tcp_duplicate_acks), 0u);
  Flow window;
  for (int win : {60'000, 61'000, 62'000, 63'000}) window.t.peer(". 1:1(0) ack 1 win " + std::to_string(win));
  EXPECT_EQ(window.t.count(Counter::tcp_duplicate_acks), 0u);
  Flow fin;
  fin.t.peer("F. 1:1(0) ack 1");
  EXPECT_EQ(fin.t.count(Counter::tcp_duplicate_acks), 0u);
  TcpDialogue idle;  // nothing outstanding
  idle.establish_passively();
  for (int i = 0; i < 4; ++i) idle.peer(". 1:1(0) ack 1");
  EXPECT_EQ(idle.count(Counter::tcp_duplicate_acks), 0u);
}

// Forged duplicates cannot make us send more than the segments that they could stand for.
// req: 5681-3.2-g, ATK-dupspoof
TEST(TcpFastRecovery, AThousandDuplicatesOfTenSegmentsReleaseNoMoreThanTen) {
  for (const char* syn : {"win 65535 mss 1000", "win 65535 mss 1000 sackOK"}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively(with_reno(), syn);
    t.send(id, 200'000);
    EXPECT_EQ(t.take_all().size(), 10u);
    for (int i = 0; i < 1000; ++i) t.peer(". 1:1(0) ack 1");
    EXPECT_LE(t.take_all().size(), 13u) << syn;  // two of limited transmit, the first again, and ten for ten
    EXPECT_LE(t.status(id).cwnd, 10'000u) << syn;
  }
}

// req: 5681-3.2-f, 6582-3.2-d
TEST(TcpFastRecovery, AFullAckEndsItWithoutABurst) {
  Flow f;
  f.duplicates(9);
  f.t.take_all();
  EXPECT_TRUE(f.t.status(f.id).in_recovery);
  f.ack(12'001);
  EXPECT_FALSE(f.t.status(f.id).in_recovery);
  EXPECT_LE(f.cwnd(), 5000u);
  EXPECT_LE(f.t.take_all().size(), 2u);
}

// With SACK the pipe is known, so there is no burst to fear: that ACK is the first of the next round trip, as on Linux.
TEST(TcpFastRecovery, TheAckThatEndsItCountsForTheWindowWithSack) {
  Config config;
  config.tcp.congestion = CongestionChoice::reno;
  RecoveryFlow f("win 65535 mss 1000 sackOK", config);
  f.fill(30'000);  // ten of them go
  f.t.pass(100ms);
  for (int64_t right = 5001; right <= 11'001; right += kMss) f.ack(1001, "sack 2001:" + std::to_string(right));
  EXPECT_TRUE(f.status().in_recovery);
  f.t.pass(100ms);
  f.ack(11'001);
  EXPECT_FALSE(f.status().in_recovery);
  EXPECT_EQ(f.status().cwnd, 5000u);
  for (int64_t n = 12'001; n <= 14'001; n += kMss) f.ack(n);
  EXPECT_EQ(f.status().cwnd, 5000u);
  f.ack(15'001);
  EXPECT_EQ(f.status().cwnd, 6000u);
}

// req: 6582-3.2-b
TEST(TcpFastRecovery, APartialAckResendsTheNextHoleAtOnce) {
  Flow f;
  f.duplicates(3);  // the first and the fourth were lost
  f.t.take_all();
  f.ack(3001);
  f.t.expect(". 3001:4001(1000) ack 1");
  EXPECT_TRUE(f.t.status(f.id).in_recovery);
  f.ack(12'001);
  EXPECT_FALSE(f.t.status(f.id).in_recovery);
  EXPECT_EQ(f.t.count(Counter::tcp_timeouts), 0u);
}

// Text sent before the recovery point draws no second fast retransmit, text sent later does.
// req: 6582-3.2-a
TEST(TcpFastRecovery, DuplicatesAtTheRecoveryPointStartNoOther) {
  Flow f;
  f.duplicates(3);
  f.t.take_all();
  f.ack(12'001);
  f.t.take_all();
  f.duplicates(4, 12'001);
  EXPECT_FALSE(f.t.status(f.id).in_recovery);
  EXPECT_EQ(f.t.count(Counter::tcp_fast_retransmits), 1u);
  f.ack(13'001);
  f.duplicates(4, 13'001);
  EXPECT_TRUE(f.t.status(f.id).in_recovery);
}

// req: 5681-3.1-h, 5681-3.1-i
TEST(TcpTimeout, HalvesOnceAndSendsOneSegmentAnExpiry) {
  Flow f;
  f.t.pass(1s);
  f.t.expect(". 1:1001(1000) ack 1");
  EXPECT_EQ(f.ssthresh(), 5000u);
  EXPECT_EQ(f.cwnd(), 1000u);
  f.t.pass(2s);
  f.t.expect(". 1:1001(1000) ack 1");
  f.t.expect_nothing();
  EXPECT_EQ(f.ssthresh(), 5000u);  // the same segment: not halved again
  f.ack(1001);
  EXPECT_EQ(f.cwnd(), 2000u);
}

// req: 5681-3.1-h
TEST(TcpTimeout, LeavesTwoSegmentsAtLeast) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(with_reno(), "win 65535 mss 1000");
  t.send(id, 1000);
  t.pass(1s);
  EXPECT_EQ(t.status(id).ssthresh, 2000u);
}

// req: 6582-3.2-a, 6582-3.2-e
TEST(TcpTimeout, DuplicatesOfItsRetransmissionsStartNoFastRetransmit) {
  Flow f;
  f.t.pass(1s);
  f.t.expect(". 1:1001(1000) ack 1");
  f.duplicates(5);
  f.t.expect_nothing();
  EXPECT_EQ(f.t.count(Counter::tcp_fast_retransmits), 0u);
}

// RFC 5681 §4.1: after idling the window is not older than the RTO.
TEST(TcpIdle, ALongPauseBringsTheInitialWindowBack) {
  Flow f(60'000);
  int64_t acked = 1;
  while (acked < 60'001) {
    f.ack(acked += kMss);
    f.t.take_all();
  }
  EXPECT_GT(f.cwnd(), 30'000u);
  f.t.pass(60s);
  f.t.send(f.id, 60'000);
  EXPECT_EQ(f.t.take_all().size(), 10u);
}

}  // namespace
}  // namespace limpid
