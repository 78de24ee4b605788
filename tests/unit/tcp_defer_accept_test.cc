// TCP_DEFER_ACCEPT (tcp(7)): a connection is the user's when there is something to read, or when waiting for that took
// too long. As Linux counts: SYN,ACKs whose back-off makes the time.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

bool waits(TcpDialogue& t, SocketId listener) { return (t.stack.tcp_ready(listener) & kAcceptable) != 0; }

SocketId listen_deferred(TcpDialogue& t, uint8_t tries) {
  const SocketId listener = t.listen({.defer_accept = tries, .reuse = {}});
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  return listener;
}

TEST(TcpDeferAccept, ABareAckIsNotEnoughTextIs) {
  TcpDialogue t;
  const SocketId listener = listen_deferred(t, 3);
  t.peer(". 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_FALSE(waits(t, listener));
  EXPECT_EQ(t.listed(), syn_received);
  EXPECT_EQ(t.count(Counter::tcp_drop_deferred), 1u);
  t.peer("P. 1:11(10) ack 1");
  EXPECT_TRUE(waits(t, listener));
  EXPECT_EQ(t.read(t.accept()), "abcdefghij");
}

TEST(TcpDeferAccept, AFinIsNewsToo) {
  TcpDialogue t;
  const SocketId listener = listen_deferred(t, 3);
  t.peer("F. 1:1(0) ack 1");
  EXPECT_TRUE(waits(t, listener));
}

// Three tries are 1 + 2 + 4 s: silence until the last, whose SYN,ACK asks for an ACK that counts.
TEST(TcpDeferAccept, WhenTheTimeIsOverOneSynAckMoreAsksForTheAckAgain) {
  TcpDialogue t;
  const SocketId listener = listen_deferred(t, 3);
  t.peer(". 1:1(0) ack 1");
  t.pass(6999ms);
  t.expect_nothing();
  t.pass(1ms);
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1");
  EXPECT_TRUE(waits(t, listener));
  EXPECT_EQ(t.state(t.accept()), established);
}

TEST(TcpDeferAccept, WithoutAnAckTheSynAckIsRepeatedAsEver) {
  TcpDialogue t;
  listen_deferred(t, 3);
  t.pass(1h);
  EXPECT_EQ(t.take_all().size(), 5u);
  EXPECT_EQ(t.listed(), closed);
}

TEST(TcpDeferAccept, ATimeLongerThanTheTriesIsWaitedFor) {
  TcpDialogue t;
  listen_deferred(t, 8);
  t.peer(". 1:1(0) ack 1");
  t.pass(120s);
  t.expect_nothing();
  EXPECT_EQ(t.listed(), syn_received);
  t.pass(1h);
  EXPECT_EQ(t.listed(), closed);
}

}  // namespace
}  // namespace limpid
