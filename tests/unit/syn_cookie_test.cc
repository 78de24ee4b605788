// SYN cookies (RFC 4987 §3.6): what is not remembered comes back with the ACK, and nothing else does.
#include "stack/tcp/syn_cookie.h"

#include "stack/base/rng.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

const FourTuple kTuple{{IpAddress::v4(10, 0, 0, 1), 80}, {IpAddress::v4(10, 0, 0, 2), 4000}};
constexpr Seq kIrs{0xfffffff0};
const SynCookie kCookie(SipKey{.k0 = 1, .k1 = 2});

Config with_cookies(SynCookies when = SynCookies::always) {
  Config c;
  c.tcp.syn_cookies = when;
  return c;
}

TEST(SynCookie, BringsTheMssBackRoundedDown) {
  for (const auto& [named, told] : std::initializer_list<std::pair<uint16_t, uint16_t>>{
           {48, 48}, {215, 48}, {536, 536}, {1459, 1440}, {1460, 1460}, {8959, 1460}, {65'495, 8960}}) {
    uint16_t mss = named;
    const Seq cookie = kCookie.make(kTuple, kIrs, mss, Time{1h});
    EXPECT_EQ(mss, told);
    EXPECT_EQ(kCookie.check(kTuple, kIrs, cookie, Time{1h}), told);
  }
}

TEST(SynCookie, IsGoodForAMinuteAtLeastAndTwoAtMost) {
  for (const Duration into : {0s, 59s}) {
    const Time made{5h + into};
    uint16_t mss = 1460;
    const Seq cookie = kCookie.make(kTuple, kIrs, mss, made);
    EXPECT_TRUE(kCookie.check(kTuple, kIrs, cookie, made + 60s));
    EXPECT_FALSE(kCookie.check(kTuple, kIrs, cookie, made + 120s));
    EXPECT_FALSE(kCookie.check(kTuple, kIrs, cookie, made + 32min)) << "the minutes of a cookie come round";
  }
}

TEST(SynCookie, IsOfOneTupleOnePeersNumberAndOneStack) {
  uint16_t mss = 1460;
  const Seq cookie = kCookie.make(kTuple, kIrs, mss, Time{1h});
  FourTuple other = kTuple;
  other.remote.port = 4001;
  EXPECT_FALSE(kCookie.check(other, kIrs, cookie, Time{1h}));
  EXPECT_FALSE(kCookie.check(kTuple, Seq{kIrs.value + 1}, cookie, Time{1h}));
  EXPECT_FALSE(kCookie.check(kTuple, kIrs, Seq{cookie.value ^ 1}, Time{1h}));
  EXPECT_FALSE(SynCookie(SipKey{.k0 = 1, .k1 = 3}).check(kTuple, kIrs, cookie, Time{1h}));
}

TEST(SynCookie, AStampNeverRunsAheadOfTheClockAndTellsWhatWasAgreed) {
  for (uint32_t clock = 1'000'000; clock < 1'000'128; ++clock) {
    for (uint8_t scale = 0; scale <= 15; ++scale) {
      Negotiated agreed;
      agreed.window_scaling = scale < 15;
      agreed.send_shift = agreed.window_scaling ? scale : uint8_t{0};
      agreed.sack = (clock & 1) != 0;
      agreed.ecn = (clock & 2) != 0;
      const uint32_t stamp = SynCookie::stamp(clock, agreed);
      EXPECT_LE(stamp, clock);
      EXPECT_GT(stamp + 64, clock);
      Negotiated read;
      SynCookie::read_stamp(stamp, read);
      EXPECT_EQ(std::tuple(read.window_scaling, read.send_shift, read.sack, read.ecn),
                std::tuple(agreed.window_scaling, agreed.send_shift, agreed.sack, agreed.ecn));
    }
  }
}

// req: 4987-3.6-a
TEST(TcpSynCookies, AnAckWithACookieOpensAConnectionOutOfNothing) {
  TcpDialogue t(with_cookies());
  t.listen();
  t.pass(10h);
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  EXPECT_EQ(t.listed(), closed) << "nothing is remembered";
  t.pass(50s);
  t.expect_nothing();
  t.peer("P. 1:11(10) ack 1");
  const SocketId server = t.accept();
  EXPECT_EQ(t.state(server), established);
  EXPECT_EQ(t.read(server), "abcdefghij");
  EXPECT_EQ(t.count(Counter::tcp_syn_cookies_taken), 1u);
}

// req: 4987-3.6-a
TEST(TcpSynCookies, AForgedOrOldAckDrawsAResetAndOpensNothing) {
  TcpDialogue t(with_cookies());
  t.listen();
  t.pass(10h);
  t.pass(30s);  // the cookie names the minute that it was made in: half of that is over
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 2");
  t.expect("R 2:2(0)");
  t.peer(". 2:2(0) ack 1");
  t.expect("R 1:1(0)");
  EXPECT_EQ(t.count(Counter::tcp_drop_bad_syn_cookie), 2u);
  t.pass(91s);  // the minute after it is over too
  t.peer(". 1:1(0) ack 1");
  t.expect("R 1:1(0)");
  t.pass(30s);
  t.peer(". 1:1(0) ack 1");  // two minutes after the last cookie nobody looks for one
  t.expect("R 1:1(0)");
  EXPECT_EQ(t.count(Counter::tcp_drop_bad_syn_cookie), 3u);
  EXPECT_EQ(t.listed(), closed);
}

TEST(TcpSynCookies, AListenerThatHasSentNoneTakesNone) {
  TcpDialogue t;
  t.listen();
  t.peer(". 1:1(0) ack 1");
  t.expect("R 1:1(0)");
  EXPECT_EQ(t.count(Counter::tcp_drop_bad_syn_cookie), 0u);
}

// req: 4987-3.6-b
TEST(TcpSynCookies, WithTimestampsScaleSackAndMssAreKept) {
  TcpDialogue t(with_cookies());
  t.listen();
  t.pass(10h);
  t.peer("S 0:0(0) mss 1300 wscale 5 sackOK ts 700");
  const auto syn_ack = t.take();
  EXPECT_TRUE(syn_ack.header.options.window_scale && syn_ack.header.options.sack_permitted);
  ASSERT_TRUE(syn_ack.header.options.timestamps);
  EXPECT_EQ(syn_ack.header.options.timestamps->echo, 700u);
  TcpHeader ack{.source_port = TcpDialogue::kPeerPort,
                .destination_port = TcpDialogue::kOurPort,
                .sequence = TcpDialogue::kPeerIsn + 1,
                .acknowledgment = syn_ack.header.sequence + 1,
                .flags = tcp_flag::ack,
                .window = 1000,
                .options = {}};
  ack.options.timestamps = TcpTimestamps{.value = 800, .echo = syn_ack.header.options.timestamps->value};
  t.peer_header(ack);
  const TcpStatus s = t.status(t.accept());
  EXPECT_EQ(s.peer_mss, 1300u);
  EXPECT_EQ(s.mss, 1288u);
  EXPECT_TRUE(s.sack && s.timestamps && s.window_scaling);
  EXPECT_EQ(s.send_window_shift, 5);
  EXPECT_EQ(s.receive_window_shift, *syn_ack.header.options.window_scale);
  EXPECT_EQ(s.send_window, 32'000u);
}

// req: 4987-3.6-b
TEST(TcpSynCookies, WithoutTimestampsNothingIsOfferedThatCouldNotBeRemembered) {
  TcpDialogue t(with_cookies());
  t.listen();
  t.peer("S 0:0(0) mss 1460 wscale 5 sackOK");
  const auto syn_ack = t.take();
  EXPECT_FALSE(syn_ack.header.options.window_scale || syn_ack.header.options.sack_permitted ||
               syn_ack.header.options.timestamps);
  t.peer(". 1:1(0) ack 1 win 1000");
  const TcpStatus s = t.status(t.accept());
  EXPECT_FALSE(s.sack || s.timestamps || s.window_scaling);
  EXPECT_EQ(s.send_window, 1000u);
}

TEST(TcpSynCookies, AreSentOnlyWhenTheQueueIsFullAndNeverIfSwitchedOff) {
  for (const SynCookies when : {SynCookies::off, SynCookies::when_full}) {
    Config c = with_cookies(when);
    c.tcp.syn_queue = 1;
    TcpDialogue t(c);
    t.listen();
    t.peer_header({.source_port = 5000, .destination_port = 80, .flags = tcp_flag::syn, .window = 1000, .options = {}});
    EXPECT_EQ(t.count(Counter::tcp_syn_cookies_sent), 0u);
    t.peer_header({.source_port = 5001, .destination_port = 80, .flags = tcp_flag::syn, .window = 1000, .options = {}});
    EXPECT_EQ(t.count(Counter::tcp_syn_cookies_sent), when == SynCookies::off ? 0u : 1u);
    EXPECT_EQ(t.count(Counter::tcp_drop_syn_queue_full), when == SynCookies::off ? 1u : 0u);
  }
}

TEST(TcpSynCookies, AnAckThatFindsTheAcceptQueueFullMayComeAgain) {
  TcpDialogue t(with_cookies());
  t.listen({}, 0);
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  const uint32_t isn = t.our_isn;
  t.peer_header({.source_port = 5000, .destination_port = 80, .flags = tcp_flag::syn, .window = 1000, .options = {}});
  const auto other = t.take().header;
  t.peer_header({.source_port = 5000,
                 .destination_port = 80,
                 .sequence = 1,
                 .acknowledgment = other.sequence + 1,
                 .flags = tcp_flag::ack,
                 .window = 1000,
                 .options = {}});
  t.our_isn = isn;
  t.peer(". 1:1(0) ack 1");
  t.expect_nothing();
  t.accept();
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(t.accept()), established);
}

}  // namespace
}  // namespace limpid
