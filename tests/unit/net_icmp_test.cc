// ICMP as a conversation: echo, errors that we send and those we must not, errors that come to us.
#include "stack/net/icmp.h"
#include "tests/support/ip_host.h"

namespace limpid {
namespace {

using namespace test;

const Icmp4Header kPing = Icmp4Header::echo(icmp4_type::echo_request, 0x1234, 7);

// A datagram of ours, as a router on the way quotes it: the TTL has changed, the rest has not.
Bytes quote(IpProtocol protocol, size_t transport_bytes, const IpAddress& source = kMe) {
  Ipv4Header ip = header_from(source, kFar, protocol);
  ip.ttl = 3;
  Bytes transport(transport_bytes);
  if (transport_bytes >= 4) {
    store16(transport, 0, 4000);
    store16(transport, 2, 53);
  }
  return packet(ip, transport);
}

Delivery arrives(IpHost& host, ByteSpan packet) { return host.ip.receive(host.link, host.pool.copy(packet), host.now); }

Bytes unreachable_from_router(uint8_t code, ByteSpan quoted) {
  return icmp_from(kGateway, kMe, {.type = icmp4_type::unreachable, .code = code, .rest = 0}, quoted);
}

// --- echo
// -----------------------------------------------------------------------------------------------------------------

// req: 792-echo-a
TEST(IcmpEcho, TheReplyReturnsIdentifierSequenceAndData) {
  IpHost host(LinkKind::ip, 65'535);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{56}, size_t{1472}, size_t{65'507}}) {
    Bytes data(size);
    for (size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>(i * 7);
    host.receive(icmp_from(kPeer, kMe, kPing, data));
    const Packet reply = host.take();
    const ParsedIcmp4 icmp = icmp_in(reply);
    EXPECT_EQ(icmp.header, Icmp4Header::echo(icmp4_type::echo_reply, 0x1234, 7));
    EXPECT_EQ(text_of(icmp.body), text_of(data));
    EXPECT_EQ(reply.ip.destination, kPeer);
  }
  EXPECT_EQ(host.count(Counter::icmp_echo_replies), 5U);
}

// req: 1122-3.2.2.6-a, 1122-3.3.4-a
TEST(IcmpEcho, EachAddressAnswersForItself) {
  IpHost host;
  for (const IpAddress& mine : {kMe, kAlsoMe}) {
    host.receive(icmp_from(kPeer, mine, kPing, {}));
    EXPECT_EQ(host.take().ip.source, mine);
  }
}

// req: 1122-3.2.2.6-b, ATK-smurf
TEST(IcmpEcho, BroadcastsAreNotAnswered) {
  IpHost host(LinkKind::ethernet);
  for (const IpAddress& to : {kAllOnes, kNetBroadcast, kMe})
    host.receive_ethernet(icmp_from(kPeer, to, kPing, {}), MacAddress::broadcast());
  EXPECT_TRUE(host.silent());
  EXPECT_EQ(host.count(Counter::icmp_drop_broadcast_echo), 3U);
}

TEST(IcmpEcho, OurOwnPingIsAnsweredOverLoopback) {
  IpHost host;
  const SocketId ping = host.raw.open(IpProtocol::icmp, {});
  ASSERT_TRUE(
      host.raw.send(ping, icmp_message(kPing, {}), {.to = Endpoint{kMe, 0}, .source = {}, .ttl = {}}, host.now));
  host.drain_loopback();
  EXPECT_EQ(host.count(Counter::icmp_echo_replies), 1U);
  EXPECT_TRUE(host.silent()) << "nothing reached the wire";
}

TEST(IcmpEcho, AReplyThatTheDeviceRefusesIsLostAndCounted) {
  IpHost host;
  host.port.full = true;
  host.receive(icmp_from(kPeer, kMe, kPing, {}));
  EXPECT_EQ(host.count(Counter::link_drop_refused), 1U);
  EXPECT_EQ(host.count(Counter::icmp_out), 0U);
}

// --- checks on arrival
// ------------------------------------------------------------------------------------------------------

// req: 792-hdr-a
TEST(IcmpInput, AFlippedBitAnywhereIsNoticed) {
  IpHost host;
  const Bytes message = icmp_message(kPing, bytes_of("data"));
  for (size_t bit = 0; bit < message.size() * 8; ++bit) {
    Bytes bad = message;
    bad[bit / 8] ^= static_cast<std::byte>(0x80 >> bit % 8);
    host.receive(packet(header_from(kPeer, kMe, IpProtocol::icmp), bad));
  }
  EXPECT_EQ(host.count(Counter::icmp_drop_bad_checksum), message.size() * 8);
  EXPECT_TRUE(host.silent());
}

// req: 792-hdr-b
TEST(IcmpInput, CutMessagesAreDroppedAtEveryLength) {
  IpHost host;
  for (const uint8_t type :
       {icmp4_type::echo_request, icmp4_type::unreachable, icmp4_type::time_exceeded, icmp4_type::parameter_problem}) {
    const Bytes quoted = quote(IpProtocol::udp, 8);
    const Bytes whole = icmp_message({.type = type, .code = 3, .rest = 0}, quoted);
    for (size_t n = 0; n < whole.size(); ++n) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
      if (n >= 8) {  // the checksum is right over what is there
        store16(cut, 2, 0);
        store16(cut, 2, internet_checksum(cut));
      }
      const Delivery d = arrives(host, packet(header_from(kPeer, kMe, IpProtocol::icmp), cut));
      EXPECT_NE(d.kind, Delivery::Kind::icmp_error) << "length " << n;
    }
  }
  EXPECT_GT(host.count(Counter::icmp_drop_truncated), 0U);
}

// req: 1122-3.2.2-a
TEST(IcmpInput, UnknownTypesAreSilentlyDropped) {
  IpHost host;
  for (const uint8_t type : {uint8_t{1}, uint8_t{13}, uint8_t{17}, uint8_t{200}})
    host.receive(icmp_from(kPeer, kMe, {.type = type, .code = 0, .rest = 0}, {}));
  EXPECT_EQ(host.count(Counter::icmp_drop_unknown_type), 4U);
  EXPECT_TRUE(host.silent());
}

// req: 6633-3-a
TEST(IcmpInput, SourceQuenchAndRedirectHaveNoEffect) {
  IpHost host;
  for (const uint8_t type : {icmp4_type::source_quench, icmp4_type::redirect}) {
    const Bytes message = icmp_from(kGateway, kMe, {.type = type, .code = 1, .rest = 0}, quote(IpProtocol::udp, 8));
    EXPECT_EQ(arrives(host, message).kind, Delivery::Kind::datagram) << "for raw sockets, as any ICMP message";
  }
  EXPECT_EQ(host.count(Counter::icmp_drop_ignored), 2U);
  EXPECT_EQ(host.ip.path(kFar, {}).error(), Error::network_unreachable) << "no route was learnt";
}

// --- errors that come to us
// ---------------------------------------------------------------------------------------------------

// req: 1122-3.2.2-h, 1122-3.2.2.1-b
TEST(IcmpErrors, GoToTheTransportThatTheyQuote) {
  IpHost host;
  for (const IpProtocol protocol : {IpProtocol::tcp, IpProtocol::udp, IpProtocol{200}}) {
    const Bytes quoted = quote(protocol, 8);
    const Delivery d = arrives(host, unreachable_from_router(icmp4_unreachable::host, quoted));
    ASSERT_EQ(d.kind, Delivery::Kind::icmp_error);
    EXPECT_EQ(d.protocol, protocol);
    EXPECT_EQ(d.source, kMe);
    EXPECT_EQ(d.destination, kFar);
    EXPECT_EQ(d.icmp_from, kGateway);
    EXPECT_EQ(d.icmp_type, icmp4_type::unreachable);
    EXPECT_EQ(d.icmp_code, icmp4_unreachable::host);
    ASSERT_GE(d.payload.length, 8U);
    EXPECT_EQ(load16(d.payload.bytes(), 0), 4000);
    EXPECT_EQ(load16(d.payload.bytes(), 2), 53);
    EXPECT_EQ(load8(d.packet.bytes(), 9), 1) << "the packet that brought it, for raw ICMP sockets";
  }
}

TEST(IcmpErrors, FragmentationNeededCarriesTheNextHopsMtu) {
  IpHost host;
  const Icmp4Header header{
      .type = icmp4_type::unreachable, .code = icmp4_unreachable::fragmentation_needed, .rest = 1280};
  EXPECT_EQ(arrives(host, icmp_from(kGateway, kMe, header, quote(IpProtocol::tcp, 8))).icmp_mtu, 1280U);
}

TEST(IcmpErrors, OnesThatQuoteNoPacketOfOursAreNotHandedOn) {
  IpHost host;
  const Bytes foreign = unreachable_from_router(icmp4_unreachable::port, quote(IpProtocol::udp, 8, kPeer));
  EXPECT_EQ(arrives(host, foreign).kind, Delivery::Kind::datagram);

  Ipv4Header later = header_from(kMe, kFar, IpProtocol::udp);
  later.fragment_offset = 64;
  const Bytes fragment = unreachable_from_router(icmp4_unreachable::port, packet(later, Bytes(8)));
  EXPECT_EQ(arrives(host, fragment).kind, Delivery::Kind::datagram) << "there are no ports in a later fragment";
  EXPECT_EQ(host.count(Counter::icmp_drop_no_socket), 2U);
}

TEST(IcmpErrors, MeanWhatLinuxTakesThemFor) {
  struct Row {
    uint8_t type, code;
    Error error;
    bool hard;
  };
  const Row rows[] = {{3, 0, Error::network_unreachable, false},
                      {3, 1, Error::host_unreachable, false},
                      {3, 2, Error::protocol_unreachable, true},
                      {3, 3, Error::refused, true},
                      {3, 4, Error::message_too_long, false},
                      {3, 9, Error::network_unreachable, true},
                      {3, 10, Error::host_unreachable, true},
                      {3, 13, Error::host_unreachable, true},
                      {11, 0, Error::host_unreachable, false},
                      {12, 0, Error::protocol_unreachable, true},
                      {4, 0, Error::none, false},
                      {5, 0, Error::none, false}};
  for (const Row& row : rows) {
    SCOPED_TRACE(std::to_string(row.type) + "/" + std::to_string(row.code));
    EXPECT_EQ(icmp_meaning(row.type, row.code).error, row.error);
    EXPECT_EQ(icmp_meaning(row.type, row.code).hard, row.hard);
  }
}

// --- errors that we send
// --------------------------------------------------------------------------------------------------------

// req: 1122-3.2.2-b, 1122-3.2.2.1-a, 1122-4.1.3.1-a
TEST(IcmpUnreachable, AClosedPortIsToldWithTheDatagramAsItCame) {
  IpHost host;
  Ipv4Header ip = header_from(kPeer, kAlsoMe, IpProtocol::udp);
  ip.ttl = 9;
  ip.identification = 77;
  const Bytes question = udp_datagram(ip, 4000, 9, "anybody there?");
  host.receive(question);
  const Packet answer = host.take();
  const ParsedIcmp4 icmp = icmp_in(answer);
  EXPECT_EQ(icmp.header.type, icmp4_type::unreachable);
  EXPECT_EQ(icmp.header.code, icmp4_unreachable::port);
  EXPECT_EQ(icmp.header.rest, 0U);
  EXPECT_EQ(text_of(icmp.body), text_of(question));
  EXPECT_EQ(answer.ip.source, kAlsoMe);
  EXPECT_EQ(answer.ip.destination, kPeer);
  EXPECT_EQ(host.trace.last(EventKind::icmp_sent).rule, Rule::icmp_unreachable);
}

// req: 1122-3.2.2.1-a
TEST(IcmpUnreachable, AnUnknownProtocolIsTold) {
  IpHost host;
  host.receive(packet(header_from(kPeer, kMe, IpProtocol{200}), bytes_of("?")));
  EXPECT_EQ(icmp_in(host.take()).header.code, icmp4_unreachable::protocol);
  EXPECT_EQ(host.count(Counter::ip4_drop_unknown_protocol), 1U);
}

TEST(IcmpUnreachable, TheQuoteStopsAt576Bytes) {
  IpHost host;
  host.receive(udp_from_peer(4000, 9, std::string(1400, 'x')));
  EXPECT_EQ(host.take().bytes.size(), 576U);
}

void expect_no_error_for(const IpHost& host) {
  EXPECT_TRUE(host.silent());
  EXPECT_EQ(host.count(Counter::icmp_forbidden), 1U);
  EXPECT_EQ(host.trace.last(EventKind::icmp_dropped).rule, Rule::icmp_silent);
}

// req: 1122-3.2.2-c
TEST(IcmpSilence, NoErrorAboutAnError) {
  IpHost host;
  host.receive(unreachable_from_router(icmp4_unreachable::port, quote(IpProtocol::udp, 8)));
  EXPECT_TRUE(host.silent());

  Delivery d = arrives(host, unreachable_from_router(icmp4_unreachable::port, quote(IpProtocol::udp, 8, kPeer)));
  host.ip.send_unreachable(d, icmp4_unreachable::protocol, host.now);
  expect_no_error_for(host);
}

// req: 1122-3.2.2-d, ATK-smurf
TEST(IcmpSilence, NoErrorAboutABroadcast) {
  for (const IpAddress& to : {kAllOnes, kNetBroadcast}) {
    IpHost host;
    host.receive(udp_datagram(header_from(kPeer, to, IpProtocol::udp), 7, 7, "fraggle"));
    expect_no_error_for(host);
  }
}

// req: 1122-3.2.2-e
TEST(IcmpSilence, NoErrorAboutALinkBroadcast) {
  IpHost host(LinkKind::ethernet);
  host.receive_ethernet(udp_from_peer(4000, 9, "x"), MacAddress::broadcast());
  expect_no_error_for(host);
}

// req: 1122-3.2.2-f
TEST(IcmpSilence, NoErrorAboutALaterFragment) {
  IpHost host;
  Ipv4Header ip = header_from(kPeer, kMe, IpProtocol{200});
  ip.fragment_offset = 8;
  host.receive(packet(ip, Bytes(8)));
  EXPECT_TRUE(host.silent());
}

// req: 1122-3.2.2-g
TEST(IcmpSilence, NoErrorToAnAddressThatIsNoSingleHost) {
  IpHost host;
  host.ip.add_route(IpAddress::v4(0), 0, host.link, kGateway);  // an answer would find its way
  for (const IpAddress& source : {IpAddress::v4(0), IpAddress::v4(127, 0, 0, 1), kNetBroadcast, kAllOnes,
                                  IpAddress::v4(224, 0, 0, 1), IpAddress::v4(240, 0, 0, 1)})
    host.receive(udp_datagram(header_from(source, kMe, IpProtocol::udp), 4000, 9, "x"));
  EXPECT_TRUE(host.silent());
}

// req: 1122-3.2.2.2-a
TEST(IcmpSilence, AHostSendsNoRedirects) {
  IpHost host(LinkKind::ethernet);
  host.ip.add_route(IpAddress::v4(0), 0, host.link, kGateway);
  host.receive_ethernet(udp_datagram(header_from(kPeer, kFar, IpProtocol::udp), 4000, 9, "route me"));
  EXPECT_TRUE(host.silent());
}

// --- rate
// -----------------------------------------------------------------------------------------------------------------

// req: 1812-4.3.2.8-a
TEST(IcmpRate, OnePeerGetsABurstOfSixAndThenOneASecond) {
  IpHost host;
  const auto ask = [&](int times) {
    const size_t before = host.port.frames.size();
    for (int i = 0; i < times; ++i) host.receive(udp_from_peer(4000, 9, "x"));
    return host.port.frames.size() - before;
  };
  EXPECT_EQ(ask(100), 6U);
  host.now += 1s;
  EXPECT_EQ(ask(100), 1U);
  host.now += 3s;
  EXPECT_EQ(ask(100), 3U);
  host.now += 1h;
  EXPECT_EQ(ask(100), 6U);
  EXPECT_EQ(host.count(Counter::icmp_limited), 400U - 16U);

  const size_t before = host.port.frames.size();
  for (int i = 0; i < 100; ++i) host.receive(icmp_from(kPeer, kMe, kPing, {}));
  EXPECT_EQ(host.port.frames.size() - before, 100U) << "echo replies are not limited";
}

// req: 1812-4.3.2.8-a
TEST(IcmpRate, AllPeersTogetherGetFiftyAtOnceAndAThousandASecond) {
  IpHost host;
  host.ip.add_route(IpAddress::v4(0), 0, host.link, kGateway);
  uint32_t peer = 0x0b000000;
  const auto ask = [&](int times) {
    const size_t before = host.port.frames.size();
    for (int i = 0; i < times; ++i)
      host.receive(udp_datagram(header_from(IpAddress::v4(++peer), kMe, IpProtocol::udp), 4000, 9, "x"));
    return host.port.frames.size() - before;
  };
  EXPECT_EQ(ask(60), 50U);
  host.now += 20ms;
  EXPECT_EQ(ask(60), 20U);
}

TEST(IcmpRate, LoopbackIsNotLimited) {
  IpHost host;
  const SocketId socket = host.udp.open({});
  int refused = 0;
  ASSERT_TRUE(host.udp.connect(socket, {kMe, 9}));
  for (int i = 0; i < 50; ++i) {
    if (!host.udp.send(socket, {}, {}, host.now)) ADD_FAILURE();
    host.drain_loopback();
    refused += host.udp.take_error(socket) == Error::refused ? 1 : 0;
  }
  EXPECT_EQ(refused, 50);
}

}  // namespace
}  // namespace limpid
