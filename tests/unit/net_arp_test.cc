// ARP as a conversation on an Ethernet link (RFC 826, RFC 1122 §2.3.2).
#include "tests/support/ip_host.h"

namespace limpid {
namespace {

using namespace test;

const ArpPacket kPeerAsks{
    .operation = ArpPacket::kRequest, .sender_mac = kPeerMac, .sender_ip = kPeer, .target_mac = {}, .target_ip = kMe};
const ArpPacket kPeerAnswers{
    .operation = ArpPacket::kReply, .sender_mac = kPeerMac, .sender_ip = kPeer, .target_mac = kMyMac, .target_ip = kMe};

struct Sent {
  EthernetHeader ethernet;
  ArpPacket arp;
};

class Arp : public testing::Test {
 protected:
  void receive(const ArpPacket& arp) {
    Bytes bytes(ArpPacket::kSize);
    arp.write(bytes);
    host.receive(ethernet(arp.operation == ArpPacket::kRequest ? MacAddress::broadcast() : kMyMac, arp.sender_mac,
                          ether_type::arp, bytes));
  }
  // We send a packet of our own to the peer, or another.
  void send(std::string_view text, const IpAddress& to = kPeer) {
    HeaderBuffer head;
    const Bytes bytes = bytes_of(text);
    const ByteSpan body = bytes;
    const IpSend what{.source = {}, .destination = to, .protocol = IpProtocol::udp};
    EXPECT_EQ(host.ip.send(what, head, {&body, 1}, host.now), SendOutcome::sent);
  }
  Sent take_arp() {
    const Bytes frame = host.take_frame();
    EXPECT_EQ(frame.size(), 60U);
    const auto ethernet = parse_ethernet(frame);
    EXPECT_EQ(ethernet->type, ether_type::arp);
    const auto arp = parse_arp(ByteSpan(frame).subspan(EthernetHeader::kSize));
    if (!arp) {
      ADD_FAILURE() << "not ARP";
      return {};
    }
    return {*ethernet, *arp};
  }
  // The next frame is this text, to this link address.
  void expect_packet(std::string_view text, const MacAddress& to = kPeerMac) {
    const Bytes frame = host.take_frame();
    EXPECT_EQ(parse_ethernet(frame)->destination, to);
    EXPECT_EQ(text_of(parse_packet(ByteSpan(frame).subspan(EthernetHeader::kSize)).payload), text);
  }
  void learn_peer() {
    send("first");
    take_arp();
    receive(kPeerAnswers);
    expect_packet("first");
  }

  IpHost host{LinkKind::ethernet};
};

// req: 826-tx-a, 1122-2.4-a
TEST_F(Arp, AnUnknownNeighborIsAskedForAndThePacketFollowsTheAnswer) {
  send("hello");
  const Sent request = take_arp();
  EXPECT_EQ(request.ethernet.destination, MacAddress::broadcast());
  EXPECT_EQ(request.arp, (ArpPacket{.operation = ArpPacket::kRequest,
                                    .sender_mac = kMyMac,
                                    .sender_ip = kMe,
                                    .target_mac = {},
                                    .target_ip = kPeer}));
  EXPECT_TRUE(host.silent()) << "the packet waits, and nobody hears of an error";
  EXPECT_EQ(host.count(Counter::icmp_out), 0U);

  receive(kPeerAnswers);
  expect_packet("hello");
  send("again");
  expect_packet("again");
}

// req: 1122-2.3.2.2-a
TEST_F(Arp, AllThatWaitedGoesInOrderAndAFullQueueLosesItsOldest) {
  for (int i = 0; i < 66; ++i) send(std::to_string(i));
  take_arp();
  EXPECT_EQ(host.count(Counter::arp_drop_queue_full), 2U);
  receive(kPeerAnswers);
  for (int i = 2; i < 66; ++i) expect_packet(std::to_string(i));
  EXPECT_EQ(host.pool.frames_out(), 0U);
}

// req: 1122-2.3.2.1-b, 1122-2.4-a
TEST_F(Arp, ASilentNeighborIsAskedThreeTimesASecondApartAndThenGivenUp) {
  const SocketId socket = host.udp.open({});
  ASSERT_TRUE(host.udp.connect(socket, {kPeer, 9}));
  ASSERT_TRUE(host.udp.send(socket, bytes_of("lost"), {}, host.now));
  for (int i = 0; i < 99; ++i) send("more");
  for (int second = 0; second < 3; ++second) {
    take_arp();
    EXPECT_TRUE(host.silent());
    EXPECT_EQ(host.udp.take_error(socket), Error::none);
    host.pass(1s);
  }
  EXPECT_TRUE(host.silent()) << "no fourth request";
  EXPECT_EQ(host.count(Counter::arp_drop_unresolved), 64U);
  EXPECT_EQ(host.ip.next_deadline(), kNever);
  EXPECT_EQ(host.pool.frames_out(), 0U);

  host.now += 10ms;
  send("later");
  EXPECT_EQ(take_arp().arp.target_ip, kPeer) << "a second has passed since the last request";
  send("and again");
  EXPECT_TRUE(host.silent());
}

TEST_F(Arp, WhatWasGivenUpComesBackAsHostUnreachable) {
  const SocketId socket = host.udp.open({.receive_errors = true});
  ASSERT_TRUE(host.udp.connect(socket, {kPeer, 9}));
  ASSERT_TRUE(host.udp.send(socket, bytes_of("lost"), {}, host.now));
  host.pass(3s);
  EXPECT_EQ(host.udp.take_error(socket), Error::host_unreachable);
}

TEST_F(Arp, AfterAFailureAskingBeginsAnewButNeverTwiceInASecond) {
  send("x");
  host.pass(3s);
  host.port.frames.clear();
  send("y");  // three seconds after the first request, one after the last
  take_arp();
  host.pass(999ms);
  EXPECT_TRUE(host.silent());
  host.pass(1ms);
  take_arp();
}

// req: 1122-2.3.2.1-a
TEST_F(Arp, ANeighborInDoubtIsPolledDirectlyAndThenAskedForAnew) {
  learn_peer();
  host.pass(29s);
  send("fresh");
  expect_packet("fresh");
  host.pass(2s);

  send("doubt");  // 31 s after it was confirmed: asked, and meanwhile believed
  const Sent poll = take_arp();
  EXPECT_EQ(poll.ethernet.destination, kPeerMac) << "unicast";
  expect_packet("doubt");

  host.pass(3s);  // its card was exchanged: nobody answers to the old address
  take_arp();
  take_arp();
  EXPECT_TRUE(host.silent());
  send("new");
  EXPECT_EQ(take_arp().ethernet.destination, MacAddress::broadcast());
  ArpPacket moved = kPeerAnswers;
  moved.sender_mac = kOtherMac;
  receive(moved);
  expect_packet("new", kOtherMac);
}

TEST_F(Arp, ANeighborThatAnswersThePollStays) {
  learn_peer();
  host.pass(31s);
  send("doubt");
  take_arp();
  expect_packet("doubt");
  receive(kPeerAnswers);
  host.pass(5s);
  EXPECT_TRUE(host.silent());
}

// req: 826-rx-c
TEST_F(Arp, ARequestForUsIsAnsweredToTheAskerAlone) {
  receive(kPeerAsks);
  const Sent reply = take_arp();
  EXPECT_EQ(reply.ethernet.destination, kPeerMac);
  EXPECT_EQ(reply.ethernet.source, kMyMac);
  EXPECT_EQ(reply.arp, (ArpPacket{.operation = ArpPacket::kReply,
                                  .sender_mac = kMyMac,
                                  .sender_ip = kMe,
                                  .target_mac = kPeerMac,
                                  .target_ip = kPeer}));
}

// req: 826-rx-b
TEST_F(Arp, WhoAsksForUsIsRemembered) {
  receive(kPeerAsks);
  take_arp();
  send("known");
  take_arp();  // the request told it, nobody confirmed it: one poll
  expect_packet("known");
}

// req: 826-rx-b, 826-rx-d
TEST_F(Arp, ARequestForAnotherRefreshesWhatIsKnownAndAddsNothing) {
  ArpPacket for_another = kPeerAsks;
  for_another.target_ip = IpAddress::v4(10, 77, 0, 50);
  receive(for_another);
  EXPECT_TRUE(host.silent());
  send("unknown still");
  take_arp();
  receive(kPeerAnswers);
  expect_packet("unknown still");

  host.pass(2s);
  for_another.sender_mac = kOtherMac;
  receive(for_another);
  send("moved");
  EXPECT_EQ(take_arp().ethernet.destination, kOtherMac) << "asked whether it is true";
  expect_packet("moved", kOtherMac);
}

// req: 1122-2.3.2.1-b
TEST_F(Arp, HoweverOftenANeighborMovesItIsAskedOnceASecond) {
  learn_peer();  // which took one request, just now
  ArpPacket moved = kPeerAsks;
  moved.target_ip = IpAddress::v4(10, 77, 0, 50);
  moved.sender_mac = kOtherMac;
  receive(moved);
  send("moved");
  expect_packet("moved", kOtherMac);
  EXPECT_TRUE(host.silent());
  host.pass(1s);
  EXPECT_EQ(take_arp().ethernet.destination, kOtherMac);
}

// req: 826-rx-d
TEST_F(Arp, OtherOperationsGetNoReply) {
  ArpPacket strange = kPeerAsks;
  strange.operation = 3;
  receive(strange);
  EXPECT_TRUE(host.silent());
}

// req: 5227-2.5-a
TEST_F(Arp, AProbeIsAnsweredAndNotRemembered) {
  ArpPacket probe = kPeerAsks;
  probe.sender_ip = IpAddress::v4(0);
  receive(probe);
  EXPECT_EQ(take_arp().arp.sender_ip, kMe);
  send("unknown");
  take_arp();
  EXPECT_TRUE(host.silent()) << "the packet waits: the probe taught us nothing";
}

// req: 5227-2-a
TEST_F(Arp, UnsolicitedRepliesAndImpossibleSendersChangeNothing) {
  receive(kPeerAnswers);
  send("unknown");
  take_arp();
  EXPECT_TRUE(host.silent());

  const auto refused = [&](const MacAddress& mac, const IpAddress& ip) {
    ArpPacket bad = kPeerAnswers;
    bad.sender_mac = mac;
    bad.sender_ip = ip;
    receive(bad);
  };
  refused(MacAddress::broadcast(), kPeer);
  refused({{3, 0, 0, 0, 0, 1}}, kPeer);
  refused(kMyMac, kPeer);
  refused({}, kPeer);
  refused(kPeerMac, kMe);
  refused(kPeerMac, kNetBroadcast);
  refused(kPeerMac, IpAddress::v4(224, 0, 0, 1));
  EXPECT_EQ(host.count(Counter::arp_drop_bad_sender), 7U);
  EXPECT_TRUE(host.silent()) << "the packet still waits";
}

// req: 826-rx-a
TEST_F(Arp, EachFieldIsCheckedBeforeUse) {
  Bytes good(ArpPacket::kSize);
  kPeerAsks.write(good);
  for (const size_t field : {size_t{1}, size_t{2}, size_t{4}, size_t{5}}) {
    Bytes bad = good;
    bad[field] ^= std::byte{1};
    host.receive(ethernet(kMyMac, kPeerMac, ether_type::arp, bad));
  }
  for (size_t n = 0; n < good.size(); ++n)
    host.receive(ethernet(kMyMac, kPeerMac, ether_type::arp, ByteSpan(good).first(n)));
  EXPECT_EQ(host.count(Counter::arp_drop_malformed), 4 + good.size());
  EXPECT_TRUE(host.silent());
}

TEST_F(Arp, TheTableIsBoundedAndAScanDoesNotPushOutWhoAnswers) {
  learn_peer();
  host.ip.add_address(host.link, IpAddress::v4(10, 78, 0, 1), 16);
  for (uint32_t i = 2; i < 3000; ++i) send("scan", IpAddress::v4(0x0a4e0000 + i));
  host.port.frames.clear();
  EXPECT_LE(host.pool.frames_out(), 1024U);
  send("still known");
  expect_packet("still known");
}

TEST_F(Arp, PacketsThatTheDeviceRefusesAfterTheAnswerWaitForIt) {
  send("one");
  send("two");
  take_arp();
  host.port.full = true;
  receive(kPeerAnswers);
  host.port.full = false;
  host.ip.link_writable(host.link, host.now);
  expect_packet("one");
  expect_packet("two");
}

// A super-segment waits as it is where the device cuts it, and as its packets where IP does.
TEST(ArpOffload, ASuperSegmentWaitsForItsNeighborToo) {
  for (const bool offloads : {true, false}) {
    IpHost host(LinkKind::ethernet, 1500, offloads);
    const Bytes text(3000, std::byte{'x'});
    const ByteSpan body = text;
    HeaderBuffer head;
    const TcpHeader tcp{.source_port = 1, .destination_port = 2, .flags = tcp_flag::ack};
    tcp.write_open(head.prepend(tcp.size()), kMe, kPeer, text.size());
    const IpSend what{
        .source = kMe,
        .destination = kPeer,
        .protocol = IpProtocol::tcp,
        .offload = {.segment_text = 1460, .checksum_field = TcpHeader::kChecksumField, .checksum_open = true}};
    EXPECT_EQ(host.ip.send(what, head, {&body, 1}, host.now), SendOutcome::sent);
    host.take_frame();  // who has …
    EXPECT_TRUE(host.silent());
    Bytes answer(ArpPacket::kSize);
    kPeerAnswers.write(answer);
    host.receive(ethernet(kMyMac, kPeerMac, ether_type::arp, answer));
    if (offloads) {
      EXPECT_EQ(host.port.offloads.back().segment_text, 1460);
      EXPECT_EQ(host.port.offloads.back().checksum_begin, 14 + 20);
      EXPECT_EQ(host.port.heads.back(), 14 + 40U) << "headers in one piece";
      EXPECT_EQ(host.take_frame().size(), 14 + 40 + 3000U);
    } else {
      for (const size_t each : {1460U, 1460U, 80U}) {
        const Packet packet = host.take();
        EXPECT_EQ(packet.payload.size(), 20 + each);
        EXPECT_TRUE(parse_tcp(packet.payload, kMe, kPeer));
      }
    }
    EXPECT_TRUE(host.silent());
  }
}

TEST_F(Arp, GatewaysAreAskedForInsteadOfFarHosts) {
  host.ip.add_route(IpAddress::v4(0), 0, host.link, kGateway);
  send("far", kFar);
  EXPECT_EQ(take_arp().arp.target_ip, kGateway);
}

}  // namespace
}  // namespace limpid
