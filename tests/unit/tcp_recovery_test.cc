// Loss recovery with SACK, segment by segment: RACK-TLP (RFC 8985) and F-RTO (RFC 5682).
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

// Established with SACK, a round trip of 100 ms measured, and ten segments of 1000 octets in flight: 1001:11001.
struct Flow {
  Flow() : id(t.establish_passively({}, "win 65535 mss 1000 sackOK")) {
    t.send(id, 1000);
    t.pass(100ms);
    t.peer(". 1:1(0) ack 1001");
    t.take_all();
  }
  void fill(size_t bytes) {
    t.send(id, bytes);
    t.take_all();
  }
  TcpDialogue t;
  SocketId id;
};

// Three segments SACKed, and no reordering was ever seen: the first is lost at once.
// req: 8985-6.2-c
TEST(TcpRack, ThreeSackedSegmentsNeedNoWaiting) {
  Flow f;
  f.fill(10'000);
  f.t.pass(100ms);
  f.t.peer(". 1:1(0) ack 1001 sack 2001:5001");
  f.t.expect(". 1001:2001(1000) ack 1");
  EXPECT_TRUE(f.t.status(f.id).in_recovery);
}

// One segment SACKed and then silence: the reordering timer, a quarter of the round trip, not the RTO.
// req: 8985-6.2-a, 8985-6.2-d
TEST(TcpRack, TheReorderingTimerNeedsNoFurtherAck) {
  Flow f;
  f.fill(2000);
  f.t.pass(100ms);
  f.t.peer(". 1:1(0) ack 1001 sack 2001:3001");
  f.t.expect_nothing();
  f.t.pass(24ms);
  f.t.expect_nothing();
  f.t.pass(2ms);
  f.t.expect(". 1001:2001(1000) ack 1");
  EXPECT_EQ(f.t.count(Counter::tcp_timeouts), 0u);
}

// The tail of a flight is lost: one probe at twice the round trip, of the last segment; then the timer.
// req: 8985-7.2-a, 8985-7.3-a, 8985-7.3-b, 8985-7.3-c
TEST(TcpTailLossProbe, TheLastSegmentGoesAgainBeforeTheTimerExpires) {
  Flow f;
  f.fill(3000);
  f.t.pass(201ms);
  f.t.expect_nothing();
  f.t.pass(2ms);
  f.t.expect("P. 3001:4001(1000) ack 1");
  EXPECT_EQ(f.t.count(Counter::tcp_timeouts), 0u);
  f.t.pass(2s);
  f.t.expect(". 1001:2001(1000) ack 1");
  EXPECT_GE(f.t.count(Counter::tcp_timeouts), 1u);
}

}  // namespace
}  // namespace limpid
