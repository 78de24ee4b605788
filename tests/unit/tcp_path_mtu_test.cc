// How large a segment may be on this path: RFC 1191, RFC 5927 §7.2, RFC 4821 §7.7.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

constexpr uint8_t kUnreachable = 3;
constexpr uint8_t kFragmentationNeeded = 4;

class TcpPathMtu : public testing::Test {
 protected:
  // A router says about the segment of ours with this number: no more than `mtu` from here.
  void too_big(uint16_t mtu, uint32_t quoted, uint16_t quoted_length = 1500) {
    t.peer_icmp(kUnreachable, kFragmentationNeeded, quoted, mtu, quoted_length);
  }
  // The largest IP packet of those that were sent.
  uint32_t largest() {
    uint32_t most = 0;
    for (const auto& sent : t.take_all()) most = std::max<uint32_t>(most, sent.ip.total_length);
    return most;
  }
  TcpDialogue t;
};

// req: 1191-3-f
TEST_F(TcpPathMtu, EverySegmentForbidsToFragment) {
  const SocketId id = t.connect();
  EXPECT_TRUE(t.take().ip.dont_fragment);
  t.peer("S. 0:0(0) ack 1 win 65535 mss 1460");
  EXPECT_TRUE(t.take().ip.dont_fragment);
  t.send(id, 3000);
  for (const auto& sent : t.take_all()) EXPECT_TRUE(sent.ip.dont_fragment);
}

// req: 1191-3-a, 9293-3.7.2-a
TEST_F(TcpPathMtu, WhatWasTooLargeIsSentAgainAtOnceAndSmaller) {
  const SocketId id = t.establish_passively();
  t.send(id, 2920);
  t.expect(". 1:1461(1460) ack 1");
  t.expect("P. 1461:2921(1460) ack 1");
  too_big(1200, 1);
  t.expect(". 1:1161(1160) ack 1");
  t.expect(". 1161:2321(1160) ack 1");
  t.expect("P. 2321:2921(600) ack 1");
  t.peer(". 1:1(0) ack 2921");
  t.send(id, 5000);
  EXPECT_EQ(largest(), 1200u);
  EXPECT_EQ(t.count(Counter::tcp_path_mtu_lowered), 1u);
}

// The window's units change, but nothing was lost by congestion: ten segments stay ten.
TEST_F(TcpPathMtu, TheWindowKeepsItsNumberOfSegments) {
  const SocketId id = t.establish_passively();
  t.send(id, 14'600);
  t.take_all();
  const TcpStatus before = t.status(id);
  too_big(1200, 1);
  EXPECT_EQ(before.cwnd, 10u * 1460);
  EXPECT_EQ(t.status(id).cwnd, 10u * 1160);
  EXPECT_EQ(t.status(id).ssthresh, before.ssthresh);
  t.take_all();
  t.peer(". 1:1(0) ack 14601");
  EXPECT_GE(t.status(id).cwnd, 10u * 1160);
  EXPECT_EQ(t.status(id).ssthresh, before.ssthresh);
}

// req: 1191-6.4-a
TEST_F(TcpPathMtu, ABurstOfMessagesSendsEachSegmentAgainOnce) {
  const SocketId id = t.establish_passively();
  t.send(id, 5 * 1460);
  EXPECT_EQ(t.take_all().size(), 5u);
  for (uint32_t i = 0; i < 5; ++i) too_big(1200, 1 + i * 1460);
  uint32_t octets = 0;
  for (const auto& sent : t.take_all()) octets += static_cast<uint32_t>(sent.text.size());
  EXPECT_EQ(octets, 5u * 1460);
  EXPECT_EQ(t.count(Counter::tcp_path_mtu_ignored), 4u);
}

// req: 1191-3-b, 1191-3-c, 5927-7.2-b
TEST_F(TcpPathMtu, NoMessageRaisesTheEstimateOrBringsItBelowTheFloor) {
  const SocketId id = t.establish_passively();
  t.send(id, 1460);
  t.take_all();
  too_big(9000, 1);
  too_big(1500, 1);
  too_big(65'535, 1);
  t.expect_nothing();
  too_big(10, 1);
  EXPECT_EQ(largest(), 552u);
  too_big(67, 1);
  too_big(1400, 1);
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1461");
  t.send(id, 5000);
  EXPECT_EQ(largest(), 552u);
}

// req: 1191-3-d
TEST_F(TcpPathMtu, ARouterThatNamesNoMtuMeansTheNextPlateau) {
  const SocketId id = t.establish_passively();
  t.send(id, 1460);
  t.take_all();
  too_big(0, 1, 1500);
  EXPECT_EQ(largest(), 1492u);
  too_big(0, 1, 1492);
  EXPECT_EQ(largest(), 1006u);
}

// req: 5927-7.2-a, ATK-icmpmtu
TEST_F(TcpPathMtu, AMessageAboutWhatIsNotInFlightIsNotBelieved) {
  const SocketId id = t.establish_passively();
  t.send(id, 1460);
  t.take_all();
  for (const uint32_t quoted : {0u, 1461u, 100'000u, 0xffffffffu}) too_big(600, quoted);
  t.expect_nothing();
  EXPECT_EQ(t.count(Counter::tcp_drop_icmp_out_of_window), 4u);
  t.peer(". 1:1(0) ack 1461");
  t.send(id, 5000);
  EXPECT_EQ(largest(), 1500u);
}

// req: 5927-7.2-a, ATK-icmpmtu
TEST_F(TcpPathMtu, WhereLargeSegmentsComeThroughAMessageWaitsUntilNothingAdvances) {
  const SocketId id = t.establish_passively();
  t.send(id, 2920);
  t.take_all();
  t.peer(". 1:1(0) ack 2921");  // 1500 was fine
  t.send(id, 1460);
  t.take_all();
  too_big(600, 2921);
  t.expect_nothing();
  t.peer(". 1:1(0) ack 4381");  // and still is: the message was a lie
  t.send(id, 1460);
  EXPECT_EQ(largest(), 1500u);

  too_big(1200, 4381);  // this one is true: the way has changed
  t.expect_nothing();
  t.pass(3s);
  EXPECT_LE(t.status(id).cwnd, 2u * 1160);
  t.take_all();
  t.peer(". 1:1(0) ack 5841");
  t.send(id, 5000);
  EXPECT_EQ(largest(), 1200u);
}

// req: 1191-6.3-a
TEST_F(TcpPathMtu, AllConnectionsToTheDestinationShareTheEstimate) {
  const SocketId first = t.establish_passively();
  t.send(first, 1460);
  t.take_all();
  too_big(1200, 1);
  t.take_all();
  t.peer(". 1:1(0) ack 1461");
  const SocketId second = t.establish_actively();
  t.send(second, 5000);
  EXPECT_EQ(largest(), 1200u);
}

// req: 1191-3-e, 4821-4-a
TEST_F(TcpPathMtu, AfterTenMinutesLargerSegmentsAreTriedAgain) {
  const SocketId id = t.establish_passively();
  t.send(id, 1460);
  t.take_all();
  too_big(1200, 1);
  t.take_all();
  t.peer(". 1:1(0) ack 1461");
  t.pass(9min);
  t.send(id, 4640);
  EXPECT_EQ(largest(), 1200u);
  t.peer(". 1:1(0) ack 6101");
  const uint32_t octets = t.status(id).cwnd;
  t.pass(61s);
  t.send(id, 5000);
  EXPECT_EQ(largest(), 1500u);
  EXPECT_LE(t.status(id).cwnd, octets);  // the window does not grow by it
}

// A user who allows fragments does not take part.
TEST_F(TcpPathMtu, WhoAllowsFragmentsKeepsItsSegments) {
  TcpOptions options;
  options.dont_fragment = false;
  const SocketId id = t.establish_passively(options);
  t.send(id, 1460);
  EXPECT_FALSE(t.take().ip.dont_fragment);
  too_big(1200, 1);
  t.expect_nothing();
}

// req: 4821-7.7-a
TEST(TcpBlackHole, WhereLargeSegmentsVanishSmallerOnesAreTried) {
  Config config;
  config.tcp.find_black_holes = true;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively();
  t.send(id, 10'000);
  uint32_t got_through = 0;
  uint32_t una = 1;
  // The path swallows what is above 600, silently.
  for (int i = 0; i < 200 && una < 10'001; ++i) {
    bool advanced = false;
    for (const auto& sent : t.take_all()) {
      if (sent.ip.total_length > 600) continue;
      got_through = sent.ip.total_length;
      if (sent.header.sequence - t.our_isn != una) continue;
      una += static_cast<uint32_t>(sent.text.size());
      advanced = true;
    }
    if (advanced) t.peer(". 1:1(0) ack " + std::to_string(una));
    if (t.pending() == 0) t.pass(1s);
  }
  EXPECT_EQ(una, 10'001u);
  EXPECT_LE(got_through, 552u);
  EXPECT_EQ(t.state(id), TcpState::established);
}

TEST(TcpBlackHole, AnOutageLeavesTheSegmentsAsTheyWereUnlessTheSearchIsConfigured) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 1460);
  t.pass(2min);
  for (const auto& sent : t.take_all()) EXPECT_EQ(sent.ip.total_length, 1500);
  EXPECT_EQ(t.state(id), TcpState::established);
}

}  // namespace
}  // namespace limpid
