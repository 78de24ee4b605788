// Who may bind what: Linux's behaviour as a table (inet_bind_conflict), and the ephemeral ports of RFC 6056.
#include "stack/net/port_table.h"

#include <gtest/gtest.h>

#include <set>

namespace limpid {
namespace {

constexpr IpAddress kAny{};
constexpr IpAddress kA = IpAddress::v4(10, 0, 0, 1);
constexpr IpAddress kB = IpAddress::v4(10, 0, 0, 2);
constexpr ReusePolicy kNo{};
constexpr ReusePolicy kAddress{.address = true};
constexpr ReusePolicy kPort{.port = true};
constexpr ReusePolicy kBoth{.address = true, .port = true};
constexpr PortRange kRange{.first = 40'000, .last = 40'099};
constexpr Endpoint kServer{kA, 443};

PortTable table() { return PortTable(kRange, Rng(7)); }

struct Row {
  const char* what;
  IpAddress first;
  ReusePolicy first_reuse;
  bool first_listens;
  IpAddress second;
  ReusePolicy second_reuse;
  bool second_may_bind;
  bool second_may_listen;  // asked only if it may bind
};

// req: SOCK-bind-2, SOCK-reuse-2
TEST(PortTable, BindsConflictWhereLinuxSaysSo) {
  const Row rows[] = {
      {"same address", kA, kNo, false, kA, kNo, false, false},
      {"other address", kA, kNo, true, kB, kNo, true, true},
      {"any meets one", kAny, kNo, false, kA, kNo, false, false},
      {"one meets any", kA, kNo, false, kAny, kNo, false, false},
      {"0.0.0.0 is any", kA, kNo, false, IpAddress::v4(0), kNo, false, false},
      {"reuse-address on one side only", kA, kNo, false, kA, kAddress, false, false},
      {"reuse-address on the other side only", kA, kAddress, false, kA, kNo, false, false},
      {"reuse-address on both, none listens", kA, kAddress, false, kA, kAddress, true, true},
      {"reuse-address on both, first listens", kA, kAddress, true, kA, kAddress, false, false},
      {"reuse-address on both, any listens", kAny, kAddress, true, kA, kAddress, false, false},
      {"reuse-port on both, first listens", kA, kPort, true, kA, kPort, true, true},
      {"reuse-port on one side only", kA, kPort, false, kA, kNo, false, false},
      {"reuse-port meets reuse-address", kA, kPort, false, kA, kAddress, false, false},
      {"both flags meet both, first listens", kA, kBoth, true, kA, kBoth, true, true},
      {"both flags meet reuse-address", kA, kBoth, false, kA, kAddress, true, true},
      {"both flags meet reuse-address, first listens", kA, kBoth, true, kA, kAddress, false, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    PortTable ports = table();
    const auto first = ports.claim({row.first, 80}, row.first_reuse);
    ASSERT_TRUE(first);
    if (row.first_listens) {
      EXPECT_TRUE(ports.mark_listening(*first));
    }
    const auto second = ports.claim({row.second, 80}, row.second_reuse);
    EXPECT_EQ(second.has_value(), row.second_may_bind);
    if (!second) {
      EXPECT_EQ(second.error(), Error::address_in_use);
      continue;
    }
    EXPECT_EQ(ports.mark_listening(*second).has_value(), row.second_may_listen);
  }
}

// req: SOCK-reuse-2
TEST(PortTable, ReuseAddressLetsTwoBindButOnlyOneListen) {
  PortTable ports = table();
  const auto one = ports.claim(kServer, kAddress);
  const auto two = ports.claim(kServer, kAddress);
  ASSERT_TRUE(one && two);
  EXPECT_TRUE(ports.mark_listening(*one));
  EXPECT_EQ(ports.mark_listening(*two).error(), Error::address_in_use);

  ports.unmark_listening(*one);
  EXPECT_TRUE(ports.mark_listening(*two)) << "the first was shut down";
}

TEST(PortTable, AReleasedPortIsFree) {
  PortTable ports = table();
  const auto one = ports.claim(kServer, kNo);
  ASSERT_TRUE(one);
  EXPECT_EQ(ports.endpoint(*one), kServer);
  ports.release(*one);
  EXPECT_EQ(ports.endpoint(*one), Endpoint{}) << "the id is stale";
  EXPECT_TRUE(ports.claim(kServer, kNo));
}

// req: SOCK-reuse-1
TEST(PortTable, OldConnectionsStopANewServerUnlessBothReuse) {
  for (const ReusePolicy old_server : {kNo, kAddress}) {
    for (const ReusePolicy new_server : {kNo, kAddress}) {
      PortTable ports = table();
      const auto old = ports.claim({kAny, 80}, old_server);
      ASSERT_TRUE(old && ports.mark_listening(*old));
      ports.add_connection({kA, 80}, old_server);  // accepted, then in TIME-WAIT
      ports.release(*old);

      const auto again = ports.claim({kAny, 80}, new_server);
      EXPECT_EQ(again.has_value(), old_server.address && new_server.address);
      if (again) {
        EXPECT_TRUE(ports.mark_listening(*again));
      }
      ports.remove_connection({kA, 80}, old_server);
      if (!again) {
        EXPECT_TRUE(ports.claim({kAny, 80}, new_server)) << "TIME-WAIT is over";
      }
    }
  }
}

TEST(PortTable, TenThousandConnectionsOfOneListenerAreOneGroup) {
  PortTable ports = table();
  const auto listener = ports.claim({kAny, 80}, kAddress);
  ASSERT_TRUE(listener && ports.mark_listening(*listener));
  for (int i = 0; i < 10'000; ++i) ports.add_connection({kA, 80}, kAddress);
  EXPECT_EQ(ports.group_count(80), 2U);
  for (int i = 0; i < 10'000; ++i) ports.remove_connection({kA, 80}, kAddress);
  ports.release(*listener);
  EXPECT_EQ(ports.group_count(80), 0U);
}

TEST(PortTable, FlagsCountAsTheyAreNow) {
  PortTable ports = table();
  const auto one = ports.claim(kServer, kNo);
  ASSERT_TRUE(one);
  EXPECT_FALSE(ports.claim(kServer, kAddress));
  ports.set_reuse(*one, kAddress);
  EXPECT_TRUE(ports.claim(kServer, kAddress));
}

TEST(PortTable, ANarrowedClaimLeavesOtherAddressesFree) {
  PortTable ports = table();
  const auto one = ports.claim({kAny, 5000}, kNo);
  ASSERT_TRUE(one);
  ports.set_address(*one, kA);
  EXPECT_TRUE(ports.claim({kB, 5000}, kNo));
  EXPECT_FALSE(ports.claim({kA, 5000}, kNo));
}

// req: SOCK-bind-1
TEST(PortTable, PortZeroPicksEachFreePortOnceUntilNoneIsLeft) {
  PortTable ports = table();
  std::set<uint16_t> seen;
  for (uint32_t i = 0; i < kRange.size(); ++i) {
    const auto id = ports.claim({kAny, 0}, kBoth);
    ASSERT_TRUE(id);
    const uint16_t port = ports.endpoint(*id).port;
    EXPECT_GE(port, kRange.first);
    EXPECT_LE(port, kRange.last);
    EXPECT_TRUE(seen.insert(port).second) << "port 0 never shares, whatever the flags";
  }
  EXPECT_EQ(ports.claim({kAny, 0}, kBoth).error(), Error::address_in_use);
}

TEST(PortTable, PortZeroDoesNotGoInOrder) {
  PortTable ports = table();
  int neighbors = 0;
  uint16_t before = 0;
  for (int i = 0; i < 20; ++i) {
    const auto id = ports.claim({kAny, 0}, kNo);
    ASSERT_TRUE(id);
    const uint16_t port = ports.endpoint(*id).port;
    neighbors += port == before + 1 ? 1 : 0;
    before = port;
  }
  EXPECT_LT(neighbors, 10);
}

TEST(PortTable, ConnectionsToDifferentPeersShareAPort) {
  PortTable ports(PortRange{.first = 40'000, .last = 40'000}, Rng(7));
  const auto always = [](uint16_t) { return true; };
  const auto one = ports.choose_ephemeral(kA, {kB, 80}, always);
  ASSERT_TRUE(one);
  ports.add_connection({kA, *one}, kNo);
  EXPECT_EQ(ports.choose_ephemeral(kA, {kB, 81}, always), *one);

  const auto same_peer_taken = [](uint16_t) { return false; };
  EXPECT_EQ(ports.choose_ephemeral(kA, {kB, 80}, same_peer_taken).error(), Error::address_not_available);
}

TEST(PortTable, ConnectPassesOverWhatSomebodyBound) {
  PortTable ports(PortRange{.first = 40'000, .last = 40'001}, Rng(7));
  ASSERT_TRUE(ports.claim({kAny, 40'000}, kBoth));
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(ports.choose_ephemeral(kA, {kB, 80}, [](uint16_t) { return true; }), uint16_t{40'001});
}

TEST(PortTable, ConnectWalksFromAPlaceThatDependsOnThePeerAndTheKey) {
  const auto first_port = [](uint64_t seed, const Endpoint& peer) {
    PortTable ports(PortRange{}, Rng(seed));
    return *ports.choose_ephemeral(kA, peer, [](uint16_t) { return true; });
  };
  EXPECT_EQ(first_port(1, {kB, 80}), first_port(1, {kB, 80}));
  EXPECT_NE(first_port(1, {kB, 80}), first_port(1, {kB, 81}));
  EXPECT_NE(first_port(1, {kB, 80}), first_port(2, {kB, 80}));

  PortTable ports(PortRange{}, Rng(3));
  const auto one = ports.choose_ephemeral(kA, {kB, 80}, [](uint16_t) { return true; });
  const auto two = ports.choose_ephemeral(kA, {kB, 80}, [](uint16_t) { return true; });
  EXPECT_NE(one, two) << "a port is not taken up again at once, though it is free";
}

// req: SOCK-bind-3
TEST(PortTable, EachProtocolHasItsOwn) {
  PortTable tcp = table();
  PortTable udp = table();
  EXPECT_TRUE(tcp.claim({kAny, 53}, kNo));
  EXPECT_TRUE(udp.claim({kAny, 53}, kNo));
}

}  // namespace
}  // namespace limpid
