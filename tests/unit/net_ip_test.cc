// The internet layer as a conversation: what comes in and what becomes of it, what goes out and where.
#include "tests/support/ip_host.h"

namespace limpid {
namespace {

using namespace test;

const ByteSpan kNoBody{};

// A datagram of a protocol that IP itself does not look into.
Bytes plain(const IpAddress& source, const IpAddress& destination) {
  return packet(header_from(source, destination, IpProtocol{200}), bytes_of("twelve bytes"));
}

void fix_checksum(Bytes& packet) {
  const size_t size = size_t{load8(packet, 0) & 0x0fU} * 4;
  store16(packet, 10, 0);
  store16(packet, 10, internet_checksum(ByteSpan(packet).first(size)));
}

// Nobody gets it, nobody is told, one counter grew by one, and the trace says why.
void expect_dropped(IpHost& host, ByteSpan frame, Counter reason) {
  const uint64_t before = host.count(reason);
  const Delivery delivery = host.ip.receive(host.link, host.pool.copy(frame), host.now);
  EXPECT_EQ(delivery.kind, Delivery::Kind::none);
  EXPECT_TRUE(host.silent());
  EXPECT_EQ(host.count(reason), before + 1) << kCounterInfo[static_cast<size_t>(reason)].name;
  const Event ip = host.trace.last(EventKind::ip_dropped);
  const Event link = host.trace.last(EventKind::link_dropped);
  EXPECT_TRUE(ip.words[4] == static_cast<uint32_t>(reason) || link.words[2] == static_cast<uint32_t>(reason));
}

// --- in
// -------------------------------------------------------------------------------------------------------------------

TEST(IpInput, ADatagramForUsIsHandedOnWithItsHeader) {
  IpHost host;
  Ipv4Header ip = header_from(kPeer, kMe, IpProtocol{200});
  ip.ttl = 61;
  ip.tos = 0x10;
  const Bytes sent = packet(ip, bytes_of("payload"));
  const Delivery d = host.ip.receive(host.link, host.pool.copy(sent), host.now);
  EXPECT_EQ(d.kind, Delivery::Kind::datagram);
  EXPECT_EQ(d.source, kPeer);
  EXPECT_EQ(d.destination, kMe);
  EXPECT_EQ(d.ttl, 61);
  EXPECT_EQ(d.tos, 0x10);
  EXPECT_FALSE(d.broadcast);
  EXPECT_EQ(text_of(d.payload.bytes()), "payload");
  EXPECT_EQ(text_of(d.packet.bytes()), text_of(sent));
  EXPECT_EQ(host.trace.last(EventKind::link_frame_in).rule, Rule::link_input);
}

// What a device left undone on a frame is believed as far as it fits the datagram (virtio-net header).
TEST(IpInput, AnOffloadThatDoesNotFitItsDatagramIsDropped) {
  IpHost host;
  const Bytes tcp = packet(header_from(kPeer, kMe, IpProtocol::tcp), bytes_of(std::string(40, 'x')));
  const Bytes udp = packet(header_from(kPeer, kMe, IpProtocol::udp), bytes_of(std::string(40, 'x')));
  const auto delivered = [&](const Bytes& bytes, const FrameOffload& offload) {
    const uint64_t before = host.count(Counter::ip4_drop_bad_offload);
    FrameRef frame = host.pool.copy(bytes);
    frame->offload = offload;
    const bool taken = host.ip.receive(host.link, std::move(frame), host.now).kind == Delivery::Kind::datagram;
    EXPECT_EQ(host.count(Counter::ip4_drop_bad_offload), before + (taken ? 0 : 1));
    return taken;
  };
  const FrameOffload tcp_open{.checksum_begin = 20, .checksum_field = 16, .checksum_open = true};
  const FrameOffload udp_open{.checksum_begin = 20, .checksum_field = 6, .checksum_open = true};
  EXPECT_TRUE(delivered(tcp, tcp_open));
  EXPECT_TRUE(delivered(udp, udp_open));
  EXPECT_FALSE(delivered(udp, tcp_open)) << "that is no checksum of UDP's";
  EXPECT_FALSE(delivered(plain(kPeer, kMe), tcp_open)) << "nor of this protocol's";
  FrameOffload elsewhere = tcp_open;
  elsewhere.checksum_begin = 24;
  EXPECT_FALSE(delivered(tcp, elsewhere));

  FrameOffload super = tcp_open;
  super.segment_text = 10;
  EXPECT_TRUE(delivered(tcp, super));
  super = udp_open;
  super.segment_text = 10;
  EXPECT_FALSE(delivered(udp, super)) << "only TCP comes in super-segments";
  EXPECT_FALSE(delivered(tcp, {.segment_text = 10})) << "cut into packets whose checksums somebody knows already?";
}

// The header of the packet before is remembered (IpState::Row): what follows it is judged no less for that.
TEST(IpInput, ARowOfPacketsEndsWhereOneIsNotInOrder) {
  IpHost host;
  const auto arrives = [&](const Bytes& bytes) { return host.ip.receive(host.link, host.pool.copy(bytes), host.now); };
  const Bytes good = plain(kPeer, kMe);
  EXPECT_EQ(arrives(good).kind, Delivery::Kind::datagram);
  EXPECT_EQ(arrives(good).kind, Delivery::Kind::datagram);

  Bytes flipped = good;
  flipped[10] ^= std::byte{1};
  expect_dropped(host, flipped, Counter::ip4_drop_bad_checksum);
  expect_dropped(host, ByteSpan(good).first(good.size() - 1), Counter::ip4_drop_truncated);
  Bytes fragment = good;
  store16(fragment, 6, 0x2000);
  fix_checksum(fragment);
  expect_dropped(host, fragment, Counter::ip4_drop_fragment);

  Ipv4Header ip = header_from(kPeer, kMe, IpProtocol{200});
  ip.ttl = 9;
  const Delivery d = arrives(packet(ip, bytes_of("another")));
  EXPECT_EQ(d.ttl, 9);
  EXPECT_EQ(text_of(d.payload.bytes()), "another");
}

// req: 791-3.1-a
TEST(IpInput, LengthsThatDoNotFitAreDropped) {
  IpHost host;
  Bytes packet = plain(kPeer, kMe);
  Bytes wrong = packet;
  wrong[0] = std::byte{0x44};  // IHL 4
  expect_dropped(host, wrong, Counter::ip4_drop_bad_header);

  wrong = packet;
  wrong[0] = std::byte{0x4f};  // a header of 60 bytes in a packet of 32
  expect_dropped(host, wrong, Counter::ip4_drop_truncated);

  wrong = packet;
  store16(wrong, 2, 19);  // total length below the header
  fix_checksum(wrong);
  EXPECT_EQ(host.ip.receive(host.link, host.pool.copy(wrong), host.now).kind, Delivery::Kind::none);

  wrong = packet;
  store16(wrong, 2, 33);  // beyond the frame
  fix_checksum(wrong);
  expect_dropped(host, wrong, Counter::ip4_drop_truncated);

  for (size_t n = 1; n < 20; ++n) expect_dropped(host, ByteSpan(packet).first(n), Counter::ip4_drop_truncated);
  expect_dropped(host, kNoBody, Counter::link_drop_truncated);
}

// req: 791-3.1-b, 894-1-a
TEST(IpInput, PaddingOfTheLinkIsTrimmed) {
  IpHost host(LinkKind::ethernet);
  Bytes padded = plain(kPeer, kMe);
  const size_t length = padded.size();
  padded.resize(46);
  const Bytes frame = ethernet(kMyMac, kPeerMac, ether_type::ipv4, padded);
  const Delivery d = host.ip.receive(host.link, host.pool.copy(frame), host.now);
  EXPECT_EQ(text_of(d.payload.bytes()), "twelve bytes");
  EXPECT_EQ(d.packet.length, length);
}

// req: 791-3.1-c
TEST(IpInput, OptionsAreSkippedAndBrokenOnesRefused) {
  IpHost host;
  const auto with_options = [](std::initializer_list<int> options) {
    Ipv4Header ip = header_from(kPeer, kMe, IpProtocol{200});
    for (const int b : options) ip.options.storage[ip.options.length++] = static_cast<std::byte>(b);
    return packet(ip, bytes_of("text"));
  };
  // NOP, an unknown option of four bytes, router alert, end
  const Bytes fine = with_options({1, 0x9e, 4, 0, 0, 0x94, 4, 0, 0, 0});
  const Delivery d = host.ip.receive(host.link, host.pool.copy(fine), host.now);
  EXPECT_EQ(text_of(d.payload.bytes()), "text");

  expect_dropped(host, with_options({0x9e, 0, 0, 0}), Counter::ip4_drop_bad_option);
  expect_dropped(host, with_options({0x9e, 1, 0, 0}), Counter::ip4_drop_bad_option);
  expect_dropped(host, with_options({0x9e, 5, 0, 0}), Counter::ip4_drop_bad_option);
  expect_dropped(host, with_options({1, 1, 1, 0x9e}), Counter::ip4_drop_bad_option);
  expect_dropped(host, with_options({0x83, 7, 4, 10, 0, 0, 9, 0}), Counter::ip4_drop_source_route);  // loose
  expect_dropped(host, with_options({0x89, 7, 4, 10, 0, 0, 9, 0}), Counter::ip4_drop_source_route);  // strict
}

// req: 1122-3.2.1.1-a
TEST(IpInput, OtherVersionsAreSilentlyDropped) {
  IpHost host(LinkKind::ethernet);
  for (const int version : {0, 5, 6, 15}) {
    Bytes wrong = plain(kPeer, kMe);
    wrong[0] = static_cast<std::byte>(version << 4 | 5);
    expect_dropped(host, ethernet(kMyMac, kPeerMac, ether_type::ipv4, wrong), Counter::ip4_drop_bad_header);
  }
  IpHost tun;
  Bytes six = plain(kPeer, kMe);
  six[0] = std::byte{0x65};
  expect_dropped(tun, six, Counter::link_drop_unknown_type);
}

// req: 1122-3.2.1.2-a, 1071-1-a
TEST(IpInput, AnyFlippedBitOfTheHeaderIsNoticed) {
  IpHost host;
  const Bytes good = plain(kPeer, kMe);
  for (size_t bit = 8; bit < 20 * 8; ++bit) {    // the first byte, version and IHL, is judged before
    if (bit / 8 == 2 || bit / 8 == 3) continue;  // and so is the total length
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(0x80 >> bit % 8);
    expect_dropped(host, bad, Counter::ip4_drop_bad_checksum);
  }
}

// req: 1122-3.2.1.3-a, 1122-3.1-b
TEST(IpInput, WhatIsNotForUsIsDroppedAndNeverForwarded) {
  IpHost host(LinkKind::ethernet);
  for (const IpAddress& other : {IpAddress::v4(10, 77, 0, 77), kFar, IpAddress::v4(224, 0, 0, 251),
                                 IpAddress::v4(10, 78, 255, 255), IpAddress::v4(0)})
    expect_dropped(host, ethernet(kMyMac, kPeerMac, ether_type::ipv4, plain(kPeer, other)), Counter::ip4_drop_not_ours);
}

// req: 1122-3.2.1.3-b, 1122-4.1.3.6-a
TEST(IpInput, SourcesThatCannotHaveSentItAreDropped) {
  IpHost host;
  for (const IpAddress& source : {kAllOnes, kNetBroadcast, IpAddress::v4(224, 0, 0, 1), IpAddress::v4(0),
                                  IpAddress::v4(0, 1, 2, 3), kMe, kAlsoMe}) {
    expect_dropped(host, plain(source, kMe), Counter::ip4_drop_bad_source);
    expect_dropped(host, udp_datagram(header_from(source, kMe, IpProtocol::udp), 1, 2, ""),
                   Counter::ip4_drop_bad_source);
  }
  const Bytes dhcp = plain(IpAddress::v4(0), kAllOnes);
  EXPECT_EQ(host.ip.receive(host.link, host.pool.copy(dhcp), host.now).kind, Delivery::Kind::datagram);
}

// req: 1122-3.2.1.3-d
// Although the packet before it, between the same two, was right.
TEST(IpInput, AnAddressThatHasBecomeOursIsNobodysSource) {
  IpHost host;
  for (int i = 0; i < 2; ++i) {
    const Delivery d = host.ip.receive(host.link, host.pool.copy(plain(kPeer, kMe)), host.now);
    EXPECT_EQ(d.kind, Delivery::Kind::datagram);
  }
  host.ip.add_address(host.link, kPeer, 24);
  expect_dropped(host, plain(kPeer, kMe), Counter::ip4_drop_bad_source);
}

TEST(IpInput, LoopbackAddressesDoNotComeFromTheWire) {
  IpHost host;
  expect_dropped(host, plain(IpAddress::v4(127, 0, 0, 1), kMe), Counter::ip4_drop_loopback_on_wire);
  expect_dropped(host, plain(kPeer, IpAddress::v4(127, 0, 0, 1)), Counter::ip4_drop_loopback_on_wire);
}

// req: 1122-3.3.6-a
TEST(IpInput, BothFormsOfBroadcastAreOurs) {
  IpHost host;
  for (const IpAddress& to : {kAllOnes, kNetBroadcast}) {
    const Delivery d = host.ip.receive(host.link, host.pool.copy(plain(kPeer, to)), host.now);
    EXPECT_EQ(d.kind, Delivery::Kind::datagram);
    EXPECT_TRUE(d.broadcast);
  }
}

// req: 894-1-b
TEST(IpInput, FramesForOthersAreNotPassedUp) {
  IpHost host(LinkKind::ethernet);
  expect_dropped(host, ethernet(kOtherMac, kPeerMac, ether_type::ipv4, plain(kPeer, kMe)), Counter::link_drop_not_ours);
  expect_dropped(host, ethernet(kMyMac, kPeerMac, ether_type::ipv6, plain(kPeer, kMe)),
                 Counter::link_drop_unknown_type);
  const Bytes cut = ethernet(kMyMac, kPeerMac, ether_type::ipv4, {});
  expect_dropped(host, ByteSpan(cut).first(13), Counter::link_drop_truncated);

  const Bytes group = ethernet(MacAddress::broadcast(), kPeerMac, ether_type::ipv4, plain(kPeer, kMe));
  EXPECT_TRUE(host.ip.receive(host.link, host.pool.copy(group), host.now).broadcast) << "by its link address";
}

// req: 1122-3.2.1.7-a
TEST(IpInput, TheTimeToLiveOfWhatArrivedDoesNotMatter) {
  IpHost host;
  for (const uint8_t ttl : {uint8_t{0}, uint8_t{1}}) {
    Ipv4Header ip = header_from(kPeer, kMe, IpProtocol{200});
    ip.ttl = ttl;
    EXPECT_EQ(host.ip.receive(host.link, host.pool.copy(packet(ip, {})), host.now).ttl, ttl);
  }
}

// req: 6864-4.1-a
TEST(IpInput, TheIdentificationOfAtomicDatagramsMeansNothing) {
  IpHost host;
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(host.ip.receive(host.link, host.pool.copy(plain(kPeer, kMe)), host.now).kind, Delivery::Kind::datagram);
  EXPECT_EQ(host.count(Counter::ip4_delivered), 100U);
}

// req: 1858-3-a, ATK-tinyfrag
TEST(IpInput, FragmentsAreRefused) {
  IpHost host;
  Ipv4Header first = header_from(kPeer, kMe, IpProtocol::tcp);
  first.more_fragments = true;
  expect_dropped(host, packet(first, Bytes(8)), Counter::ip4_drop_fragment);
  Ipv4Header second = header_from(kPeer, kMe, IpProtocol::tcp);
  second.fragment_offset = 8;
  expect_dropped(host, packet(second, Bytes(8)), Counter::ip4_drop_fragment);
}

// --- routes and source addresses
// --------------------------------------------------------------------------------------------

// req: 1122-3.2.1.3-e, 1122-3.3.1-a
TEST(IpRoutes, TheMaskSaysWhoIsOnTheLink) {
  IpHost host;
  const Result<Path> near = host.ip.path(kPeer, {});
  ASSERT_TRUE(near);
  EXPECT_EQ(near->next_hop, kPeer);
  EXPECT_EQ(near->source, kMe);
  EXPECT_EQ(near->mtu, 1500U);
  EXPECT_EQ(host.ip.path(kFar, {}).error(), Error::network_unreachable) << "there is no gateway";

  host.ip.add_route(IpAddress::v4(0), 0, host.link, kGateway);
  EXPECT_EQ(host.ip.path(kFar, {})->next_hop, kGateway);
  EXPECT_EQ(host.ip.path(kPeer, {})->next_hop, kPeer);
}

// req: 1122-3.2.1.3-e
TEST(IpRoutes, TheLongestPrefixWins) {
  IpHost host;
  const auto gateway = [](uint8_t last) { return IpAddress::v4(10, 77, 0, last); };
  host.ip.add_route(IpAddress::v4(0), 0, host.link, gateway(100));
  host.ip.add_route(IpAddress::v4(192, 0, 2, 0), 24, host.link, gateway(124));
  host.ip.add_route(IpAddress::v4(192, 0, 2, 8), 31, host.link, gateway(131));
  host.ip.add_route(IpAddress::v4(192, 0, 2, 8), 32, host.link, gateway(132));
  const auto next_hop = [&](uint8_t a, uint8_t d) { return host.ip.path(IpAddress::v4(a, 0, 2, d), {})->next_hop; };
  EXPECT_EQ(next_hop(192, 8), gateway(132));
  EXPECT_EQ(next_hop(192, 9), gateway(131));
  EXPECT_EQ(next_hop(192, 10), gateway(124));
  EXPECT_EQ(next_hop(193, 8), gateway(100));
}

// req: 1122-3.2.1.3-c
TEST(IpRoutes, TheSourceIsAnAddressOfOurs) {
  IpHost host;
  EXPECT_EQ(host.ip.path(kPeer, kAlsoMe)->source, kAlsoMe);
  EXPECT_EQ(host.ip.path(kPeer, kFar).error(), Error::address_not_available);
  EXPECT_EQ(host.ip.path(kNetBroadcast, {})->source, kMe);
  EXPECT_EQ(host.ip.path(kPeer, IpAddress::v4(127, 0, 0, 1)).error(), Error::invalid_argument);

  RecordingPort second;
  const InterfaceId other =
      host.ip.add_interface({.name = "if1", .kind = LinkKind::ip, .mtu = 1400, .mac = {}}, second);
  host.ip.add_address(other, IpAddress::v4(172, 16, 0, 1), 30);
  EXPECT_EQ(host.ip.path(IpAddress::v4(172, 16, 0, 2), {})->source, IpAddress::v4(172, 16, 0, 1));
  EXPECT_EQ(host.ip.path(IpAddress::v4(172, 16, 0, 2), {})->mtu, 1400U);
}

TEST(IpRoutes, BroadcastsAreRecognised) {
  IpHost host;
  EXPECT_TRUE(host.ip.is_broadcast(kAllOnes));
  EXPECT_TRUE(host.ip.is_broadcast(kNetBroadcast));
  EXPECT_FALSE(host.ip.is_broadcast(kPeer));
  EXPECT_TRUE(host.ip.path(kAllOnes, {})->broadcast);
  EXPECT_EQ(host.ip.path(kAllOnes, {})->interface, host.link) << "not loopback";

  RecordingPort point;
  const InterfaceId other = host.ip.add_interface({.name = "p2p", .kind = LinkKind::ip, .mtu = 1500, .mac = {}}, point);
  host.ip.add_address(other, IpAddress::v4(172, 16, 0, 0), 31);
  EXPECT_FALSE(host.ip.is_broadcast(IpAddress::v4(172, 16, 0, 1))) << "RFC 3021: two hosts, no broadcast";
}

// --- out
// ------------------------------------------------------------------------------------------------------------------

SendOutcome send_text(IpHost& host, const IpSend& what, std::string_view text) {
  HeaderBuffer head;
  const Bytes bytes = bytes_of(text);
  const ByteSpan body = bytes;
  return host.ip.send(what, head, {&body, 1}, host.now);
}

// req: 1122-3.2.1.7-a, 1122-3.2.1.7-b
TEST(IpOutput, TheTransportSetsTheTimeToLiveAndZeroIsNeverSent) {
  IpHost host;
  IpSend what{.source = {}, .destination = kPeer, .protocol = IpProtocol{200}};
  EXPECT_EQ(send_text(host, what, "one"), SendOutcome::sent);
  what.ttl = 3;
  what.tos = 0x28;
  EXPECT_EQ(send_text(host, what, "two"), SendOutcome::sent);
  what.ttl = 0;
  EXPECT_EQ(send_text(host, what, "three"), SendOutcome::sent);

  const Packet one = host.take();
  EXPECT_EQ(one.ip.ttl, 64);
  EXPECT_EQ(one.ip.source, kMe);
  EXPECT_EQ(text_of(one.payload), "one");
  const Packet two = host.take();
  EXPECT_EQ(two.ip.ttl, 3);
  EXPECT_EQ(two.ip.tos, 0x28);
  EXPECT_EQ(host.take().ip.ttl, 64);
}

// req: 791-3.2-f, 1122-3.3.3-a
TEST(IpOutput, NothingAboveTheMtuIsSent) {
  IpHost host(LinkKind::ip, 600);
  EXPECT_EQ(host.ip.path(kPeer, {})->mtu, 600U);
  const IpSend what{.source = {}, .destination = kPeer, .protocol = IpProtocol{200}};
  EXPECT_EQ(send_text(host, what, std::string(580, 'x')), SendOutcome::sent);
  EXPECT_EQ(send_text(host, what, std::string(581, 'x')), SendOutcome::too_big);
  EXPECT_EQ(host.count(Counter::ip4_drop_too_big), 1U);
}

TEST(IpOutput, ARefusedFrameIsNotCountedAsSent) {
  IpHost host;
  host.port.full = true;
  const IpSend what{.source = {}, .destination = kPeer, .protocol = IpProtocol{200}};
  EXPECT_EQ(send_text(host, what, "x"), SendOutcome::refused);
  EXPECT_EQ(host.count(Counter::ip4_out), 0U);
  EXPECT_EQ(host.count(Counter::link_refused), 1U);
  EXPECT_EQ(host.trace.last(EventKind::link_frame_out).words[3], 1U);
}

TEST(IpOutput, WithoutARouteNothingIsSent) {
  IpHost host;
  const IpSend what{.source = {}, .destination = kFar, .protocol = IpProtocol{200}};
  EXPECT_EQ(send_text(host, what, "x"), SendOutcome::no_route);
  EXPECT_EQ(host.count(Counter::ip4_drop_no_route), 1U);
  EXPECT_TRUE(host.silent());
}

TEST(IpOutput, IdentificationsOfFragmentableDatagramsDifferAndAreKeyed) {
  const auto ids = [](const IpAddress& to) {
    IpHost host;
    IpSend what{.source = kMe, .destination = to, .protocol = IpProtocol::udp};
    what.dont_fragment = false;
    std::vector<uint16_t> seen;
    for (int i = 0; i < 3; ++i) {
      send_text(host, what, "x");
      const Packet sent = host.take();
      EXPECT_FALSE(sent.ip.dont_fragment);
      seen.push_back(sent.ip.identification);
    }
    return seen;
  };
  const auto to_peer = ids(kPeer);
  EXPECT_NE(to_peer[0], to_peer[1]);
  EXPECT_NE(to_peer[1], to_peer[2]);
  EXPECT_NE(to_peer[0], ids(kGateway)[0]);
}

// req: 1122-3.2.1.3-d
TEST(IpLoopback, DatagramsToOurselvesComeBackAndNeverReachTheWire) {
  IpHost host;
  for (const IpAddress& self : {IpAddress::v4(127, 0, 0, 1), IpAddress::v4(127, 9, 9, 9), kMe, kAlsoMe}) {
    EXPECT_EQ(send_text(host, {.source = {}, .destination = self, .protocol = IpProtocol{200}}, "self"),
              SendOutcome::sent);
    ASSERT_TRUE(host.ip.has_loopback());
    const Delivery d = host.ip.receive_loopback(host.now);
    EXPECT_EQ(d.kind, Delivery::Kind::datagram);
    EXPECT_EQ(d.interface, 0);
    EXPECT_EQ(d.destination, self);
    EXPECT_EQ(d.source, self.is_loopback() ? IpAddress::v4(127, 0, 0, 1) : self);
    EXPECT_EQ(text_of(d.payload.bytes()), "self");
  }
  EXPECT_FALSE(host.ip.has_loopback());
  EXPECT_TRUE(host.silent());
}

TEST(IpLoopback, ItsQueueIsBounded) {
  IpHost host;
  for (int i = 0; i < 2000; ++i) send_text(host, {.source = {}, .destination = kMe, .protocol = IpProtocol{200}}, "x");
  EXPECT_EQ(host.count(Counter::link_drop_loopback_full), 2000U - 1024U);
  while (host.ip.has_loopback()) host.ip.receive_loopback(host.now);
  EXPECT_EQ(host.pool.frames_out(), 0U) << "every frame is back in its pool";
}

// req: 1122-3.3.6-a, 894-1-a
TEST(IpOutput, BroadcastsGoToTheLinksBroadcastAddressAndToOurselves) {
  IpHost host(LinkKind::ethernet);
  for (const IpAddress& to : {kAllOnes, kNetBroadcast}) {
    EXPECT_EQ(send_text(host, {.source = {}, .destination = to, .protocol = IpProtocol{200}}, "hi"), SendOutcome::sent);
    const Bytes frame = host.take_frame();
    EXPECT_EQ(frame.size(), 60U) << "padded to 46 bytes of payload";
    const auto header = parse_ethernet(frame);
    EXPECT_EQ(header->destination, MacAddress::broadcast());
    EXPECT_EQ(header->source, kMyMac);
    EXPECT_EQ(header->type, ether_type::ipv4);
    const Packet sent = parse_packet(ByteSpan(frame).subspan(EthernetHeader::kSize));
    EXPECT_EQ(text_of(sent.payload), "hi") << "the padding is not counted in the IP length";
    EXPECT_EQ(sent.ip.source, kMe);
    for (size_t i = EthernetHeader::kSize + sent.bytes.size(); i < frame.size(); ++i) EXPECT_EQ(frame[i], std::byte{0});

    const Delivery own = host.ip.receive_loopback(host.now);
    EXPECT_TRUE(own.broadcast);
    EXPECT_EQ(own.destination, to);
  }
}

}  // namespace
}  // namespace limpid
