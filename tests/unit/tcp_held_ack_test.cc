// ACKs that wait a moment for the user's next words, where that user runs next (Stack::flush_but_acks).
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

struct TcpHeldAck : testing::Test {
  TcpHeldAck() {
    id = t.establish_passively();
    t.user_runs_next = true;
  }
  static Config quick() {
    Config config;
    config.tcp.quick_acks = 8;
    return config;
  }
  TcpDialogue t{quick()};
  SocketId id;
};

TEST_F(TcpHeldAck, TheAnswerCarriesIt) {
  t.peer("P. 1:101(100) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.read(id).size(), 100U);
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 101");
  t.stack.release_held(t.now);
  t.expect_nothing();
}

TEST_F(TcpHeldAck, WithoutAnAnswerItGoesWhenItIsReleased) {
  t.peer("P. 1:101(100) ack 1");
  t.stack.release_held(t.now);
  t.expect(". 1:1(0) ack 101");
  t.stack.release_held(t.now);
  t.expect_nothing();
}

TEST_F(TcpHeldAck, ThatOfAFinGoesWithOurs) {
  t.peer("F. 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), TcpState::close_wait);
  t.stack.tcp_close(id, t.now);
  t.expect("F. 1:1(0) ack 2");
  t.expect_nothing();
}

TEST_F(TcpHeldAck, NoneForAGapOrForTwoFullSegments) {
  t.peer("P. 101:201(100) ack 1");
  t.expect(". 1:1(0) ack 1");
  t.peer("P. 1:101(100) ack 1");  // fills it
  t.expect(". 1:1(0) ack 201");
  t.peer_batch({". 201:1661(1460) ack 1", ". 1661:3121(1460) ack 1"});
  t.expect(". 1:1(0) ack 3121");
}

TEST_F(TcpHeldAck, NoneWhileSomethingOfOursIsUnderWay) {
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 1");
  t.peer("F. 1:1(0) ack 1");
  t.expect(". 11:11(0) ack 2");
}

// Every second segment has an ACK of its own, whoever runs next.
TEST_F(TcpHeldAck, TheNextSegmentMakesItDue) {
  t.peer("P. 1:101(100) ack 1");
  t.peer("P. 101:201(100) ack 1");
  t.expect(". 1:1(0) ack 201");
  t.stack.release_held(t.now);
  t.expect_nothing();
}

// What a program does on its way to an answer does not send it ahead.
TEST_F(TcpHeldAck, OptionsDoNotSendItButForQuickAck) {
  t.peer("P. 1:101(100) ack 1");
  TcpOptions options = *t.stack.tcp_options(id);
  options.no_delay = true;
  t.stack.tcp_set_options(id, options, t.now);
  t.expect_nothing();
  options.quick_ack = options.quick_ack_set = true;
  t.stack.tcp_set_options(id, options, t.now);
  t.expect(". 1:1(0) ack 101");
}

TEST_F(TcpHeldAck, ItTellsOfTheWindowThatReadingOpened) {
  TcpOptions options = *t.stack.tcp_options(id);
  options.receive_buffer = 4096;
  TcpDialogue small(quick());
  const SocketId reader = small.establish_passively(options);
  small.user_runs_next = true;
  small.peer("P. 1:1001(1000) ack 1");
  EXPECT_EQ(small.read(reader).size(), 1000U);
  small.expect_nothing();
  small.stack.release_held(small.now);
  const auto ack = small.next();
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->header.window, small.status(reader).receive_window);
  small.expect_nothing();
}

// The user ends the connection instead: nothing is left behind.
TEST_F(TcpHeldAck, IsForgottenWithItsConnection) {
  t.peer("P. 1:101(100) ack 1");
  t.stack.tcp_close(id, t.now);  // text unread: a RST
  t.expect("R. 1:1(0) ack 101");
  t.stack.release_held(t.now);
  t.expect_nothing();
}

}  // namespace
}  // namespace limpid
