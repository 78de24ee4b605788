// Hosts in one process: the clock jumps, frames arrive when the link says, and the same seed gives the same run.
#include "stack/runtime/sim_net.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace limpid {
namespace {

class Wakes final : public ReadySink {
 public:
  void raise(SocketId, ReadyEvents events) override { seen |= events; }
  ReadyEvents seen = 0;
};

constexpr IpAddress kA = IpAddress::v4(10, 0, 0, 1);
constexpr IpAddress kB = IpAddress::v4(10, 0, 0, 2);

struct TwoHosts {
  explicit TwoHosts(uint64_t seed, const SimLinkConfig& link, SimHash hash = SimHash::frames_and_events)
      : net(seed, hash) {
    a = net.add_host("a", {}, wakes_a);
    b = net.add_host("b", {}, wakes_b);
    net.connect(a, kA, b, kB, link);
    receiver = net.stack(b).udp_open({});
    EXPECT_TRUE(net.stack(b).udp_bind(receiver, {kB, 7}, {}, net.now()));
    sender = net.stack(a).udp_open({});
  }
  void send(const std::string& text) {
    EXPECT_TRUE(net.stack(a).udp_send(sender, std::as_bytes(std::span(text)),
                                      {.to = Endpoint{kB, 7}, .source = {}, .ttl = {}}, net.now()));
  }
  std::string received() {
    std::string text(100, '\0');
    const auto got = net.stack(b).udp_receive(receiver, std::as_writable_bytes(std::span(text)), false, net.now());
    text.resize(got ? got->copied : 0);
    return text;
  }

  Wakes wakes_a, wakes_b;
  SimNet net;
  SimNet::HostId a = 0, b = 0;
  SocketId sender, receiver;
};

TEST(SimNetTest, TheClockJumpsToTheArrival) {
  TwoHosts world(1, SimLinkConfig::symmetric({.delay = 20ms}));
  EXPECT_EQ(world.net.next_event(), kNever);
  world.send("hello");
  EXPECT_EQ(world.net.next_event(), Time(20ms));
  EXPECT_EQ(world.received(), "");
  EXPECT_TRUE(world.net.step());
  EXPECT_EQ(world.net.now(), Time(20ms));
  EXPECT_TRUE(world.wakes_b.seen & kReadable);
  EXPECT_EQ(world.received(), "hello");
}

TEST(SimNetTest, StepsStopAtTheGivenTime) {
  TwoHosts world(1, SimLinkConfig::symmetric({.delay = 20ms}));
  world.send("hello");
  EXPECT_FALSE(world.net.step(Time(5ms)));
  EXPECT_EQ(world.net.now(), Time(5ms));
  world.net.run_for(10ms);
  EXPECT_EQ(world.net.now(), Time(15ms));
  EXPECT_EQ(world.received(), "");
  EXPECT_TRUE(world.net.run_until([&] { return (world.wakes_b.seen & kReadable) != 0; }));
  EXPECT_EQ(world.net.now(), Time(20ms));
}

TEST(SimNetTest, ResolvesNeighborsOnEthernet) {
  SimLinkConfig link = SimLinkConfig::symmetric({.delay = 1ms});
  link.ethernet = true;
  TwoHosts world(1, link);
  world.send("hello");
  world.net.run_for(10ms);  // ARP request, reply, then the datagram
  EXPECT_EQ(world.received(), "hello");
  EXPECT_EQ(world.net.frames_delivered(), 3U);
}

TEST(SimNetTest, DeliversToTheHostItself) {
  TwoHosts world(1, {});
  const SocketId local = world.net.stack(world.a).udp_open({});
  ASSERT_TRUE(world.net.stack(world.a).udp_bind(local, {kA, 9}, {}, world.net.now()));
  const std::string text = "to myself";
  ASSERT_TRUE(world.net.stack(world.a).udp_send(world.sender, std::as_bytes(std::span(text)),
                                                {.to = Endpoint{kA, 9}, .source = {}, .ttl = {}}, world.net.now()));
  world.net.step();
  EXPECT_TRUE(world.wakes_a.seen & kReadable);
  EXPECT_EQ(world.net.frames_delivered(), 0U) << "nothing of it is for the link";
}

TEST(SimNetTest, TheSameSeedGivesTheSameHash) {
  uint64_t hashes[4] = {};
  const uint64_t seeds[3] = {5, 5, 6};
  for (size_t run = 0; run < 3; ++run) {
    TwoHosts world(seeds[run], SimLinkConfig::symmetric({.delay = 1ms, .jitter = 5ms, .loss_ppm = 300'000}));
    for (int i = 0; i < 50; ++i) {
      world.send("datagram " + std::to_string(i));
      world.net.run_for(1ms);
    }
    hashes[run] = world.net.hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_NE(hashes[0], hashes[2]);
}

}  // namespace
}  // namespace limpid
