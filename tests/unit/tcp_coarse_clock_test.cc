// Recovery and pacing where time moves in steps of 10 ms: the world looks at the stacks at no other moment, so each
// time that they see is rounded, timers fire late, and round trips are whole steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "drivers/sim_link.h"
#include "stack/stack.h"

namespace limpid {
namespace {

constexpr IpAddress kAddress[2] = {IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 0, 2)};
constexpr Duration kTick = 10ms;

class NoSink final : public ReadySink {
  void raise(SocketId, ReadyEvents) override {}
};

struct CoarseWorld {
  CoarseWorld(CongestionChoice choice, const SimImpairments& there, const SimImpairments& back)
      : link(SimLinkConfig::of(there, back), Rng(7)),
        stacks{Stack(config(choice), 1, sink), Stack(config(choice), 2, sink)} {
    for (size_t i = 0; i < 2; ++i) {
      const InterfaceId interface =
          stacks[i].add_interface({.name = "sim", .kind = LinkKind::ip, .mtu = 1500, .mac = {}}, link.end(i));
      stacks[i].add_address(interface, kAddress[i], 24);
    }
    const auto bind = stacks[1].tcp_bind({kAddress[1], 80}, {}, now);
    const auto listener = stacks[1].tcp_listen(*bind, 8, {}, now);
    const auto from = stacks[0].tcp_bind({kAddress[0], 0}, {}, now);
    sender = *stacks[0].tcp_connect({kAddress[1], 80}, *from, {}, now);
    while (now < Time{5s}) {
      tick();
      if (const auto accepted = stacks[1].tcp_accept(*listener, now)) {
        receiver = *accepted;
        return;
      }
    }
    ADD_FAILURE() << "no connection";
  }

  static Config config(CongestionChoice choice) {
    Config c;
    c.tcp.congestion = choice;
    c.tcp.send_buffer = c.tcp.receive_buffer = 4 << 20;
    return c;
  }

  void tick() {
    now += kTick;
    for (size_t i = 0; i < 2; ++i) {
      Stack& stack = stacks[i];
      link.end(i).advance(now);
      while (link.end(i).next_deadline() <= now) {
        std::array<FrameRef, 1> frame{stack.frames().make(2000)};
        if (link.end(i).receive_batch(frame, now) == 0) break;
        stack.receive(0, std::move(frame[0]), now);
      }
      stack.advance(now);
      stack.flush(now);
      EXPECT_EQ(stack.check_invariants(now), "");
    }
  }

  void send_and_read() {
    static const std::vector<std::byte> text(64 << 10);
    while (stacks[0].tcp_send(sender, text, {}, now)) {
    }
    std::vector<std::byte> into(64 << 10);
    for (;;) {
      const auto got = stacks[1].tcp_receive(receiver, into, {}, now);
      if (!got || *got == 0) break;
      received += *got;
    }
  }

  // Bits a second that reach the reader.
  double goodput(Duration time) {
    const uint64_t before = received;
    for (const Time end = now + time; now < end;) {
      tick();
      send_and_read();
    }
    return static_cast<double>((received - before) * 8) / std::chrono::duration<double>(time).count();
  }
  TcpStatus status() { return *stacks[0].tcp_status(sender); }

  NoSink sink;
  SimLink link;
  std::array<Stack, 2> stacks;
  Time now{1s};
  SocketId sender, receiver;
  uint64_t received = 0;
};

constexpr uint64_t kRate = 20'000'000;

SimImpairments bottleneck(uint32_t loss_ppm) {
  return {.delay = 20ms, .rate = kRate, .queue_bytes = 200'000, .loss_ppm = loss_ppm};
}

TEST(TcpCoarseClock, FillsThePath) {
  for (const auto choice : {CongestionChoice::reno, CongestionChoice::cubic, CongestionChoice::bbr}) {
    CoarseWorld world(choice, bottleneck(0), {.delay = 20ms});
    world.goodput(3s);
    EXPECT_GT(world.goodput(5s), 0.75 * kRate) << name(choice);
  }
}

// What the link lost is sent again, and hardly anything else: coarse times make nothing look lost.
TEST(TcpCoarseClock, RepairsWhatIsLostAndNoMore) {
  for (const auto choice : {CongestionChoice::reno, CongestionChoice::cubic, CongestionChoice::bbr}) {
    CoarseWorld world(choice, {.delay = 20ms, .rate = kRate, .loss_ppm = 10'000}, {.delay = 20ms});
    world.goodput(8s);
    const uint64_t lost = world.link.counters(0).lost;
    EXPECT_GT(lost, 20u) << name(choice);
    EXPECT_LE(world.status().total_retransmits, lost + lost / 5 + 5) << name(choice);
    EXPECT_LE(world.stacks[0].counters()[Counter::tcp_timeouts], 3u) << name(choice);
  }
}

TEST(TcpCoarseClock, BbrKeepsItsRateUnderLoss) {
  CoarseWorld world(CongestionChoice::bbr, bottleneck(10'000), {.delay = 20ms});
  world.goodput(3s);
  EXPECT_GT(world.goodput(6s), 0.6 * kRate);
}

}  // namespace
}  // namespace limpid
