// Listeners: the bounded SYN queue and accept queue (RFC 4987), which of several listeners is meant, and thousands of
// clients on one port.
#include "stack/base/rng.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

TcpHeader syn_from(uint16_t port) {
  TcpHeader h{.source_port = port,
              .destination_port = 80,
              .sequence = 1000,
              .flags = tcp_flag::syn,
              .window = 65'535,
              .options = {}};
  h.options.mss = 1460;
  return h;
}

TcpHeader ack_of(const TcpDialogue::Sent& syn_ack, uint32_t peer_isn = 1000) {
  return {.source_port = syn_ack.header.destination_port,
          .destination_port = syn_ack.header.source_port,
          .sequence = peer_isn + 1,
          .acknowledgment = syn_ack.header.sequence + 1,
          .flags = tcp_flag::ack,
          .window = 65'535,
          .options = {}};
}

size_t in_state(const TcpDialogue& t, TcpState state) {
  size_t n = 0;
  for (const TcpStatus& s : t.stack.tcp_list())
    if (s.state == state) ++n;
  return n;
}

// --- SYN-RECEIVED
// ------------------------------------------------------------------------------------------------------------

// req: 4987-3.3-a, ATK-synackrefl
TEST(TcpSynReceived, WithoutAnAckTheSynAckIsSentFiveTimesMoreAndForgotten) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1460");
  t.pass(1h);
  const auto sent = t.take_all();
  ASSERT_EQ(sent.size(), 6u);
  for (size_t i = 1; i < sent.size(); ++i) {
    EXPECT_EQ(sent[i].words, "S. 0:0(0) ack 1");
    EXPECT_EQ(sent[i].at - sent[i - 1].at, 1s * (1 << (i - 1)));
  }
  EXPECT_EQ(t.listed(), closed);
}

// req: ATK-synackrefl
TEST(TcpSynReceived, AResetOrAnIcmpErrorEndsTheSynAcks) {
  for (bool by_reset : {true, false}) {
    TcpDialogue t;
    t.listen();
    t.peer("S 0:0(0) mss 1460");
    t.expect("S. 0:0(0) ack 1");
    if (by_reset) {
      t.peer("R 1:1(0)");
    } else {
      t.peer_icmp(3, 3, 99);  // quotes what we never sent
      EXPECT_EQ(t.listed(), syn_received);
      t.peer_icmp(3, 3, 0);
    }
    EXPECT_EQ(t.listed(), closed);
    t.pass(1h);
    t.expect_nothing();
  }
}

// req: 5961-3.2-b, 5961-3.2-c, 5961-4.2-a
TEST(TcpSynReceived, OnlyAResetAtRcvNxtEndsItOthersInTheWindowAreChallenged) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer("R 2:2(0)");
  t.expect(". 1:1(0) ack 1");
  t.peer("R 65000:65000(0)");
  t.expect(". 1:1(0) ack 1");
  t.peer("R 70000:70000(0)");  // outside: silence
  t.expect_nothing();
  t.peer("S 5:5(0)");  // another SYN in the window
  t.expect(". 1:1(0) ack 1");
  t.peer("P 1:11(10)");  // no ACK bit
  t.expect_nothing();
  EXPECT_EQ(t.listed(), syn_received);
  t.peer("R 1:1(0)");
  EXPECT_EQ(t.listed(), closed);
}

// req: 9293-3.10.7.4-e
TEST(TcpSynReceived, TheSameSynDrawsTheSameSynAck) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1460");
  const auto first = t.take();
  t.peer("S 0:0(0) mss 1460");
  const auto again = t.take();
  EXPECT_EQ(again.words, "S. 0:0(0) ack 1");
  EXPECT_EQ(again.header.sequence, first.header.sequence);
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(t.accept()), established);
}

// req: 9293-3.10.7.4-d
TEST(TcpSynReceived, TheAckMayBringTextFinAndAWindow) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1460 wscale 4");
  t.take_all();
  t.peer("FP. 1:11(10) ack 1 win 1000");
  const SocketId id = t.accept();
  EXPECT_EQ(t.state(id), close_wait);
  EXPECT_EQ(t.status(id).send_window, 16'000u);
  t.expect(". 1:1(0) ack 12");
  EXPECT_EQ(t.read(id), "abcdefghij");
  EXPECT_EQ(t.read(id), "");
}

// req: 9293-MUST-11, 9293-3.5.1-b
TEST(TcpSynReceived, AResetAfterAPassiveOpenReturnsToListenAndTellsNobody) {
  TcpDialogue t;
  const SocketId listener = t.listen();
  t.peer("S 0:0(0) mss 1460");  // an old duplicate
  t.expect("S. 0:0(0) ack 1");
  t.raised(listener);
  t.peer("R 1:1(0)");  // the peer never opened
  EXPECT_EQ(t.raised(listener), 0);
  EXPECT_EQ(t.stack.tcp_take_error(listener), Error::none);
  t.peer("S 5000:5000(0) mss 1460");
  t.expect("S. 0:0(0) ack 5001");
  t.peer(". 5001:5001(0) ack 1");
  EXPECT_EQ(t.state(t.accept()), established);
}

// req: 9293-MUST-11
TEST(TcpSynReceived, AResetAfterAnActiveOpenIsRefusal) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.peer("S 0:0(0) mss 1460");
  t.take_all();
  EXPECT_EQ(t.state(id), syn_received);
  t.peer("R 1:1(0)");
  EXPECT_EQ(t.state(id), closed);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::refused);
}

// --- the SYN queue
// ---------------------------------------------------------------------------------------------------------------

// req: 4987-3.2-a, ATK-synflood
TEST(TcpSynQueue, IsBoundedTheOldestMakesRoomAndEstablishedConnectionsLive) {
  Config config;
  config.tcp.syn_cookies = SynCookies::off;
  TcpDialogue t(config);
  const SocketId server = t.establish_passively();
  const uint32_t isn = t.our_isn;
  Rng rng(1);
  for (int i = 0; i < 100'000; ++i) {
    TcpHeader h = syn_from(static_cast<uint16_t>(rng.between(1024, 65'535)));
    h.sequence = static_cast<uint32_t>(rng.next());
    t.header_between(IpAddress::v4(static_cast<uint32_t>(0x0a000003 + rng.below(250))), TcpDialogue::kUs, h);
    t.take_all();
    t.other_packets.clear();
  }
  EXPECT_EQ(in_state(t, syn_received), 1024u);
  EXPECT_EQ(t.stack.frames().frames_out(), 0u);
  EXPECT_GE(t.count(Counter::tcp_drop_syn_queue_full), 90'000u);
  t.our_isn = isn;  // the dialogue has learned a hundred thousand others since
  t.peer("P. 1:11(10) ack 1");
  EXPECT_EQ(t.read(server), "abcdefghij");
}

// req: ATK-synflood, 4987-3.4-a
TEST(TcpSynQueue, WithoutCookiesAGenuineClientIsServedIfItIsQuickerThanTheFlood) {
  Config config;
  config.tcp.syn_cookies = SynCookies::off;
  TcpDialogue t(config);
  t.listen();
  for (uint16_t i = 0; i < 2000; ++i) t.peer_header(syn_from(static_cast<uint16_t>(10'000 + i)));
  t.take_all();
  t.peer_header(syn_from(4999));
  const auto syn_ack = t.take();
  for (uint16_t i = 0; i < 1000; ++i) t.peer_header(syn_from(static_cast<uint16_t>(20'000 + i)));
  t.take_all();
  t.peer_header(ack_of(syn_ack));
  EXPECT_EQ(t.status(t.accept()).remote.port, 4999);
}

TEST(TcpSynQueue, ItsSizeIsConfigured) {
  Config config;
  config.tcp.syn_queue = 3;
  config.tcp.syn_cookies = SynCookies::off;
  TcpDialogue t(config);
  t.listen();
  for (const uint16_t port : std::initializer_list<uint16_t>{1001, 1002, 1003, 1004, 1005})
    t.peer_header(syn_from(port));
  std::vector<uint16_t> waiting;
  for (const TcpStatus& s : t.stack.tcp_list())
    if (s.state == syn_received) waiting.push_back(s.remote.port);
  std::ranges::sort(waiting);
  EXPECT_EQ(waiting, (std::vector<uint16_t>{1003, 1004, 1005}));
}

// --- the accept queue
// --------------------------------------------------------------------------------------------------------------

TEST(TcpAcceptQueue, ABacklogOfNLetsNPlusOneWait) {
  TcpDialogue t;
  const SocketId listener = t.listen({}, 2);
  for (uint16_t port = 1001; port <= 1003; ++port) {
    t.peer_header(syn_from(port));
    t.peer_header(ack_of(t.take()));
  }
  EXPECT_EQ(t.status(listener).receive_queue, 3u);
  t.peer_header(syn_from(1004));  // no room: the SYN did not come
  t.expect_nothing();
  EXPECT_EQ(t.count(Counter::tcp_drop_accept_queue_full), 1u);
  EXPECT_EQ(t.stack.tcp_status(t.accept())->remote.port, 1001);  // oldest first
  t.peer_header(syn_from(1004));
  t.expect("S. 0:0(0) ack " + std::to_string(static_cast<int32_t>(1001 - TcpDialogue::kPeerIsn)));
}

TEST(TcpAcceptQueue, ABacklogIsCutToTheStacksLimit) {
  Config config;
  config.tcp.max_accept_queue = 4;
  TcpDialogue t(config);
  const SocketId listener = t.listen({}, 1000);
  EXPECT_EQ(t.status(listener).send_queue, 4u);
  t.stack.tcp_set_backlog(listener, 2);
  EXPECT_EQ(t.status(listener).send_queue, 2u);
  t.stack.tcp_set_backlog(listener, 2000);
  EXPECT_EQ(t.status(listener).send_queue, 4u);
}

// As on Linux: an ACK that finds the queue full did not come; the SYN,ACK goes again and the client is served later.
TEST(TcpAcceptQueue, AnAckThatFindsItFullIsNotTheEnd) {
  TcpDialogue t;
  t.listen({}, 0);
  t.peer_header(syn_from(1001));
  const auto first = t.take();
  t.peer_header(syn_from(1002));
  const auto second = t.take();
  t.peer_header(ack_of(first));
  t.peer_header(ack_of(second));
  EXPECT_EQ(in_state(t, syn_received), 1u);
  t.accept();
  t.pass(1s);
  const auto again = t.take();
  EXPECT_EQ(again.header.sequence, second.header.sequence);
  t.peer_header(ack_of(again));
  EXPECT_EQ(t.stack.tcp_status(t.accept())->remote.port, 1002);
}

TEST(TcpAcceptQueue, TheListenerIsToldAndAConnectionMayBeGivenBack) {
  TcpDialogue t;
  const SocketId listener = t.listen();
  t.peer("S 0:0(0) mss 1460");
  t.take_all();
  EXPECT_EQ(t.stack.tcp_ready(listener), 0);
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.raised(listener) & kAcceptable, kAcceptable);
  EXPECT_EQ(t.stack.tcp_ready(listener) & kAcceptable, kAcceptable);
  const SocketId id = t.accept();
  EXPECT_EQ(t.stack.tcp_accept(listener, t.now).error(), Error::would_block);
  t.stack.tcp_put_back(listener, id);
  EXPECT_EQ(t.accept(), id);
}

TEST(TcpAcceptQueue, AConnectionThatWasResetMeanwhileIsStillAcceptedAndTells) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1460");
  t.take_all();
  t.peer(". 1:1(0) ack 1");
  t.peer("R 1:1(0)");
  const SocketId id = t.accept();
  EXPECT_EQ(t.read(id), "error 4");
}

// --- CLOSE of a listener
// ---------------------------------------------------------------------------------------------------------

// req: 9293-3.10.4-d
TEST(TcpListenerClose, LaterSynsAreRefusedAndWhatWaitsIsReset) {
  TcpDialogue t;
  const SocketId listener = t.listen();
  t.peer_header(syn_from(1001));
  t.peer_header(ack_of(t.take()));  // established, not accepted
  t.peer_header(syn_from(1002));    // half-open
  t.take_all();
  t.stack.tcp_close(listener, t.now);
  const auto reset = t.take();
  EXPECT_TRUE(reset.header.has(tcp_flag::rst));
  EXPECT_EQ(reset.header.destination_port, 1001);
  t.expect_nothing();
  EXPECT_TRUE(t.stack.tcp_list().empty());
  t.peer("S 0:0(0)");
  EXPECT_EQ(t.take().words.substr(0, 2), "R.");
  t.pass(100s);
  t.expect_nothing();
}

// req: 9293-MUST-41
TEST(TcpListenerClose, ConnectionsDoNotCareWhetherTheirListenerLivesOrIsReplaced) {
  TcpDialogue t;
  TcpOptions reuse;
  reuse.reuse.address = true;
  const SocketId server = t.establish_passively(reuse);
  EXPECT_EQ(t.stack.tcp_bind({{}, 80}, {}, t.now).error(), Error::address_in_use);  // refused
  for (const TcpStatus& s : t.stack.tcp_list())
    if (s.state == listen) t.stack.tcp_close(s.id, t.now);
  t.listen(reuse);  // allowed
  t.peer("P. 1:11(10) ack 1");
  EXPECT_EQ(t.read(server), "abcdefghij");
  EXPECT_EQ(t.send(server, 10), "taken 10");
  EXPECT_EQ(t.state(server), established);
}

// --- which listener, and how many clients
// ------------------------------------------------------------------------------------------

TEST(TcpListeners, TheOneWithTheAddressGoesBeforeTheOneForAll) {
  TcpDialogue t;
  const ReusePolicy reuse{.address = false, .port = true};
  const auto any = t.stack.tcp_listen(*t.stack.tcp_bind({{}, 80}, reuse, t.now), 8, {}, t.now).value();
  const auto exact = t.stack.tcp_listen(*t.stack.tcp_bind({TcpDialogue::kUs, 80}, reuse, t.now), 8, {}, t.now).value();
  t.peer_header(syn_from(1001));
  t.peer_header(ack_of(t.take()));
  EXPECT_FALSE(t.stack.tcp_accept(any, t.now).has_value());
  EXPECT_TRUE(t.stack.tcp_accept(exact, t.now).has_value());
  t.stack.tcp_close(exact, t.now);
  t.peer_header(syn_from(1002));
  t.peer_header(ack_of(t.take()));
  EXPECT_TRUE(t.stack.tcp_accept(any, t.now).has_value());
}

TEST(TcpListeners, ThoseThatShareAPortShareItsClients) {
  TcpDialogue t;
  const ReusePolicy reuse{.address = false, .port = true};
  std::vector<SocketId> listeners;
  for (int i = 0; i < 4; ++i)
    listeners.push_back(t.stack.tcp_listen(*t.stack.tcp_bind({{}, 80}, reuse, t.now), 2000, {}, t.now).value());
  for (uint16_t port = 1001; port <= 1400; ++port) {
    t.peer_header(syn_from(port));
    t.peer_header(ack_of(t.take()));
  }
  size_t sum = 0;
  for (SocketId l : listeners) {
    const size_t n = t.status(l).receive_queue;
    EXPECT_GT(n, 50u);
    sum += n;
  }
  EXPECT_EQ(sum, 400u);
}

TEST(TcpListeners, ThousandsOfClientsOnOnePort) {
  TcpDialogue t;
  const SocketId listener = t.listen({}, 4096);
  std::vector<std::pair<SocketId, uint16_t>> servers;
  for (uint16_t port = 2000; port < 5000; ++port) {
    TcpHeader syn = syn_from(port);
    t.peer_header(syn);
    t.peer_header(ack_of(t.take()));
    servers.emplace_back(t.accept(), port);
  }
  EXPECT_EQ(in_state(t, established), 3000u);
  EXPECT_EQ(t.status(listener).receive_queue, 0u);
  for (size_t i = 0; i < servers.size(); i += 97) {
    const auto [id, port] = servers[i];
    ASSERT_EQ(t.status(id).remote.port, port);
    t.send(id, 3);
    const auto s = t.take();
    ASSERT_EQ(s.header.destination_port, port);
    ASSERT_EQ(s.text.size(), 3u);
  }
}

// Attempts that are under way from or to a port do not keep a listener away from it.
// req: 9293-MUST-42
TEST(TcpListeners, HalfOpenConnectionsOnAPortDoNotPreventOne) {
  TcpDialogue t;
  const SocketId first = t.listen();
  t.peer_header(syn_from(5001));
  t.take();
  EXPECT_EQ(in_state(t, syn_received), 1u);
  t.stack.tcp_close(first, t.now);
  t.take_all();
  const ReusePolicy reuse{.address = true};
  const auto bind = t.stack.tcp_bind({TcpDialogue::kUs, 81}, reuse, t.now).value();
  TcpOptions o;
  o.reuse = reuse;
  const auto out = t.stack.tcp_connect({TcpDialogue::kPeer, 4000}, bind, o, t.now);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(t.state(*out), syn_sent);
  t.take_all();
  t.listen(o);  // port 80, where the half-open one was
  t.peer_header(syn_from(5002));
  t.peer_header(ack_of(t.take()));
  EXPECT_EQ(t.state(t.accept()), established);
  // And the port that is in SYN-SENT.
  const auto again = t.stack.tcp_bind({{}, 81}, reuse, t.now);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(t.stack.tcp_listen(*again, 8, o, t.now).has_value());
  TcpHeader syn = syn_from(5003);
  syn.destination_port = 81;
  t.peer_header(syn);
  EXPECT_EQ(t.take().words.substr(0, 2), "S.");
  EXPECT_EQ(t.state(*out), syn_sent);
}

}  // namespace
}  // namespace limpid
