// TCP Fast Open (RFC 7413), the server's side: whose text is taken with the SYN, and what happens to such a connection
// before its handshake ends.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

constexpr SipKey kKey{.k0 = 1, .k1 = 2};
constexpr SipKey kOlder{.k0 = 3, .k1 = 4};

Config as_server(uint32_t more = 0) {
  Config c;
  c.tcp.fast_open = fast_open_bit::client | fast_open_bit::server | more;
  c.tcp.fast_open_keys = FastOpenKeys{.primary = kKey};
  return c;
}

std::string hex(const FastOpenOption& option) {
  std::string text;
  for (size_t i = 0; i < option.length; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[option.cookie[i] >> 4];
    text += kDigits[option.cookie[i] & 15];
  }
  return text;
}

std::string cookie_for(const IpAddress& client, const SipKey& key = kKey) {
  return hex(fast_open_cookie(key, client, TcpDialogue::kUs));
}
const std::string kGood = cookie_for(TcpDialogue::kPeer);

TcpHeader fast_syn(uint16_t port, const IpAddress& cookie_of) {
  TcpHeader h{.source_port = port,
              .destination_port = 80,
              .sequence = 1000,
              .flags = tcp_flag::syn,
              .window = 65'535,
              .options = {}};
  h.options.fast_open = fast_open_cookie(kKey, cookie_of, TcpDialogue::kUs);
  return h;
}

const std::array<std::byte, 10> kText{};

// The vector that packetdrill's scripts use.
TEST(TcpFastOpenCookie, IsTheOneThatLinuxMakes) {
  const SipKey key{.k0 = 0xb2b2b2b2a1a1a1a1, .k1 = 0xd4d4d4d4c3c3c3c3};
  EXPECT_EQ(hex(fast_open_cookie(key, IpAddress::v4(192, 0, 2, 1), IpAddress::v4(192, 168, 0, 1))), "3021b9d889017eeb");
}

// req: 7413-2-a
TEST(TcpFastOpenServer, IsOffUnlessBothTheConfigurationAndTheListenerAskForIt) {
  for (const bool configured : {false, true}) {
    TcpDialogue t(configured ? as_server() : Config{});
    t.listen({.fast_open_queue = configured ? uint16_t{0} : uint16_t{8}, .reuse = {}});
    t.peer("S 0:10(10) mss 1460 fo " + kGood);
    const auto syn_ack = t.take();
    EXPECT_EQ(syn_ack.words, "S. 0:0(0) ack 1");
    EXPECT_FALSE(syn_ack.header.options.fast_open);
    EXPECT_EQ(t.listed(), syn_received);
  }
}

TEST(TcpFastOpenServer, GivesACookieToWhoAsksAndTakesTheTextThatComesWithIt) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:0(0) mss 1460 fo request");
  const auto first = t.take();
  EXPECT_EQ(first.words, "S. 0:0(0) ack 1");
  ASSERT_TRUE(first.header.options.fast_open);
  EXPECT_EQ(hex(*first.header.options.fast_open), kGood);
  t.peer("R 1:1(0)");

  t.peer("S 0:10(10) mss 1460 fo " + kGood);
  const auto second = t.take();
  EXPECT_EQ(second.words, "S. 0:0(0) ack 11");
  EXPECT_FALSE(second.header.options.fast_open);
  const SocketId server = t.accept();
  EXPECT_EQ(t.state(server), syn_received);
  EXPECT_TRUE(t.status(server).syn_text_acked);
  EXPECT_EQ(t.read(server), "abcdefghij");
  t.take_all();
  t.peer(". 11:11(0) ack 1");
  EXPECT_EQ(t.state(server), established);
  EXPECT_EQ(t.count(Counter::tcp_fast_opens), 1u);
}

// req: 7413-4.1.2-a
TEST(TcpFastOpenServer, ACookieIsGoodFromItsAddressOnly) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  const IpAddress other = IpAddress::v4(10, 0, 0, 9);
  t.header_between(other, TcpDialogue::kUs, fast_syn(4000, TcpDialogue::kPeer), kText);
  const auto syn_ack = t.take();
  EXPECT_EQ(syn_ack.header.acknowledgment, 1001u);
  ASSERT_TRUE(syn_ack.header.options.fast_open);
  EXPECT_EQ(hex(*syn_ack.header.options.fast_open), cookie_for(other));
}

// req: 7413-4.2.2-a
TEST(TcpFastOpenServer, AForgedCookieCostsTheTextAndBringsTheRightOne) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo 0011223344556677");
  const auto syn_ack = t.take();
  EXPECT_EQ(syn_ack.words, "S. 0:0(0) ack 1");
  ASSERT_TRUE(syn_ack.header.options.fast_open);
  EXPECT_EQ(hex(*syn_ack.header.options.fast_open), kGood);
  EXPECT_EQ(t.count(Counter::tcp_fast_open_fallbacks), 1u);
  t.peer("P. 1:11(10) ack 1");
  t.take_all();
  EXPECT_EQ(t.read(t.accept()), "abcdefghij");
}

// req: 7413-4.1.1-a
TEST(TcpFastOpenServer, ACookieOfTheWrongLengthIsNone) {
  for (const size_t length : {2u, 3u, 7u, 18u}) {
    TcpDialogue t(as_server());
    t.listen({.fast_open_queue = 8, .reuse = {}});
    std::vector<std::byte> syn(20 + (2 + length + 3) / 4 * 4 + 10, std::byte{1});  // NOPs
    std::fill(syn.begin(), syn.begin() + 20, std::byte{0});
    store8(syn, 12, static_cast<uint8_t>((syn.size() - 10) / 4 << 4));
    store8(syn, 13, tcp_flag::syn);
    store8(syn, 20, 34);
    store8(syn, 21, static_cast<uint8_t>(2 + length));
    t.peer_raw(syn);
    const auto syn_ack = t.take();
    EXPECT_EQ(syn_ack.header.acknowledgment, 1u) << length;
    EXPECT_FALSE(syn_ack.header.options.fast_open) << length;
  }
}

TEST(TcpFastOpenServer, ACookieOfTheBackupKeyIsGoodAndReplaced) {
  Config c = as_server();
  c.tcp.fast_open_keys->backup = kOlder;
  TcpDialogue t(c);
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo " + cookie_for(TcpDialogue::kPeer, kOlder));
  const auto syn_ack = t.take();
  EXPECT_EQ(syn_ack.words, "S. 0:0(0) ack 11");
  ASSERT_TRUE(syn_ack.header.options.fast_open);
  EXPECT_EQ(hex(*syn_ack.header.options.fast_open), kGood);
}

TEST(TcpFastOpenServer, ACookieOfNeitherKeyIsForged) {
  Config c = as_server();
  c.tcp.fast_open_keys->backup = kOlder;
  TcpDialogue t(c);
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo 0011223344556677");
  t.expect("S. 0:0(0) ack 1");
  EXPECT_EQ(t.count(Counter::tcp_fast_open_fallbacks), 1u);
}

// Neither text nor a word of Fast Open: there is nothing to be fast with, even where no cookie is asked for.
TEST(TcpFastOpenServer, ABareSynIsAnOrdinaryOne) {
  TcpDialogue t(as_server(fast_open_bit::server_without_cookie));
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:0(0) mss 1460");
  const auto syn_ack = t.take();
  EXPECT_FALSE(syn_ack.header.options.fast_open);
  EXPECT_EQ(t.listed(), syn_received);
  EXPECT_EQ(t.count(Counter::tcp_fast_opens), 0u);
}

// The stamp of a SYN with text is the first that PAWS compares with (RFC 7323 §5.3).
TEST(TcpFastOpenServer, TheStampOfTheSynIsTheFirstOfTheConnection) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 ts 100 fo " + kGood);
  t.expect("S. 0:0(0) ack 11");
  const SocketId id = t.accept();
  t.peer("P. 11:16(5) ack 1 ts 99 ecr 0");
  EXPECT_EQ(t.count(Counter::tcp_drop_paws), 1u);
  EXPECT_EQ(t.read(id), "abcdefghij");
}

TEST(TcpFastOpenServer, WithoutRoomForAConnectionItIsAnOrdinaryHandshake) {
  Config c = as_server();
  c.tcp.max_connections = 1;
  TcpDialogue t(c);
  ASSERT_TRUE(t.stack.tcp_connect({TcpDialogue::kPeer, 9}, {}, {}, t.now).has_value());
  t.take_all();
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo " + kGood);
  EXPECT_EQ(t.take().header.acknowledgment, TcpDialogue::kPeerIsn + 1);
  EXPECT_EQ(t.count(Counter::tcp_fast_open_fallbacks), 1u);
}

// Linux tcp_fastopen, 0x400: every listener, without a word of the user's.
TEST(TcpFastOpenServer, EveryListenerMayTakePartIfSoConfigured) {
  for (const bool backlog : {false, true}) {
    TcpDialogue t(as_server(fast_open_bit::every_listener));
    t.listen({}, backlog ? 8 : 0);
    t.peer("S 0:10(10) mss 1460 fo " + kGood);
    EXPECT_EQ(t.take().words, backlog ? "S. 0:0(0) ack 11" : "S. 0:0(0) ack 1") << "as many as its backlog";
  }
}

TEST(TcpFastOpenServer, TakesTextWithoutACookieIfItIsToldTo) {
  TcpDialogue t(as_server(fast_open_bit::server_without_cookie));
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460");
  t.expect("S. 0:0(0) ack 11");
}

// req: 7413-4.2-a
TEST(TcpFastOpenServer, BeyondTheBoundItIsAnOrdinaryHandshake) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 2, .reuse = {}});
  const auto syn = [&](uint16_t port) {
    t.header_between(TcpDialogue::kPeer, TcpDialogue::kUs, fast_syn(port, TcpDialogue::kPeer), kText);
    return t.take().header;
  };
  const TcpHeader first = syn(5001);
  EXPECT_EQ(first.acknowledgment, 1011u);
  EXPECT_EQ(syn(5002).acknowledgment, 1011u);
  EXPECT_EQ(syn(5003).acknowledgment, 1001u) << "the bound is two";

  TcpHeader ack = fast_syn(5001, TcpDialogue::kPeer);
  ack.sequence = 1011;
  ack.acknowledgment = first.sequence + 1;
  ack.flags = tcp_flag::ack;
  ack.options = {};
  t.header_between(TcpDialogue::kPeer, TcpDialogue::kUs, ack);
  EXPECT_EQ(syn(5004).acknowledgment, 1011u) << "one has its handshake behind it";
}

// req: 7413-4.2-a
TEST(TcpFastOpenServer, OneThatAResetEndedHoldsItsPlaceForAMinute) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 1, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo " + kGood);
  t.expect("S. 0:0(0) ack 11");
  t.peer("R. 11:11(0)");
  const auto syn = [&] {
    t.header_between(TcpDialogue::kPeer, TcpDialogue::kUs, fast_syn(5001, TcpDialogue::kPeer), kText);
    return t.take().header.acknowledgment;
  };
  EXPECT_EQ(syn(), 1001u);
  t.peer_header({.source_port = 5001, .destination_port = 80, .sequence = 1001, .flags = tcp_flag::rst, .options = {}});
  t.pass(61s);
  EXPECT_EQ(syn(), 1011u);
}

TEST(TcpFastOpenServer, AResetBeforeAcceptLeavesTheTextAndThenTheError) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo " + kGood);
  t.expect("S. 0:0(0) ack 11");
  t.peer("R. 11:11(0)");
  const SocketId server = t.accept();
  EXPECT_EQ(t.read(server), "abcdefghij");
  EXPECT_EQ(t.stack.tcp_take_error(server), Error::reset);
}

TEST(TcpFastOpenServer, AnswersBeforeTheHandshakeEndsAndRepeatsOnlyTheSynAckUntilThen) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1000 win 10000 fo " + kGood);
  t.expect("S. 0:0(0) ack 11");
  const SocketId server = t.accept();
  EXPECT_TRUE(t.stack.tcp_ready(server) & kWritable);
  EXPECT_EQ(t.send(server, 1500), "taken 1500");
  t.expect(". 1:1001(1000) ack 11");
  t.expect("P. 1001:1501(500) ack 11");
  t.pass(1s);
  t.expect("S. 0:0(0) ack 11");
  t.expect_nothing();
  t.peer(". 11:11(0) ack 1");
  EXPECT_EQ(t.state(server), established);
  t.take_all();
  t.peer(". 11:11(0) ack 1501");
  t.pass(10s);
  t.expect_nothing();
}

TEST(TcpFastOpenServer, AFinWaitsForTheHandshake) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo " + kGood);
  t.expect("S. 0:0(0) ack 11");
  const SocketId server = t.accept();
  EXPECT_EQ(t.read(server), "abcdefghij");
  t.take_all();
  t.stack.tcp_close(server, t.now);
  t.expect_nothing();
  t.peer(". 11:11(0) ack 1");
  t.expect("F. 1:1(0) ack 11");
}

TEST(TcpFastOpenServer, TheSynComeAgainIsAnsweredAgainAndItsTextIsNotTakenTwice) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo " + kGood);
  t.expect("S. 0:0(0) ack 11");
  t.peer("S 0:0(0) mss 1460");  // the client's timer expired
  t.expect("S. 0:0(0) ack 11");
  t.peer(". 11:11(0) ack 1");
  EXPECT_EQ(t.read(t.accept()), "abcdefghij");
}

TEST(TcpFastOpenServer, AnIcmpErrorEndsItOnlyUntilItHasItsUser) {
  for (const bool accepted : {false, true}) {
    TcpDialogue t(as_server());
    t.listen({.fast_open_queue = 8, .reuse = {}});
    t.peer("S 0:10(10) mss 1460 fo " + kGood);
    t.expect("S. 0:0(0) ack 11");
    SocketId server;
    if (accepted) server = t.accept();
    t.peer_icmp(3, 1, 0);
    if (!accepted) server = t.accept();
    EXPECT_EQ(t.state(server), accepted ? syn_received : closed);
    EXPECT_EQ(t.read(server), "abcdefghij");
  }
}

TEST(TcpFastOpenServer, WithoutAnAckItIsGivenUpLikeOthersOneTryLater) {
  TcpDialogue t(as_server());
  t.listen({.fast_open_queue = 8, .reuse = {}});
  t.peer("S 0:10(10) mss 1460 fo " + kGood);
  t.pass(1h);
  EXPECT_EQ(t.take_all().size(), 7u);
  EXPECT_EQ(t.listed(), closed);
}

}  // namespace
}  // namespace limpid
