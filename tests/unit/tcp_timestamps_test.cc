// The timestamps option (RFC 7323 §3 and §4): what is agreed on, what each segment carries, what is echoed, and the
// round trips that follow from it. PAWS: tcp_paws_test.cc.
#include "stack/tcp/timestamps.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

constexpr const char* kStampedSyn = "win 65535 mss 1460 wscale 4 sackOK ts 100";

// A connection that agreed on timestamps, its peer's last one being 100.
SocketId establish(TcpDialogue& t, const TcpOptions& options = {}) {
  t.listen(options);
  t.peer(std::string("S 0:0(0) ") + kStampedSyn);
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1 ts 100 ecr 0");
  return t.accept();
}

bool stamped(const TcpDialogue::Sent& s) { return s.header.options.timestamps.has_value(); }

// --- what is agreed on (§3.2) ---

// req: 7323-3.2-d
TEST(TcpTimestamps, OurSynOffersEverythingAndEchoesNothing) {
  TcpDialogue t;
  t.connect();
  const TcpOptionSet o = t.take().header.options;
  EXPECT_EQ(o.mss, 1460);
  EXPECT_TRUE(o.sack_permitted);
  ASSERT_TRUE(o.timestamps);
  EXPECT_EQ(o.timestamps->echo, 0u);
  EXPECT_EQ(o.window_scale, 8);
}

TEST(TcpTimestamps, WhatIsSwitchedOffIsNeitherOfferedNorAnswered) {
  Config config;
  config.tcp.offer_timestamps = config.tcp.offer_sack = config.tcp.offer_window_scale = false;
  TcpDialogue active(config);
  active.connect();
  EXPECT_EQ(active.take().header.options.size(), 4u);  // the MSS

  TcpDialogue passive(config);
  passive.listen();
  passive.peer(std::string("S 0:0(0) ") + kStampedSyn);
  EXPECT_EQ(passive.take().header.options.size(), 4u);
}

// req: 7323-3.2-a
TEST(TcpTimestamps, TheSynAckAnswersWhatTheSynOfferedAndNoMore) {
  for (const bool sack : {false, true}) {
    for (const bool stamps : {false, true}) {
      TcpDialogue t;
      t.listen();
      t.peer(std::string("S 0:0(0) win 65535 mss 1460") + (sack ? " sackOK" : "") + (stamps ? " ts 100" : ""));
      const TcpOptionSet o = t.take().header.options;
      EXPECT_EQ(o.sack_permitted, sack);
      EXPECT_EQ(o.timestamps.has_value(), stamps);
      EXPECT_EQ(o.timestamps.value_or(TcpTimestamps{}).echo, stamps ? 100u : 0u);
      t.peer(std::string(". 1:1(0) ack 1") + (stamps ? " ts 100" : ""));
      const TcpStatus s = t.status(t.accept());
      EXPECT_EQ(s.sack, sack);
      EXPECT_EQ(s.timestamps, stamps);
    }
  }
}

TEST(TcpTimestamps, TheSynAckDecidesForUsWhatIsUsed) {
  TcpDialogue neither;
  const SocketId bare = neither.establish_actively();
  EXPECT_FALSE(neither.status(bare).timestamps);
  EXPECT_FALSE(neither.status(bare).sack);
  neither.send(bare, 10);
  EXPECT_EQ(neither.take().header.options.size(), 0u);

  TcpDialogue both;
  const SocketId id = both.establish_actively({}, "win 65535 mss 1460 sackOK ts 500 ecr 0");
  EXPECT_TRUE(both.status(id).timestamps);
  EXPECT_TRUE(both.status(id).sack);
  both.send(id, 10);
  both.expect("P. 1:11(10) ack 1 ts 0 ecr 500");
}

// RFC 9293 §3.5, Figure 7.
TEST(TcpTimestamps, ASimultaneousOpenAgreesToo) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer("S 0:0(0) win 65535 mss 1460 sackOK ts 700");
  t.expect("S. 0:0(0) ack 1 ts 0 ecr 700");
  t.pass(20ms);
  t.peer("S. 0:0(0) ack 1 win 65535 mss 1460 sackOK ts 720 ecr 0");
  EXPECT_TRUE(t.status(id).timestamps);
  t.take_all();
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 1 ts 20 ecr 720");
}

// req: 7323-3.2-a
TEST(TcpTimestamps, EverySegmentCarriesThemOnceAgreedOn) {
  TcpDialogue t;
  TcpOptions options;
  options.keepalive = true;
  options.keepalive_time = 10s;
  const SocketId id = establish(t, options);
  t.pass(12s);  // a keep-alive
  t.peer("P. 1:11(10) ack 1 ts 101");
  t.pass(50ms);     // a delayed ACK
  t.send(id, 100);  // text, and the same again: a tail loss probe, then the timer
  t.pass(2s);
  t.peer(". 11:11(0) ack 101 win 0 ts 200");
  t.send(id, 1);
  t.pass(5s);  // a window probe
  t.peer(". 11:11(0) ack 102 win 65535 ts 300");
  t.stack.tcp_shutdown_send(id, t.now).value();
  std::vector<std::string> words;
  for (const auto& s : t.take_all()) {
    EXPECT_TRUE(stamped(s)) << s.words;
    words.push_back(s.words);
  }
  EXPECT_EQ(words, (std::vector<std::string>{". 0:0(0) ack 1", ". 1:1(0) ack 11", "P. 1:101(100) ack 11",
                                             "P. 1:101(100) ack 11", "P. 1:101(100) ack 11", ". 101:102(1) ack 11",
                                             "F. 102:102(0) ack 11"}));
}

// §3.2 says SHOULD of a RST. One that answers a segment of no connection has nothing to say (docs/deviations.md).
TEST(TcpTimestamps, TheResetOfAConnectionCarriesThemAndThatOfNoneDoesNot) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.pass(70ms);
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 1:1(0) ack 1 ts 70 ecr 100");
  t.peer(". 1:1(0) ack 1 ts 300 ecr 70");
  const auto answer = t.take();
  EXPECT_EQ(answer.words, "R 1:1(0)");
  EXPECT_EQ(answer.header.options.size(), 0u);
}

// req: 7323-3.2-c
TEST(TcpTimestamps, MeanNothingOnAConnectionThatDidNotAgreeOnThem) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 1 ts 5000 ecr 77");
  t.peer("P. 11:21(10) ack 1 ts 10 ecr 77");  // an older one
  t.take_all();
  EXPECT_EQ(t.read(id).size(), 20u);
  t.send(id, 10);
  EXPECT_FALSE(stamped(t.take()));
}

// RFC 7323 §3.2 would have us drop it; peers behind some middleboxes lose the option (docs/deviations.md).
TEST(TcpTimestamps, ASegmentWithoutThemIsTaken) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.peer("P. 1:11(10) ack 1");
  EXPECT_EQ(t.read(id).size(), 10u);
  EXPECT_EQ(t.count(Counter::tcp_drop_unstamped), 0u);
}

// req: 7323-3.2-b
TEST(TcpTimestamps, ASegmentWithoutThemIsSilentlyDroppedWhereTheyAreRequired) {
  Config config;
  config.tcp.require_timestamps = true;
  TcpDialogue t(config);
  const SocketId id = establish(t);
  t.peer("P. 1:11(10) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.read(id), "error 1");
  EXPECT_EQ(t.count(Counter::tcp_drop_unstamped), 1u);
  t.peer("P. 1:11(10) ack 1 ts 101");
  EXPECT_EQ(t.read(id).size(), 10u);
  t.peer("R. 11:11(0) ack 1");  // a RST needs none
  EXPECT_EQ(t.state(id), TcpState::closed);
}

// --- the room that they take (RFC 6691) ---

TEST(TcpTimestamps, TakeTheirRoomFromTheTextNotFromTheMss) {
  TcpDialogue t;
  TcpOptions options;
  options.no_delay = true;
  const SocketId id = establish(t, options);
  EXPECT_EQ(t.status(id).mss, 1448u);
  EXPECT_EQ(t.status(id).advertised_mss, 1460u);
  t.send(id, 3000);
  t.expect(". 1:1449(1448) ack 1");
  t.expect(". 1449:2897(1448) ack 1");
  t.expect("P. 2897:3001(104) ack 1");
}

TEST(TcpTimestamps, TakeTheirRoomFromTheUsersLimitToo) {
  TcpDialogue t;
  TcpOptions options;
  options.max_segment = 500;
  const SocketId id = establish(t, options);
  t.send(id, 488);
  t.expect("P. 1:489(488) ack 1");
}

// req: 7323-5.7-a
TEST(TcpTimestamps, GoWithDontFragment) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.send(id, 3000);
  for (const auto& s : t.take_all()) EXPECT_TRUE(s.ip.dont_fragment) << s.words;
}

// --- our clock (§5.4, §7) ---

// req: 7323-5.4-a
TEST(TcpTimestamps, OurClockTicksEachMillisecond) {
  TcpDialogue t;
  const SocketId id = establish(t);
  for (const uint32_t ms : {1u, 10u, 989u, 86'400'000u}) {
    const uint32_t before = TimestampClock::value(0, t.now);
    t.pass(1ms * ms);
    t.send(id, 1);
    const auto sent = t.take();
    EXPECT_EQ(sent.header.options.timestamps->value - t.our_clock, before + ms);
    t.peer(". 1:1(0) ack " + std::to_string(sent.header.sequence - t.our_isn + 1) + " ts 100");
    t.take_all();
  }
}

// req: 7323-7-a
TEST(TcpTimestamps, EachConnectionHasAClockOfItsOwn) {
  TcpDialogue t;
  t.listen();
  std::vector<uint32_t> clocks;
  for (uint16_t port = 5000; port < 5004; ++port) {
    TcpHeader syn;
    syn.flags = tcp_flag::syn;
    syn.source_port = port;
    syn.options.timestamps = TcpTimestamps{1, 0};
    t.peer_header(syn);
    clocks.push_back(t.take().header.options.timestamps->value);
  }
  for (size_t i = 0; i < clocks.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_GT(std::abs(int64_t{clocks[i]} - int64_t{clocks[j]}), 1000);
}

// --- which timestamp is echoed (§4.3) ---

// req: 7323-4.3-a
TEST(TcpTimestamps, ADelayedAckEchoesTheEarliestOfTheSegmentsItCovers) {
  Config config;
  config.tcp.delayed_ack = 40ms;
  TcpDialogue t(config);
  establish(t);
  t.peer_batch({"P. 1:101(100) ack 1 ts 110", "P. 101:201(100) ack 1 ts 111", "P. 201:301(100) ack 1 ts 112"});
  t.expect(". 1:1(0) ack 301 ts 0 ecr 110");
}

// req: 7323-4.3-b, 7323-4.3-d
TEST(TcpTimestamps, ASegmentBehindAGapIsNotEchoedUntilTheGapIsFilled) {
  TcpDialogue t;
  establish(t);
  t.peer("P. 1:101(100) ack 1 ts 101");
  t.take_all();
  t.pass(50ms);
  t.take_all();
  t.peer("P. 201:301(100) ack 1 ts 103");
  t.expect(". 1:1(0) ack 101 ts 50 ecr 101");
  t.peer("P. 301:401(100) ack 1 ts 9000");
  t.expect(". 1:1(0) ack 101 ts 50 ecr 101");
}

// req: 7323-4.3-c
TEST(TcpTimestamps, WhatFillsAGapIsEchoed) {
  TcpDialogue t;
  establish(t);
  t.peer("P. 101:201(100) ack 1 ts 103");
  t.expect(". 1:1(0) ack 1 ts 0 ecr 100");
  t.peer("P. 1:101(100) ack 1 ts 102");
  t.expect(". 1:1(0) ack 201 ts 0 ecr 102");
}

// The example of §4.3, segment by segment.
// req: 7323-4.3-d
TEST(TcpTimestamps, EchoesFollowTheRfcsExample) {
  TcpDialogue t;
  establish(t);
  t.peer("P. 1:101(100) ack 1 ts 201");  // A
  t.pass(50ms);
  t.expect(". 1:1(0) ack 101");
  t.peer("P. 201:301(100) ack 1 ts 203");  // C
  t.expect(". 1:1(0) ack 101 ts 50 ecr 201");
  t.peer("P. 101:201(100) ack 1 ts 202");  // B
  t.expect(". 1:1(0) ack 301 ts 50 ecr 202");
  t.peer("P. 401:501(100) ack 1 ts 205");  // E
  t.expect(". 1:1(0) ack 301 ts 50 ecr 202");
  t.peer("P. 301:401(100) ack 1 ts 204");  // D
  t.expect(". 1:1(0) ack 501 ts 50 ecr 204");
}

// An ACK that nobody could have sent moves nothing, or a guess into the window would poison TS.Recent.
TEST(TcpTimestamps, ASegmentWithABadAckIsNotEchoed) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.peer("P. 1:11(10) ack 9999 ts 200000");
  t.take_all();
  t.peer("P. 1:11(10) ack 1 ts 101");
  EXPECT_EQ(t.read(id).size(), 10u);
  t.send(id, 1);
  t.expect("P. 1:2(1) ack 11 ts 0 ecr 101");
}

// --- round trips (§4.1, §4.2) ---

// req: 7323-3.2-d
TEST(TcpTimestamps, ASynsEchoIsNoRoundTrip) {
  TcpDialogue t;
  t.pass(5s);
  t.listen();
  TcpHeader syn;
  syn.flags = tcp_flag::syn;
  syn.sequence = TcpDialogue::kPeerIsn;
  syn.options.timestamps = TcpTimestamps{100, 12345};
  t.peer_header(syn);
  t.take_all();
  t.peer(". 1:1(0) ack 1 ts 100");
  EXPECT_EQ(t.status(t.accept()).srtt, Duration{});
}

// req: 7323-4.1-a
TEST(TcpTimestamps, OnlyAnAckOfSomethingNewIsARoundTrip) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.send(id, 100);
  t.pass(30ms);
  t.peer(". 1:1(0) ack 101 ts 130 ecr 0");
  const Duration srtt = t.status(id).srtt;
  EXPECT_EQ(srtt, 30ms);
  t.pass(10s);
  t.peer(". 1:1(0) ack 101 win 60000 ts 10130 ecr 0");  // a window update
  t.peer(". 1:1(0) ack 101 win 60000 ts 10130 ecr 0");
  t.peer("P. 1:11(10) ack 101 win 60000 ts 10131 ecr 0");
  EXPECT_EQ(t.status(id).srtt, srtt);
}

// Karn's ambiguity is none here: the echo says which transmission was answered.
TEST(TcpTimestamps, AnAckOfARetransmissionIsARoundTripToo) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.send(id, 100);
  t.pass(1s);
  EXPECT_EQ(t.take_all().size(), 2u);
  t.pass(50ms);
  t.peer(". 1:1(0) ack 101 ts 1100 ecr 1000");
  EXPECT_EQ(t.status(id).srtt, 50ms);
  EXPECT_LT(t.status(id).rto, 1s);
}

TEST(TcpTimestamps, AnAckOfTheFirstTransmissionIsItsRoundTripThoughItWasRepeated) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.send(id, 100);
  t.pass(1s);
  t.pass(200ms);
  t.peer(". 1:1(0) ack 101 ts 1100 ecr 0");
  EXPECT_EQ(t.status(id).srtt, 1200ms);
}

TEST(TcpTimestamps, AnEchoThatWeNeverSentIsNoRoundTrip) {
  for (const char* echo : {"5000", "-5000", "-2000000000"}) {
    TcpDialogue t;
    const SocketId id = establish(t);
    t.send(id, 100);
    t.pass(1050ms);
    t.peer(std::string(". 1:1(0) ack 101 ts 1100 ecr ") + echo);
    EXPECT_EQ(t.status(id).srtt, Duration{}) << echo;
  }
}

// A hundred segments in flight and an ACK for each: the history is that of one sample a round trip (appendix G).
// req: 7323-4.2-a
TEST(TcpTimestamps, ManyAcksARoundTripAreOneSample) {
  Config config;
  config.tcp.initial_window_segments = 100;
  TcpDialogue t(config);
  const SocketId id = establish(t);
  uint32_t acked = 1;
  const auto round_trip = [&](Duration rtt) {
    const std::string stamps = " ts 100 ecr " + std::to_string(to_ms(t.now.time_since_epoch()));
    t.send(id, 144'800);
    t.take_all();
    t.pass(rtt);
    for (int i = 0; i < 100; ++i) t.peer(". 1:1(0) ack " + std::to_string(acked += 1448) + stamps);
  };
  round_trip(100ms);
  round_trip(60ms);  // RFC 6298 §2.3, once: RTTVAR = 3/4 50 + 1/4 40, SRTT = 7/8 100 + 1/8 60
  EXPECT_EQ(t.status(id).rttvar, 47'500us);
  EXPECT_EQ(t.status(id).srtt, 95ms);
}

}  // namespace
}  // namespace limpid
