// Which addresses a connection has: RFC 9293 §3.9.1.1, §3.9.2.3.
#include "stack/wire/arp.h"
#include "stack/wire/ethernet.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// A second link of the dialogue's host: what leaves through it.
struct SecondLink : LinkPort {
  Transmit transmit(const TxFrame& frame, Time) override {
    std::vector<std::byte> bytes(frame.head.begin(), frame.head.end());
    for (ByteSpan piece : frame.body) bytes.insert(bytes.end(), piece.begin(), piece.end());
    frames.push_back(std::move(bytes));
    return Transmit::taken;
  }
  std::vector<std::vector<std::byte>> frames;
};

constexpr IpAddress kUsThere = IpAddress::v4(10, 9, 0, 1);
constexpr IpAddress kUsThereToo = IpAddress::v4(10, 9, 0, 77);
constexpr IpAddress kPeerThere = IpAddress::v4(10, 9, 0, 2);

struct TwoLinks : testing::Test {
  TwoLinks() {
    there = t.stack.add_interface({.name = "second", .kind = LinkKind::ip, .mtu = 1400, .mac = {}}, second);
    t.stack.add_address(there, kUsThere, 24);
    t.stack.add_address(there, kUsThereToo, 24);
  }
  Ipv4Header last_header() {
    EXPECT_FALSE(second.frames.empty());
    return second.frames.empty() ? Ipv4Header{} : parse_ipv4(second.frames.back())->header;
  }
  TcpDialogue t;
  SecondLink second;
  InterfaceId there = 0;
};

// req: 9293-MUST-44
TEST_F(TwoLinks, WithoutABindTheSourceIsThatOfTheLink) {
  const SocketId here = t.connect();
  EXPECT_EQ(t.take().ip.source, TcpDialogue::kUs);
  EXPECT_EQ(t.status(here).local.address, TcpDialogue::kUs);
  const SocketId id = t.stack.tcp_connect({kPeerThere, 80}, {}, {}, t.now).value();
  EXPECT_EQ(last_header().source, kUsThere);
  EXPECT_EQ(t.status(id).local.address, kUsThere);
  t.expect_nothing();
}

// req: 9293-MUST-43
TEST_F(TwoLinks, ABoundAddressIsUsedByConnectAndByListen) {
  const auto bind = t.stack.tcp_bind({kUsThereToo, 0}, {}, t.now).value();
  t.stack.tcp_connect({kPeerThere, 80}, bind, {}, t.now).value();
  EXPECT_EQ(last_header().source, kUsThereToo);

  const auto claim = t.stack.tcp_bind({kUsThereToo, 90}, {}, t.now).value();
  t.stack.tcp_listen(claim, 8, {}, t.now).value();
  const TcpHeader syn{.source_port = 4000, .destination_port = 90, .flags = tcp_flag::syn, .options = {}};
  t.header_between(TcpDialogue::kPeer, TcpDialogue::kUs, syn);  // another address of ours: nobody listens there
  EXPECT_EQ(t.take().words.substr(0, 2), "R.");
  second.frames.clear();
  t.header_between(kPeerThere, kUsThereToo, syn);
  EXPECT_EQ(last_header().source, kUsThereToo);
}

// req: 9293-MUST-45
TEST_F(TwoLinks, AConnectionKeepsItsAddressesWhateverHappensToRoutes) {
  const SocketId id = t.establish_actively();
  t.stack.add_address(there, IpAddress::v4(10, 0, 0, 200), 32);
  t.stack.add_route(TcpDialogue::kPeer, 32, there, {});  // another way to the same peer
  t.send(id, 5000);
  t.peer("P. 1:11(10) ack 1");
  t.pass(2s);
  t.stack.tcp_close(id, t.now);
  for (const auto& s : t.take_all()) {
    EXPECT_EQ(s.ip.source, TcpDialogue::kUs);
    EXPECT_EQ(s.ip.destination, TcpDialogue::kPeer);
  }
}

// req: 9293-MUST-46, 9293-MUST-46-addr
TEST(TcpConnect, ToAddressesThatCanBeNobodysIsRefusedWithoutASyn) {
  TcpDialogue t;
  t.stack.add_route(IpAddress::v4(0, 0, 0, 0), 0, 1, TcpDialogue::kPeer);  // a default route would take anything
  for (const IpAddress& to :
       {IpAddress::v4(255, 255, 255, 255), IpAddress::v4(10, 0, 0, 255), IpAddress::v4(224, 0, 0, 1),
        IpAddress::v4(239, 1, 2, 3), IpAddress::v4(0, 1, 2, 3), IpAddress::v4(240, 0, 0, 1)}) {
    EXPECT_FALSE(t.stack.tcp_connect({to, 80}, {}, {}, t.now).has_value()) << to.to_string();
  }
  t.pass(10s);
  t.expect_nothing();
  EXPECT_TRUE(t.other_packets.empty());
  EXPECT_TRUE(t.stack.tcp_list().empty());
}

TEST(TcpConnect, TwiceFromOnePortToOnePeerIsRefused) {
  TcpDialogue t;
  const ReusePolicy reuse{.address = true, .port = true};
  const auto connect = [&](uint16_t to) {
    const auto bind = t.stack.tcp_bind({TcpDialogue::kUs, 5000}, reuse, t.now).value();
    return t.stack.tcp_connect({TcpDialogue::kPeer, to}, bind, {}, t.now);
  };
  EXPECT_TRUE(connect(80).has_value());
  EXPECT_EQ(connect(80).error(), Error::address_not_available);
  EXPECT_TRUE(connect(81).has_value());
}

TEST(TcpConnect, ToAPortOfOursWhereNobodyListensIsRefused) {
  TcpDialogue t;
  const SocketId id = t.stack.tcp_connect({TcpDialogue::kUs, 80}, {}, {}, t.now).value();
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::refused);
}

// A host with an Ethernet beside its other link.
class TcpEthernet : public testing::Test {
 protected:
  static constexpr MacAddress kOurMac{{2, 0, 0, 0, 0, 1}};
  static constexpr MacAddress kTheirMac{{2, 0, 0, 0, 0, 2}};

  TcpEthernet()
      : link(t.stack.add_interface({.name = "eth", .kind = LinkKind::ethernet, .mtu = 1500, .mac = kOurMac}, wire)) {
    t.stack.add_address(link, kUsThere, 24);
  }
  void receive(const MacAddress& to, uint16_t type, ByteSpan payload) {
    std::vector<std::byte> frame(EthernetHeader::kSize + payload.size());
    EthernetHeader{.destination = to, .source = kTheirMac, .type = type}.write(
        MutableByteSpan(frame).first(EthernetHeader::kSize));
    std::ranges::copy(payload, frame.begin() + EthernetHeader::kSize);
    t.stack.receive(link, t.stack.frames().copy(frame), t.now);
    t.stack.flush(t.now);
  }
  static std::vector<std::byte> packet(const TcpHeader& tcp, const IpAddress& to) {
    std::vector<std::byte> bytes(40);
    Ipv4Header{.total_length = 40, .protocol = IpProtocol::tcp, .source = kPeerThere, .destination = to}.write(
        MutableByteSpan(bytes).first(20));
    tcp.write(MutableByteSpan(bytes).subspan(20), kPeerThere, to, {});
    return bytes;
  }

  TcpDialogue t;
  SecondLink wire;
  InterfaceId link;
};

// req: 9293-MUST-57-bcast
TEST_F(TcpEthernet, ASynInABroadcastFrameOrToABroadcastAddressIsDroppedInSilence) {
  t.listen();
  const auto syn_to = [&](const MacAddress& mac, const IpAddress& ip) {
    receive(mac, ether_type::ipv4,
            packet({.source_port = 4000, .destination_port = 80, .flags = tcp_flag::syn, .options = {}}, ip));
  };
  syn_to(MacAddress::broadcast(), kUsThere);
  syn_to(kOurMac, IpAddress::v4(10, 9, 0, 255));
  syn_to(kOurMac, IpAddress::v4(255, 255, 255, 255));
  t.pass(10s);
  EXPECT_TRUE(wire.frames.empty());
  EXPECT_EQ(t.count(Counter::tcp_drop_bad_address), 3u);
  syn_to(kOurMac, kUsThere);
  EXPECT_FALSE(wire.frames.empty());  // asks by ARP where the answer should go
}

// When R1 retransmissions have gone unanswered, and not before, the neighbor is asked whether it is still there.
// req: 9293-MUST-20, 9293-SHLD-10
TEST_F(TcpEthernet, AtR1TheNeighborIsAskedAgain) {
  const auto count = [&](uint16_t type) {
    return std::ranges::count_if(wire.frames, [&](const auto& f) { return load16(f, 12) == type; });
  };
  const SocketId id = t.stack.tcp_connect({kPeerThere, 80}, {}, {}, t.now).value();
  std::vector<std::byte> arp(ArpPacket::kSize);
  ArpPacket{.operation = ArpPacket::kReply,
            .sender_mac = kTheirMac,
            .sender_ip = kPeerThere,
            .target_mac = kOurMac,
            .target_ip = kUsThere}
      .write(arp);
  receive(kOurMac, ether_type::arp, arp);
  const auto syn = parse_tcp(ByteSpan(wire.frames.back()).subspan(34), kUsThere, kPeerThere);
  ASSERT_TRUE(syn.has_value());
  receive(kOurMac, ether_type::ipv4,
          packet({.source_port = 80,
                  .destination_port = syn->header.source_port,
                  .acknowledgment = syn->header.sequence + 1,
                  .flags = tcp_flag::syn | tcp_flag::ack,
                  .window = 65'535,
                  .options = {}},
                 kUsThere));
  ASSERT_EQ(t.state(id), established);

  wire.frames.clear();
  t.send(id, 100);
  for (int again = 1; again <= 3; ++again) {
    while (count(ether_type::ipv4) == again) t.pass(10ms);
    EXPECT_EQ(count(ether_type::arp), 0) << again;
  }
  while (count(ether_type::ipv4) == 4) t.pass(10ms);
  EXPECT_EQ(count(ether_type::arp), 1);
  t.pass(10s);  // nobody answers that either
  EXPECT_GE(count(ether_type::arp), 3);
}

}  // namespace
}  // namespace limpid
