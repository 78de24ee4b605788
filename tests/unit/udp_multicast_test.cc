// Multicast on a link (RFC 1112): addresses, TTL, what is heard and what is looped back.
#include "tests/support/ip_host.h"

namespace limpid {
namespace {

using namespace test;

constexpr IpAddress kGroup = IpAddress::v4(239, 193, 2, 3);
constexpr Endpoint kEveryone{kGroup, 5353};

class UdpMulticast : public testing::Test {
 protected:
  SocketId bound(const UdpOptions& options = {}) {
    const SocketId id = host.udp.open(options);
    EXPECT_TRUE(host.udp.bind(id, {{}, 5353}, {.address = true}));
    return id;
  }
  void join(SocketId id) { EXPECT_TRUE(host.udp.join(id, {.group = kGroup, .interface = host.link})); }
  // A socket of the options given sends "hello" to the group.
  void send(const UdpOptions& options) {
    const SocketId id = host.udp.open(options);
    EXPECT_TRUE(host.udp.send(id, bytes_of("hello"), {.to = kEveryone, .source = {}, .ttl = {}}, host.now));
    host.drain_loopback();
    host.udp.close(id);
  }
  void from_peer() { host.receive(udp_datagram(header_from(kPeer, kGroup, IpProtocol::udp), 5000, 5353, "from afar")); }
  std::string read(SocketId id) {
    std::array<std::byte, 100> buffer;
    const auto received = host.udp.receive(id, buffer, false);
    return received ? text_of(ByteSpan(buffer).first(received->copied)) : "-";
  }
  static UdpOptions options_on_link() {
    UdpOptions options;
    options.multicast_own = kAlsoMe;
    return options;
  }

  IpHost host;
};

// req: 1112-6-a
TEST_F(UdpMulticast, OnlyAJoinedGroupIsHeardAndNobodyIsTold) {
  const SocketId id = bound();
  from_peer();
  EXPECT_EQ(read(id), "-");
  EXPECT_EQ(host.counters[Counter::ip4_drop_not_ours], 1u);
  join(id);
  from_peer();
  EXPECT_EQ(read(id), "from afar");
  host.udp.close(id);
  from_peer();
  EXPECT_EQ(host.counters[Counter::ip4_drop_not_ours], 2u);
  EXPECT_TRUE(host.port.frames.empty());
}

// req: 1122-3.3.7-a
TEST_F(UdpMulticast, EveryHostIsOfTheAllHostsGroup) {
  const SocketId id = bound();
  host.receive(udp_datagram(header_from(kPeer, IpAddress::v4(224, 0, 0, 1), IpProtocol::udp), 5000, 5353, "all"));
  EXPECT_EQ(read(id), "all");
}

// What no socket waits for draws no ICMP (RFC 1122 §3.2.2).
TEST_F(UdpMulticast, AGroupWithoutAPortIsSilent) {
  const SocketId member = host.udp.open({});
  join(member);
  from_peer();
  EXPECT_TRUE(host.port.frames.empty());
}

// req: 1122-3.3.7-a
TEST_F(UdpMulticast, GoesOutWithTtlOneAndIsHeardAtHome) {
  const SocketId id = bound();
  join(id);
  send(options_on_link());
  const Packet sent = host.take();
  EXPECT_EQ(sent.ip.ttl, 1);
  EXPECT_EQ(sent.ip.source, kAlsoMe);
  EXPECT_EQ(sent.ip.destination, kGroup);
  EXPECT_EQ(read(id), "hello");
  EXPECT_EQ(read(id), "-");
}

// req: 1122-3.3.7-a
TEST_F(UdpMulticast, IsNotHeardAtHomeIfTheSenderDoesNotWishIt) {
  const SocketId id = bound();
  join(id);
  UdpOptions options = options_on_link();
  options.multicast_loop = false;
  options.multicast_ttl = 9;
  send(options);
  EXPECT_EQ(host.take().ip.ttl, 9);
  EXPECT_EQ(read(id), "-");
}

TEST_F(UdpMulticast, WithTtlZeroItStaysAtHome) {
  const SocketId id = bound();
  join(id);
  UdpOptions options = options_on_link();
  options.multicast_ttl = 0;
  send(options);
  EXPECT_TRUE(host.port.frames.empty());
  EXPECT_EQ(read(id), "hello");
}

TEST_F(UdpMulticast, ASocketTakesTwentyGroups) {
  const SocketId id = bound();
  for (uint8_t i = 0; i < 20; ++i)
    EXPECT_TRUE(host.udp.join(id, {.group = IpAddress::v4(239, 0, 0, i), .interface = host.link}));
  EXPECT_EQ(host.udp.join(id, {.group = kGroup, .interface = host.link}).error(), Error::no_buffers);
}

// RFC 1112 §6.4: the upper bit of the second octet does not count.
// req: 1122-3.3.7-a
TEST(UdpMulticastLink, OnEthernetTheGroupMakesTheAddress) {
  IpHost host(LinkKind::ethernet);
  UdpOptions options;
  options.multicast_own = kMe;
  const SocketId id = host.udp.open(options);
  EXPECT_TRUE(host.udp.send(id, bytes_of("hello"), {.to = kEveryone, .source = {}, .ttl = {}}, host.now));
  const Bytes frame = host.take_frame();
  EXPECT_EQ(parse_ethernet(frame)->destination, (MacAddress{{0x01, 0x00, 0x5e, 0x41, 0x02, 0x03}}));
}

}  // namespace
}  // namespace limpid
