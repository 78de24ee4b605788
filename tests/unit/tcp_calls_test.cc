// The user's calls (RFC 9293 §3.9.1) where they meet their bounds: a handle that is over, a listener, a full table, and
// what is left of a connection when one direction is shut.
#include "tests/unit/recovery_flow.h"

namespace limpid {
namespace {

using enum TcpState;

TEST(TcpCalls, AHandleThatIsOverIsToldSoByEachCall) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 1:1(0) ack 1");
  std::array<std::byte, 8> octets{};
  EXPECT_EQ(t.stack.tcp_send(id, octets, {}, t.now).error(), Error::stale_handle);
  EXPECT_EQ(t.stack.tcp_receive(id, octets, {}, t.now).error(), Error::stale_handle);
  EXPECT_EQ(t.stack.tcp_shutdown_send(id, t.now).error(), Error::stale_handle);
  EXPECT_EQ(t.stack.tcp_shutdown_receive(id, t.now).error(), Error::stale_handle);
  EXPECT_EQ(t.stack.tcp_set_options(id, {}, t.now).error(), Error::stale_handle);
  EXPECT_EQ(t.stack.tcp_status(id).error(), Error::stale_handle);
  EXPECT_EQ(t.stack.tcp_accept(id, t.now).error(), Error::stale_handle) << "nor is it a listener";
  EXPECT_EQ(t.stack.tcp_options(id), nullptr);
  EXPECT_EQ(t.stack.tcp_ready(id), 0);
  EXPECT_EQ(t.stack.tcp_syn_text_room(id), std::nullopt);
  t.stack.tcp_abort(id, t.now);  // a second time means nothing
  t.stack.tcp_close(id, t.now);
  t.expect_nothing();
}

// Between accept() and a socket for what it took the listener may close.
TEST(TcpCalls, PuttingBackWhatIsGoneMeansNothing) {
  TcpDialogue t;
  const SocketId listener = t.listen();
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1");
  const SocketId id = t.accept();
  t.stack.tcp_put_back(listener, id);
  EXPECT_EQ(t.accept(), id) << "it is the first again";
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 1:1(0) ack 1");
  t.stack.tcp_put_back(listener, id);
  EXPECT_EQ(t.stack.tcp_accept(listener, t.now).error(), Error::would_block);
}

TEST(TcpCalls, OptionsOfAListenerAreThoseOfWhatItOpensFromThenOn) {
  TcpDialogue t;
  const SocketId listener = t.listen();
  TcpOptions o = *t.stack.tcp_options(listener);
  o.ttl = 7;
  EXPECT_TRUE(t.stack.tcp_set_options(listener, o, t.now).has_value());
  t.peer("S 0:0(0) mss 1460");
  EXPECT_EQ(t.take().ip.ttl, 7);
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.stack.tcp_options(t.accept())->ttl, 7);
}

TEST(TcpCalls, ABacklogMayBecomeSmallerAndIsOfListenersOnly) {
  TcpDialogue t;
  const SocketId listener = t.listen({}, 8);
  t.stack.tcp_set_backlog(listener, 3);
  EXPECT_EQ(t.status(listener).send_queue, 3u);
  t.stack.tcp_set_backlog(listener, UINT32_MAX);
  EXPECT_EQ(t.status(listener).send_queue, t.config.tcp.max_accept_queue);
  const SocketId id = t.connect();
  t.stack.tcp_set_backlog(id, 3);
  EXPECT_EQ(t.status(listener).send_queue, t.config.tcp.max_accept_queue);
}

TEST(TcpCalls, KeysOfFastOpenAreTheListenersThenTheStacks) {
  TcpDialogue t;
  const SocketId listener = t.listen();
  const FastOpenKeys stacks = t.stack.tcp_fast_open_keys({});
  EXPECT_EQ(t.stack.tcp_fast_open_keys(listener).primary.k0, stacks.primary.k0);
  t.stack.tcp_set_fast_open_keys(listener, {.primary = {.k0 = 5, .k1 = 6}});
  EXPECT_EQ(t.stack.tcp_fast_open_keys(listener).primary.k0, 5u);
  EXPECT_EQ(t.stack.tcp_fast_open_keys({}).primary.k0, stacks.primary.k0);
  t.stack.tcp_set_fast_open_keys(t.connect(), {.primary = {.k0 = 7, .k1 = 8}});
  EXPECT_EQ(t.stack.tcp_fast_open_keys(listener).primary.k0, 5u);
}

// --- the table of connections is full
// -----------------------------------------------------------------------------------------------------

Config with_room_for(uint32_t connections) {
  Config c;
  c.tcp.max_connections = connections;
  return c;
}

TEST(TcpCalls, AConnectBeyondTheMostIsRefusedAndSendsNothing) {
  TcpDialogue t(with_room_for(1));
  const SocketId first = t.connect();
  t.expect("S 0:0(0)");
  const auto second = t.stack.tcp_connect({TcpDialogue::kPeer, 81}, {}, {}, t.now);
  EXPECT_EQ(second.error(), Error::no_buffers);
  t.expect_nothing();
  t.stack.tcp_abort(first, t.now);
  EXPECT_TRUE(t.stack.tcp_connect({TcpDialogue::kPeer, 81}, {}, {}, t.now).has_value());
}

// As with a full accept queue: the ACK with the cookie may come again when there is room.
TEST(TcpCalls, ACookieThatFindsNoRoomForAConnectionIsTakenLater) {
  Config c = with_room_for(1);
  c.tcp.syn_cookies = SynCookies::always;
  TcpDialogue t(c);
  const SocketId other = t.stack.tcp_connect({TcpDialogue::kPeer, 9}, {}, {}, t.now).value();
  t.take_all();
  t.listen();
  t.peer("S 0:0(0) mss 1460");
  const auto syn_ack = t.take().header;
  t.our_isn = syn_ack.sequence;
  t.peer(". 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.count(Counter::tcp_drop_accept_queue_full), 1u);
  t.stack.tcp_abort(other, t.now);
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(t.accept()), established);
}

TEST(TcpCalls, ConnectToNoAddressMeansThisHost) {
  TcpDialogue t;
  t.listen();
  const SocketId id = t.stack.tcp_connect({IpAddress::v4(0, 0, 0, 0), TcpDialogue::kOurPort}, {}, {}, t.now).value();
  t.stack.flush(t.now);
  EXPECT_EQ(t.status(id).remote.address, IpAddress::v4(127, 0, 0, 1));
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.state(t.accept()), established);
}

// --- one direction
// -----------------------------------------------------------------------------------------------------

// As Linux: what is buffered is still read, what comes later is still acknowledged, and the wire is told nothing.
TEST(TcpCalls, ShutForReadingItEndsBehindWhatIsThere) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 1:6(5) ack 1");
  t.pass(1s);
  t.take_all();
  t.raised(id);
  EXPECT_TRUE(t.stack.tcp_shutdown_receive(id, t.now).has_value());
  EXPECT_NE(t.raised(id) & kReadable, 0u);
  t.expect_nothing();
  EXPECT_EQ(t.read(id), "abcde");
  EXPECT_EQ(t.read(id), "") << "end of stream, not: try again";
  EXPECT_NE(t.stack.tcp_ready(id) & kReadable, 0);
  t.peer("P. 6:8(2) ack 1");
  t.pass(1s);
  t.expect(". 1:1(0) ack 8");
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.send(id, 3), "taken 3") << "the other direction stands";
  t.expect("P. 1:4(3) ack 8");
}

TEST(TcpCalls, ShutForWritingTwiceIsOneFin) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  EXPECT_TRUE(t.stack.tcp_shutdown_send(id, t.now).has_value());
  t.expect("F. 1:1(0) ack 1");
  EXPECT_TRUE(t.stack.tcp_shutdown_send(id, t.now).has_value());
  t.expect_nothing();
  EXPECT_EQ(t.state(id), fin_wait_1);
  EXPECT_EQ(t.stack.tcp_send(id, {}, {}, t.now).error(), Error::closing);
}

TEST(TcpCalls, AnUrgentOctetThatFindsNoRoomStaysAndIsNotCounted) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("PU. 1:2(1) ack 1 urg 1");
  EXPECT_EQ(t.stack.tcp_receive(id, {}, {.urgent = true}, t.now).value(), 0u);
}

// --- what poll() and errors say
// -----------------------------------------------------------------------------------------------------

// POSIX: the reason is told once, by whatever call comes first.
TEST(TcpCalls, AResetIsToldOnceThenItIsOnlyOver) {
  for (const bool by_send : {true, false}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively();
    t.peer("R 1:1(0)");
    std::array<std::byte, 4> octets{};
    EXPECT_NE(t.stack.tcp_ready(id) & kError, 0);
    const auto told = by_send ? t.stack.tcp_send(id, octets, {}, t.now) : t.stack.tcp_receive(id, octets, {}, t.now);
    EXPECT_EQ(told.error(), Error::reset);
    EXPECT_EQ(t.stack.tcp_ready(id) & kError, 0);
    EXPECT_EQ(t.stack.tcp_send(id, octets, {}, t.now).error(), Error::closing);
    EXPECT_EQ(t.stack.tcp_receive(id, octets, {}, t.now).value(), 0u);
    EXPECT_TRUE(t.stack.tcp_shutdown_send(id, t.now).has_value());
    t.expect_nothing();
  }
}

TEST(TcpCalls, ReadinessFollowsTheLifeOfAConnection) {
  TcpDialogue t;
  const SocketId id = t.connect();
  EXPECT_EQ(t.stack.tcp_ready(id), 0) << "connecting";
  t.peer("S. 0:0(0) ack 1 mss 1460");
  EXPECT_EQ(t.stack.tcp_ready(id), kWritable | kConnected);
  TcpOptions o = *t.stack.tcp_options(id);
  o.receive_low_water = 4;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.peer(". 1:4(3) ack 1");
  EXPECT_EQ(t.stack.tcp_ready(id), kWritable | kConnected) << "three octets are below the user's mark";
  t.peer(". 4:5(1) ack 1");
  EXPECT_EQ(t.stack.tcp_ready(id), kReadable | kWritable | kConnected);
  EXPECT_EQ(t.read(id), "abcd");
  EXPECT_EQ(t.stack.tcp_ready(id), kWritable | kConnected);
  t.peer("F. 5:5(0) ack 1");
  EXPECT_EQ(t.stack.tcp_ready(id), kReadable | kWritable | kConnected | kPeerFin);
  t.stack.tcp_shutdown_send(id, t.now).value();
  EXPECT_EQ(t.stack.tcp_ready(id), kReadable | kWritable | kConnected | kPeerFin | kHangUp);
  t.peer(". 6:6(0) ack 2");
  EXPECT_EQ(t.stack.tcp_ready(id), kReadable | kWritable | kPeerFin | kHangUp) << "CLOSED";
}

// SO_LINGER with no time: the peer gets a RST although nothing is unread.
TEST(TcpCalls, CloseWithoutLingeringResets) {
  TcpDialogue t;
  TcpOptions o;
  o.linger_reset = true;
  const SocketId id = t.establish_passively(o);
  t.send(id, 5);
  t.expect("P. 1:6(5) ack 1");
  t.stack.tcp_close(id, t.now);
  t.expect("R. 6:6(0) ack 1");
  EXPECT_EQ(t.listed(), closed);
}

// Zero in an option that has no zero means: as it is.
TEST(TcpCalls, OptionsThatAreNotNamedStayAsTheyAre) {
  TcpDialogue t;
  TcpOptions o;
  o.ttl = 9;
  o.syn_retries = 3;
  o.send_buffer = 5000;
  o.receive_buffer = 6000;
  const SocketId id = t.establish_passively(o);
  t.stack.tcp_set_options(id, {.ttl = 0, .reuse = {}}, t.now).value();
  EXPECT_EQ(t.stack.tcp_options(id)->ttl, 9);
  EXPECT_EQ(t.stack.tcp_options(id)->syn_retries, 3u);
  EXPECT_EQ(t.stack.tcp_options(id)->send_buffer, 5000u);
  EXPECT_EQ(t.stack.tcp_options(id)->receive_buffer, 6000u);
}

// TCP_NODELAY, set just now, pushes what waits, even from under a cork, and the cork holds what comes later (as Linux).
TEST(TcpCalls, NoDelayPushesWhatACorkHoldsOnce) {
  TcpDialogue t;
  TcpOptions o;
  o.cork = true;
  const SocketId id = t.establish_passively(o);
  EXPECT_EQ(t.send(id, 5), "taken 5");
  t.expect_nothing();
  o.no_delay = o.push_pending = true;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.expect("P. 1:6(5) ack 1");
  EXPECT_EQ(t.send(id, 5), "taken 5");
  t.expect_nothing();
  o.push_pending = false;
  o.cork = false;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.expect("P. 6:11(5) ack 1");
}

// An ACK that the user asks for goes at once if one is owed, and not if none is (TCP_QUICKACK).
TEST(TcpCalls, AskedForQuickAcksTheOneThatIsOwedGoesAtOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  TcpOptions o = *t.stack.tcp_options(id);
  o.quick_ack = o.quick_ack_set = true;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.expect_nothing();
  o.quick_ack = false;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.peer(". 1:6(5) ack 1");
  t.expect_nothing();
  o.quick_ack = true;
  t.stack.tcp_set_options(id, o, t.now).value();
  t.expect(". 1:1(0) ack 6");
}

// --- connections that nobody holds
// -----------------------------------------------------------------------------------------------------

// Comes from port `port` of the peer and is established; the id of our end. Our numbers count from its SYN,ACK.
struct Orphans : TcpDialogue {
  using TcpDialogue::TcpDialogue;
  SocketId open(uint16_t port) {
    TcpHeader h{
        .source_port = port, .destination_port = kOurPort, .flags = tcp_flag::syn, .window = 1000, .options = {}};
    peer_header(h);
    h.acknowledgment = take().header.sequence + 1;
    h.sequence = 1;
    h.flags = tcp_flag::ack;
    peer_header(h);
    last = h;
    return accept();
  }
  TcpHeader last;
};

Config with_orphans(uint32_t most) {
  Config c;
  c.tcp.max_orphans = most;
  return c;
}

// req: SOCK-fork-1
TEST(TcpOrphans, ThoseThatEndedByThemselvesAreNotCounted) {
  Orphans t(with_orphans(2));
  t.listen();
  for (int i = 0; i < 1500; ++i) {
    const SocketId id = t.open(static_cast<uint16_t>(2000 + i));
    t.stack.tcp_close(id, t.now);
    t.take_all();
    t.last.flags = tcp_flag::rst;
    t.peer_header(t.last);
    ASSERT_FALSE(t.stack.tcp_status(id).has_value());
  }
  EXPECT_EQ(t.count(Counter::tcp_orphans_shed), 0u);
  std::vector<SocketId> held;
  for (uint16_t port = 5000; port < 5003; ++port) held.push_back(t.open(port));
  for (const SocketId id : held) t.stack.tcp_close(id, t.now);
  EXPECT_EQ(t.count(Counter::tcp_orphans_shed), 1u) << "the oldest that is left, and not one that is gone";
  EXPECT_EQ(t.stack.tcp_unfinished(), 2u);
  std::vector<uint16_t> left;
  for (const TcpStatus& s : t.stack.tcp_list())
    if (s.state == fin_wait_1) left.push_back(s.remote.port);
  EXPECT_EQ(left, (std::vector<uint16_t>{5001, 5002}));
}

// --- a challenge that nobody may have
// -----------------------------------------------------------------------------------------------------

Config without_challenges() {
  Config c;
  c.tcp.challenge_acks_per_second = 0;
  return c;
}

// req: 5961-7-a
TEST(TcpChallenges, BeyondTheBoundOfTheWholeStackThereIsSilence) {
  TcpDialogue t(without_challenges());
  const SocketId id = t.establish_passively();
  t.peer("S 1:1(0)");
  t.pass(1s);
  t.peer("R 100:100(0)");
  t.expect_nothing();
  EXPECT_EQ(t.count(Counter::tcp_challenge_acks_limited), 2u);
  EXPECT_EQ(t.count(Counter::tcp_challenge_acks), 0u);
  EXPECT_EQ(t.state(id), established);
}

// req: 5961-7-a
TEST(TcpChallenges, InTimeWaitTooTheyAreBounded) {
  for (const bool allowed : {true, false}) {
    TcpDialogue t(allowed ? Config{} : without_challenges());
    t.listen();
    t.peer("S 0:0(0) mss 1460 ts 100");
    t.expect("S. 0:0(0) ack 1");
    t.peer(". 1:1(0) ack 1 ts 101 ecr 0");
    t.stack.tcp_close(t.accept(), t.now);
    t.expect("F. 1:1(0) ack 1");
    t.peer("F. 1:1(0) ack 2 ts 102 ecr 0");
    t.expect(". 2:2(0) ack 2");
    t.peer(". 2:2(0) ack 2 ts 50 ecr 0");  // PAWS
    if (allowed) t.expect(". 2:2(0) ack 2");
    t.expect_nothing();
    EXPECT_EQ(t.count(Counter::tcp_challenge_acks), allowed ? 1u : 0u);
    EXPECT_EQ(t.count(Counter::tcp_challenge_acks_limited), allowed ? 0u : 1u);
    EXPECT_EQ(t.listed(), time_wait);
  }
}

TEST(TcpSynReceived, AfterASimultaneousOpenAnUnacceptableAckDrawsAResetToo) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  EXPECT_EQ(t.state(id), syn_received);
  t.peer(". 1:1(0) ack 77");
  t.expect("R 77:77(0)");
  t.peer(". 1:1(0) ack 0");
  t.expect("R 0:0(0)");
  EXPECT_EQ(t.state(id), syn_received);
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(id), established);
}

}  // namespace
}  // namespace limpid
