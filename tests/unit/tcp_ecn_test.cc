// Explicit Congestion Notification (RFC 3168), both roles. Flags: E is ECE, W is CWR.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

constexpr uint8_t kNotEct = 0, kEct0 = 2;

Config with(EcnMode mode) {
  Config config;
  config.tcp.ecn = mode;
  config.tcp.congestion = CongestionChoice::reno;
  return config;
}

uint8_t ecn_of(const TcpDialogue::Sent& s) { return s.ip.tos & 3; }

// Established with ECN, the peer having opened.
struct Marked {
  explicit Marked(const TcpOptions& options = {}) : t(with(EcnMode::passive)) {
    t.listen(options);
    t.peer("SEW 0:0(0) win 65535 mss 1000");
    t.expect("SE. 0:0(0) ack 1");
    t.peer(". 1:1(0) ack 1");
    id = t.accept();
  }
  // Ten segments under way and more to send.
  void fill() {
    t.send(id, 200'000);
    EXPECT_EQ(t.take_all().size(), 10u);
  }
  TcpDialogue t;
  SocketId id;
};

// --- setting up (§6.1.1)
// -------------------------------------------------------------------------------------------------

// req: 3168-6.1.1-a, 3168-6.1.1-b, 3168-6.1.1-c
TEST(TcpEcn, ASynAckAgreesOnlyToBothFlagsAndIfWeWantIt) {
  for (const auto mode : {EcnMode::off, EcnMode::on, EcnMode::passive}) {
    for (const std::string syn : {"S", "SE", "SW", "SEW"}) {
      TcpDialogue t(with(mode));
      t.listen();
      t.peer(syn + " 0:0(0) win 65535 mss 1000");
      const bool agreed = mode != EcnMode::off && syn == "SEW";
      const auto syn_ack = t.take();
      EXPECT_EQ(syn_ack.words, agreed ? "SE. 0:0(0) ack 1" : "S. 0:0(0) ack 1") << syn;
      EXPECT_EQ(ecn_of(syn_ack), kNotEct);
      t.peer(". 1:1(0) ack 1");
      t.send(t.accept(), 1000);
      EXPECT_EQ(ecn_of(t.take()), agreed ? kEct0 : kNotEct);
    }
  }
}

// req: 3168-6.1.1-a, 3168-6.1.1-c, 9293-SHLD-8
TEST(TcpEcn, ASynOffersOnlyIfAskedToAndBelievesOnlyEceWithoutCwr) {
  for (const auto mode : {EcnMode::off, EcnMode::on, EcnMode::passive}) {
    for (const std::string syn_ack : {"S.", "SE.", "SW.", "SEW."}) {
      TcpDialogue t(with(mode));
      const SocketId id = t.connect();
      const auto syn = t.take();
      EXPECT_EQ(syn.words, mode == EcnMode::on ? "SEW 0:0(0)" : "S 0:0(0)");
      EXPECT_EQ(ecn_of(syn), kNotEct);
      t.peer(syn_ack + " 0:0(0) ack 1 win 65535 mss 1000");
      const auto ack = t.take();
      EXPECT_EQ(ack.words, ". 1:1(0) ack 1");
      EXPECT_EQ(ecn_of(ack), kNotEct);
      t.send(id, 1000);
      EXPECT_EQ(ecn_of(t.take()), mode == EcnMode::on && syn_ack == "SE." ? kEct0 : kNotEct) << syn_ack;
    }
  }
}

// §6.1.1.1: what some path drops for its flags goes through without them.
// req: 3168-6.1.1-d
TEST(TcpEcn, ALostSynIsSentAgainWithoutTheOffer) {
  TcpDialogue t(with(EcnMode::on));
  t.connect();
  t.expect("SEW 0:0(0)");
  t.pass(1s);
  t.expect("S 0:0(0)");
}

// --- what is ECN-capable
// -------------------------------------------------------------------------------------------------

// req: 3168-6.1.2-a, 3168-6.1.5-a, 3168-6.1.4-a
TEST(TcpEcn, NewTextIsCapableRetransmissionsAndAcksAreNot) {
  Marked m;
  m.t.send(m.id, 1000);
  EXPECT_EQ(ecn_of(m.t.take()), kEct0);
  m.t.pass(1s);
  const auto again = m.t.take();
  EXPECT_EQ(again.words, "P. 1:1001(1000) ack 1");
  EXPECT_EQ(ecn_of(again), kNotEct);
  m.t.peer(". 1:1(0) ack 1001");
  m.t.peer("P. 1:11(10) ack 1001");
  m.t.pass(1s);
  EXPECT_EQ(ecn_of(m.t.take()), kNotEct);  // a pure ACK
}

// req: 3168-6.1.6-a
TEST(TcpEcn, WindowProbesAreNotCapableAndSayNothing) {
  Marked m;
  m.fill();
  m.t.peer(".E 1:1(0) ack 10001 win 0");
  m.t.pass(1s);
  const auto probe = m.t.take();
  EXPECT_EQ(probe.words, ". 10001:10002(1) ack 1");
  EXPECT_EQ(ecn_of(probe), kNotEct);
}

// req: 3168-5-a
TEST(TcpEcn, TheUsersTrafficClassIsApart) {
  TcpOptions options;
  options.tos = 0xb8 | 3;
  Marked m(options);
  m.t.send(m.id, 1000);
  EXPECT_EQ(m.t.take().ip.tos, 0xb8 | kEct0);
  TcpDialogue plain;
  const SocketId id = plain.establish_passively(options);
  plain.send(id, 1000);
  EXPECT_EQ(plain.take().ip.tos, 0xb8);
}

// --- receiver (§6.1.3)
// ---------------------------------------------------------------------------------------------------

// req: 3168-6.1.3-a, 9293-SHLD-8
TEST(TcpEcn, AMarkIsEchoedUntilTheSenderHasReduced) {
  Marked m;
  m.t.peer("P. 1:11(10) ack 1 ect0");
  m.t.pass(1s);
  m.t.expect(". 1:1(0) ack 11");
  m.t.peer("P. 11:21(10) ack 1 ce");
  m.t.expect("E. 1:1(0) ack 21");  // at once
  m.t.peer("P. 21:31(10) ack 1 ect0");
  m.t.pass(1s);
  m.t.expect("E. 1:1(0) ack 31");
  m.t.send(m.id, 5);
  m.t.expect("PE. 1:6(5) ack 31");
  m.t.peer("PW. 31:41(10) ack 6 ect0");
  m.t.pass(1s);
  m.t.expect(". 6:6(0) ack 41");
  m.t.peer("PW. 41:51(10) ack 6 ce");  // reduced, and marked again
  m.t.expect("E. 6:6(0) ack 51");
}

// §6.1.5: old text may have been forged or late.
// req: 3168-6.1.5-a
TEST(TcpEcn, AMarkOnTextOutsideTheWindowIsIgnored) {
  Marked m;
  m.t.peer("P. 1:11(10) ack 1 ect0");
  m.t.pass(1s);
  m.t.expect(". 1:1(0) ack 11");
  m.t.peer("P. 1:11(10) ack 1 ce");
  m.t.expect(". 1:1(0) ack 11");
}

TEST(TcpEcn, WithoutAgreementAMarkMeansNothing) {
  TcpDialogue t;
  t.establish_passively();
  t.peer("P. 1:11(10) ack 1 ce");
  t.pass(1s);
  t.expect(". 1:1(0) ack 11");
}

// --- sender (§6.1.2)
// -----------------------------------------------------------------------------------------------------

// req: 3168-6.1.2-b, 3168-6.1.2-c, 9293-SHLD-8
TEST(TcpEcn, AnEchoHalvesTheWindowOnceForEachWindowOfData) {
  Marked m;
  m.fill();
  // Two segments leave for each that goes in (RFC 6937 §3): no silence of half a round trip.
  for (int i = 1; i <= 9; ++i) m.t.peer("E. 1:1(0) ack " + std::to_string(1 + i * 1000));
  EXPECT_EQ(m.t.status(m.id).cwnd, 5000u);
  EXPECT_EQ(m.t.status(m.id).ssthresh, 5000u);
  EXPECT_EQ(m.t.count(Counter::tcp_retransmits), 0u);
  const auto sent = m.t.take_all();
  ASSERT_EQ(sent.size(), 4u);
  for (size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ((sent[i].header.flags & tcp_flag::cwr) != 0, i == 0);  // on the first new text only
    EXPECT_EQ(ecn_of(sent[i]), kEct0);
  }
  m.t.peer("E. 1:1(0) ack 10001");  // still of that window
  EXPECT_EQ(m.t.status(m.id).cwnd, 5000u);
  m.t.peer("E. 1:1(0) ack 11001");  // sent after the reduction
  EXPECT_LE(m.t.status(m.id).ssthresh, 2500u);
}

// §6.1.2: the window has come down for this window of data already, if a loss was found in it.
TEST(TcpEcn, WhileALossIsRepairedAnEchoTakesNothingMore) {
  Marked m;
  m.fill();
  for (int i = 0; i < 3; ++i) m.t.peer(". 1:1(0) ack 1");
  m.t.expect(". 10001:11001(1000) ack 1");  // limited transmit
  m.t.expect(". 11001:12001(1000) ack 1");
  m.t.expect(". 1:1001(1000) ack 1");
  const uint32_t ssthresh = m.t.status(m.id).ssthresh;
  m.t.peer("E. 1:1(0) ack 2001");
  EXPECT_EQ(m.t.status(m.id).ssthresh, ssthresh);
  EXPECT_TRUE(m.t.status(m.id).in_recovery);
}

TEST(TcpEcn, AnEchoOfNothingInFlightMeansNothing) {
  Marked m;
  const uint32_t cwnd = m.t.status(m.id).cwnd;
  m.t.peer("E. 1:1(0) ack 1");
  EXPECT_EQ(m.t.status(m.id).cwnd, cwnd);
  EXPECT_EQ(m.t.status(m.id).ssthresh, UINT32_MAX);
}

// A mark is still to be echoed, but a RST is no answer to it.
TEST(TcpEcn, AResetEchoesNothing) {
  Marked m;
  m.t.peer("P. 1:6(5) ack 1 ce");
  m.t.take_all();
  m.t.stack.tcp_abort(m.id, m.t.now);
  m.t.expect("R. 1:1(0) ack 6");
}

// req: 3168-6.1.2-c
TEST(TcpEcn, ALossIsToldOnNewTextToo) {
  Marked m;
  m.fill();
  m.t.pass(1s);
  const auto again = m.t.take();
  EXPECT_EQ(again.words, ". 1:1001(1000) ack 1");
  m.t.peer(". 1:1(0) ack 10001");
  const auto sent = m.t.take_all();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent[0].words, ("W. 10001:11001(1000) ack 1"));
}

// RFC 9438 §4.6.
// req: 9438-4.6-b
TEST(TcpEcn, MarksWithoutEndBringTheWindowDownToOneSegment) {
  for (const std::string name : {"reno", "cubic"}) {
    TcpOptions options;
    options.congestion = *congestion_choice(name);
    Marked m(options);
    m.fill();
    int64_t acked = 1;
    for (int i = 0; i < 100; ++i) {
      m.t.peer("E. 1:1(0) ack " + std::to_string(acked += 1000));
      m.t.take_all();
    }
    EXPECT_EQ(m.t.status(m.id).cwnd, 1000u) << name;
  }
}

}  // namespace
}  // namespace limpid
