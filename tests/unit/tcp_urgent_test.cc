// Urgent data: RFC 9293 §3.8.5 with RFC 6093: the pointer leads one past the urgent octet, of which there is one.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// req: 9293-MUST-30, 9293-MUST-62
TEST(TcpUrgentReceived, TheOctetLeavesTheStreamAndIsReadByItself) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("PU. 1:6(5) ack 1 urg 5");
  EXPECT_EQ(t.raised(id) & kUrgent, kUrgent);
  t.peer("P. 6:11(5) ack 1");
  EXPECT_EQ(t.read_urgent(id, true), "e");
  EXPECT_EQ(t.read_urgent(id), "e");
  EXPECT_EQ(t.read(id), "abcd");  // a read stops at the mark
  EXPECT_EQ(t.read(id), "fghij");
}

TEST(TcpUrgentReceived, AReadStopsAtTheMarkAndTheOctetIsNotPartOfTheStream) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("PU. 1:11(10) ack 1 urg 3");
  EXPECT_EQ(t.stack.tcp_readable_bytes(id), 2u);
  EXPECT_EQ(t.read(id), "ab");
  EXPECT_EQ(t.read(id), "defghij");
  EXPECT_EQ(t.read_urgent(id), "c");  // still there for who asks
}

TEST(TcpUrgentReceived, InlineItStaysInTheStream) {
  TcpDialogue t;
  TcpOptions o;
  o.urgent_inline = true;
  const SocketId id = t.establish_passively(o);
  t.peer("PU. 1:6(5) ack 1 urg 3");
  EXPECT_EQ(t.raised(id) & kUrgent, kUrgent);
  EXPECT_EQ(t.read_urgent(id), "error 19");
  EXPECT_EQ(t.read(id), "abcde");
}

TEST(TcpUrgentReceived, ThePointerMayComeBeforeItsOctet) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("U. 1:1(0) ack 1 urg 5");
  EXPECT_EQ(t.raised(id) & kUrgent, kUrgent);
  EXPECT_EQ(t.read_urgent(id), "error 1");  // promised, not here yet
  t.peer("PU. 1:6(5) ack 1 urg 5");
  EXPECT_EQ(t.raised(id) & kUrgent, 0);  // no news
  EXPECT_EQ(t.read_urgent(id), "e");
}

// The pointer counts from the segment's own sequence number: what is cut off at the left does not move it.
TEST(TcpUrgentReceived, ThePointerOfASegmentThatIsHalfOldLeadsToTheSameOctet) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:6(5) ack 1");
  t.peer("PU. 1:9(8) ack 1 urg 7");
  t.peer("P. 9:15(6) ack 1");
  EXPECT_EQ(t.read_urgent(id), "g");
  EXPECT_EQ(t.read(id), "abcdef");
  EXPECT_EQ(t.read(id), "hijklmn");
}

// An octet that came as ordinary text stays ordinary text: nothing is taken out of a stream behind its reader's back.
TEST(TcpUrgentReceived, APointerToTextThatCameBeforeIsIgnored) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:6(5) ack 1");
  t.raised(id);
  t.peer("U. 6:6(0) ack 1 urg 0");
  t.peer("PU. 4:6(2) ack 1 urg 1");
  t.peer("PU. 4:8(4) ack 1 urg 1");  // new text with an old pointer
  EXPECT_EQ(t.raised(id) & kUrgent, 0);
  EXPECT_EQ(t.read(id), "abcdefg");
}

TEST(TcpUrgentReceived, ANewerMarkPutsAnUnreadOctetBackIntoTheStream) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("PU. 1:4(3) ack 1 urg 2");
  t.peer("PU. 4:8(4) ack 1 urg 3");
  EXPECT_EQ(t.read_urgent(id), "f");
  EXPECT_EQ(t.read(id), "abcde");
  EXPECT_EQ(t.read(id), "g");
}

// The mark lies far ahead, several segments; until the reader has come to it there is urgent text.
// req: 9293-MUST-31, 9293-MUST-33
TEST(TcpUrgentReceived, TheMarkMayLieFarAheadAndIsThereUntilItIsReached) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  for (int64_t from = 1; from < 6001; from += 1000)
    t.peer("U. " + std::to_string(from) + ":" + std::to_string(from + 1000) + "(1000) ack 1 urg " +
           std::to_string(from < 5001 ? 5001 - from : 0));
  t.take_all();
  size_t got = 0;
  while (got < 4999) {
    EXPECT_EQ(t.stack.tcp_ready(id) & kUrgent, kUrgent) << got;
    EXPECT_FALSE(t.status(id).at_urgent_mark) << got;
    got += t.read(id, 700).size();
  }
  EXPECT_EQ(got, 4999u);  // a read stops before the urgent octet, the 5000th
  EXPECT_TRUE(t.status(id).at_urgent_mark);
  EXPECT_EQ(t.read(id).size(), 1000u);
  EXPECT_FALSE(t.status(id).at_urgent_mark);
  EXPECT_EQ(t.stack.tcp_ready(id) & kUrgent, 0);
}

// req: 9293-MUST-32
TEST(TcpUrgentReceived, TheUserIsToldOfTheMarkAndWheneverItMovesOn) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.raised(id);
  t.peer("U. 1:101(100) ack 1 urg 500");
  EXPECT_EQ(t.raised(id) & kUrgent, kUrgent);
  t.peer("U. 101:201(100) ack 1 urg 400");  // the same octet
  EXPECT_EQ(t.raised(id) & kUrgent, 0);
  t.peer("U. 201:301(100) ack 1 urg 900");
  EXPECT_EQ(t.raised(id) & kUrgent, kUrgent);
  t.peer("U. 301:401(100) ack 1 urg 200");  // and not back
  EXPECT_EQ(t.raised(id) & kUrgent, 0);
}

// req: 9293-MUST-66
TEST(TcpUrgentReceived, IsToldWhenTheWindowIsZero) {
  TcpDialogue t;
  TcpOptions o;
  o.receive_buffer = 1000;
  const SocketId id = t.establish_passively(o);
  t.peer("P. 1:1001(1000) ack 1");
  t.pass(1s);
  t.expect(". 1:1(0) ack 1001 win 0");
  t.raised(id);
  t.peer("U. 1001:1002(1) ack 1 urg 300");
  EXPECT_EQ(t.raised(id) & kUrgent, kUrgent);
  t.expect(". 1:1(0) ack 1001 win 0");
}

// req: ATK-urgptr
TEST(TcpUrgentReceived, StrangePointersHarmNothing) {
  for (const char* segment :
       {"U. 1:1(0) ack 1 urg 0", "U. 1:2(1) ack 1 urg 0", "U. 1:1(0) ack 1 urg 65535", "U. 1:2(1) ack 1 urg 65535",
        "FU. 1:1(0) ack 1 urg 65535", "FU. 1:2(1) ack 1 urg 1", "SU 0:0(0) urg 65535", "U. 65000:65001(1) ack 1 urg 9",
        "U. 0:3(3) ack 1 urg 1", "PU. 1:2(1) ack 1 urg 2"}) {
    for (bool inline_too : {false, true}) {
      TcpDialogue t;
      TcpOptions o;
      o.urgent_inline = inline_too;
      const SocketId id = t.establish_passively(o);
      t.peer(segment);
      (void)t.read_urgent(id);
      (void)t.read(id, 1);
      t.peer("P. 1:11(10) ack 1");
      for (int i = 0; i < 20; ++i) (void)t.read(id, 3);
      (void)t.read_urgent(id);
      EXPECT_EQ(t.status(id).receive_queue, 0u) << segment;
    }
  }
}

// req: ATK-urgptr
TEST(TcpUrgentReceived, OnASynItMeansNothing) {
  TcpDialogue t;
  t.listen();
  t.peer("SU 0:0(0) mss 1460 urg 65535");
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1");
  const SocketId id = t.accept();
  t.peer("P. 1:11(10) ack 1");
  EXPECT_EQ(t.read(id), "abcdefghij");
}

// req: 9293-MUST-30, 9293-MUST-62
TEST(TcpUrgentSent, SegmentsUpToTheOctetCarryThePointerOnePastIt) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 2500, {.urgent = true});
  for (int64_t from : {1, 1001}) {
    const auto s = t.take();
    EXPECT_TRUE(s.header.has(tcp_flag::urg));
    EXPECT_EQ(from + s.header.urgent_pointer, 2501);
  }
  const auto last = t.take();  // Nagle does not hold back what is urgent
  EXPECT_EQ(last.words, "PU. 2001:2501(500) ack 1");
  EXPECT_EQ(last.header.urgent_pointer, 500);
  t.send(id, 1000);
  const auto after = t.take();
  EXPECT_FALSE(after.header.has(tcp_flag::urg));
  EXPECT_EQ(after.header.urgent_pointer, 0);
}

}  // namespace
}  // namespace limpid
