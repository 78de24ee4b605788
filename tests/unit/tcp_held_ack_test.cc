// ACKs that wait a moment: for the user's next words, where that user runs next; amid bulk for more of it, while the
// device has more (AcksWait).
#include <fmt/format.h>

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

struct TcpHeldBulkAck : testing::Test {
  explicit TcpHeldBulkAck(bool offloads = true) : t({}, 1500, 1, offloads) {
    id = t.establish_passively();
    t.more_frames = true;
  }
  // Two full segments more.
  void two_segments() {
    const auto range = [](int from) { return fmt::format(". {}:{}(1460) ack 1", from, from + 1460); };
    t.peer_batch({range(next), range(next + 1460)});
    next += 2920;
  }
  void expect_ack() { t.expect(fmt::format(". 1:1(0) ack {}", next)); }
  TcpDialogue t;
  SocketId id;
  int next = 1;
};

constexpr Release kWhatIsNeeded{.tails = false, .bulk_acks = false};

TEST_F(TcpHeldBulkAck, OneAnswersAllThatTheDeviceHad) {
  two_segments();
  two_segments();
  t.stack.release_held(t.now, kWhatIsNeeded);
  t.expect_nothing();
  t.stack.release_held(t.now);
  expect_ack();
  t.stack.release_held(t.now);
  t.expect_nothing();
}

TEST_F(TcpHeldBulkAck, TheLastBatchOfAllBringsIt) {
  two_segments();
  t.more_frames = false;
  two_segments();
  expect_ack();
  t.stack.release_held(t.now);
  t.expect_nothing();
}

TEST_F(TcpHeldBulkAck, WaitsForHalfAMillisecondAtMost) {
  two_segments();
  t.pass(499us);
  two_segments();
  t.stack.release_held(t.now, kWhatIsNeeded);
  t.expect_nothing();
  t.pass(1us);
  t.stack.release_held(t.now, kWhatIsNeeded);
  expect_ack();
}

// An eighth of the window is used up: the sender may soon have to wait for the ACK.
TEST_F(TcpHeldBulkAck, GoesWhenTheSenderMayNeedIt) {
  const uint32_t window = t.status(id).receive_window;
  while (t.status(id).receive_window - 2920 > window / 8 * 7) {
    two_segments();
    t.stack.release_held(t.now, kWhatIsNeeded);
    t.expect_nothing();
  }
  two_segments();
  expect_ack();
}

TEST_F(TcpHeldBulkAck, TextOfOursCarriesIt) {
  two_segments();
  t.send(id, 10);
  t.expect(fmt::format("P. 1:11(10) ack {}", next));
  t.stack.release_held(t.now);
  t.expect_nothing();
}

TEST_F(TcpHeldBulkAck, NotForAGap) {
  two_segments();
  t.peer(fmt::format(". {}:{}(1460) ack 1", next + 1460, next + 2920));
  expect_ack();
}

struct TcpHeldBulkAckElsewhere : TcpHeldBulkAck {
  TcpHeldBulkAckElsewhere() : TcpHeldBulkAck(false) {}
};

// Where frames are packets a sender's clock is each ACK of ours.
TEST_F(TcpHeldBulkAckElsewhere, NoneIsHeld) {
  two_segments();
  expect_ack();
}

}  // namespace
}  // namespace limpid
