// Several stacks as one host: who owns which flow.
#include "stack/net/flow_owner.h"

#include <map>

#include "stack/net/icmp.h"
#include "stack/stack.h"
#include "tests/support/ip_host.h"

namespace limpid {
namespace {

using namespace test;

constexpr SipKey kKey{.k0 = 11, .k1 = 13};
const FlowOwner kFour{kKey, 4};

FourTuple flow(uint16_t port) { return {{kMe, 80}, {kPeer, port}}; }

Bytes segment(const IpAddress& from, uint16_t source, const IpAddress& to, uint16_t destination) {
  Bytes tcp(20);
  store16(tcp, 0, source);
  store16(tcp, 2, destination);
  return packet(header_from(from, to, IpProtocol::tcp), tcp);
}

TEST(FlowOwner, EveryStackHasItsShare) {
  std::map<uint16_t, int> flows;
  for (uint16_t port = 1000; port < 9000; ++port) ++flows[kFour.of(flow(port))];
  ASSERT_EQ(flows.size(), 4U);
  for (const auto& [owner, count] : flows) {
    EXPECT_LT(owner, 4);
    EXPECT_NEAR(count, 2000, 200);
  }
}

TEST(FlowOwner, WithOneStackEverythingIsItsOwn) {
  EXPECT_EQ(FlowOwner().of(flow(7)), 0);
  EXPECT_EQ(FlowOwner(kKey, 1).of(flow(7)), 0);
}

TEST(FlowOwner, BothEndsOfAConversationWithOurselvesAreOneStacks) {
  for (uint16_t port = 1000; port < 1100; ++port) {
    const FourTuple here = flow(port);
    EXPECT_EQ(kFour.of(here), kFour.of({here.remote, here.local}));
  }
}

TEST(FlowOwner, AnotherKeyDividesOtherwise) {
  const FlowOwner other{{.k0 = 12, .k1 = 13}, 4};
  int same = 0;
  for (uint16_t port = 0; port < 1000; ++port) same += kFour.of(flow(port)) == other.of(flow(port)) ? 1 : 0;
  EXPECT_NEAR(same, 250, 80);
}

TEST(FlowOwner, APacketGoesToTheOwnerOfItsFlow) {
  for (uint16_t port = 1000; port < 1050; ++port) {
    EXPECT_EQ(kFour.of_packet(segment(kPeer, port, kMe, 80)), kFour.of(flow(port)));
    EXPECT_EQ(kFour.of_packet(segment(kMe, 80, kPeer, port)), kFour.of(flow(port)));
  }
}

TEST(FlowOwner, AnIcmpErrorGoesWithTheSegmentThatItQuotes) {
  for (uint16_t port = 1000; port < 1050; ++port) {
    const Bytes quoted = segment(kMe, 80, kPeer, port);
    const Bytes error = icmp_from(kGateway, kMe, {.type = icmp4_type::unreachable, .code = 4, .rest = 1400}, quoted);
    EXPECT_EQ(kFour.of_packet(error), kFour.of(flow(port)));
  }
}

TEST(FlowOwner, WhatIsNoFlowIsTheFirstStacks) {
  for (uint16_t port = 1000; port < 1050; ++port) {
    Bytes ports(8);
    store16(ports, 0, port);
    store16(ports, 2, 53);
    EXPECT_EQ(kFour.of_packet(packet(header_from(kPeer, kMe, IpProtocol::udp), ports)), 0);
    EXPECT_EQ(kFour.of_packet(icmp_from(kPeer, kMe, Icmp4Header::echo(icmp4_type::echo_request, port, 1), ports)), 0);
    Ipv4Header fragment = header_from(kPeer, kMe, IpProtocol::tcp);
    fragment.more_fragments = true;
    EXPECT_EQ(kFour.of_packet(packet(fragment, ports)), 0) << "the first one as those that have no ports";
    EXPECT_EQ(kFour.of_packet(icmp_from(kGateway, kMe, {.type = icmp4_type::unreachable, .code = 3, .rest = 0},
                                        packet(header_from(kMe, kPeer, IpProtocol::udp), ports))),
              0);
  }
}

TEST(FlowOwner, WhatIsCutShortIsTheFirstStacks) {
  const Bytes whole = icmp_from(kGateway, kMe, {.type = icmp4_type::time_exceeded, .code = 0, .rest = 0},
                                segment(kMe, 80, kPeer, 1000));
  for (size_t length = 0; length < 20 + 8 + 20 + 4; ++length)
    EXPECT_EQ(kFour.of_packet(ByteSpan(whole).first(length)), 0) << length;
}

// --- active opens
// -----------------------------------------------------------------------------------------------------

struct NobodyWaits : ReadySink {
  void raise(SocketId, ReadyEvents) override {}
};

TEST(FlowOwner, AStackOpensOnlyConnectionsThatItOwns) {
  NobodyWaits nobody;
  for (uint16_t own = 0; own < 4; ++own) {
    Stack stack(Config{}, own + 1, nobody);
    stack.share_flows(kFour, own);
    for (int i = 0; i < 50; ++i) {
      const SocketId id = stack.tcp_connect({IpAddress::v4(127, 0, 0, 1), 80}, {}, {}, Time{}).value();
      const TcpStatus status = stack.tcp_status(id).value();
      EXPECT_EQ(kFour.of({status.local, status.remote}), own);
    }
  }
}

TEST(FlowOwner, AStackRefusesABoundConnectionThatAnotherOwns) {
  NobodyWaits nobody;
  Stack stack(Config{}, 1, nobody);
  stack.share_flows(kFour, 2);
  const Endpoint server{IpAddress::v4(127, 0, 0, 1), 80};
  int opened = 0;
  for (uint16_t port = 2000; port < 2100; ++port) {
    const Endpoint local{IpAddress::v4(127, 0, 0, 1), port};
    const auto id = stack.tcp_connect(server, stack.tcp_bind(local, {}, Time{}).value(), {}, Time{});
    EXPECT_EQ(id.has_value(), kFour.of({local, server}) == 2) << port;
    if (!id) {
      EXPECT_EQ(id.error(), Error::address_not_available);
    }
    opened += id ? 1 : 0;
  }
  EXPECT_GT(opened, 5);
}

}  // namespace
}  // namespace limpid
