// TCP Fast Open (RFC 7413), the client's side: the cookie, the text on the SYN, and the way back when either is
// refused.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

SocketId open(TcpDialogue& t, const TcpOptions& options = {}) {
  return t.stack.tcp_connect({TcpDialogue::kPeer, TcpDialogue::kPeerPort}, {}, options, t.now, SynText::wanted).value();
}

// A first conversation, in which the server gives a cookie.
void get_cookie(TcpDialogue& t, const std::string& words = "mss 1460 fo aabbccdd") {
  const SocketId id = open(t);
  const auto syn = t.take();
  ASSERT_TRUE(syn.header.options.fast_open);
  EXPECT_EQ(syn.header.options.fast_open->length, 0);
  t.peer("S. 0:0(0) ack 1 " + words);
  t.expect(". 1:1(0) ack 1");
  t.stack.tcp_abort(id, t.now);
  t.take_all();
}

// req: 7413-2-a
TEST(TcpFastOpenClient, ASynWithoutTheWishCarriesNoOption) {
  TcpDialogue t;
  t.connect();
  EXPECT_FALSE(t.take().header.options.fast_open);
}

TEST(TcpFastOpenClient, WithACookieTheSynWaitsForTextAndTakesItAlong) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  t.expect_nothing();
  EXPECT_EQ(t.stack.tcp_syn_text_room(id), 1420u);  // 40 are left for options
  EXPECT_TRUE(t.stack.tcp_ready(id) & kWritable);
  EXPECT_EQ(t.send(id, 1000), "taken 1000");
  const auto syn = t.take();
  EXPECT_EQ(syn.words, "S 0:1000(1000)");
  ASSERT_TRUE(syn.header.options.fast_open);
  EXPECT_EQ(syn.header.options.fast_open->length, 4);
  EXPECT_EQ(syn.header.options.fast_open->cookie[0], 0xaa);
  t.peer("S. 0:0(0) ack 1001 mss 1460");
  t.expect(". 1001:1001(0) ack 1");
  EXPECT_EQ(t.state(id), established);
  EXPECT_TRUE(t.status(id).syn_text_acked);
  EXPECT_EQ(t.send(id, 100), "taken 100");
  t.expect("P. 1001:1101(100) ack 1");
}

// req: 7413-4.2.2-b
TEST(TcpFastOpenClient, ASynThatIsSentAgainCarriesNeitherTextNorOption) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  EXPECT_EQ(t.send(id, 1000), "taken 1000");
  t.expect("S 0:1000(1000)");
  t.pass(1s);
  const auto again = t.take();
  EXPECT_EQ(again.words, "S 0:0(0)");
  EXPECT_FALSE(again.header.options.fast_open);
  t.peer("S. 0:0(0) ack 1 mss 1460");
  t.expect("P. 1:1001(1000) ack 1");
  EXPECT_FALSE(t.status(id).syn_text_acked);
}

// RFC 1191 §6.4 for a SYN: at once, without the text that made it too large, and with an MSS that this path takes.
TEST(TcpFastOpenClient, ASynTooLargeForThePathGoesAgainBare) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  EXPECT_EQ(t.send(id, 1000), "taken 1000");
  EXPECT_EQ(t.take().words, "S 0:1000(1000)");
  t.peer_icmp(3, 4, 0, 840, 1060);
  const auto again = t.take();
  EXPECT_EQ(again.words, "S 0:0(0)");
  EXPECT_FALSE(again.header.options.fast_open);
  EXPECT_EQ(again.header.options.mss, 800);
  t.peer_icmp(3, 4, 0, 700, 1060);  // once
  t.expect_nothing();
  t.peer("S. 0:0(0) ack 1 mss 1460");
  t.expect(". 1:801(800) ack 1");
  t.expect("P. 801:1001(200) ack 1");
  EXPECT_FALSE(t.status(id).syn_text_acked);
}

TEST(TcpFastOpenClient, AMessageThatCannotBeAboutTheSynsSizeIsIgnored) {
  for (const bool may_fragment : {false, true}) {
    TcpDialogue t;
    get_cookie(t);
    TcpOptions o;
    o.dont_fragment = !may_fragment;
    const SocketId id = open(t, o);
    EXPECT_EQ(t.send(id, 1000), "taken 1000");
    t.expect("S 0:1000(1000)");
    t.peer_icmp(3, 4, 0, may_fragment ? 840 : 1500, 1060);
    t.expect_nothing();
    EXPECT_EQ(t.count(Counter::tcp_path_mtu_ignored), 1u);
    t.peer("S. 0:0(0) ack 1001 mss 1460");
    EXPECT_TRUE(t.status(id).syn_text_acked);
  }
}

TEST(TcpFastOpenClient, TextThatTheServerDidNotTakeIsSentAtOnceAndCostsNoWindow) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  EXPECT_EQ(t.send(id, 1000), "taken 1000");
  t.expect("S 0:1000(1000)");
  t.peer("S. 0:0(0) ack 1 mss 1460");
  t.expect("P. 1:1001(1000) ack 1");
  EXPECT_EQ(t.status(id).congestion_state, CaState::open);
  EXPECT_EQ(t.status(id).cwnd, 10u * 1460);
  EXPECT_EQ(t.count(Counter::tcp_fast_open_refused), 1u);
  t.peer(". 1:1(0) ack 1001");
  t.pass(10s);
  t.expect_nothing();
}

TEST(TcpFastOpenClient, APartThatWasTakenIsNotSentAgain) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  EXPECT_EQ(t.send(id, 1000), "taken 1000");
  t.expect("S 0:1000(1000)");
  t.peer("S. 0:0(0) ack 401 mss 500");
  t.expect(". 401:901(500) ack 1");
  t.expect("P. 901:1001(100) ack 1");
  EXPECT_FALSE(t.status(id).syn_text_acked);
}

TEST(TcpFastOpenClient, TextThatDoesNotFitFollowsTheHandshake) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  EXPECT_EQ(t.send(id, 1900), "taken 1900");
  t.expect("S 0:1420(1420)");
  t.peer("S. 0:0(0) ack 1421 mss 1460");
  t.expect("P. 1421:1901(480) ack 1");
}

// req: 7413-4.1.1-a
TEST(TcpFastOpenClient, ACookieOfTheWrongLengthIsNotKeptNorOneThatCameWithoutASyn) {
  TcpDialogue t;
  get_cookie(t);
  const auto next_syn = [&](const std::string& answer) {
    const SocketId id = open(t);
    EXPECT_EQ(t.send(id, 10), "taken 10");
    const auto syn = t.take();
    EXPECT_EQ(syn.words, "S 0:10(10)");
    t.peer("S. 0:0(0) ack 11 mss 1460 " + answer);
    t.expect(". 11:11(0) ack 1");
    t.peer(". 1:1(0) ack 11 fo 01020304");
    t.stack.tcp_abort(id, t.now);
    t.take_all();
    return syn.header.options.fast_open->cookie[0];
  };
  EXPECT_EQ(next_syn("fo 1122"), 0xaa);
  EXPECT_EQ(next_syn("fo 1122334455667788"), 0xaa);
  EXPECT_EQ(next_syn(""), 0x11);
  EXPECT_EQ(next_syn(""), 0x11);
}

TEST(TcpFastOpenClient, TheServersMssIsRememberedWithItsCookie) {
  TcpDialogue t;
  get_cookie(t, "mss 940 fo aabbccdd");
  EXPECT_EQ(t.stack.tcp_syn_text_room(open(t)), 900u);
  EXPECT_EQ(t.stack.tcp_syn_text_room(open(t, {.max_segment = 500, .reuse = {}})), 460u);
}

TEST(TcpFastOpenClient, AServerThatGivesNoCookieIsAskedOnceInTheOldWay) {
  TcpDialogue t;
  const auto asked_in_the_old_way = [&] {
    const SocketId id = open(t);
    const auto syn = t.take();
    t.peer("S. 0:0(0) ack 1 mss 1460");
    t.stack.tcp_abort(id, t.now);
    t.take_all();
    return syn.header.options.fast_open->experimental;
  };
  EXPECT_FALSE(asked_in_the_old_way());
  EXPECT_TRUE(asked_in_the_old_way());
  EXPECT_FALSE(asked_in_the_old_way());
  EXPECT_FALSE(asked_in_the_old_way());
}

TEST(TcpFastOpenClient, TheCacheIsBounded) {
  FastOpenCache cache;
  const IpAddress ours = TcpDialogue::kUs;
  const auto server = [](uint32_t n) { return IpAddress::v4(0x0a000000 + n); };
  for (uint32_t n = 1; n <= 3; ++n) cache.at(ours, server(n), 3).mss = static_cast<uint16_t>(n);
  EXPECT_NE(cache.find(ours, server(1)), nullptr);
  cache.at(ours, server(4), 3);
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_EQ(cache.find(ours, server(2)), nullptr) << "the one that was longest not spoken to";
  EXPECT_EQ(cache.find(ours, server(1))->mss, 1);
}

TEST(TcpFastOpenClient, WithoutCookiesWhereThatIsConfiguredOrAskedFor) {
  Config c;
  c.tcp.fast_open = fast_open_bit::client | fast_open_bit::client_without_cookie;
  for (const bool configured : {true, false}) {
    TcpDialogue t(configured ? c : Config{});
    const SocketId id = open(t, {.fast_open_no_cookie = !configured, .reuse = {}});
    EXPECT_EQ(t.send(id, 10), "taken 10");
    const auto syn = t.take();
    EXPECT_EQ(syn.words, "S 0:10(10)");
    EXPECT_FALSE(syn.header.options.fast_open);
    t.peer("S. 0:0(0) ack 11 mss 1460 fo aabbccdd");  // nobody asked for it
    t.stack.tcp_abort(id, t.now);
    t.take_all();
    EXPECT_EQ(t.stack.tcp_syn_text_room(open(t)).has_value(), configured);
  }
}

TEST(TcpFastOpenClient, AnEmptySendLetsTheSynGo) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  EXPECT_EQ(t.send(id, 0), "taken 0");
  t.expect("S 0:0(0)");
  t.peer("S. 0:0(0) ack 1 mss 1460");
  t.expect(". 1:1(0) ack 1");
  EXPECT_FALSE(t.status(id).syn_text_acked);
}

TEST(TcpFastOpenClient, AClosedSocketWhoseSynNeverWentSaysNothing) {
  TcpDialogue t;
  get_cookie(t);
  t.stack.tcp_close(open(t), t.now);
  t.pass(1h);
  t.expect_nothing();
}

TEST(TcpFastOpenClient, WhenBothEndsOpenAtOnceTheTextFollows) {
  TcpDialogue t;
  get_cookie(t);
  const SocketId id = open(t);
  EXPECT_EQ(t.send(id, 100), "taken 100");
  t.expect("S 0:100(100)");
  t.peer("S 0:50(50) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer("S. 0:0(0) ack 1 mss 1460");
  EXPECT_EQ(t.state(id), established);
  t.expect("P. 1:101(100) ack 1");
}

// A SYN,ACK that echoes a timestamp that none of our SYNs carried answers an older connection.
TEST(TcpFastOpenClient, ASynAckWithAnEchoThatIsNotOursIsReset) {
  TcpDialogue t;
  t.pass(10s);
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer("S. 0:0(0) ack 1 mss 1460 ts 5 ecr 2000");
  EXPECT_EQ(t.take().words, "R 1:1(0)");
  EXPECT_EQ(t.state(id), syn_sent);
  t.peer("S. 0:0(0) ack 1 mss 1460 ts 5 ecr 10000");
  EXPECT_EQ(t.state(id), established);
}

}  // namespace
}  // namespace limpid
