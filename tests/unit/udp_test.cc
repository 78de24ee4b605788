// UDP sockets as a conversation (RFC 768, RFC 1122 §4.1, udp(7)).
#include "tests/support/ip_host.h"

namespace limpid {
namespace {

using namespace test;

constexpr IpAddress kAny{};
constexpr ReusePolicy kNo{};
constexpr ReusePolicy kAddress{.address = true};
constexpr ReusePolicy kShare{.port = true};

class Udp : public testing::Test {
 protected:
  SocketId bound(const Endpoint& local, ReusePolicy reuse = kNo, const UdpOptions& options = {}) {
    const SocketId id = host.udp.open(options);
    EXPECT_TRUE(host.udp.bind(id, local, reuse));
    return id;
  }
  SocketId connected(const Endpoint& remote, const UdpOptions& options = {}) {
    const SocketId id = host.udp.open(options);
    EXPECT_TRUE(host.udp.connect(id, remote));
    return id;
  }
  Error send(SocketId id, std::string_view text, const DatagramSend& how = {}) {
    const auto sent = host.udp.send(id, bytes_of(text), how, host.now);
    EXPECT_EQ(sent.value_or(text.size()), text.size());
    return sent ? Error::none : sent.error();
  }
  Error send_to(SocketId id, std::string_view text, const Endpoint& to) {
    return send(id, text, {.to = to, .source = {}, .ttl = {}});
  }
  // What the socket has to read; "-" when nothing.
  std::string read(SocketId id) {
    std::array<std::byte, 2000> buffer;
    const auto received = host.udp.receive(id, buffer, false);
    if (!received) return received.error() == Error::would_block ? "-" : "error";
    last = *received;
    return text_of(ByteSpan(buffer).first(received->copied));
  }
  void from_peer(std::string_view text, uint16_t to, uint16_t from = 5000, const IpAddress& destination = kMe) {
    host.receive(udp_datagram(header_from(kPeer, destination, IpProtocol::udp), from, to, text));
  }
  uint16_t port_of(SocketId id) { return host.udp.status(id)->local.port; }
  // The peer's host says about a datagram of ours, or one that looks like it: port unreachable, or another code.
  void icmp_about(uint16_t source_port, uint16_t destination_port, uint8_t code = icmp4_unreachable::port) {
    const Bytes quoted =
        udp_datagram(header_from(kMe, kPeer, IpProtocol::udp), source_port, destination_port, "question");
    host.receive(icmp_from(kPeer, kMe, {.type = icmp4_type::unreachable, .code = code, .rest = 0}, quoted));
  }

  IpHost host;
  DatagramReceived last;
  std::array<uint32_t, 64> share{};  // datagrams by socket
};

// --- the datagram
// -----------------------------------------------------------------------------------------------------------

// req: SOCK-udp-2, 1122-4.1.3.5-a
TEST_F(Udp, AnUnconnectedSocketHearsAnyoneAndSpeaksToMany) {
  const SocketId socket = bound({kAny, 4000});
  from_peer("from one", 4000, 5000);
  from_peer("from another", 4000, 5001, kAlsoMe);
  EXPECT_EQ(read(socket), "from one");
  EXPECT_EQ(last.from, (Endpoint{kPeer, 5000}));
  EXPECT_EQ(last.destination, kMe);
  EXPECT_EQ(last.arrived, host.now);
  EXPECT_EQ(read(socket), "from another");
  EXPECT_EQ(last.from, (Endpoint{kPeer, 5001}));
  EXPECT_EQ(last.destination, kAlsoMe) << "the application sees which address of ours was meant";
  EXPECT_EQ(read(socket), "-");

  EXPECT_EQ(send_to(socket, "a", {kPeer, 1}), Error::none);
  EXPECT_EQ(send_to(socket, "b", {kGateway, 2}), Error::none);
  const Packet a = host.take();
  const auto udp = parse_udp(a.payload, a.ip.source, a.ip.destination);
  EXPECT_EQ(udp->header, (UdpHeader{.source_port = 4000, .destination_port = 1}));
  EXPECT_EQ(text_of(udp->payload), "a");
  EXPECT_EQ(host.take().ip.destination, kGateway);
}

// req: 1122-4.1.3.5-a, 1122-3.3.4-a
TEST_F(Udp, TheApplicationChoosesItsSource) {
  const SocketId socket = bound({kAny, 4000});
  EXPECT_EQ(send(socket, "x", {.to = Endpoint{kPeer, 1}, .source = kAlsoMe, .ttl = uint8_t{5}}), Error::none);
  const Packet sent = host.take();
  EXPECT_EQ(sent.ip.source, kAlsoMe);
  EXPECT_EQ(sent.ip.ttl, 5);
  EXPECT_EQ(send(socket, "x", {.to = Endpoint{kPeer, 1}, .source = kFar, .ttl = {}}), Error::address_not_available);

  const SocketId second = bound({kAlsoMe, 4001});
  EXPECT_EQ(send_to(second, "x", {kPeer, 1}), Error::none);
  EXPECT_EQ(host.take().ip.source, kAlsoMe);
}

// req: 768-csum-a
TEST_F(Udp, TheChecksumCoversAddressesAndDataAndZeroMeansNone) {
  const SocketId socket = bound({kMe, 4000});
  // Sent: never 0. Among 65,536 payloads of two bytes one has a sum whose complement is 0.
  int all_ones = 0;
  for (int i = 0; i < 65'536; ++i) {
    const char text[] = {static_cast<char>(i >> 8), static_cast<char>(i)};
    ASSERT_EQ(send_to(socket, {text, 2}, {kPeer, 1}), Error::none);
    const Packet sent = host.take();
    const uint16_t sum = load16(sent.payload, 6);
    ASSERT_NE(sum, 0);
    all_ones += sum == 0xffff ? 1 : 0;
    ASSERT_TRUE(parse_udp(sent.payload, sent.ip.source, sent.ip.destination));
  }
  EXPECT_EQ(all_ones, 1);

  Bytes without = udp_from_peer(5000, 4000, "no checksum");
  store16(without, 26, 0);
  host.receive(without);
  EXPECT_EQ(read(socket), "no checksum");
}

// req: 1122-4.1.3.4-a
TEST_F(Udp, AnyFlippedBitIsDroppedSilently) {
  const SocketId socket = bound({kAny, 4000});
  const Bytes good = udp_from_peer(5000, 4000, "checked");
  for (size_t bit = 20 * 8; bit < good.size() * 8; ++bit) {
    if (bit / 8 == 24 || bit / 8 == 25) continue;  // the length is judged before
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(0x80 >> bit % 8);
    host.receive(bad);
  }
  EXPECT_EQ(host.count(Counter::udp_drop_bad_checksum), (good.size() - 22) * 8);
  EXPECT_EQ(read(socket), "-");
  EXPECT_TRUE(host.silent());
  EXPECT_EQ(host.trace.last(EventKind::udp_dropped).rule, Rule::udp_drop);
}

// req: 768-len-a
TEST_F(Udp, TheLengthFieldMustFitAndCutsWhatIsBeyond) {
  const SocketId socket = bound({kAny, 4000});
  const auto with_length = [](uint16_t length) {
    Bytes bytes = udp_from_peer(5000, 4000, "0123456789");
    store16(bytes, 24, length);
    store16(bytes, 26, 0);
    return bytes;
  };
  host.receive(with_length(7));
  host.receive(with_length(19));
  EXPECT_EQ(host.count(Counter::udp_drop_bad_length), 2U);
  EXPECT_EQ(read(socket), "-");
  host.receive(with_length(12));
  EXPECT_EQ(read(socket), "0123");
  EXPECT_EQ(last.length, 4U);
}

// req: 768-zero-a, SOCK-recv-1
TEST_F(Udp, AnEmptyDatagramIsADatagram) {
  const SocketId socket = bound({kAny, 4000});
  from_peer("", 4000);
  EXPECT_TRUE(host.udp.ready(socket) & kReadable);
  EXPECT_EQ(read(socket), "");
  EXPECT_EQ(last.from, (Endpoint{kPeer, 5000}));
  EXPECT_EQ(read(socket), "-");

  EXPECT_EQ(send_to(socket, "", {kPeer, 1}), Error::none);
  EXPECT_EQ(host.take().payload.size(), UdpHeader::kSize);
}

// req: SOCK-recv-4
TEST_F(Udp, WhatDoesNotFitTheReadersBufferIsLost) {
  const SocketId socket = bound({kAny, 4000});
  from_peer(std::string(100, 'x'), 4000);
  from_peer("next", 4000);
  EXPECT_EQ(host.udp.readable_bytes(socket), 100U);
  std::array<std::byte, 10> small;
  const auto peeked = host.udp.receive(socket, small, true);
  EXPECT_EQ(peeked->copied, 10U);
  const auto received = host.udp.receive(socket, small, false);
  EXPECT_EQ(received->copied, 10U);
  EXPECT_EQ(received->length, 100U);
  EXPECT_EQ(read(socket), "next");
}

// --- who gets it
// --------------------------------------------------------------------------------------------------------------

// req: SOCK-udp-1
TEST_F(Udp, AConnectedSocketHearsOnlyItsPeer) {
  const SocketId socket = connected({kPeer, 5000});
  const uint16_t port = port_of(socket);
  EXPECT_EQ(host.udp.status(socket)->local.address, kMe) << "connect chose it";
  from_peer("yes", port, 5000);
  EXPECT_EQ(read(socket), "yes");
  from_peer("no", port, 5001);
  EXPECT_EQ(read(socket), "-");
  EXPECT_EQ(icmp_in(host.take()).header.code, icmp4_unreachable::port) << "nobody is there for the other";
  EXPECT_EQ(send(socket, "to the peer"), Error::none);
  EXPECT_EQ(host.take().ip.destination, kPeer);

  ASSERT_TRUE(host.udp.connect(socket, {}));
  EXPECT_EQ(send(socket, "x"), Error::destination_required);
  EXPECT_EQ(host.udp.status(socket)->remote, Endpoint{});
  EXPECT_EQ(host.udp.status(socket)->local, Endpoint{}) << "what connect chose is given back";
}

TEST_F(Udp, WhatBindChoseStaysWhenThePeerGoes) {
  const SocketId socket = bound({kAny, 4000});
  ASSERT_TRUE(host.udp.connect(socket, {kPeer, 5000}));
  EXPECT_EQ(host.udp.status(socket)->local, (Endpoint{kMe, 4000}));
  from_peer("no", 4000, 5001);
  EXPECT_EQ(read(socket), "-");
  ASSERT_TRUE(host.udp.connect(socket, {}));
  EXPECT_EQ(host.udp.status(socket)->local, (Endpoint{kAny, 4000}));
  from_peer("yes", 4000, 5001);
  EXPECT_EQ(read(socket), "yes");
}

// req: SOCK-udp-3, SOCK-bind-4
TEST_F(Udp, TheMostSpecificSocketGetsTheDatagram) {
  const SocketId any = bound({kAny, 4000}, kAddress);
  const SocketId one = bound({kMe, 4000}, kAddress);
  const SocketId peer = bound({kMe, 4000}, kAddress);
  ASSERT_TRUE(host.udp.connect(peer, {kPeer, 5000}));
  from_peer("connected", 4000, 5000);
  from_peer("one address", 4000, 5001);
  from_peer("any address", 4000, 5001, kAlsoMe);
  EXPECT_EQ(read(peer), "connected");
  EXPECT_EQ(read(one), "one address");
  EXPECT_EQ(read(any), "any address");

  host.udp.close(peer);
  from_peer("again", 4000, 5000);
  EXPECT_EQ(read(one), "again");
}

TEST_F(Udp, WithReusePortTheSendersAreShared) {
  const std::array<SocketId, 4> workers = {bound({kAny, 4000}, kShare), bound({kAny, 4000}, kShare),
                                           bound({kAny, 4000}, kShare), bound({kAny, 4000}, kShare)};
  for (uint16_t sender = 1; sender <= 400; ++sender) {
    from_peer("x", 4000, sender);
    from_peer("x", 4000, sender);
    int busy = 0;
    for (const SocketId worker : workers) {
      const uint32_t queued = host.udp.status(worker)->queued_datagrams;
      EXPECT_TRUE(queued == 0 || queued == 2) << "one sender always meets one worker";
      busy += queued == 2 ? 1 : 0;
      while (read(worker) != "-") ++share[worker.index];
    }
    EXPECT_EQ(busy, 1);
  }
  for (const SocketId worker : workers) EXPECT_GT(share[worker.index], 800U / 8);
}

TEST_F(Udp, ABroadcastReachesEverySocketItIsFor) {
  const SocketId one = bound({kAny, 4000}, kAddress);
  const SocketId two = bound({kAny, 4000}, kAddress);
  const SocketId three = bound({kNetBroadcast, 4000}, kAddress);
  const SocketId unicast = bound({kMe, 4000}, kAddress);
  from_peer("all", 4000, 5000, kNetBroadcast);
  EXPECT_EQ(read(one), "all");
  EXPECT_EQ(read(two), "all");
  EXPECT_EQ(read(three), "all");
  EXPECT_EQ(read(unicast), "-");
}

// req: SOCK-bind-1, SOCK-bind-2
TEST_F(Udp, BindAnswersAsPosixSays) {
  const SocketId first = bound({kAny, 0});
  const SocketId second = bound({kAny, 0});
  EXPECT_NE(port_of(first), port_of(second));
  EXPECT_GE(port_of(first), 32'768);
  EXPECT_EQ(host.udp.bind(first, {kAny, 4000}, kNo).error(), Error::invalid_argument) << "bound already";

  const SocketId third = host.udp.open({});
  EXPECT_EQ(host.udp.bind(third, {kFar, 4000}, kNo).error(), Error::address_not_available);
  EXPECT_EQ(host.udp.bind(third, {kMe, port_of(first)}, kNo).error(), Error::address_in_use);
  host.udp.close(first);
  EXPECT_EQ(host.udp.bind(third, {kMe, 4000}, kNo).has_value(), true);
}

TEST_F(Udp, AStaleIdIsHarmless) {
  const SocketId gone = bound({kAny, 4000});
  host.udp.close(gone);
  const SocketId reused = host.udp.open({});
  EXPECT_EQ(reused.index, gone.index);
  EXPECT_EQ(send_to(gone, "x", {kPeer, 1}), Error::stale_handle);
  EXPECT_EQ(host.udp.connect(gone, {kPeer, 1}).error(), Error::stale_handle);
  EXPECT_EQ(host.udp.status(gone).error(), Error::stale_handle);
  EXPECT_EQ(host.udp.options(gone), nullptr);
  host.udp.close(gone);
  EXPECT_NE(host.udp.options(reused), nullptr);
  EXPECT_EQ(host.udp.list().size(), 1U);
}

// --- sending
// ----------------------------------------------------------------------------------------------------------------

// req: SOCK-send-6, 791-3.2-f, 1122-3.3.3-a
TEST_F(Udp, SendSaysWhyItCannot) {
  const SocketId socket = bound({kAny, 4000});
  EXPECT_EQ(send(socket, "x"), Error::destination_required);
  EXPECT_EQ(send_to(socket, "x", {kFar, 1}), Error::network_unreachable);
  EXPECT_EQ(send_to(socket, "x", {kPeer, 0}), Error::invalid_argument);
  EXPECT_EQ(send_to(socket, std::string(1472, 'x'), {kPeer, 1}), Error::none);
  EXPECT_EQ(send_to(socket, std::string(1473, 'x'), {kPeer, 1}), Error::message_too_long) << "no fragments yet";
  EXPECT_EQ(send_to(socket, std::string(65'508, 'x'), {kMe, 1}), Error::message_too_long);
  EXPECT_EQ(send_to(socket, std::string(65'507, 'x'), {kMe, 1}), Error::none) << "loopback carries the largest";
  EXPECT_EQ(host.udp.shutdown(socket, false, true).error(), Error::not_connected);
  EXPECT_EQ(send_to(socket, "x", {kPeer, 1}), Error::closing);
}

// req: SOCK-udp-4
TEST_F(Udp, BroadcastNeedsPermission) {
  const SocketId socket = bound({kAny, 4000});
  EXPECT_EQ(send_to(socket, "x", {kAllOnes, 1}), Error::permission_denied);
  EXPECT_EQ(send_to(socket, "x", {kNetBroadcast, 1}), Error::permission_denied);
  EXPECT_EQ(host.udp.connect(socket, {kNetBroadcast, 1}).error(), Error::permission_denied);
  EXPECT_TRUE(host.silent());
  EXPECT_TRUE(host.udp.set_options(socket, {.broadcast = true}));
  EXPECT_EQ(send_to(socket, "x", {kAllOnes, 1}), Error::none);
  EXPECT_EQ(host.take().ip.source, kMe);
}

TEST_F(Udp, ARefusedDatagramIsTriedAgainWhenTheDeviceHasRoom) {
  const SocketId socket = bound({kAny, 4000});
  host.port.full = true;
  EXPECT_EQ(send_to(socket, "x", {kPeer, 1}), Error::would_block);
  EXPECT_EQ(host.count(Counter::udp_out), 0U);
  EXPECT_FALSE(host.udp.ready(socket) & kWritable);
  host.port.full = false;
  host.udp.link_writable();
  ASSERT_EQ(host.ready.raised.size(), 1U);
  EXPECT_EQ(host.ready.raised[0].events, kWritable);
  EXPECT_EQ(send_to(socket, "x", {kPeer, 1}), Error::none);
  EXPECT_EQ(host.count(Counter::udp_out), 1U);
}

TEST_F(Udp, OurOwnSocketsTalkOverLoopback) {
  const SocketId server = bound({kAny, 4000});
  const SocketId client = connected({IpAddress::v4(127, 0, 0, 1), 4000});
  EXPECT_EQ(send(client, "question"), Error::none);
  EXPECT_EQ(read(server), "-") << "never by recursion: it waits for the end of the step";
  host.drain_loopback();
  EXPECT_EQ(read(server), "question");
  EXPECT_EQ(send_to(server, "answer", last.from), Error::none);
  host.drain_loopback();
  EXPECT_EQ(read(client), "answer");
  EXPECT_TRUE(host.silent());
}

// --- queue, shutdown
// ----------------------------------------------------------------------------------------------------------

// req: SOCK-udp-5
TEST_F(Udp, AFullQueueDropsTheNewAndKeepsTheOrder) {
  const SocketId socket = bound({kAny, 4000}, kNo, {.receive_buffer = 20'000});
  for (int i = 0; i < 50; ++i) from_peer(std::to_string(i), 4000);
  const UdpStatus status = *host.udp.status(socket);
  EXPECT_GE(status.queued_datagrams, 9U);
  EXPECT_LT(status.queued_bytes, 20'000U + 2'200U);
  EXPECT_EQ(status.queued_datagrams + status.dropped, 50U);
  EXPECT_EQ(host.count(Counter::udp_drop_queue_full), status.dropped);
  for (uint32_t i = 0; i < status.queued_datagrams; ++i) EXPECT_EQ(read(socket), std::to_string(i));
  EXPECT_EQ(host.udp.status(socket)->queued_bytes, 0U);
  EXPECT_EQ(host.pool.frames_out(), 0U);
}

TEST_F(Udp, ASmallDatagramDoesNotPinALargeFrame) {
  const SocketId socket = bound({kAny, 4000});
  const Bytes datagram = udp_from_peer(5000, 4000, "small");
  FrameRef large = host.pool.make(60'000);
  std::ranges::copy(datagram, large->data());
  large->length = static_cast<uint32_t>(datagram.size());
  const Delivery d = host.ip.receive(host.link, std::move(large), host.now);
  EXPECT_TRUE(host.udp.receive(d, host.now));
  EXPECT_LT(host.udp.status(socket)->queued_bytes, 4096U);
  EXPECT_EQ(read(socket), "small");
}

TEST_F(Udp, AfterShutdownReadsEndAndDatagramsAreDropped) {
  const SocketId socket = connected({kPeer, 5000});
  from_peer("before", port_of(socket));
  EXPECT_TRUE(host.udp.shutdown(socket, true, false));
  from_peer("after", port_of(socket));
  EXPECT_EQ(host.count(Counter::udp_drop_shut), 1U);
  EXPECT_EQ(read(socket), "before");
  EXPECT_EQ(read(socket), "");
  EXPECT_TRUE(host.udp.ready(socket) & kReadable);
  EXPECT_TRUE(host.udp.shutdown(socket, false, true));
  EXPECT_TRUE(host.udp.ready(socket) & kHangUp);
}

// --- ICMP errors
// ------------------------------------------------------------------------------------------------------------

// req: SOCK-err-4
TEST_F(Udp, WhoForbidsFragmentsIsToldHowLargeADatagramMayBe) {
  UdpOptions whole;
  whole.dont_fragment = true;
  const SocketId socket = connected({kPeer, 9}, whole);
  EXPECT_EQ(send(socket, std::string(1400, 'x')), Error::none);
  const Bytes quoted = udp_datagram(header_from(kMe, kPeer, IpProtocol::udp), port_of(socket), 9, "question");
  host.receive(icmp_from(
      kPeer, kMe, {.type = icmp4_type::unreachable, .code = icmp4_unreachable::fragmentation_needed, .rest = 1200},
      quoted));
  EXPECT_EQ(host.udp.ready(socket) & kError, kError);
  EXPECT_EQ(host.udp.take_error(socket), Error::message_too_long);
  EXPECT_EQ(host.ip.path_mtu(kPeer, host.now).mtu, 1200U);
  EXPECT_EQ(send(socket, std::string(1173, 'x')), Error::message_too_long);
  EXPECT_EQ(send(socket, std::string(1172, 'x')), Error::none);

  const SocketId plain = connected({kPeer, 10});  // routers may cut up what it sends
  EXPECT_EQ(send(plain, std::string(1400, 'x')), Error::none);
  host.now += 601s;
  EXPECT_EQ(send(socket, std::string(1400, 'x')), Error::none) << "the path may be wider again";
}

// req: 1122-4.1.3.3-a, SOCK-err-3, SOCK-err-1
TEST_F(Udp, AConnectedSocketIsRefusedOnce) {
  const SocketId socket = connected({kPeer, 9});
  EXPECT_EQ(send(socket, "question"), Error::none);
  icmp_about(port_of(socket), 9);
  EXPECT_EQ(host.udp.ready(socket) & kError, kError);
  EXPECT_TRUE(host.ready.raised.back().events & kError);
  EXPECT_EQ(send(socket, "again"), Error::refused);
  EXPECT_EQ(send(socket, "again"), Error::none);

  icmp_about(port_of(socket), 9);
  EXPECT_EQ(read(socket), "error");
  EXPECT_EQ(read(socket), "-");
  icmp_about(port_of(socket), 9);
  EXPECT_EQ(host.udp.take_error(socket), Error::refused);
  EXPECT_EQ(host.udp.take_error(socket), Error::none);
}

// req: SOCK-err-3, 8085-5.2-a
TEST_F(Udp, OnlyTheSocketThatSentItIsConcerned) {
  const SocketId socket = connected({kPeer, 9});
  icmp_about(port_of(socket), 10);
  icmp_about(static_cast<uint16_t>(port_of(socket) + 1), 9);
  EXPECT_EQ(host.udp.take_error(socket), Error::none);
  EXPECT_EQ(host.count(Counter::icmp_drop_no_socket), 2U);

  const SocketId unconnected = bound({kAny, 4000});
  icmp_about(4000, 9);
  EXPECT_EQ(host.udp.take_error(unconnected), Error::none);
  EXPECT_TRUE(host.udp.set_options(unconnected, {.receive_errors = true}));
  icmp_about(4000, 9);
  EXPECT_EQ(host.udp.take_error(unconnected), Error::refused) << "IP_RECVERR";
}

// req: 1122-3.2.2.1-b, 6633-3-a
TEST_F(Udp, SoftErrorsAreHintsAndDoNotStopAFlow) {
  const SocketId socket = connected({kPeer, 9});
  icmp_about(port_of(socket), 9, icmp4_unreachable::host);
  icmp_about(port_of(socket), 9, icmp4_unreachable::net);
  const Bytes quoted = udp_datagram(header_from(kMe, kPeer, IpProtocol::udp), port_of(socket), 9, "x");
  host.receive(icmp_from(kPeer, kMe, {.type = icmp4_type::source_quench, .code = 0, .rest = 0}, quoted));
  EXPECT_EQ(host.udp.take_error(socket), Error::none);
  EXPECT_EQ(send(socket, "on we go"), Error::none);
}

}  // namespace
}  // namespace limpid
