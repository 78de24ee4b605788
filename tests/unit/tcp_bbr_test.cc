// BBR and pacing in a connection: over the simulated link, and segment by segment.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "stack/runtime/sim_net.h"
#include "stack/tcp/pacer.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

class NoSink final : public ReadySink {
  void raise(SocketId, ReadyEvents) override {}
};

constexpr IpAddress kA = IpAddress::v4(10, 0, 0, 1);
constexpr IpAddress kB = IpAddress::v4(10, 0, 0, 2);

struct PathShape {
  uint64_t bits_per_second = 50'000'000;
  Duration round_trip = 40ms;
  double buffered = 2;  // of the product of the two
  uint32_t loss_ppm = 0;
  uint32_t bdp() const {
    return static_cast<uint32_t>(bits_per_second / 8 * static_cast<uint64_t>(to_us(round_trip)) / 1'000'000);
  }
};

Config config_with(CongestionChoice choice) {
  Config config;
  config.tcp.congestion = choice;
  config.tcp.send_buffer = config.tcp.receive_buffer = 8 << 20;
  return config;
}

// A sender that always has more to say (unless told), a reader that reads at once, and a bottleneck between them.
struct Bulk {
  explicit Bulk(const PathShape& shape, const Config& config = config_with(CongestionChoice::bbr), uint64_t seed = 1)
      : net(seed, SimHash::frames_and_events) {
    a = net.add_host("a", config, sink);
    b = net.add_host("b", config, sink);
    SimImpairments there{.delay = shape.round_trip / 2,
                         .rate = shape.bits_per_second,
                         .queue_bytes = static_cast<uint32_t>(shape.bdp() * shape.buffered),
                         .loss_ppm = shape.loss_ppm};
    net.connect(a, kA, b, kB, SimLinkConfig::of(there, {.delay = shape.round_trip / 2}));
    const auto bind = net.stack(b).tcp_bind({kB, 80}, {}, net.now());
    const auto listener = net.stack(b).tcp_listen(*bind, 8, {}, net.now());
    const auto from = net.stack(a).tcp_bind({kA, 0}, {}, net.now());
    sender = *net.stack(a).tcp_connect({kB, 80}, *from, {}, net.now());
    net.run_for(2 * shape.round_trip);
    receiver = *net.stack(b).tcp_accept(*listener, net.now());
  }

  TcpStatus status() { return *net.stack(a).tcp_status(sender); }

  void step(Time until) {
    static const std::vector<std::byte> text(64 << 10);
    while (busy && net.stack(a).tcp_send(sender, text, {}, net.now())) {
    }
    net.step(until);
    std::vector<std::byte> into(64 << 10);
    for (;;) {
      const auto got = net.stack(b).tcp_receive(receiver, into, {}, net.now());
      if (!got || *got == 0) break;
      received += *got;
    }
    const TcpStatus s = status();
    most_in_flight = std::max(most_in_flight, s.in_flight);
    least_in_flight = std::min(least_in_flight, s.in_flight);
    EXPECT_EQ(net.stack(a).check_invariants(net.now()), "");
  }
  void run(Duration time) {
    for (const Time end = net.now() + time; net.now() < end;) step(end);
  }
  // Bits a second that reach the reader from now on.
  double goodput(Duration time) {
    const uint64_t before = received;
    run(time);
    return static_cast<double>((received - before) * 8) / std::chrono::duration<double>(time).count();
  }

  NoSink sink;
  SimNet net;
  SimNet::HostId a = 0, b = 0;
  SocketId sender, receiver;
  uint64_t received = 0;
  uint32_t most_in_flight = 0;
  uint32_t least_in_flight = UINT32_MAX;
  bool busy = true;
};

TEST(TcpBbr, ReachesThePathsRateAndKeepsTheQueueShort) {
  const PathShape shape{.bits_per_second = 50'000'000, .round_trip = 40ms, .buffered = 8};
  Bulk bulk(shape);
  bulk.run(2s);
  bulk.most_in_flight = 0;
  EXPECT_GT(bulk.goodput(4s), 0.85 * 50e6);
  EXPECT_LT(bulk.most_in_flight, 2.6 * shape.bdp());  // CUBIC would fill the buffer: nine times the product
  const TcpStatus s = bulk.status();
  ASSERT_TRUE(s.bbr);
  EXPECT_NEAR(static_cast<double>(s.bbr->bandwidth), 50e6 / 8, 50e6 / 8 * 0.1);
  EXPECT_LT(to_us(s.bbr->min_rtt), 42'000);
  EXPECT_TRUE(s.paced);
  EXPECT_GT(s.pacing_rate, 4'000'000u);
  EXPECT_NEAR(static_cast<double>(s.delivery_rate), 50e6 / 8, 50e6 / 8 * 0.3);
  EXPECT_FALSE(s.app_limited);
  EXPECT_GT(s.delivered, 20'000'000u);
  EXPECT_EQ(s.total_retransmits, 0u);
}

// Up to two segments in a hundred are no reason to slow down; above that it does (kLossThresholdPercent), but far less
// than an algorithm to which each loss is congestion.
TEST(TcpBbr, SurvivesRandomLoss) {
  const auto goodput = [](uint32_t loss, CongestionChoice choice) {
    Bulk bulk({.bits_per_second = 20'000'000, .round_trip = 30ms, .loss_ppm = loss}, config_with(choice));
    bulk.run(3s);
    return bulk.goodput(6s);
  };
  EXPECT_GT(goodput(10'000, CongestionChoice::bbr), 0.75 * 20e6);
  EXPECT_GT(goodput(20'000, CongestionChoice::bbr), 0.7 * 20e6);
  EXPECT_GT(goodput(50'000, CongestionChoice::bbr), 0.35 * 20e6);
  EXPECT_GT(goodput(50'000, CongestionChoice::bbr), 2 * goodput(50'000, CongestionChoice::cubic));
}

TEST(TcpBbr, LooksForTheLeastRoundTripTime) {
  const PathShape shape{};
  Bulk bulk(shape);
  bulk.run(3s);
  bulk.least_in_flight = UINT32_MAX;
  bulk.run(4s);
  EXPECT_LT(bulk.least_in_flight, 0.6 * shape.bdp());
}

TEST(TcpBbr, WhatTheApplicationLimitedIsNotTakenForBandwidth) {
  Bulk bulk({});
  bulk.run(2s);
  const uint64_t before = bulk.status().bbr->bandwidth;
  bulk.busy = false;
  bulk.run(1s);
  std::vector<std::byte> little(3000);
  for (int i = 0; i < 60; ++i) {  // 240 kbit/s for six seconds
    EXPECT_TRUE(bulk.net.stack(bulk.a).tcp_send(bulk.sender, little, {}, bulk.net.now()));
    bulk.run(100ms);
  }
  EXPECT_TRUE(bulk.net.stack(bulk.a).tcp_status(bulk.sender)->bbr);
  EXPECT_GT(bulk.status().bbr->bandwidth, before / 10 * 9);
  bulk.busy = true;
  bulk.run(1s);
  EXPECT_GT(bulk.goodput(2s), 0.8 * 50e6);
}

TEST(TcpBbr, TakesOverAndHandsOverTheWindow) {
  Bulk bulk({}, config_with(CongestionChoice::cubic));
  bulk.run(1s);
  Stack& stack = bulk.net.stack(bulk.a);
  for (const auto choice : {CongestionChoice::bbr, CongestionChoice::reno, CongestionChoice::bbr}) {
    TcpOptions options = *stack.tcp_options(bulk.sender);
    options.congestion = choice;
    const uint32_t cwnd = bulk.status().cwnd;
    EXPECT_TRUE(stack.tcp_set_options(bulk.sender, options, bulk.net.now()));
    EXPECT_EQ(bulk.status().cwnd, cwnd);
    EXPECT_EQ(bulk.status().bbr.has_value(), choice == CongestionChoice::bbr);
    bulk.run(3s);
    EXPECT_GT(bulk.goodput(2s), 0.75 * 50e6) << name(choice);
  }
}

TEST(TcpBbr, TheSameSeedGivesTheSameRun) {
  const auto run = [] {
    Bulk bulk({.loss_ppm = 10'000});
    bulk.run(2s);
    return bulk.net.hash();
  };
  EXPECT_EQ(run(), run());
}

// --- pacing, segment by segment
// ------------------------------------------------------------------------------------------

struct PacedDialogue {
  explicit PacedDialogue(const TcpOptions& options, const Config& config = {}) : t(config) {
    id = t.establish_passively(options, "win 65535 mss 1000");
  }
  size_t sent() {
    const auto all = t.take_all();
    return all.size();
  }
  TcpDialogue t;
  SocketId id;
};

// Linux: SO_MAX_PACING_RATE paces any algorithm. 100,000 bytes a second: two segments each 20 ms.
TEST(TcpPacing, ABoundSpreadsTheWindow) {
  TcpOptions options;
  options.max_pacing_rate = 100'000;
  PacedDialogue p(options);
  p.t.send(p.id, 10'000);
  EXPECT_EQ(p.sent(), 2u);
  EXPECT_STREQ(p.t.status(p.id).timer, "pacing");
  EXPECT_TRUE(p.t.status(p.id).pacing_holds);
  EXPECT_EQ(p.t.status(p.id).pacing_rate, 100'000u);
  for (int burst = 0; burst < 4; ++burst) {
    p.t.pass(19ms);
    EXPECT_EQ(p.sent(), 0u);
    p.t.pass(1ms);
    EXPECT_EQ(p.sent(), 2u);
  }
  p.t.peer(". 1:1(0) ack 10001");
  EXPECT_FALSE(p.t.status(p.id).pacing_holds);
}

// An ACK that opens the window does not let go what is not due; an ACK of ours, and a FIN without text, do not wait.
TEST(TcpPacing, AcksDoNotRelease) {
  TcpOptions options;
  options.max_pacing_rate = 100'000;
  PacedDialogue p(options);
  p.t.send(p.id, 10'000);
  EXPECT_EQ(p.sent(), 2u);
  p.t.pass(10ms);
  p.t.peer(". 1:1(0) ack 2001");
  EXPECT_EQ(p.sent(), 0u);
  p.t.peer("P. 1:11(10) ack 2001");
  p.t.pass(9ms);
  EXPECT_EQ(p.sent(), 0u);  // the ACK waits for company, as ever
  p.t.pass(1ms);
  EXPECT_EQ(p.sent(), 2u);
}

// The clock of the world may be coarser than a burst: the rate is kept, in larger bursts.
TEST(TcpPacing, ACoarseClockKeepsTheRate) {
  TcpOptions options;
  options.max_pacing_rate = 1'000'000;  // two segments each 2 ms
  Config config;
  config.tcp.initial_window_segments = 100;
  PacedDialogue p(options, config);
  p.t.send(p.id, 60'000);
  size_t sent = p.sent();
  for (int tick = 0; tick < 5; ++tick) {  // nobody comes back before
    p.t.now += 10ms;
    p.t.stack.advance(p.t.now);
    p.t.stack.flush(p.t.now);
    sent += p.sent();
  }
  EXPECT_GE(sent, 48u);
  EXPECT_LE(sent, 54u);
}

// The initial window of an algorithm that does not model the path goes at once (as on Linux); what follows is spread at
// twice the window a round trip in slow start.
TEST(TcpPacing, TheConfigurationPacesOthersToo) {
  Config config;
  config.tcp.pacing = true;
  TcpDialogue t(config);
  t.listen();
  t.peer("S 0:0(0) win 65535 mss 1000");
  t.take();
  t.pass(100ms);
  t.peer(". 1:1(0) ack 1");
  const SocketId id = t.accept();
  t.send(id, 40'000);
  EXPECT_EQ(t.take_all().size(), 10u);
  t.pass(100ms);
  t.peer(". 1:1(0) ack 10001");  // twenty segments: 400,000 bytes a second
  EXPECT_EQ(t.take_all().size(), 2u);
  t.pass(5ms);
  EXPECT_EQ(t.take_all().size(), 2u);
  t.pass(40ms);
  EXPECT_EQ(t.take_all().size(), 16u);
}

// Nothing of it where nobody asked.
TEST(TcpPacing, OthersSendTheirWindowAtOnce) {
  PacedDialogue p({});
  p.t.send(p.id, 40'000);
  EXPECT_EQ(p.sent(), 10u);
  EXPECT_FALSE(p.t.status(p.id).paced);
}

}  // namespace
}  // namespace limpid
