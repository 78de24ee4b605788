// Raw sockets as a conversation (raw(7)): what ping, traceroute and scanners need.
#include "tests/support/ip_host.h"

namespace limpid {
namespace {

using namespace test;

const Icmp4Header kPing = Icmp4Header::echo(icmp4_type::echo_request, 0x1234, 1);
const Icmp4Header kPong = Icmp4Header::echo(icmp4_type::echo_reply, 0x1234, 1);

class Raw : public testing::Test {
 protected:
  // The next packet that the socket has to read, header first; empty when there is none.
  Bytes read(SocketId id) {
    Bytes buffer(2000);
    const auto received = host.raw.receive(id, buffer, false);
    if (!received) return {};
    last = *received;
    buffer.resize(received->copied);
    return buffer;
  }
  Error send_to(SocketId id, ByteSpan bytes, const IpAddress& to, std::optional<uint8_t> ttl = {}) {
    const auto sent = host.raw.send(id, bytes, {.to = Endpoint{to, 0}, .source = {}, .ttl = ttl}, host.now);
    return sent ? Error::none : sent.error();
  }

  IpHost host;
  DatagramReceived last;
};

TEST_F(Raw, PingSendsItsMessageAndReadsTheWholeReplyPacket) {
  const SocketId ping = host.raw.open(IpProtocol::icmp, {});
  EXPECT_EQ(send_to(ping, icmp_message(kPing, bytes_of("data")), kPeer), Error::none);
  const Packet request = host.take();
  EXPECT_EQ(request.ip.source, kMe);
  EXPECT_EQ(icmp_in(request).header, kPing);

  const Bytes reply = icmp_from(kPeer, kMe, kPong, bytes_of("data"));
  host.receive(reply);
  EXPECT_EQ(read(ping), reply);
  EXPECT_EQ(last.from, (Endpoint{kPeer, 0}));
  EXPECT_EQ(host.count(Counter::icmp_drop_no_socket), 0U);
}

TEST_F(Raw, TracerouteReadsTheErrorsThatItsProbesDraw) {
  const SocketId trace = host.raw.open(IpProtocol::icmp, {});
  EXPECT_EQ(send_to(trace, icmp_message(kPing, {}), kPeer, uint8_t{1}), Error::none);
  const Packet probe = host.take();
  EXPECT_EQ(probe.ip.ttl, 1);
  const Bytes error = icmp_from(kGateway, kMe, {.type = icmp4_type::time_exceeded, .code = 0, .rest = 0}, probe.bytes);
  host.receive(error);
  EXPECT_EQ(read(trace), error);
  EXPECT_EQ(last.from.address, kGateway);
  EXPECT_EQ(last.destination, kMe);
}

TEST_F(Raw, EachMatchingSocketGetsACopyAndOthersNone) {
  const SocketId any = host.raw.open(IpProtocol::udp, {});
  const SocketId mine = host.raw.open(IpProtocol::udp, {});
  const SocketId other_address = host.raw.open(IpProtocol::udp, {});
  const SocketId other_peer = host.raw.open(IpProtocol::udp, {});
  const SocketId other_protocol = host.raw.open(IpProtocol::tcp, {});
  EXPECT_TRUE(host.raw.bind(mine, kMe));
  EXPECT_TRUE(host.raw.connect(mine, kPeer));
  EXPECT_TRUE(host.raw.bind(other_address, kAlsoMe));
  EXPECT_TRUE(host.raw.connect(other_peer, kGateway));
  const Bytes datagram = udp_from_peer(1, 4000, "x");
  host.receive(datagram);
  EXPECT_EQ(read(any), datagram);
  EXPECT_EQ(read(mine), datagram);
  for (const SocketId id : {other_address, other_peer, other_protocol}) EXPECT_TRUE(read(id).empty());
  EXPECT_EQ(icmp_in(host.take()).header.code, icmp4_unreachable::port) << "a raw socket does not open a UDP port";
}

TEST_F(Raw, ASocketForAProtocolMakesItKnown) {
  const SocketId ospf = host.raw.open(IpProtocol{89}, {});
  const Bytes hello = packet(header_from(kPeer, kMe, IpProtocol{89}), bytes_of("hello"));
  host.receive(hello);
  EXPECT_EQ(read(ospf), hello);
  EXPECT_TRUE(host.silent());
  host.raw.close(ospf);
  host.receive(hello);
  EXPECT_EQ(icmp_in(host.take()).header.code, icmp4_unreachable::protocol);
}

TEST_F(Raw, WithHeaderIncludedThePacketGoesOutAsWritten) {
  const SocketId scanner = host.raw.open(RawSockets::kSendOnly, {});
  Ipv4Header ip = header_from(IpAddress::v4(0), kPeer, IpProtocol::tcp);
  ip.ttl = 7;
  ip.tos = 0x20;
  Bytes whole = packet(ip, Bytes(20));
  store16(whole, 2, 0);   // the length is ours to fill in
  store16(whole, 10, 0);  // and the checksum
  EXPECT_TRUE(host.raw.send(scanner, whole, {}, host.now));
  const Packet sent = host.take();
  EXPECT_EQ(sent.ip.ttl, 7);
  EXPECT_EQ(sent.ip.tos, 0x20);
  EXPECT_EQ(sent.ip.source, kMe) << "a zero source is filled in";
  EXPECT_EQ(sent.ip.protocol, IpProtocol::tcp);
  EXPECT_EQ(sent.payload.size(), 20U);

  EXPECT_EQ(host.raw.send(scanner, Bytes(19), {}, host.now).error(), Error::invalid_argument);
  EXPECT_EQ(host.raw.send(scanner, packet(header_from(kMe, kPeer, IpProtocol::tcp), Bytes(1481)), {}, host.now).error(),
            Error::message_too_long);
  host.receive(packet(header_from(kPeer, kMe, RawSockets::kSendOnly), {}));
  EXPECT_TRUE(read(scanner).empty());
}

// req: 1122-3.2.1.3-d
TEST_F(Raw, AForgedLoopbackSourceDoesNotReachTheWire) {
  const SocketId scanner = host.raw.open(RawSockets::kSendOnly, {});
  const Bytes forged = packet(header_from(IpAddress::v4(127, 0, 0, 1), kPeer, IpProtocol::tcp), Bytes(20));
  EXPECT_FALSE(host.raw.send(scanner, forged, {}, host.now));
  EXPECT_TRUE(host.silent());
}

TEST_F(Raw, SendSaysWhyItCannot) {
  const SocketId ping = host.raw.open(IpProtocol::icmp, {});
  const Bytes message = icmp_message(kPing, {});
  EXPECT_EQ(host.raw.send(ping, message, {}, host.now).error(), Error::destination_required);
  EXPECT_EQ(send_to(ping, message, kFar), Error::network_unreachable);
  EXPECT_EQ(send_to(ping, message, kAllOnes), Error::permission_denied);
  EXPECT_EQ(send_to(ping, Bytes(1481), kPeer), Error::message_too_long);
  EXPECT_EQ(host.raw.bind(ping, kFar).error(), Error::address_not_available);
  host.port.full = true;
  EXPECT_EQ(send_to(ping, message, kPeer), Error::would_block);
  host.port.full = false;
  host.raw.link_writable();
  EXPECT_EQ(host.ready.raised.back().events, kWritable);
  EXPECT_TRUE(host.raw.connect(ping, kPeer));
  EXPECT_TRUE(host.raw.send(ping, message, {}, host.now));
}

TEST_F(Raw, AFullQueueDropsAndCounts) {
  const SocketId ping = host.raw.open(IpProtocol::icmp, {.receive_buffer = 5'000});
  for (int i = 0; i < 20; ++i) host.receive(icmp_from(kPeer, kMe, kPong, {}));
  const UdpStatus status = *host.raw.status(ping);
  EXPECT_EQ(status.queued_datagrams, 3U);
  EXPECT_EQ(status.dropped, 17U);
  EXPECT_EQ(host.count(Counter::raw_drop_queue_full), 17U);
  EXPECT_EQ(status.protocol, 1);
}

TEST_F(Raw, AnErrorReachesAConnectedSocketOfTheQuotedProtocol) {
  const SocketId connected = host.raw.open(IpProtocol{200}, {});
  const SocketId unconnected = host.raw.open(IpProtocol{200}, {});
  EXPECT_TRUE(host.raw.connect(connected, kPeer));
  const Bytes quoted = packet(header_from(kMe, kPeer, IpProtocol{200}), Bytes(8));
  const Icmp4Header header{.type = icmp4_type::unreachable, .code = icmp4_unreachable::protocol, .rest = 0};
  host.receive(icmp_from(kPeer, kMe, header, quoted));
  EXPECT_EQ(host.raw.take_error(connected), Error::protocol_unreachable);
  EXPECT_EQ(host.raw.take_error(unconnected), Error::none);
}

TEST_F(Raw, ShutdownAndStaleIds) {
  const SocketId id = host.raw.open(IpProtocol::icmp, {});
  EXPECT_TRUE(host.raw.connect(id, kPeer));
  EXPECT_TRUE(host.raw.shutdown(id, true, true));
  EXPECT_TRUE(host.raw.ready(id) & kHangUp);
  EXPECT_EQ(host.raw.send(id, {}, {}, host.now).error(), Error::closing);
  host.raw.close(id);
  EXPECT_EQ(host.raw.status(id).error(), Error::stale_handle);
  EXPECT_TRUE(host.raw.list().empty());
}

}  // namespace
}  // namespace limpid
