// Keep-alive: RFC 9293 §3.8.4. Seven thousand seconds cost nothing in virtual time.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

TcpOptions keepalive() {
  TcpOptions o;
  o.keepalive = true;
  return o;
}

TcpOptions keepalive(Duration time, Duration interval, uint32_t probes) {
  TcpOptions o = keepalive();
  o.keepalive_time = time;
  o.keepalive_interval = interval;
  o.keepalive_probes = probes;
  return o;
}

// req: 9293-MUST-25
TEST(TcpKeepAlive, IsOffUnlessAskedFor) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.pass(1000h);
  t.expect_nothing();
  EXPECT_EQ(t.state(id), established);
}

// req: 9293-MUST-28, 9293-SHLD-12, KA-1, KA-2, KA-3
TEST(TcpKeepAlive, ASilentPeerIsGivenUpAfter2Hours11Minutes15Seconds) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive());
  const Time start = t.now;
  t.pass(7199'999ms);
  t.expect_nothing();
  t.pass(1ms);
  for (int probe = 1; probe <= 9; ++probe) {
    const auto s = t.take();
    EXPECT_EQ(s.words, ". 0:0(0) ack 1");  // una-1: an octet that the peer has acknowledged
    EXPECT_EQ(s.at - start, 7200s + (probe - 1) * 75s);
    EXPECT_EQ(t.status(id).probes, static_cast<uint32_t>(probe));
    t.raised(id);
    t.pass(75s);
  }
  EXPECT_EQ(t.now - start, 2h + 11min + 15s);
  t.expect("R. 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.listed(), closed);
  EXPECT_EQ(t.raised(id) & (kError | kHangUp), kError | kHangUp);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
  EXPECT_EQ(t.count(Counter::tcp_keepalive_probes), 9u);
}

TEST(TcpKeepAlive, AnAnswerMakesTheTwoHoursBeginAnew) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive());
  for (int day = 0; day < 12 * 365; ++day) {  // a year
    t.pass(7200s);
    t.expect(". 0:0(0) ack 1");
    t.peer(". 1:1(0) ack 1");
    t.expect_nothing();
  }
  EXPECT_EQ(t.state(id), established);
}

// req: 9293-MUST-29, KA-4
TEST(TcpKeepAlive, AnAnswerToTheLastProbeIsInTime) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive(10s, 1s, 3));
  t.pass(12'999ms);
  EXPECT_EQ(t.take_all().size(), 3u);
  t.peer(". 1:1(0) ack 1");
  t.pass(9'999ms);
  EXPECT_TRUE(t.take_all().empty());
  t.pass(1ms);
  t.expect(". 0:0(0) ack 1");
  EXPECT_EQ(t.state(id), established);
}

// What is dropped on arrival is no sign that the peer has our connection.
TEST(TcpKeepAlive, WrongAnswersCountAsNone) {
  for (const char* wrong : {". 1:1(0) ack 1 bad-checksum", "R 9000:9000(0)", "R -5:-5(0)", ". 1:1(0) ack 5000",
                            "S 700:700(0)", "0 1:1(0)", ". 2000000:2000000(0) ack 1", ". 1:1(0) ack -100000"}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively(keepalive(10s, 1s, 3));
    t.pass(9500ms);
    t.peer(wrong);
    for (int half_second = 0; half_second < 6; ++half_second) {
      t.pass(500ms);
      t.peer(wrong);
    }
    EXPECT_EQ(t.state(id), established) << wrong;
    t.pass(500ms);  // 13 s after the handshake
    EXPECT_EQ(t.listed(), closed) << wrong;
    EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
    EXPECT_EQ(t.count(Counter::tcp_keepalive_probes), 3u) << wrong;
  }
}

// req: 9293-MUST-27
TEST(TcpKeepAlive, AllThreeTunablesAreTheUsers) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive(30s, 7s, 4));
  const Time start = t.now;
  t.pass(57'999ms);
  EXPECT_EQ(t.state(id), established);
  const auto probes = t.take_all();
  ASSERT_EQ(probes.size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(probes[static_cast<size_t>(i)].at - start, 30s + i * 7s);
  t.pass(1ms);
  t.expect("R. 1:1(0) ack 1");
}

TEST(TcpKeepAlive, TheStacksDefaultsMayBeConfigured) {
  Config config;
  config.tcp.keepalive_time = 3s;
  config.tcp.keepalive_interval = 2s;
  config.tcp.keepalive_probes = 1;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively(keepalive());
  t.pass(5s);
  EXPECT_EQ(t.take_words(), (std::vector<std::string>{". 0:0(0) ack 1", "R. 1:1(0) ack 1"}));
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
}

// req: 9293-MUST-27, 9293-MUST-24
TEST(TcpKeepAlive, TurnedOnLaterItCountsFromTheLastThingHeard) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.pass(8s);
  t.stack.tcp_set_options(id, keepalive(10s, 1s, 3), t.now).value();
  t.pass(1999ms);
  t.expect_nothing();
  t.pass(1ms);
  t.expect(". 0:0(0) ack 1");
  t.stack.tcp_set_options(id, {}, t.now).value();  // and off again
  t.pass(1h);
  t.expect_nothing();
}

// req: KA-5
TEST(TcpKeepAlive, TurnedOnAfterALongSilenceItProbesAtOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.pass(1h);
  t.stack.tcp_set_options(id, keepalive(10s, 1s, 3), t.now).value();
  t.pass(0s);
  t.expect(". 0:0(0) ack 1");
}

// req: 9293-MUST-26, KA-4
TEST(TcpKeepAlive, WhilePeerSpeaksThereIsNothingToAsk) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive(10s, 1s, 3));
  for (int64_t n = 1; n < 100; ++n) {
    t.pass(9s);
    t.peer("P. " + std::to_string(n) + ":" + std::to_string(n + 1) + "(1) ack 1");
  }
  EXPECT_EQ(t.count(Counter::tcp_keepalive_probes), 0u);
  EXPECT_EQ(t.state(id), established);
}

// Unacknowledged text asks the same question, and its own limit answers it.
// req: 9293-MUST-26
TEST(TcpKeepAlive, WhileTextIsUnderWayRetransmissionsAskInstead) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive(10s, 1s, 3));
  t.send(id, 100);
  t.pass(100s);
  for (const auto& words : t.take_words()) EXPECT_EQ(words, "P. 1:101(100) ack 1");
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.count(Counter::tcp_keepalive_probes), 0u);
}

// req: KA-4
TEST(TcpKeepAlive, AResetInAnswerEndsTheConnection) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive(10s, 1s, 3));
  t.pass(10s);
  t.expect(". 0:0(0) ack 1");
  t.peer("R 1:1(0)");
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::reset);
}

// A probe's number is not in flight, so an error that quotes it may be anybody's (RFC 5927 §4.1).
TEST(TcpKeepAlive, AnIcmpErrorThatQuotesAProbeIsNotBelieved) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive(10s, 1s, 3));
  t.pass(10s);
  t.peer_icmp(3, 1, 0);
  EXPECT_EQ(t.state(id), established);
  t.pass(3s);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
}

TEST(TcpKeepAlive, AHalfClosedConnectionIsProbedToo) {
  for (TcpState s : {fin_wait_2, close_wait}) {
    TcpDialogue t;
    const SocketId id = t.reach(s, keepalive(10s, 1s, 3));
    t.pass(13s);
    EXPECT_EQ(t.count(Counter::tcp_keepalive_probes), 3u);
    EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
  }
}

TEST(TcpKeepAlive, TwoHostsOfOursKeepEachOtherAlive) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive(10s, 1s, 3));
  t.pass(10s);
  const auto probe = t.take();
  // Played back as a peer would send it: answered by a pure ACK, and nothing is disturbed.
  t.peer(". 0:0(0) ack 1");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(probe.text.size(), 0u);
  EXPECT_EQ(t.status(id).probes, 0u);
}

// req: 9293-MUST-24
TEST(TcpKeepAlive, IsOfTheConnectionThatAskedForIt) {
  TcpDialogue t;
  t.listen();
  std::vector<SocketId> ids;
  for (uint16_t port : {uint16_t{5001}, uint16_t{5002}}) {
    TcpHeader h{.source_port = port, .destination_port = 80, .sequence = 100, .flags = tcp_flag::syn, .options = {}};
    t.peer_header(h);
    h = {.source_port = port, .destination_port = 80, .sequence = 101, .flags = tcp_flag::ack, .options = {}};
    h.acknowledgment = t.take().header.sequence + 1;
    t.peer_header(h);
    ids.push_back(t.accept());
  }
  t.stack.tcp_set_options(ids[1], keepalive(10s, 1s, 3), t.now).value();
  t.pass(11s);
  const auto probes = t.take_all();
  ASSERT_EQ(probes.size(), 2u);
  for (const auto& s : probes) EXPECT_EQ(s.header.destination_port, 5002);
  t.stack.tcp_set_options(ids[1], {}, t.now).value();
  t.pass(10h);
  t.expect_nothing();
}

// The listener's wish is its connections', and a shorter time counts at once.
// req: KA-5
TEST(TcpKeepAlive, AShorterTimeOnAnIdleConnectionProbesAtOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(keepalive());
  t.pass(60s);
  t.expect_nothing();
  t.stack.tcp_set_options(id, keepalive(10s, 0s, 0), t.now).value();
  t.pass(0s);
  t.expect(". 0:0(0) ack 1");
  t.pass(75s);
  t.expect(". 0:0(0) ack 1");  // the interval is still the default
}

// req: KA-7
TEST(TcpKeepAlive, AUserTimeoutDecidesAndNotTheNumberOfProbes) {
  for (uint32_t probes : {1u, 100u}) {
    TcpDialogue t;
    TcpOptions o = keepalive(10s, 5s, probes);
    o.user_timeout = 30s;
    const SocketId id = t.establish_passively(o);
    t.pass(29'999ms);
    EXPECT_EQ(t.state(id), established) << probes;
    EXPECT_EQ(t.take_all().size(), 4u) << probes;
    t.pass(1ms);
    t.expect("R. 1:1(0) ack 1");
    EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
  }
}

}  // namespace
}  // namespace limpid
