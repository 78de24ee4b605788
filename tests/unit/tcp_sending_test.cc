// How text becomes segments: RFC 9293 §3.7 (MSS, Nagle), §3.8.2 (PUSH), §3.1 (header), and what happens when the device
// takes nothing.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

size_t longest(const std::vector<TcpDialogue::Sent>& segments) {
  size_t most = 0;
  for (const auto& s : segments) most = std::max(most, s.text.size());
  return most;
}

TcpOptions no_delay() {
  TcpOptions o;
  o.no_delay = true;
  return o;
}

// --- the MSS
// -----------------------------------------------------------------------------------------------------------------

// req: 9293-MUST-15
TEST(TcpMss, WithoutTheOptionItIs536) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535");
  t.send(id, 100'000);
  EXPECT_EQ(longest(t.take_all()), 536u);
}

// req: 9293-MUST-14
TEST(TcpMss, ThePeersLimitsEverySegment) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 500");
  t.send(id, 100'000);
  EXPECT_EQ(longest(t.take_all()), 500u);
}

// req: 9293-MUST-16, 9293-3.7.1-a
TEST(TcpMss, ThePathLimitsItTooHeadersIncluded) {
  for (uint32_t mtu : {1280u, 1500u, 9000u}) {
    TcpDialogue t({}, mtu);
    const SocketId id = t.establish_passively({}, "win 65535 mss 8960");
    t.send(id, 60'000);
    const auto sent = t.take_all();
    EXPECT_EQ(longest(sent), mtu - 40);
    for (const auto& s : sent) EXPECT_LE(s.ip.total_length, mtu);
  }
}

// req: 9293-MUST-67, 9293-MAY-3, 9293-SHLD-5, 9293-MUST-65, 9293-MUST-14
TEST(TcpMss, OursIsTheMtuLessFortyAndIsSaidOnEverySynAndNowhereElse) {
  for (uint32_t mtu : {576u, 1280u, 1500u, 9000u, 65'535u}) {
    TcpDialogue passive({}, mtu);
    passive.listen();
    passive.peer("S 0:0(0) mss 1460");
    EXPECT_EQ(passive.take().header.options.mss, mtu - 40);
    TcpDialogue active({}, mtu);
    const SocketId id = active.connect();
    EXPECT_EQ(active.take().header.options.mss, mtu - 40);
    active.peer("S. 0:0(0) ack 1 mss 1460 win 65535");
    active.send(id, 5000);
    active.stack.tcp_shutdown_send(id, active.now).value();
    for (const auto& s : active.take_all()) EXPECT_EQ(s.header.options.size(), 0u);
  }
}

TEST(TcpMss, TheUserMayLowerIt) {
  TcpDialogue t;
  TcpOptions o;
  o.max_segment = 700;
  t.listen(o);
  t.peer("S 0:0(0) mss 1460");
  EXPECT_EQ(t.take().header.options.mss, 700);
  t.peer(". 1:1(0) ack 1");
  t.send(t.accept(), 5000);
  EXPECT_EQ(longest(t.take_all()), 700u);
}

// A peer that says it takes a few octets a segment would make us send forty of header for each.
// req: ATK-sackpanic
TEST(TcpMss, AnAbsurdlySmallOneIsNotBelieved) {
  for (int mss : {1, 8, 47, 48}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively({}, "win 65535 mss " + std::to_string(mss));
    t.send(id, 100'000);
    const auto sent = t.take_all();
    EXPECT_EQ(longest(sent), 48u);
    EXPECT_EQ(sent.size(), 10u);  // the initial window counts segments
    t.peer(". 1:1(0) ack 1");
    t.peer(". 1:1(0) ack 1");
    t.peer(". 1:1(0) ack 1");
    t.pass(300s);
    EXPECT_LT(t.take_all().size(), 30u);
    EXPECT_LE(t.status(id).memory, 200'000u);
  }
}

// --- cutting into segments
// ------------------------------------------------------------------------------------------------------

// req: 9293-SHLD-28, 9293-SHLD-27
TEST(TcpSegmentation, OddWritesLeaveAsFullSegments) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.refuse = true;  // so that all is written before the first leaves
  for (int i = 0; i < 10; ++i) {
    t.send(id, 333);
    t.send(id, 1);
    t.send(id, 666);
  }
  t.writable();
  const auto sent = t.take_all();
  ASSERT_EQ(sent.size(), 10u);
  for (const auto& s : sent) EXPECT_EQ(s.text.size(), 1000u);
}

// req: 9293-SHLD-27
TEST(TcpSegmentation, SmallPushedWritesThatWaitLeaveTogether) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 1");
  for (int i = 0; i < 20; ++i) t.send(id, 10);
  t.expect_nothing();
  t.peer(". 1:1(0) ack 11");
  t.expect("P. 11:211(200) ack 1");
}

// req: 9293-MUST-61
TEST(TcpSegmentation, PushIsSetOnTheLastSegmentOfWhatIsQueued) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 3000);
  EXPECT_EQ(t.take_words(),
            (std::vector<std::string>{". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1", "P. 2001:3001(1000) ack 1"}));
}

// req: 9293-MUST-60
TEST(TcpSegmentation, NothingIsKeptBackWithoutEnd) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 1);
  t.expect("P. 1:2(1) ack 1");
  t.peer(". 1:1(0) ack 2");
  TcpOptions cork;
  cork.cork = true;
  t.stack.tcp_set_options(id, cork, t.now).value();
  t.send(id, 1);
  t.expect_nothing();
  t.pass(200ms);
  t.expect("P. 2:3(1) ack 1");
}

TEST(TcpSegmentation, ACorkHoldsBackAllButFullSegmentsUntilItIsDrawn) {
  TcpDialogue t;
  TcpOptions o;
  o.cork = true;
  const SocketId id = t.establish_passively(o, "win 65535 mss 1000");
  t.send(id, 100);
  t.send(id, 1000);
  t.expect(". 1:1001(1000) ack 1");
  t.expect_nothing();
  o.cork = false;
  o.no_delay = true;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.expect("P. 1001:1101(100) ack 1");
}

TEST(TcpSegmentation, MoreToComeWaitsForTheNextSend) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 100, {.more = true});
  t.expect_nothing();
  t.send(id, 100);
  t.expect("P. 1:201(200) ack 1");
}

// req: 9293-3.1-a, 9293-MUST-2
TEST(TcpSegmentation, OddLengthsVerify) {  // the dialogue checks every checksum that we send
  for (size_t n : {1u, 3u, 1459u}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively();
    t.send(id, n);
    const auto s = t.take();
    EXPECT_EQ(s.text.size(), n);
    t.peer("P. 1:" + std::to_string(1 + n) + "(" + std::to_string(n) + ") ack 1");
    EXPECT_EQ(t.read(id).size(), n);
  }
}

// --- bursts, and PSH within a long write
// ---------------------------------------------------------------------------------------------------------------------

namespace {

// What each of several segments sent at once carried: P or not.
std::string pushes_of(TcpDialogue& t) {
  std::string found;
  for (const auto& sent : t.take_all()) found += sent.header.has(tcp_flag::psh) ? 'P' : '.';
  return found;
}

}  // namespace

// On a path of 100 ms a millisecond carries less than two segments, so bursts have two.
TEST(TcpBurst, PushEndsEachBurstOfALongWrite) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) win 65535 mss 1000");
  (void)t.take();
  t.pass(100ms);
  t.peer(". 1:1(0) ack 1 win 65535");
  const SocketId id = t.accept();
  t.send(id, 20'000);
  EXPECT_EQ(pushes_of(t), ".P.P.P.P.P");  // the initial window
}

// At most half of the congestion window goes as one burst, however fast the path.
TEST(TcpBurst, HalfTheWindowAtMost) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 20'000);
  EXPECT_EQ(pushes_of(t), "....P....P");
}

TEST(TcpBurst, ALoneFullSegmentInMidStreamGoesWithout) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 1500, {.more = true});  // the rest waits
  EXPECT_EQ(pushes_of(t), ".");
}

// Minshall's variant of Nagle, as on Linux.
// req: 9293-A.3-a
TEST(TcpNagle, OnlyASmallSegmentHoldsBackTheNextSmallOne) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 1500);
  t.expect(". 1:1001(1000) ack 1");
  t.expect("P. 1001:1501(500) ack 1");
  t.send(id, 100);
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1501");
  t.expect("P. 1501:1601(100) ack 1");
}

// As on Linux: MSG_MORE holds until something is acknowledged, and promises that this is not the end.
TEST(TcpBurst, WhatMsgMoreHeldGoesWithTheNextAcknowledgmentAndWithoutPush) {
  TcpDialogue t;
  TcpOptions options;
  options.no_delay = true;
  const SocketId id = t.establish_passively(options, "win 65535 mss 1000");
  t.send(id, 3100, {.more = true});
  EXPECT_EQ(t.take_words().size(), 3u);
  t.peer(". 1:1(0) ack 3001");
  t.expect(". 3001:3101(100) ack 1");
}

// TCP_NOTSENT_LOWAT: no more is taken once a helping (half the peer's window) waits that cannot go; a writer is woken
// when less than half of the mark waits.
TEST(TcpBurst, UnsentLowWaterHoldsTheWriterBack) {
  TcpDialogue t;
  TcpOptions options;
  options.unsent_low_water = 4000;
  const SocketId id = t.establish_passively(options, "win 65535 mss 1000");
  EXPECT_EQ(t.send(id, 59'000), "taken 42000");
  EXPECT_EQ(t.take_all().size(), 10u);
  EXPECT_NE(t.send(id, 17'000).substr(0, 5), "taken");
  EXPECT_EQ(t.status(id).unsent, 32'000u);
  t.raised(id);
  uint32_t acked = 1;
  while (t.status(id).unsent >= 2000) {
    EXPECT_EQ(t.raised(id) & kWritable, 0);
    acked += 2000;
    t.peer(". 1:1(0) ack " + std::to_string(acked));
  }
  EXPECT_NE(t.raised(id) & kWritable, 0);
}

// --- Nagle
// ---------------------------------------------------------------------------------------------------------------------

// req: 9293-SHLD-7
TEST(TcpNagle, OneSmallSegmentAtATime) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 1);
  t.send(id, 1);
  t.send(id, 1);
  t.expect("P. 1:2(1) ack 1");
  t.expect_nothing();
  t.peer(". 1:1(0) ack 2");
  t.expect("P. 2:4(2) ack 1");
}

// req: 9293-SHLD-7
TEST(TcpNagle, FullSegmentsDoNotWait) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 1);
  t.send(id, 2500);
  EXPECT_EQ(t.take_words(),
            (std::vector<std::string>{"P. 1:2(1) ack 1", ". 2:1002(1000) ack 1", "P. 1002:2002(1000) ack 1"}));
}

// req: 9293-MUST-17
TEST(TcpNagle, CanBeSwitchedOff) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(no_delay());
  t.send(id, 1);
  t.send(id, 1);
  EXPECT_EQ(t.take_words(), (std::vector<std::string>{"P. 1:2(1) ack 1", "P. 2:3(1) ack 1"}));
}

TEST(TcpNagle, SwitchingItOffReleasesWhatWaits) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 1);
  t.send(id, 1);
  t.expect("P. 1:2(1) ack 1");
  t.stack.tcp_set_options(id, no_delay(), t.now).value();
  t.expect("P. 2:3(1) ack 1");
}

// --- SEND before ESTABLISHED, and the send buffer
// -------------------------------------------------------------------------------

// req: 9293-3.10.2-a
TEST(TcpSend, BeforeTheConnectionStandsTextIsQueued) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  EXPECT_EQ(t.send(id, 10), "taken 10");
  t.expect_nothing();
  t.peer("S 0:0(0) mss 1460");  // they cross
  t.expect("S. 0:0(0) ack 1");
  EXPECT_EQ(t.send(id, 10), "taken 10");
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1");
  const auto s = t.take();
  EXPECT_EQ(s.words, "P. 1:21(20) ack 1");
  EXPECT_EQ(s.text, "abcdefghijklmnopqrst");
}

// The buffer is looked at between helpings of half the peer's window, 32 segments here.
TEST(TcpSend, TakesWhatTheBufferHoldsAndSaysWhenThereIsRoom) {
  TcpDialogue t;
  TcpOptions o;
  o.send_buffer = 30'000;
  const SocketId id = t.establish_passively(o, "win 65535 mss 1000");
  EXPECT_EQ(t.send(id, 60'000), "taken 42000");  // ten segments went, and left room in the first helping
  EXPECT_EQ(t.send(id, 1), "error 1");
  t.take_all();
  t.raised(id);
  t.peer(". 1:1(0) ack 10001");
  EXPECT_EQ(t.raised(id) & kWritable, 0);  // 32,000 octets are left: a third of the buffer must be free
  for (uint32_t acked = 12'001; acked <= 24'001; acked += 2000) t.peer(". 1:1(0) ack " + std::to_string(acked));
  EXPECT_EQ(t.raised(id) & kWritable, kWritable);
  EXPECT_EQ(t.send(id, 500), "taken 500");
}

TEST(TcpSend, BeforeTheConnectionStandsTheBufferIsTheBound) {
  TcpDialogue t;
  TcpOptions o;
  o.send_buffer = 3000;
  const SocketId id = t.connect(o);
  EXPECT_EQ(t.send(id, 5000), "taken 3000");
  EXPECT_EQ(t.send(id, 1), "error 1");
}

// --- the IP header
// ---------------------------------------------------------------------------------------------------------------

// The user's Diffserv field goes to IP as it is: in SYN, text, ACK and what is sent again, and may change at any time.
// req: 9293-MUST-48, 9293-SHLD-21, 9293-SHLD-22
TEST(TcpIpHeader, TheTrafficClassIsTheUsersAndMayChange) {
  TcpDialogue t;
  TcpOptions o;
  o.tos = 0xb8;
  const SocketId id = t.connect(o);
  EXPECT_EQ(t.take().ip.tos, 0xb8);
  t.peer("S. 0:0(0) ack 1 win 65535 mss 1000");
  t.peer("P. 1:11(10) ack 1");
  t.send(id, 1000);
  t.pass(2s);
  auto all = t.take_all();
  EXPECT_GE(all.size(), 3u);  // ACKs, text, and the text again
  for (const auto& s : all) EXPECT_EQ(s.ip.tos, 0xb8) << s.words;
  o.tos = 0x20;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.pass(10s);
  all = t.take_all();
  EXPECT_GE(all.size(), 1u);
  for (const auto& s : all) EXPECT_EQ(s.ip.tos, 0x20) << s.words;
}

// req: 9293-MUST-49, 1191-3-f, 9293-3.1-c
TEST(TcpIpHeader, TtlIsTheUsersAndDontFragmentIsSet) {
  TcpDialogue t;
  TcpOptions o;
  o.ttl = 5;
  o.tos = 0x10;
  const SocketId id = t.establish_passively(o);
  t.send(id, 3000);
  t.peer("P. 1:11(10) ack 1");
  t.pass(2s);
  t.stack.tcp_abort(id, t.now);
  TcpDialogue syn;
  syn.connect(o);
  auto all = t.take_all();
  all.push_back(syn.take());
  EXPECT_GE(all.size(), 5u);
  for (const auto& s : all) {
    EXPECT_EQ(s.ip.ttl, 5) << s.words;
    EXPECT_EQ(s.ip.tos, 0x10) << s.words;
    EXPECT_TRUE(s.ip.dont_fragment) << s.words;
    EXPECT_EQ(s.reserved, 0);
  }
  TcpDialogue half;
  half.listen(o);
  half.peer("S 0:0(0)");
  EXPECT_EQ(half.take().ip.ttl, 5);
  half.peer(". 1:1(0) ack 9");
  EXPECT_EQ(half.take().ip.ttl, 5);
}

// --- back-pressure: a refused segment never was
// -----------------------------------------------------------------------------------

TEST(TcpBackPressure, ARefusedSegmentMovesNothingAndGoesWhenTheDeviceSaysSo) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  const TcpStatus before = t.status(id);
  t.refuse = true;
  t.send(id, 5840);
  EXPECT_EQ(t.status(id).unsent, 5840u);
  EXPECT_EQ(t.status(id).in_flight, 0u);
  EXPECT_EQ(t.status(id).segments_out, before.segments_out);
  EXPECT_EQ(t.status(id).last_sent, before.last_sent);
  t.pass(100s);  // and no retransmission timer counts against it
  EXPECT_EQ(t.status(id).retransmits, 0u);
  t.writable();
  EXPECT_EQ(t.take_words().size(), 4u);
  EXPECT_EQ(t.status(id).unsent, 0u);
}

TEST(TcpBackPressure, AnAckThatWasRefusedIsStillOwed) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.refuse = true;
  t.peer("P. 1:1001(1000) ack 1");
  t.peer("P. 1001:2001(1000) ack 1");
  t.expect_nothing();
  t.writable();
  t.expect(". 1:1(0) ack 2001");
  EXPECT_EQ(t.read(id).size(), 2000u);
}

TEST(TcpBackPressure, ARetransmissionThatWasRefusedGoesLater) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 100);
  t.expect("P. 1:101(100) ack 1");
  t.refuse = true;
  t.pass(1s);
  t.expect_nothing();
  t.writable();
  t.expect("P. 1:101(100) ack 1");
  EXPECT_EQ(t.status(id).total_retransmits, 1u);
}

TEST(TcpBackPressure, ASynAndAFinWaitToo) {
  TcpDialogue t;
  t.refuse = true;
  const SocketId id = t.connect();
  t.expect_nothing();
  t.writable();
  t.expect("S 0:0(0)");
  t.peer("S. 0:0(0) ack 1 mss 1460");
  t.expect(". 1:1(0) ack 1");
  t.refuse = true;
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect_nothing();
  t.writable();
  t.expect("F. 1:1(0) ack 1");
}

TEST(TcpBackPressure, ClosingAndAbortingWhileTheDeviceIsFullIsSafe) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.refuse = true;
  t.send(id, 5000);
  t.stack.tcp_abort(id, t.now);
  t.writable();
  t.pass(100s);
  EXPECT_EQ(t.listed(), closed);
}

}  // namespace
}  // namespace limpid
