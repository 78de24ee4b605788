// Dialogues with peers that break the rules, as the fuzzers of dialogues (tests/fuzz) found them, the second of them
// beside the kernel's TCP.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// req: 9293-3.10.7.4-n
TEST(TcpOddPeer, TextBehindThePeersFinIsNotKeptNorReported) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1460 sackOK");
  t.peer("F. 101:101(0) ack 1");
  t.expect(". 1:1(0) ack 1 sack");
  t.peer(". 102:202(100) ack 1");  // nothing can lie there
  t.expect(". 1:1(0) ack 1");
  t.peer(". 1:101(100) ack 1");
  t.expect(". 1:1(0) ack 102 sack");
  EXPECT_EQ(t.state(id), close_wait);
  EXPECT_EQ(t.status(id).out_of_order, 0U);
  EXPECT_EQ(t.read(id).size(), 100U);
}

TEST(TcpOddPeer, ASynThatWaitsForTheDeviceIsNotSentOnceItWasAnswered) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.refuse = true;
  t.pass(1100ms);  // again, and refused
  t.peer("S. 0:0(0) ack 1 win 65535 mss 1460");
  t.refuse = false;
  t.writable();
  t.expect(". 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), established);
}

TEST(TcpOddPeer, ASynAckThatWaitsForTheDeviceIsAnAckOnceItsSynWasAcknowledged) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.refuse = true;
  t.peer("S 0:0(0) win 65535 mss 1460");
  t.peer(". 1:1(0) ack 1");
  t.refuse = false;
  t.writable();
  t.expect(". 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), established);
}

TEST(TcpOddPeer, AProbeThatWaitsForTheDeviceIsNotSentOnceAllWasAcknowledged) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 100);
  t.expect("P. 1:101(100) ack 1");
  t.peer(". 1:1(0) ack 101 win 0");
  ASSERT_TRUE(t.stack.tcp_shutdown_send(id, t.now));
  t.pass(300ms);
  t.expect("F. 101:101(0) ack 1");  // the FIN is the probe
  t.refuse = true;
  t.pass(1s);  // again, and refused
  t.peer(". 1:1(0) ack 102 win 0");
  EXPECT_EQ(t.state(id), fin_wait_2);
  t.refuse = false;
  t.writable();
  t.expect_nothing();
}

// The peer's window may reach back beyond our SYN, but nothing was ever sent there.
// req: 5961-5.2-a
TEST(TcpOddPeer, TextThatAcknowledgesWhatWasNeverSentIsChallenged) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 0");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.read(id), "error 1");
  t.peer("P. 1:11(10) ack 1");
  EXPECT_EQ(t.read(id).size(), 10U);
}

// req: 9293-3.10.5-a
TEST(TcpOddPeer, AnAbortWhileOurFinWaitsForTheWindowSendsAReset) {
  TcpDialogue t;
  const SocketId id = t.reach(close_wait);
  t.peer(". 2:2(0) ack 1 win 0");
  ASSERT_TRUE(t.stack.tcp_shutdown_send(id, t.now));
  t.expect_nothing();
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 1:1(0) ack 2");
}

// req: 9293-SHLD-3
TEST(TcpOddPeer, AClosedUserWhoLeavesOctetsUnreadInLastAckSendsAReset) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 1");
  t.peer("F. 11:11(0) ack 1");
  ASSERT_TRUE(t.stack.tcp_shutdown_send(id, t.now));
  t.take_all();
  EXPECT_EQ(t.state(id), last_ack);
  t.stack.tcp_close(id, t.now);
  t.stack.flush(t.now);
  t.expect("R. 2:2(0) ack 12");
}

// RFC 9293 §3.10.7.4, first: a segment is acceptable if its end is; what is old of it is cut off.
TEST(TcpOddPeer, TheAckOfTheHandshakeMayBringTextThatBeginsBeforeTheWindow) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) win 65535 mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer("R 0:10(10)");  // in the window too, but not at RCV.NXT
  t.expect(". 1:1(0) ack 1");
  t.peer("P. 0:10(10) ack 1");
  const SocketId id = t.accept();
  EXPECT_EQ(t.read(id).size(), 9U);
}

TEST(TcpOddPeer, AFinInOrderEndsTheStreamThoughTextWasHeldBehindIt) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1460 sackOK");
  t.peer("F. 101:102(1) ack 1");
  t.expect(". 1:1(0) ack 1 sack 101:102");
  t.peer("F. 1:101(100) ack 1");
  t.expect(". 1:1(0) ack 102 sack");
  EXPECT_EQ(t.state(id), close_wait);
  EXPECT_EQ(t.read(id).size(), 100U);
}

TEST(TcpOddPeer, AnMssOfZeroSaysNothing) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 0");
  EXPECT_EQ(t.status(id).mss, 536U);
}

// req: 9293-3.10.7.4-e
TEST(TcpOddPeer, OnlyTheSynItselfDrawsASynAckAgainInASimultaneousOpen) {
  TcpDialogue t;
  t.connect();
  t.expect("S 0:0(0)");
  t.peer("S 0:0(0) win 65535 mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer("S 1000000:1000000(0) win 65535");  // another one, outside the window
  t.expect(". 1:1(0) ack 1");
  t.expect_nothing();
  t.pass(1s);
  t.take_all();
  t.peer("S 0:0(0) win 65535 mss 1460");
  t.expect("S. 0:0(0) ack 1");
}

TEST(TcpOddPeer, ASocketThatWasShutBeforeItIsConnectedIsNotWritable) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.peer("S 0:0(0) win 65535 mss 1460");
  ASSERT_TRUE(t.stack.tcp_shutdown_send(id, t.now));
  EXPECT_EQ(t.state(id), syn_received);
  EXPECT_EQ(t.stack.tcp_ready(id) & kWritable, 0);
  t.peer(". 1:1(0) ack 1");
  EXPECT_NE(t.stack.tcp_ready(id) & kWritable, 0);
}

}  // namespace
}  // namespace limpid
