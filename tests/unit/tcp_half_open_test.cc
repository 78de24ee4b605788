// SYN-RECEIVED in the listener's queue (RFC 9293 §3.10.7.4): what is refused there leaves the entry as it was, and the
// true peer's ACK still opens the connection.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// One entry in SYN-RECEIVED, with timestamps: the peer's SYN said 100.
struct HalfOpened : TcpDialogue {
  explicit HalfOpened(const Config& c = {}) : TcpDialogue(c) {
    listener = listen();
    peer("S 0:0(0) mss 1460 ts 100");
    expect("S. 0:0(0) ack 1");
  }
  void opens_still() {
    EXPECT_EQ(listed(), syn_received);
    peer(". 1:1(0) ack 1 ts 101 ecr 0");
    EXPECT_EQ(state(accept()), established);
    expect_nothing();
  }
  SocketId listener;
};

// RFC 7323 §5.3.
TEST(TcpHalfOpen, AnOlderStampDrawsAnAckAndIsNotTaken) {
  HalfOpened t;
  t.peer("P. 1:6(5) ack 1 ts 99 ecr 0");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.count(Counter::tcp_drop_paws), 1u);
  EXPECT_EQ(t.count(Counter::tcp_challenge_acks), 1u);
  t.opens_still();
}

// RFC 7323 §3.2: where both stamp, what comes without one is dropped, but for a RST.
TEST(TcpHalfOpen, AnUnstampedSegmentIsDroppedAndAnUnstampedResetIsNot) {
  Config c;
  c.tcp.require_timestamps = true;
  HalfOpened t(c);
  t.peer(". 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.count(Counter::tcp_drop_unstamped), 1u);
  EXPECT_EQ(t.listed(), syn_received);
  t.peer("R 1:1(0)");
  EXPECT_EQ(t.listed(), closed);
}

// req: 5961-7-a
TEST(TcpHalfOpen, ChallengesAreBoundedOverTheWholeStackAndTheRefusalsCounted) {
  Config c;
  c.tcp.challenge_acks_per_second = 0;
  HalfOpened t(c);
  t.peer("S 5:5(0) ts 101");
  t.peer("R 5:5(0)");
  t.peer(". 1:1(0) ack 1 ts 99 ecr 0");
  t.expect_nothing();
  EXPECT_EQ(t.count(Counter::tcp_challenge_acks), 0u);
  EXPECT_EQ(t.count(Counter::tcp_challenge_acks_limited), 3u);
  t.opens_still();
}

// What is no answer to our SYN,ACK's number, or says only that the packet was too large, is nobody's refusal.
// req: 5927-5.2-a
TEST(TcpHalfOpen, OnlyAnErrorThatQuotesOurSynAckEndsIt) {
  HalfOpened t;
  t.peer_icmp(3, 1, 1);
  t.peer_icmp(3, 4, 0, 576);
  t.peer_icmp(11, 0, 0);
  EXPECT_EQ(t.listed(), syn_received);
  t.peer_icmp(3, 1, 0);
  EXPECT_EQ(t.listed(), closed);
  t.pass(100s);
  t.expect_nothing();
}

TEST(TcpHalfOpen, WithoutRoomForAConnectionTheAckComesTooEarly) {
  Config c;
  c.tcp.max_connections = 1;
  TcpDialogue t(c);
  const SocketId other = t.stack.tcp_connect({TcpDialogue::kPeer, 9}, {}, {}, t.now).value();
  t.take_all();
  t.listen();
  t.peer("S 0:0(0) mss 1460");
  t.our_isn = t.take().header.sequence;
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.count(Counter::tcp_drop_accept_queue_full), 1u);
  t.expect_nothing();
  t.stack.tcp_abort(other, t.now);
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(t.accept()), established);
}

// What the peer has ended already needs no RST when its listener closes; what stands gets one (as on Linux).
TEST(TcpHalfOpen, AListenerThatClosesResetsWhatStandsInItsQueueAndNotWhatIsOver) {
  for (const bool over : {false, true}) {
    HalfOpened t;
    t.peer(". 1:1(0) ack 1 ts 101 ecr 0");
    if (over) t.peer("R 1:1(0)");
    t.stack.tcp_close(t.listener, t.now);
    if (!over) t.expect("R. 1:1(0) ack 1");
    t.expect_nothing();
    EXPECT_TRUE(t.stack.tcp_list().empty());
  }
}

}  // namespace
}  // namespace limpid
