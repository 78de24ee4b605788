// Dialogues with peers that break the rules, as the fuzzer of dialogues (tests/fuzz) found them.
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

}  // namespace
}  // namespace limpid
