// The tail of a SEND that waits a moment for the next one, where SENDs follow each other quickly behind text that is
// under way (TcpSendFlags::tail_may_wait).
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

constexpr TcpSendFlags kMayWait{.tail_may_wait = true};
constexpr int kPiece = 1000;

struct TcpHeldTail : testing::Test {
  explicit TcpHeldTail(bool offloads = true, uint32_t send_buffer = 0) : t({}, 1500, 1, offloads) {
    TcpOptions options;
    options.no_delay = true;
    options.send_buffer = send_buffer;
    id = t.establish_passively(options, "win 20000 mss 1460");
    t.pass(1s);
  }
  // So many SENDs of a piece in a row, each of which goes at once.
  void pieces_that_go(int count) {
    for (int i = 0; i < count; ++i) {
      t.send(id, kPiece, kMayWait);
      t.expect("P. " + range(sent, kPiece) + " ack 1");
      sent += kPiece;
    }
  }
  static std::string range(int after, int length) {
    return std::to_string(1 + after) + ":" + std::to_string(1 + after + length) + "(" + std::to_string(length) + ")";
  }
  // The first SEND comes after a pause, the next four are no streak yet.
  void begin_streak() {
    pieces_that_go(4);
    t.send(id, kPiece, kMayWait);
    t.expect_nothing();
  }
  TcpDialogue t;
  SocketId id;
  int sent = 0;  // bytes
};

TEST_F(TcpHeldTail, TheNextSendMakesItAWholeBurst) {
  begin_streak();
  t.frames = 0;
  t.send(id, 5 * 1460 - kPiece, kMayWait);  // half of the congestion window
  EXPECT_EQ(t.frames, 1U);
  for (int i = 0; i < 4; ++i) t.expect(". " + range(sent + i * 1460, 1460) + " ack 1");
  t.expect("P. " + range(sent + 4 * 1460, 1460) + " ack 1");
  t.expect_nothing();
}

TEST_F(TcpHeldTail, GoesWhenItIsReleased) {
  begin_streak();
  EXPECT_EQ(t.status(id).limits.sending, SendLimit::nagle);
  t.stack.release_held(t.now);
  t.expect("P. " + range(sent, kPiece) + " ack 1");
  t.stack.release_held(t.now);
  t.expect_nothing();
}

TEST_F(TcpHeldTail, ALookOfAnotherReleasesItOnceItIsOld) {
  begin_streak();
  t.stack.release_held(t.now, {.tails = false});
  t.expect_nothing();
  t.pass(500us);
  t.stack.release_held(t.now, {.tails = false});
  t.expect("P. " + range(sent, kPiece) + " ack 1");
}

// With nobody to release it the ACK of all that is under way sends it, and not one of a part.
TEST_F(TcpHeldTail, GoesWithTheLastAck) {
  begin_streak();
  t.peer(". 1:1(0) ack 2001 win 20000");
  t.expect_nothing();
  t.peer(". 1:1(0) ack 4001 win 20000");
  t.expect("P. " + range(sent, kPiece) + " ack 1");
}

TEST_F(TcpHeldTail, ALossDoesNotLeaveItBehind) {
  begin_streak();
  t.pass(2s);
  EXPECT_GT(t.pending(), 0U);  // a probe, or the retransmission timer
  t.take_all();
  t.peer(". 1:1(0) ack 4001 win 20000");
  t.pass(1s);
  t.peer(". 1:1(0) ack 5001 win 20000");
  EXPECT_EQ(t.status(id).send_queue, 0U);
}

TEST_F(TcpHeldTail, NoneWithoutTheFlagOrNothingUnderWay) {
  for (int i = 0; i < 8; ++i) {
    t.send(id, kPiece);
    t.expect("P. " + range(sent, kPiece) + " ack 1");
    sent += kPiece;
  }
  t.peer(". 1:1(0) ack 8001 win 20000");
  pieces_that_go(1);
}

TEST_F(TcpHeldTail, NoneWhereSendsComeSlowly) {
  for (int i = 0; i < 8; ++i) {
    pieces_that_go(1);
    t.pass(1100us);
  }
}

TEST_F(TcpHeldTail, NoneForUrgentTextOrInFrontOfAFin) {
  begin_streak();
  t.send(id, kPiece, {.urgent = true, .tail_may_wait = true});
  EXPECT_EQ(t.status(id).unsent, 0U);
  t.take_all();
  t.peer(". 1:1(0) ack 6001 win 20000");
  sent = 6000;
  pieces_that_go(1);
  t.send(id, kPiece, kMayWait);
  t.expect_nothing();
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect("FP. " + range(sent, kPiece) + " ack 1");
}

TEST_F(TcpHeldTail, OptionsSendIt) {
  begin_streak();
  t.stack.tcp_set_options(id, *t.stack.tcp_options(id), t.now).value();
  t.expect("P. " + range(sent, kPiece) + " ack 1");
}

// Whoever is waited for in vain for long is believed only after twice as many SENDs.
TEST_F(TcpHeldTail, WaitsInVainBecomeRare) {
  begin_streak();
  t.pass(2ms);
  t.stack.release_held(t.now);
  t.expect("P. " + range(sent, kPiece) + " ack 1");
  sent += kPiece;
  t.peer(". 1:1(0) ack 5001 win 20000");
  t.pass(2ms);
  pieces_that_go(8);
  t.send(id, kPiece, kMayWait);
  t.expect_nothing();
}

// One that was over soon has harmed nobody.
TEST_F(TcpHeldTail, AShortWaitInVainChangesNothing) {
  begin_streak();
  t.stack.release_held(t.now);
  t.expect("P. " + range(sent, kPiece) + " ack 1");
  t.send(id, kPiece, kMayWait);
  t.expect_nothing();
}

TEST_F(TcpHeldTail, WhatIsWrittenInPlaceWaitsToo) {
  pieces_that_go(4);
  SendRoom room;
  ASSERT_TRUE(t.stack.tcp_reserve(id, kPiece, room, t.now));
  t.stack.tcp_commit(id, room, kPiece, kMayWait, t.now).value();
  t.expect_nothing();
  t.stack.release_held(t.now);
  EXPECT_EQ(t.take_all().size(), 1U);
}

TEST_F(TcpHeldTail, IsForgottenWithItsConnection) {
  begin_streak();
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 4001:4001(0) ack 1");
  t.stack.release_held(t.now);
  t.expect_nothing();
}

struct TcpHeldTailFull : TcpHeldTail {
  TcpHeldTailFull() : TcpHeldTail(true, 5 * kPiece) {}
};

// The ACKs that make room for its next words cannot be far.
TEST_F(TcpHeldTailFull, StaysWhileThereIsNoRoom) {
  begin_streak();
  EXPECT_EQ(t.stack.tcp_ready(id) & kWritable, 0);
  t.stack.release_held(t.now);
  t.expect_nothing();
  t.peer(". 1:1(0) ack 3001 win 20000");  // and there is room: he may have gone to do something else
  t.stack.release_held(t.now);
  t.expect("P. " + range(sent, kPiece) + " ack 1");
}

// On a long path they may be, and there may be no next words; unless some were refused.
TEST_F(TcpHeldTailFull, OnALongPathStaysForAWriterThatWasRefused) {
  t.send(id, kPiece);
  t.pass(10ms);
  t.peer(". 1:1(0) ack 1001 win 20000");
  t.take_all();
  sent = kPiece;
  EXPECT_GT(t.status(id).srtt, 500us);
  begin_streak();
  EXPECT_EQ(t.stack.tcp_ready(id) & kWritable, 0);
  t.stack.release_held(t.now);
  t.expect("P. " + range(sent, kPiece) + " ack 1");
  sent += kPiece;
  t.peer(". 1:1(0) ack 5001 win 20000");
  for (int i = 0; i < 4; ++i) t.send(id, kPiece, kMayWait);
  t.expect_nothing();
  SendRoom room;
  EXPECT_EQ(t.stack.tcp_reserve(id, kPiece, room, t.now).error(), Error::would_block);
  t.stack.release_held(t.now);
  t.expect_nothing();
}

struct TcpHeldTailPlain : TcpHeldTail {
  TcpHeldTailPlain() : TcpHeldTail(false) {}
};

// Each packet is a frame of its own there: nothing is gained.
TEST_F(TcpHeldTailPlain, NoneWhereTheDeviceTakesNoBursts) { pieces_that_go(8); }

}  // namespace
}  // namespace limpid
