// Fault injection: each harm by itself, in both directions, from a seed.
#include "drivers/fault.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/fake_device.h"

namespace limpid {
namespace {

using test::Bytes;
using test::bytes_of;
using test::FakeDevice;
using test::ip_packet;
using test::receive_all;
using test::send;
using test::text_of;

FaultPlan plan(std::string_view text) {
  auto parsed = FaultPlan::parse(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error());
  return parsed.value_or(FaultPlan{});
}

std::string joined(const std::vector<Bytes>& frames) {
  std::string text;
  for (const Bytes& f : frames) text += text_of(f) + " ";
  return text;
}

std::string numbered(int from, int to) {
  std::string text;
  for (int i = from; i <= to; ++i) text += std::to_string(i) + " ";
  return text;
}

struct Harness {
  explicit Harness(std::string_view text, uint64_t seed = 1) : device(inner, plan(text), Rng(seed)) {}
  void come_in(int from, int to) {
    for (int i = from; i <= to; ++i) inner.inbound.push_back(bytes_of(std::to_string(i)));
  }
  std::string received(Time now) { return joined(receive_all(device, now)); }
  std::string sent(int from, int to, Time now) {
    for (int i = from; i <= to; ++i) EXPECT_EQ(send(device, bytes_of(std::to_string(i)), now), Transmit::taken);
    return joined(std::exchange(inner.outbound, {}));
  }

  FakeDevice inner;
  FaultDevice device;
};

TEST(FaultPlan, IsWrittenAsText) {
  const FaultPlan p =
      plan("loss=2%,in.dup=0.5%,out.reorder=200ppm,delay=20ms,rate=10mbit,swallow=tcp:81,out.swallow=icmp");
  EXPECT_EQ(p.in.loss_ppm, 20'000u);
  EXPECT_EQ(p.out.loss_ppm, 20'000u);
  EXPECT_EQ(p.in.duplicate_ppm, 5'000u);
  EXPECT_EQ(p.out.duplicate_ppm, 0u);
  EXPECT_EQ(p.out.reorder_ppm, 200u);
  EXPECT_EQ(p.in.reorder_ppm, 0u);
  EXPECT_EQ(p.in.delay, 20ms);
  EXPECT_EQ(p.out.rate, 10'000'000u);
  ASSERT_EQ(p.in.swallow.size(), 1u);
  EXPECT_EQ(p.in.swallow[0].port, 81);
  ASSERT_EQ(p.out.swallow.size(), 1u);
  EXPECT_EQ(p.out.swallow[0].protocol, IpProtocol::icmp);
}

TEST(FaultPlan, SaysWhichItemIsWrong) {
  for (const char* wrong : {"loss", "loss=", "loss=2", "loss=101%", "loss=-1%", "lose=2%", "swallow=tcp:0",
                            "swallow=tcp:70000", "delay=5", "rate=0mbit", "in.=1%", "both.loss=1%"}) {
    const auto parsed = FaultPlan::parse(std::string("dup=1%,") + wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_NE(parsed.error().find(std::string("\"") + wrong + "\""), std::string::npos) << parsed.error();
  }
}

TEST(Fault, AnEmptyPlanHarmsNothing) {
  Harness h("");
  h.come_in(1, 20);
  EXPECT_EQ(h.received(Time{}), numbered(1, 20));
  EXPECT_EQ(h.sent(1, 20, Time{}), numbered(1, 20));
  EXPECT_EQ(h.device.next_deadline(), kNever);
}

TEST(Fault, LossIsAsOftenAsAskedAndTheSameForTheSameSeed) {
  Harness one("out.loss=10%", 7);
  Harness same("out.loss=10%", 7);
  Harness other("out.loss=10%", 8);
  const std::string survivors = one.sent(1, 5000, Time{});
  EXPECT_EQ(survivors, same.sent(1, 5000, Time{}));
  EXPECT_NE(survivors, other.sent(1, 5000, Time{}));
  EXPECT_NEAR(static_cast<double>(one.device.counters_out().lost), 500, 80);
  one.come_in(1, 50);
  EXPECT_EQ(one.received(Time{}), numbered(1, 50)) << "the other direction has a plan of its own";
}

TEST(Fault, ABatchOfWhichNothingIsLeftIsNotTheEnd) {
  Harness h("in.loss=90%", 3);
  h.come_in(1, 1000);
  const std::string got = h.received(Time{});
  EXPECT_TRUE(h.inner.inbound.empty());
  EXPECT_GT(got.size(), 100u);
}

TEST(Fault, DuplicatesArriveTwice) {
  Harness h("dup=100%");
  EXPECT_EQ(h.sent(1, 3, Time{}), "1 1 2 2 3 3 ");
  h.come_in(1, 3);
  const auto all = h.received(Time{});
  EXPECT_EQ(all.size(), 12u) << all;
  EXPECT_EQ(h.device.counters_in().duplicated, 3u);
}

TEST(Fault, AReorderedFrameIsOvertakenByThreeOrWaitsItsTime) {
  Harness h("out.reorder=50%,reorder-by=2,reorder-time=5ms", 4);
  std::string order = h.sent(1, 200, Time{});
  EXPECT_NE(order, numbered(1, 200));
  const uint64_t reordered = h.device.counters_out().reordered;
  EXPECT_GT(reordered, 60u);
  h.device.advance(Time{5ms});  // the last ones have nobody to overtake them
  order += joined(h.inner.outbound);
  for (int i = 1; i <= 200; ++i) EXPECT_NE((" " + order).find(" " + std::to_string(i) + " "), std::string::npos) << i;
  EXPECT_EQ(h.device.next_deadline(), kNever);

  Harness alone("in.reorder=100%,reorder-time=5ms");
  alone.come_in(1, 1);
  EXPECT_EQ(alone.received(Time{}), "");
  EXPECT_EQ(alone.device.next_deadline(), Time{5ms});
  EXPECT_EQ(alone.received(Time{5ms}), "1 ");
}

TEST(Fault, CorruptionFlipsOneBitBehindTheLinkHeader) {
  FakeDevice inner;
  inner.ethernet = true;
  FaultDevice device(inner, plan("corrupt=100%"), Rng(5));
  const Bytes frame(60, std::byte{0});
  for (int i = 0; i < 50; ++i) send(device, frame, Time{});
  ASSERT_EQ(inner.outbound.size(), 50u);
  for (const Bytes& got : inner.outbound) {
    int bits = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      bits += std::popcount(std::to_integer<unsigned>(got[i]));
      if (i < 14) {
        EXPECT_EQ(got[i], std::byte{0});
      }
    }
    EXPECT_EQ(bits, 1);
  }
}

TEST(Fault, DelayHoldsFramesInOrderUntilTheirTime) {
  Harness h("delay=20ms");
  EXPECT_EQ(h.sent(1, 3, Time{}), "");
  EXPECT_EQ(h.sent(4, 4, Time{1ms}), "");
  EXPECT_EQ(h.device.next_deadline(), Time{20ms});
  h.device.advance(Time{20ms});
  EXPECT_EQ(joined(h.inner.outbound), "1 2 3 ");
  h.come_in(1, 2);
  EXPECT_EQ(h.received(Time{20ms}), "");
  EXPECT_EQ(h.received(Time{40ms}), "1 2 ");
  EXPECT_EQ(joined(h.inner.outbound), "1 2 3 ") << "reading sends nothing";
  EXPECT_EQ(h.device.next_deadline(), Time{21ms});
}

TEST(Fault, RateSpacesFramesAndItsQueueIsBounded) {
  FakeDevice inner;
  FaultDevice device(inner, plan("out.rate=8mbit,queue=3000"), Rng(1));  // 1000 bytes a millisecond
  for (int i = 0; i < 5; ++i) send(device, Bytes(1000, std::byte{1}), Time{});
  EXPECT_EQ(device.counters_out().queue_full, 2u);
  for (int ms = 1; ms <= 3; ++ms) {
    device.advance(Time{std::chrono::milliseconds(ms)});
    EXPECT_EQ(inner.outbound.size(), static_cast<size_t>(ms));
  }
}

TEST(Fault, ASwallowedPortNeverAnswers) {
  FakeDevice inner;
  FaultDevice device(inner, plan("swallow=tcp:81,swallow=udp:53"), Rng(1));
  inner.inbound = {ip_packet(6, 40000, 80), ip_packet(6, 40000, 81), ip_packet(17, 40000, 81), ip_packet(17, 9, 53)};
  const auto got = receive_all(device, Time{});
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0], ip_packet(6, 40000, 80));
  EXPECT_EQ(got[1], ip_packet(17, 40000, 81)) << "the UDP port of that number is another";
  EXPECT_EQ(device.counters_in().swallowed, 2u);
  send(device, ip_packet(6, 40000, 81), Time{});
  EXPECT_EQ(inner.outbound.size(), 1u) << "ours may go to such a port elsewhere";
}

TEST(Fault, APortIsSwallowedThoughTheLinkHeaderStandsApart) {
  FakeDevice inner;
  inner.ethernet = true;
  FaultDevice device(inner, plan("out.swallow=tcp:81"), Rng(1));
  std::vector<std::byte> ethernet(14, std::byte{});
  ethernet[12] = std::byte{0x08};
  for (const uint16_t port : {uint16_t{81}, uint16_t{82}}) {
    const std::vector<std::byte> packet = ip_packet(6, 40000, port);
    const ByteSpan body[] = {packet};
    EXPECT_EQ(device.transmit({.head = ethernet, .body = body}, Time{}), Transmit::taken);
  }
  EXPECT_EQ(inner.outbound.size(), 1u);
  EXPECT_EQ(device.counters_out().swallowed, 1u);
}

TEST(Fault, ARefusedFrameKeepsNothing) {
  Harness h("dup=100%");
  h.inner.refuse = true;
  EXPECT_EQ(send(h.device, bytes_of("1"), Time{}), Transmit::refused);
  EXPECT_EQ(h.device.counters_out().frames, 0u);
  EXPECT_TRUE(h.device.wants_writable());
  h.inner.refuse = false;
  EXPECT_EQ(h.sent(1, 1, Time{}), "1 1 ");
}

TEST(Fault, ADelayedFrameThatTheDeviceRefusesIsTriedAgain) {
  Harness h("delay=10ms");
  h.sent(1, 2, Time{});
  h.inner.refuse = true;
  h.device.advance(Time{10ms});
  EXPECT_EQ(h.device.next_deadline(), Time{11ms});
  h.inner.refuse = false;
  h.device.advance(Time{11ms});
  EXPECT_EQ(joined(h.inner.outbound), "1 2 ") << "in their order";
}

}  // namespace
}  // namespace limpid
