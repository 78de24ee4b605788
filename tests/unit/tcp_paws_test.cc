// Protection against old duplicates by timestamps: PAWS (RFC 7323 §5), and TIME-WAIT (RFC 6191).
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// A connection whose peer's last timestamp is `stamp`.
SocketId establish(TcpDialogue& t, uint32_t stamp) {
  t.listen();
  t.peer("S 0:0(0) win 65535 mss 1460 sackOK ts " + std::to_string(stamp));
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1 ts " + std::to_string(stamp));
  return t.accept();
}

// req: 7323-5.3-a
TEST(TcpPaws, AnOlderTimestampDrawsAnAckAndNothingElse) {
  TcpDialogue t;
  const SocketId id = establish(t, 100);
  t.peer("P. 1:11(10) ack 1 ts 99");
  t.expect(". 1:1(0) ack 1 ts 0 ecr 100");
  t.expect_nothing();
  EXPECT_EQ(t.read(id), "error 1");
  EXPECT_EQ(t.count(Counter::tcp_drop_paws), 1u);
  t.peer("P. 1:11(10) ack 1 ts 100");  // the same as the last one is not older
  EXPECT_EQ(t.read(id).size(), 10u);
}

// Before the window is looked at: outside it the answer is the same, and the reason is the timestamp.
// req: 7323-5.3-a
TEST(TcpPaws, ComesBeforeTheWindow) {
  TcpDialogue t;
  establish(t, 100);
  t.peer("P. 900001:900011(10) ack 1 ts 99");
  t.expect(". 1:1(0) ack 1 ts 0 ecr 100");
  EXPECT_EQ(t.count(Counter::tcp_drop_paws), 1u);
  EXPECT_EQ(t.count(Counter::tcp_drop_unacceptable), 0u);
}

TEST(TcpPaws, AnOldAckMovesNothing) {
  TcpDialogue t;
  const SocketId id = establish(t, 100);
  t.send(id, 10);
  t.take_all();
  t.peer(". 1:1(0) ack 11 win 1 ts 99");
  EXPECT_EQ(t.status(id).send_queue, 10u);
  EXPECT_EQ(t.status(id).send_window, 65535u);
}

// req: 7323-5.3-b
TEST(TcpPaws, TimestampsAreComparedModulo32Bits) {
  TcpDialogue t;
  const SocketId id = establish(t, 0xffffffff);
  t.peer("P. 1:11(10) ack 1 ts 5");
  EXPECT_EQ(t.read(id).size(), 10u);
  t.take_all();
  t.pass(50ms);
  t.take_all();
  t.peer("P. 11:21(10) ack 1 ts 4294967295");
  t.expect(". 1:1(0) ack 11 ts 50 ecr 5");
  EXPECT_EQ(t.count(Counter::tcp_drop_paws), 1u);
}

// req: 7323-5.3-c
TEST(TcpPaws, WhatWaitedBeyondAGapIsNotCheckedAgain) {
  TcpDialogue t;
  const SocketId id = establish(t, 100);
  t.peer("P. 11:21(10) ack 1 ts 101");
  t.peer("P. 1:11(10) ack 1 ts 102");
  EXPECT_EQ(t.read(id).size(), 20u);
}

// req: 7323-5.2-a
TEST(TcpPaws, AResetIsExemptAndMovesNothing) {
  for (const char* stamp : {"", " ts 5", " ts 5000"}) {
    TcpDialogue t;
    const SocketId id = establish(t, 100);
    t.peer(std::string("R. 2:2(0) ack 1") + stamp);  // in the window, not at RCV.NXT: challenged
    t.expect(". 1:1(0) ack 1 ts 0 ecr 100");
    t.peer(std::string("R. 1:1(0) ack 1") + stamp);
    EXPECT_EQ(t.state(id), closed) << stamp;
  }
}

// req: 7323-5.5-a
TEST(TcpPaws, After24DaysOfSilenceATimestampSaysNothing) {
  TcpDialogue t;
  const SocketId id = establish(t, 100);
  t.pass(std::chrono::days{23});
  t.peer("P. 1:11(10) ack 1 ts 99");
  EXPECT_EQ(t.read(id), "error 1");
  t.pass(std::chrono::days{2});
  t.peer("P. 1:11(10) ack 1 ts 99");
  EXPECT_EQ(t.read(id).size(), 10u);
  t.peer("P. 11:21(10) ack 1 ts 98");  // from here on it counts again
  EXPECT_EQ(t.read(id), "error 1");
}

// ACKs without text are limited in rate, so that two ends whose clocks disagree do not answer each other for ever.
TEST(TcpPaws, AnswersToOldAcksAreLimited) {
  TcpDialogue t;
  establish(t, 100);
  for (int i = 0; i < 100; ++i) t.peer(". 1:1(0) ack 1 ts 50");
  EXPECT_EQ(t.take_all().size(), 1u);
}

TEST(TcpPaws, HoldsInSynReceivedToo) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) win 65535 mss 1460 ts 100");
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1 ts 99");
  t.expect(". 1:1(0) ack 1 ts 0 ecr 100");
  EXPECT_EQ(t.listed(), syn_received);
  t.peer("S 0:0(0) win 65535 mss 1460 ts 150");  // the SYN again: its newer timestamp is echoed
  t.expect("S. 0:0(0) ack 1 ts 0 ecr 150");
  t.peer(". 1:1(0) ack 1 ts 151");
  EXPECT_EQ(t.listed(), established);
}

// --- TIME-WAIT ---

// A connection in TIME-WAIT, whose last timestamp is 200 where it had any. The peer's FIN was number 1.
void reach_time_wait(TcpDialogue& t, bool stamped) {
  const auto with = [&](const std::string& words, int stamp) {
    return stamped ? words + " ts " + std::to_string(stamp) : words;
  };
  t.listen();
  t.peer(with("S 0:0(0) win 65535 mss 1460", 100));
  t.peer(with(". 1:1(0) ack 1", 100));
  const SocketId id = t.accept();
  t.stack.tcp_close(id, t.now);
  t.peer(with("F. 1:1(0) ack 2", 200));
  t.take_all();
  ASSERT_EQ(t.listed(), time_wait);
}

void expect_reopened(TcpDialogue& t, const std::string& syn) {
  const uint32_t old_isn = t.our_isn;
  t.peer(syn);
  ASSERT_EQ(t.pending(), 1u) << syn;
  EXPECT_TRUE(t.take().header.has(tcp_flag::syn)) << syn;
  EXPECT_GT(static_cast<int32_t>(t.our_isn - old_isn), 65'536);
  EXPECT_EQ(t.listed(), syn_received) << syn;
}

void expect_silence(TcpDialogue& t, const std::string& syn) {
  t.peer(syn);
  t.expect_nothing();
  EXPECT_EQ(t.listed(), time_wait) << syn;
}

// req: 6191-2-a, 9293-SHLD-4
TEST(TcpPaws, ALaterTimestampOpensAnewFromTimeWait) {
  TcpDialogue newer;
  reach_time_wait(newer, true);
  expect_reopened(newer, "S 5000:5000(0) mss 1460 ts 201");
  TcpDialogue lower_number;
  reach_time_wait(lower_number, true);
  expect_reopened(lower_number, "S -5000:-5000(0) mss 1460 ts 201");
}

// req: 6191-2-b
TEST(TcpPaws, WithAnEqualTimestampTheSequenceNumberDecides) {
  TcpDialogue t;
  reach_time_wait(t, true);
  expect_silence(t, "S 1:1(0) mss 1460 ts 200");  // the FIN's number
  expect_silence(t, "S -5000:-5000(0) mss 1460 ts 200");
  expect_reopened(t, "S 2:2(0) mss 1460 ts 200");
}

// req: 6191-2-c, 9293-MAY-2
TEST(TcpPaws, WithoutATimestampTheSequenceNumberDecides) {
  TcpDialogue t;
  reach_time_wait(t, true);
  expect_silence(t, "S -5000:-5000(0) mss 1460");
  expect_reopened(t, "S 5000:5000(0) mss 1460");
}

// req: 6191-2-d
TEST(TcpPaws, ATimestampAfterAConnectionWithoutOpensAnew) {
  TcpDialogue t;
  reach_time_wait(t, false);
  expect_reopened(t, "S -5000:-5000(0) mss 1460 ts 1");
}

// req: 6191-2-e
TEST(TcpPaws, AnOldSynMeetsSilenceInTimeWait) {
  TcpDialogue t;
  reach_time_wait(t, true);
  expect_silence(t, "S 5000:5000(0) mss 1460 ts 199");
  expect_silence(t, "S -5000:-5000(0) mss 1460 ts 199");
}

// If we would not agree on timestamps any more, they say nothing.
TEST(TcpPaws, TimestampsThatWeWouldNotUseDecideNothing) {
  Config config;
  config.tcp.offer_timestamps = false;
  TcpDialogue t(config);
  reach_time_wait(t, true);
  t.peer("S -5000:-5000(0) mss 1460 ts 201");
  t.expect(". 2:2(0) ack 2");  // RFC 5961 §4.2
  EXPECT_EQ(t.listed(), time_wait);
  expect_reopened(t, "S 5000:5000(0) mss 1460 ts 1");
}

TEST(TcpPaws, TimeWaitsAnswersAreStampedAndOldSegmentsRefused) {
  TcpDialogue t;
  reach_time_wait(t, true);
  t.pass(10ms);
  t.peer("F. 1:1(0) ack 2 ts 250");  // the FIN again
  t.expect(". 2:2(0) ack 2 ts 10 ecr 250");
  t.peer("F. 1:1(0) ack 2 ts 249");
  t.expect(". 2:2(0) ack 2 ts 10 ecr 250");
  EXPECT_EQ(t.count(Counter::tcp_drop_paws), 1u);
}

// The same two endpoints keep their clock, so that the next connection of theirs is later than the last.
TEST(TcpPaws, OurClockGoesOnFromOneConnectionToTheNext) {
  TcpDialogue t;
  reach_time_wait(t, true);
  const uint32_t clock = t.our_clock;
  t.pass(100ms);
  t.peer("S 5000:5000(0) mss 1460 ts 300");
  EXPECT_EQ(t.take().header.options.timestamps->value, clock + 100);
}

}  // namespace
}  // namespace limpid
