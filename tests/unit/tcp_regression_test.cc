// Dialogues that simulated networks (tests/sim) found to go wrong, each cut down to its few segments.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

TcpOptions no_delay() {
  TcpOptions options;
  options.no_delay = true;
  return options;
}

// req: 7323-2.2-c
TEST(TcpRegression, TheWindowOfASynAckIsNotScaledInASimultaneousOpenEither) {
  TcpDialogue t;
  const SocketId id = t.connect(no_delay());
  t.expect("S 0:0(0)");
  t.peer("S 0:0(0) win 256 mss 1460 wscale 7");
  t.expect("S. 0:0(0) ack 1");
  t.peer("S. 0:0(0) ack 1 win 256 mss 1460 wscale 7");
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.stack.tcp_status(id)->send_window, 256U);
  t.send(id, 3000);
  while (t.pending() > 0) {
    const auto sent = t.take();
    EXPECT_LE(sent.header.sequence - t.our_isn - 1 + sent.text.size(), 256U) << sent.words;
  }
}

TEST(TcpRegression, ASecondRefusalOfTheDeviceIsNoSecondPlaceInTheQueue) {
  TcpDialogue t;
  const SocketId first = t.establish_passively(no_delay());
  t.refuse = true;
  for (int i = 0; i < 3; ++i) t.send(first, 10);  // each is refused anew
  t.refuse = false;
  t.stack.link_writable(1, t.now);
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
  t.expect("P. 1:31(30) ack 1");
}

TEST(TcpRegression, AConnectionThatIsDirtyAndBlockedIsDrivenOnOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(no_delay());
  t.refuse = true;
  t.send(id, 10);
  t.peer_batch({". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1"});  // the ACK that it owes is refused as well
  t.refuse = false;
  t.stack.link_writable(1, t.now);
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
  t.expect("P. 1:11(10) ack 2001");
  t.expect_nothing();
}

TEST(TcpRegression, AnAbortedConnectionWithBytesUnacknowledgedBreaksNoInvariant) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 1000);
  t.expect("P. 1:1001(1000) ack 1");
  t.peer("R 1:1(0)");  // the user has not let go: the record stays
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::reset);
}

// req: 9293-3.10.7.4-h
TEST(TcpRegression, AnAckOfMoreBringsItsWindowThoughItsTextIsOlder) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(no_delay());
  t.send(id, 2000);
  t.expect(". 1:1461(1460) ack 1");
  t.expect("P. 1461:2001(540) ack 1");
  t.peer(". 3:3(0) ack 501 win 500");  // sent after the next one, arrives before it
  t.peer("P. 1:3(2) ack 1001 win 0");
  EXPECT_EQ(t.stack.tcp_status(id)->send_window, 0U);
  t.expect_nothing();
}

// req: 9293-SHLD-14
TEST(TcpRegression, TheRightEdgeStaysWhenSegmentsAreShorterThanTheScale) {
  TcpOptions options;
  options.max_segment = 86;
  TcpDialogue t;
  const SocketId id = t.establish_passively(options, "win 65535 mss 1460 wscale 7");
  uint64_t edge = 0;
  for (int at = 1; at < 400; at += 7) {
    t.peer("P. " + std::to_string(at) + ":" + std::to_string(at + 7) + "(7) ack 1");
    if (at % 3 == 0) t.read(id);
    t.pass(50ms);
    while (t.pending() > 0) {
      const auto ack = t.take();
      const uint64_t now = ack.header.acknowledgment - TcpDialogue::kPeerIsn + (uint64_t{ack.header.window} << 7);
      EXPECT_GE(now, edge) << ack.words;
      edge = now;
    }
  }
}

// req: 9293-SHLD-29
TEST(TcpRegression, ATimerThatHeldBackASmallSegmentBecomesAProperProbeTimer) {
  TcpDialogue t;
  TcpOptions options;
  options.cork = true;
  const SocketId id = t.establish_passively(options);
  t.send(id, 100);  // corked: waits for more, or for 200 ms
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1 win 0");
  t.pass(1100ms);
  EXPECT_EQ(t.state(id), established) << "probes are counted by time, not all at once";
  EXPECT_EQ(t.pending(), 1U);
  t.expect(". 1:2(1) ack 1");
}

// req: 7323-2.3-a
TEST(TcpRegression, AHalfOpenConnectionScalesTheWindowOfWhatIsNoSyn) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) win 65535 mss 1460 wscale 7");
  t.expect("S. 0:0(0) ack 1");
  t.peer("P. 100000:100010(10) ack 1");  // outside the window
  const auto ack = t.take();
  EXPECT_EQ(ack.words, ". 1:1(0) ack 1");
  EXPECT_LE(uint32_t{ack.header.window} << 7, 65'535U);
}

// req: 6298-5.7-a
TEST(TcpRegression, AfterALostSynDataStartsWithThreeSecondsHoweverOftenItWasLost) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.pass(16s);  // sent at 0, 1, 3, 7 and 15 s
  for (int i = 0; i < 5; ++i) t.expect("S 0:0(0)");
  t.peer("S. 0:0(0) ack 1");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.stack.tcp_status(id)->rto, Duration{3s});
}

TEST(TcpRegression, AfterThePeersFinTheStreamEndsWellWhateverComesLater) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("FP. 1:4(3) ack 1");
  t.expect(". 1:1(0) ack 5");
  t.peer("R 5:5(0)");
  EXPECT_EQ(t.read(id).size(), 3U);
  std::byte one{};
  EXPECT_EQ(t.stack.tcp_receive(id, {&one, 1}, {}, t.now).value_or(99), 0U) << "the end of the stream, not the error";
  EXPECT_NE(t.stack.tcp_take_error(id), Error::none) << "which SO_ERROR still tells";
}

TEST(TcpRegression, KeepAliveAskedForAfterALongSilenceProbesAtOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.pass(3h);
  TcpOptions options;
  options.keepalive = true;  // 2 h by default: they have passed
  ASSERT_TRUE(t.stack.tcp_set_options(id, options, t.now));
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
  t.pass(0s);
  t.expect(". 0:0(0) ack 1");
}

}  // namespace
}  // namespace limpid
