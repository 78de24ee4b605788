// When we acknowledge: RFC 9293 §3.8.6.3, RFC 5681 §4.2.
#include "stack/base/rng.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

std::string text(int64_t from, int64_t n) {
  return ". " + std::to_string(from) + ":" + std::to_string(from + n) + "(" + std::to_string(n) + ") ack 1";
}

// req: 9293-SHLD-18, 9293-MUST-40
TEST(TcpDelayedAck, ASmallSegmentWaitsLessThanHalfASecond) {
  TcpDialogue t;
  t.establish_passively();
  // The first text of a peer is as large as any it has sent: two of its like are awaited.
  t.peer(text(1, 10));
  t.expect_nothing();
  t.pass(39ms);
  t.expect_nothing();
  t.pass(1ms);
  t.expect(". 1:1(0) ack 11");
  t.pass(10s);
  t.expect_nothing();
}

// req: 9293-SHLD-18
TEST(TcpDelayedAck, RidesOnAReply) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(text(1, 10));
  t.send(id, 5);
  t.expect("P. 1:6(5) ack 11");
  t.pass(100ms);
  t.expect_nothing();
}

// req: 9293-SHLD-19
TEST(TcpDelayedAck, EverySecondFullSegmentIsAcknowledgedAtOnce) {
  TcpDialogue t;
  t.establish_passively();
  for (int i = 0; i < 10; ++i) t.peer(text(1 + 1460 * i, 1460));
  EXPECT_EQ(t.take_words(), (std::vector<std::string>{". 1:1(0) ack 2921", ". 1:1(0) ack 5841", ". 1:1(0) ack 8761",
                                                      ". 1:1(0) ack 11681", ". 1:1(0) ack 14601"}));
}

// req: 9293-SHLD-19
TEST(TcpDelayedAck, SmallSegmentsCountByTheirOctets) {
  TcpDialogue t;
  t.establish_passively();
  t.peer(text(1, 1000));
  t.peer(text(1001, 1000));
  t.expect(". 1:1(0) ack 2001");
  for (int i = 0; i < 19; ++i) t.peer(text(2001 + 100 * i, 100));
  t.expect_nothing();
  t.peer(text(3901, 100));
  t.expect(". 1:1(0) ack 4001");
}

// As Linux: it is no state, but sends what waits, and ends the waiting for answers until there is one again.
TEST(TcpDelayedAck, QuickAckSendsWhatWaitsNow) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(text(1, 10));
  t.expect_nothing();
  TcpOptions o;
  o.quick_ack = o.quick_ack_set = true;
  ASSERT_TRUE(t.stack.tcp_set_options(id, o, t.now));
  t.expect(". 1:1(0) ack 11");
  t.peer(text(11, 10));
  t.expect_nothing();
}

// One ACK for a batch, and not strictly for every second segment of it: docs/deviations.md.
// req: 9293-MUST-58, 5681-4.2-a
TEST(TcpBatch, TenSegmentsInOneGoAreAcknowledgedTogether) {
  TcpDialogue t;
  t.establish_passively();
  std::vector<std::string> batch;
  for (int i = 0; i < 10; ++i) batch.push_back(text(1 + 1460 * i, 1460));
  t.peer_batch(batch);
  t.expect(". 1:1(0) ack 14601");
  t.expect_nothing();
}

// req: 9293-MUST-59
TEST(TcpBatch, AllThatCameIsLookedAtBeforeTheAck) {
  TcpDialogue t;
  t.establish_passively();
  t.peer(text(1001, 1000));
  t.expect(". 1:1(0) ack 1");
  t.peer_batch({text(1, 1000), text(2001, 1000), text(3001, 1000)});
  t.expect(". 1:1(0) ack 4001");
  t.expect_nothing();
}

// req: 9293-SHLD-31, 9293-MAY-13, 5681-3.2-a
TEST(TcpOutOfOrder, IsHeldAndAnsweredWithADuplicateAckAtOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(text(11, 5));
  t.expect(". 1:1(0) ack 1");
  t.peer(text(6, 5));
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.status(id).out_of_order, 10u);
  EXPECT_EQ(t.read(id), "error 1");
  t.peer(text(1, 5));
  t.expect(". 1:1(0) ack 16");
  EXPECT_EQ(t.read(id), "abcdefghijklmno");
}

// req: 5681-3.2-b
TEST(TcpOutOfOrder, WhatFillsAGapOrAPartOfItIsAcknowledgedAtOnce) {
  TcpDialogue t;
  t.establish_passively();
  t.peer(text(3001, 1000));
  t.expect(". 1:1(0) ack 1");
  t.peer(text(1, 1000));  // a part: the gap's left end
  t.expect(". 1:1(0) ack 1001");
  t.peer(text(1001, 2000));
  t.expect(". 1:1(0) ack 4001");
}

TEST(TcpOutOfOrder, OldTextIsAcknowledgedAgain) {
  TcpDialogue t;
  t.establish_passively();
  t.peer(text(1, 10));
  t.pass(40ms);
  t.expect(". 1:1(0) ack 11");
  t.peer(text(1, 10));
  t.expect(". 1:1(0) ack 11");
}

// req: 5681-4.2-a
TEST(TcpAcks, NeverMoreThanSegmentsOverAMixedTrace) {
  Rng rng(9);
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  size_t came = 0;
  size_t acks = 0;
  for (int step = 0; step < 5000; ++step) {
    const auto from = static_cast<int64_t>(1 + t.status(id).bytes_received + rng.below(4) * 500);
    t.peer(text(rng.chance(100'000) ? 1 : from, 500));
    ++came;
    t.pass(Duration{std::chrono::milliseconds(rng.below(30))});
    acks += t.take_all().size();
    ASSERT_LE(acks, came);
    if (t.status(id).receive_queue > 30'000) {
      t.read(id);
      t.take_all();  // window updates
    }
  }
}

// req: ATK-segsmack
TEST(TcpOutOfOrder, ManyTinySegmentsAtOddPlacesCostBoundedMemory) {
  TcpDialogue t;
  TcpOptions o;
  o.receive_buffer = 65'536;
  const SocketId id = t.establish_passively(o);
  for (int64_t i = 0; i < 10'000; ++i) t.peer(text(3 + 2 * ((i * 7919) % 30'000), 1));
  EXPECT_LE(t.status(id).memory, 6u * 65'536u);
  EXPECT_EQ(t.status(id).bytes_received, 0u);
  t.peer(text(1, 1000));
  EXPECT_GE(t.status(id).bytes_received, 1000u);
}

}  // namespace
}  // namespace limpid
