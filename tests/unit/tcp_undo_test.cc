// Retransmissions that were not needed: F-RTO (RFC 5682), Eifel (RFC 3522, 4015) and D-SACK (RFC 2883, 3708) find out,
// and give the window back.
#include "tests/unit/recovery_flow.h"

namespace limpid {
namespace {

constexpr const char* kPlain = "win 65535 mss 1000";
constexpr const char* kSack = "win 65535 mss 1000 sackOK";
constexpr const char* kStamped = "win 65535 mss 1012 sackOK ts 1";

Config without_probes() {  // so that a silence ends in a timeout
  Config c;
  c.tcp.tail_loss_probe = false;
  return c;
}

// --- F-RTO: the path was only slow
// ------------------------------------------------------------------------------------------------

// The ACKs of the originals come after the timer: two new segments for the first ACK, and the second says that the
// timeout was for nothing. One segment was sent twice, no more.
// req: 5682-2.1-a
TEST(TcpFrto, TwoAcksThatMoveOnMakeATimeoutSpurious) {
  for (const char* peer : {kPlain, kSack}) {
    RecoveryFlow f(peer, without_probes());
    f.fill(20'000);
    const uint32_t cwnd = f.status().cwnd;
    f.t.pass(f.status().rto);
    f.t.expect(". 1001:2001(1000) ack 1");
    EXPECT_EQ(f.status().cwnd, 1000u);
    EXPECT_EQ(f.ack(2001), (Words{". 11001:12001(1000) ack 1", ". 12001:13001(1000) ack 1"})) << peer;
    f.ack(3001);
    EXPECT_FALSE(f.status().in_loss) << peer;
    EXPECT_GE(f.status().cwnd, cwnd) << peer;
    EXPECT_EQ(f.status().ssthresh, UINT32_MAX) << peer;
    EXPECT_EQ(f.status().total_retransmits, 1u) << peer;
  }
}

// The first ACK moves on, the second is a duplicate: new text found a hole, so the loss was real.
// req: 5682-2.1-a
TEST(TcpFrto, ADuplicateForTheSecondAckMeansThatTheLossWasReal) {
  for (const char* peer : {kPlain, kSack}) {
    RecoveryFlow f(peer, without_probes());
    f.fill(20'000);
    f.t.pass(f.status().rto);
    f.t.take_all();
    f.ack(2001);
    const Words again = f.ack(2001, peer == kSack ? "sack 11001:12001" : "");
    ASSERT_FALSE(again.empty()) << peer;
    EXPECT_EQ(again[0], ". 2001:3001(1000) ack 1") << peer;
    EXPECT_TRUE(f.status().in_loss) << peer;
  }
}

// req: 5682-2.1-a
TEST(TcpFrto, ADuplicateForTheFirstAckMeansThatTheLossWasReal) {
  RecoveryFlow f(kPlain, without_probes());
  f.fill(20'000);
  f.t.pass(f.status().rto);
  f.t.take_all();
  f.ack(1001);
  EXPECT_EQ(f.ack(2001), (Words{". 2001:3001(1000) ack 1", ". 3001:4001(1000) ack 1"}));  // as in any slow start
  EXPECT_TRUE(f.status().in_loss);
}

// Nothing new to send: the ordinary way.
// req: 5682-2.1-a
TEST(TcpFrto, WithoutNewTextItIsNotTried) {
  RecoveryFlow f(kPlain, without_probes());
  f.fill(4000);
  f.t.pass(f.status().rto);
  f.t.take_all();
  EXPECT_EQ(f.ack(2001), (Words{". 2001:3001(1000) ack 1", ". 3001:4001(1000) ack 1"}));
}

// In fast recovery the holes are known: a timeout there is believed.
// req: 5682-3.1-a
TEST(TcpFrto, IsNotTriedWhenFastRecoveryHadBegun) {
  RecoveryFlow f(kSack, without_probes());
  f.fill(20'000);
  f.t.pass(100ms);
  f.ack(1001, "sack 3001:6001");
  EXPECT_TRUE(f.status().in_recovery);
  f.t.pass(f.status().rto);
  f.t.take_all();
  EXPECT_TRUE(f.status().in_loss);
  const Words next = f.ack(2001, "sack 3001:6001");
  ASSERT_FALSE(next.empty());
  EXPECT_EQ(next[0], ". 2001:3001(1000) ack 1");  // what is missing, and no new text first
}

TEST(TcpFrto, CanBeSwitchedOff) {
  Config c = without_probes();
  c.tcp.frto = false;
  RecoveryFlow f(kPlain, c);
  f.fill(20'000);
  f.t.pass(f.status().rto);
  f.t.take_all();
  EXPECT_EQ(f.ack(2001), (Words{". 2001:3001(1000) ack 1", ". 3001:4001(1000) ack 1"}));
}

// --- Eifel: the echoed stamp is older than the retransmission
// ------------------------------------------------------------------

// RFC 3522 §3.2.
TEST(TcpEifel, AnAckThatEchoesTheOriginalUndoesATimeout) {
  for (bool of_the_original : {true, false}) {
    RecoveryFlow f(kStamped, without_probes());
    f.t.send(f.id, 4000);
    const auto original = f.t.take().header.options.timestamps;
    ASSERT_TRUE(original.has_value());
    f.t.take_all();
    const uint32_t cwnd = f.status().cwnd;
    f.t.pass(f.status().rto);
    const auto again = f.t.take().header.options.timestamps;
    ASSERT_TRUE(again.has_value());
    f.t.pass(50ms);
    const uint32_t echo = (of_the_original ? original : again)->value - f.t.our_clock;
    f.t.peer(". 1:1(0) ack 2001 ts 2 ecr " + std::to_string(echo));
    EXPECT_EQ(f.status().in_loss, !of_the_original);
    EXPECT_EQ(f.t.take_all().empty(), of_the_original);  // nothing more goes again, or the next two do
    if (of_the_original) {
      EXPECT_GE(f.status().cwnd, cwnd);
      EXPECT_EQ(f.status().ssthresh, UINT32_MAX);
    }
  }
}

TEST(TcpEifel, AnAckThatEchoesTheOriginalUndoesAFastRetransmit) {
  RecoveryFlow f(kStamped);
  f.t.send(f.id, 10'000);
  const uint32_t echo = f.t.take().header.options.timestamps->value - f.t.our_clock;
  f.t.take_all();
  const uint32_t cwnd = f.status().cwnd;
  f.t.pass(100ms);
  f.t.peer(". 1:1(0) ack 1001 ts 2 ecr " + std::to_string(echo) + " sack 2001:5001");
  EXPECT_TRUE(f.status().in_recovery);
  f.t.take_all();
  f.t.peer(". 1:1(0) ack 11001 ts 3 ecr " + std::to_string(echo));  // it was only late
  EXPECT_FALSE(f.status().in_recovery);
  EXPECT_GE(f.status().cwnd, cwnd);
  EXPECT_EQ(f.status().ssthresh, UINT32_MAX);
}

// The ACK of a part is enough, once nothing that was sent again is under way: its own ACK would look like a loss.
// RFC 3522 §3.2.
TEST(TcpEifel, APartialAckThatEchoesTheOriginalUndoesAFastRetransmit) {
  for (const bool of_the_original : {true, false}) {
    RecoveryFlow f(kStamped);
    f.t.send(f.id, 10'000);
    const uint32_t original = f.t.take().header.options.timestamps->value - f.t.our_clock;
    f.t.take_all();
    const uint32_t cwnd = f.status().cwnd;
    f.t.pass(100ms);
    f.t.peer(". 1:1(0) ack 1001 ts 2 ecr " + std::to_string(original) + " sack 3001:6001");
    ASSERT_TRUE(f.status().in_recovery);
    const auto again = f.t.take_all();
    ASSERT_FALSE(again.empty());
    ASSERT_EQ(again[0].words, ". 1001:2001(1000) ack 1");
    const uint32_t later = again[0].header.options.timestamps->value - f.t.our_clock;
    f.t.pass(50ms);
    const std::string echo = std::to_string(of_the_original ? original : later);
    f.t.peer(". 1:1(0) ack 6001 ts 3 ecr " + echo);  // of 11001: still a part
    EXPECT_EQ(f.status().in_recovery, !of_the_original);
    if (of_the_original) {
      EXPECT_GE(f.status().cwnd, cwnd);
      EXPECT_EQ(f.status().ssthresh, UINT32_MAX);
    } else {
      EXPECT_LT(f.status().ssthresh, cwnd);
    }
  }
}

// --- D-SACK: the receiver had it already
// ------------------------------------------------------------------------------------------

// req: 2883-4.3-a
TEST(TcpDsack, AllThatWasResentCameTwiceAndTheReductionIsUndone) {
  RecoveryFlow f;
  f.fill(10'000);
  const uint32_t cwnd = f.status().cwnd;
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 2001:5001"), Words{". 1001:2001(1000) ack 1"});
  f.ack(5001);  // the first came after all
  EXPECT_TRUE(f.status().in_recovery);
  f.t.pass(100ms);
  f.ack(5001, "sack 1001:2001");
  EXPECT_FALSE(f.status().in_recovery);
  EXPECT_GE(f.status().cwnd, cwnd);
  EXPECT_EQ(f.status().ssthresh, UINT32_MAX);
}

// Two were resent and one came twice: the other was lost.
TEST(TcpDsack, OneOfTwoIsNoProof) {
  RecoveryFlow f;
  f.fill(10'000);
  f.t.pass(100ms);
  f.ack(1001, "sack 3001:6001");
  f.t.pass(10ms);
  f.ack(1001, "sack 3001:8001");
  EXPECT_EQ(f.status().total_retransmits, 2u);
  f.ack(11'001);
  f.ack(11'001, "sack 1001:2001");
  EXPECT_LT(f.status().ssthresh, 10'000u);
}

// A report of what was never sent again: the path made two of it, and of our retransmission it says nothing.
TEST(TcpDsack, OfWhatWasSentOnceProvesNothing) {
  RecoveryFlow f;
  f.fill(10'000);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 2001:5001"), Words{". 1001:2001(1000) ack 1"});
  f.ack(1001, "sack 3001:4001 2001:5001");
  EXPECT_TRUE(f.status().in_recovery);
  f.ack(11'001);
  EXPECT_LT(f.status().ssthresh, 10'000u);
}

// Of a retransmission beyond a hole that is still open it counts, and the hole's own report is the last that was
// missing. req: 2883-4.3-a
TEST(TcpDsack, BeyondAnOpenHoleItCountsToo) {
  RecoveryFlow f;
  f.fill(10'000);
  const uint32_t cwnd = f.status().cwnd;
  f.t.pass(100ms);
  f.ack(1001, "sack 4001:8001 2001:3001");
  f.t.pass(30ms);
  f.ack(1001, "sack 4001:9001 2001:3001");
  f.t.pass(30ms);
  EXPECT_EQ(f.status().total_retransmits, 2u) << "1001 and 3001";
  f.ack(1001, "sack 2001:9001");            // the second hole's original was only late
  f.ack(1001, "sack 3001:4001 2001:9001");  // and here is its retransmission
  EXPECT_TRUE(f.status().in_recovery) << "one of two";
  f.ack(9001);
  f.ack(9001, "sack 1001:2001");
  EXPECT_FALSE(f.status().in_recovery);
  EXPECT_GE(f.status().cwnd, cwnd);
  EXPECT_EQ(f.status().ssthresh, UINT32_MAX);
}

// The same holds after a timeout, also when the report comes after it is over.
TEST(TcpDsack, UndoesATimeoutToo) {
  RecoveryFlow f(kSack, without_probes());
  f.fill(1000);
  const uint32_t cwnd = f.status().cwnd;
  f.t.pass(f.status().rto);
  f.t.expect("P. 1001:2001(1000) ack 1");
  f.ack(2001);
  EXPECT_LT(f.status().cwnd, cwnd);
  f.ack(2001, "sack 1001:2001");
  EXPECT_GE(f.status().cwnd, cwnd);
  EXPECT_EQ(f.status().ssthresh, UINT32_MAX);
}

// Each duplicate widens the reordering window by a quarter of the round trip (RFC 8985 §6.2 step 4).
// req: 8985-6.2-c
TEST(TcpDsack, MakesUsWaitLongerForWhatMayOnlyBeLate) {
  RecoveryFlow f;
  f.fill(2000);
  f.t.pass(100ms);
  f.ack(1001, "sack 2001:3001");
  f.t.pass(26ms);
  f.t.expect(". 1001:2001(1000) ack 1");
  f.ack(3001);
  f.ack(3001, "sack 1001:2001");
  f.fill(2000);
  f.t.pass(100ms);
  f.ack(3001, "sack 4001:5001");
  f.t.pass(49ms);
  f.t.expect_nothing();
  f.t.pass(2ms);
  f.t.expect(". 3001:4001(1000) ack 1");
}

}  // namespace
}  // namespace limpid
