// What outsiders must not foretell: initial sequence numbers (RFC 6528) and ephemeral ports (RFC 6056).
#include <map>
#include <set>

#include "stack/base/rng.h"
#include "stack/tcp/isn.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

FourTuple tuple(uint16_t local_port, uint16_t remote_port) {
  return {{TcpDialogue::kUs, local_port}, {TcpDialogue::kPeer, remote_port}};
}

IsnGenerator generator(uint64_t seed) { return IsnGenerator(Rng(seed).split("isn").key()); }

// req: 9293-MUST-8, 9293-SHLD-1
TEST(Isn, OfOneTupleTicksEvery4Microseconds) {
  const IsnGenerator isn = generator(1);
  const FourTuple t = tuple(80, 4000);
  const uint32_t first = isn.next(t, Time{}).value;
  for (Duration after : {4us, 400us, 1'000'000us, 3'600'000'000us, 20'000'000'000us}) {
    const auto ticks = static_cast<uint32_t>(after / 4us);
    EXPECT_EQ(isn.next(t, Time{after}).value - first, ticks);
  }
}

// req: 9293-MUST-9, 9293-SHLD-1, ATK-isn
TEST(Isn, OfDifferentTuplesAreUnrelated) {
  const IsnGenerator isn = generator(1);
  std::map<uint32_t, int> differences;
  std::map<uint32_t, int> high_octets;
  uint32_t before = 0;
  for (uint16_t port = 1; port <= 10'000; ++port) {
    const uint32_t now = isn.next(tuple(80, port), Time{}).value;
    ++differences[now - before];
    ++high_octets[now >> 24];
    before = now;
  }
  for (const auto& [difference, times] : differences) EXPECT_LE(times, 2) << difference;
  EXPECT_EQ(high_octets.size(), 256u);
  for (const auto& [octet, times] : high_octets) EXPECT_LT(times, 90) << octet;  // 39 on average
}

// req: 9293-MUST-9, 6528-4-a
TEST(Isn, ARestartedStackHasANewSecret) {
  std::set<uint32_t> seen;
  for (uint64_t seed = 1; seed <= 1000; ++seed) seen.insert(generator(seed).next(tuple(80, 4000), Time{}).value);
  EXPECT_GE(seen.size(), 999u);
}

// req: 9293-MUST-8, 9293-MUST-9
TEST(Isn, OnTheWireBothSidesOfAnOpenUseIt) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0)");
  const uint32_t first = t.take().header.sequence;
  t.peer("R 1:1(0)");
  t.pass(1s);
  t.peer("S 0:0(0)");
  EXPECT_EQ(t.take().header.sequence - first, 250'000u);
  TcpDialogue other({}, 1500, 2);
  other.listen();
  other.peer("S 0:0(0)");
  EXPECT_NE(other.take().header.sequence, first);
  other.connect();
  EXPECT_NE(other.take().header.sequence, first);
}

// --- ephemeral ports
// ------------------------------------------------------------------------------------------------------------

// The default range is Linux's, 32768 to 60999; RFC 6056 would rather have 1024 to 65535: docs/deviations.md.
// req: 6056-3.2-a, 6056-3.3-a, ATK-isn
TEST(EphemeralPorts, AreSpreadOverTheWholeRangeAndNotInOrder) {
  Config config;
  config.tcp.ephemeral_first = 1024;
  config.tcp.ephemeral_last = 65'535;
  TcpDialogue t(config);
  std::set<uint16_t> ports;
  std::map<int, int> eighths;
  int successors = 0;
  uint16_t before = 0;
  for (int i = 0; i < 1000; ++i) {
    const Endpoint to{IpAddress::v4(10, 0, 0, static_cast<uint8_t>(2 + i % 200)), static_cast<uint16_t>(1 + i)};
    const SocketId id = t.stack.tcp_connect(to, {}, {}, t.now).value();
    const uint16_t port = t.status(id).local.port;
    EXPECT_GE(port, 1024);
    ports.insert(port);
    ++eighths[port / 8192];
    if (port == before + 1) ++successors;
    before = port;
  }
  EXPECT_GT(ports.size(), 980u);
  EXPECT_EQ(eighths.size(), 8u);
  for (const auto& [eighth, times] : eighths) EXPECT_GT(times, 70) << eighth;
  EXPECT_LT(successors, 5);
  t.take_all();
}

// req: 6056-3.3-a
TEST(EphemeralPorts, OneServersPortsSayNothingAboutAnothers) {
  TcpDialogue t;
  std::set<int> offsets;
  for (uint16_t i = 0; i < 50; ++i) {
    const SocketId a = t.stack.tcp_connect({TcpDialogue::kPeer, 443}, {}, {}, t.now).value();
    const SocketId b =
        t.stack.tcp_connect({IpAddress::v4(10, 0, 0, 9), static_cast<uint16_t>(1000 + i)}, {}, {}, t.now).value();
    offsets.insert(t.status(b).local.port - t.status(a).local.port);
  }
  EXPECT_GT(offsets.size(), 45u);
}

// req: 6056-3.3-b
TEST(EphemeralPorts, WhenAllAreInUseToOneServerTheOthersStillWork) {
  Config config;
  config.tcp.ephemeral_first = 40'000;
  config.tcp.ephemeral_last = 40'009;
  TcpDialogue t(config);
  std::set<uint16_t> ports;
  for (int i = 0; i < 10; ++i)
    ports.insert(t.status(t.stack.tcp_connect({TcpDialogue::kPeer, 80}, {}, {}, t.now).value()).local.port);
  EXPECT_EQ(ports.size(), 10u);
  EXPECT_EQ(t.stack.tcp_connect({TcpDialogue::kPeer, 80}, {}, {}, t.now).error(), Error::address_not_available);
  EXPECT_TRUE(t.stack.tcp_connect({TcpDialogue::kPeer, 81}, {}, {}, t.now).has_value());
  EXPECT_TRUE(t.stack.tcp_connect({IpAddress::v4(10, 0, 0, 3), 80}, {}, {}, t.now).has_value());
}

}  // namespace
}  // namespace limpid
