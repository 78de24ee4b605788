// Fault injection: each harm by itself, in both directions, from a seed.
#include "drivers/fault.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>

#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"
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

// --- super-segments
// -----------------------------------------------------------------------------------------------------

// Super-segments of numbered packets. What comes out is written as the numbers of its packets: "[1 2 3] [5]", a packet
// by itself with "!" behind it if its checksum is wrong.
constexpr uint16_t kEach = 100;

TxFrame super_segment(std::vector<std::byte>& bytes, ByteSpan& text, int from, int to, size_t link_header) {
  const auto packets = static_cast<size_t>(to - from + 1);
  const TcpHeader tcp{.source_port = 80, .destination_port = 81, .sequence = 0, .flags = tcp_flag::ack};
  const IpAddress address = IpAddress::v4(10, 77, 0, 1);
  const size_t head = link_header + 20 + tcp.size();
  bytes.assign(head + packets * kEach, std::byte{});
  const MutableByteSpan out(bytes);
  if (link_header > 0) store16(out, 12, 0x0800);
  Ipv4Header{.total_length = static_cast<uint16_t>(bytes.size() - link_header),
             .protocol = IpProtocol::tcp,
             .source = address,
             .destination = address}
      .write(out.subspan(link_header, 20));
  tcp.write_open(out.subspan(link_header + 20, tcp.size()), address, address, packets * kEach);
  for (size_t i = 0; i < packets; ++i)
    store8(out, head + i * kEach, static_cast<uint8_t>(static_cast<size_t>(from) + i));
  text = ByteSpan(bytes).subspan(head);
  return {.head = ByteSpan(bytes).first(head),
          .body = {&text, 1},
          .offload = {.segment_text = packets > 1 ? kEach : uint16_t{0},
                      .checksum_begin = static_cast<uint16_t>(link_header + 20),
                      .checksum_field = TcpHeader::kChecksumField,
                      .checksum_open = true}};
}

std::string numbers_in(ByteSpan frame, const FrameOffload& offload, size_t link_header) {
  const ByteSpan ip = frame.subspan(link_header);
  std::string said;
  for (size_t at = link_header + 40; at < frame.size(); at += kEach)
    said += (said.empty() ? "" : " ") + std::to_string(load8(frame, at));
  if (offload.segment_text > 0) {
    EXPECT_EQ(load16(ip, 2), ip.size());
    return "[" + said + "] ";
  }
  const IpAddress address = IpAddress::v4(10, 77, 0, 1);
  const bool right = offload.checksum_open || (parse_ipv4(ip) && parse_tcp(ip.subspan(20), address, address));
  return "[" + said + (right ? "] " : "!] ");
}

// A device that takes and gives super-segments.
struct SuperDevice final : FakeDevice {
  size_t receive_batch(std::span<FrameRef> frames, Time now) override {
    const size_t n = FakeDevice::receive_batch(frames, now);
    for (size_t i = 0; i < n; ++i, offloads_in.pop_front()) frames[i]->offload = offloads_in.front();
    return n;
  }
  Transmit transmit(const TxFrame& frame, Time now) override {
    if (takes == 0) return refuse = true, Transmit::refused;
    --takes;
    refuse = false;
    const Transmit answer = FakeDevice::transmit(frame, now);
    said += numbers_in(outbound.back(), frame.offload, link_header());
    return answer;
  }
  Capabilities capabilities() const override {
    Capabilities c = FakeDevice::capabilities();
    c.offloads = true;
    return c;
  }
  size_t link_header() const { return ethernet ? 14 : 0; }
  void come_in(int from, int to) {
    Bytes bytes;
    ByteSpan text;
    offloads_in.push_back(super_segment(bytes, text, from, to, link_header()).offload);
    inbound.push_back(bytes);
  }

  std::deque<FrameOffload> offloads_in;
  std::string said;
  int takes = 1000;
};

struct SuperHarness {
  explicit SuperHarness(std::string_view text, uint64_t seed = 1, bool ethernet = false)
      : inner(of(ethernet)), device(inner, plan(text), Rng(seed)) {}
  static SuperDevice of(bool ethernet) {
    SuperDevice d;
    d.ethernet = ethernet;
    return d;
  }
  Transmit transmit(int from, int to, Time now = {}) {
    Bytes bytes;
    ByteSpan text;
    return device.transmit(super_segment(bytes, text, from, to, inner.link_header()), now);
  }
  std::string sent(int from, int to, Time now = {}) {
    EXPECT_EQ(transmit(from, to, now), Transmit::taken);
    return std::exchange(inner.said, {});
  }
  // All that there is, in batches of so many frames.
  std::string received(size_t batch, Time now = {}) {
    FramePool pool(1 << 20);
    std::string said;
    for (;;) {
      std::vector<FrameRef> frames(batch);
      for (FrameRef& f : frames) f = pool.make(20'000);
      const size_t n = device.receive_batch(frames, now);
      for (size_t i = 0; i < n; ++i) said += numbers_in(frames[i]->bytes(), frames[i]->offload, inner.link_header());
      if (n == 0) return said;
    }
  }

  SuperDevice inner;
  FaultDevice device;
};

// The packets of a text like "[1 2] [4] ", one by one.
std::string packets_in(std::string said) {
  std::erase_if(said, [](char c) { return c == '[' || c == ']' || c == '!'; });
  return said;
}

TEST(FaultOffload, ASuperSegmentThatNothingBefallsGoesOnAsItIs) {
  SuperHarness h("out.loss=0%,in.loss=0%");
  EXPECT_TRUE(h.device.capabilities().offloads);
  EXPECT_EQ(h.sent(1, 9), "[1 2 3 4 5 6 7 8 9] ");
  h.inner.come_in(1, 9);
  EXPECT_EQ(h.received(4), "[1 2 3 4 5 6 7 8 9] ");
  EXPECT_EQ(h.device.counters_out().frames, 9U);
}

TEST(FaultOffload, EachPacketIsLostByItself) {
  for (const bool ethernet : {false, true}) {
    SuperHarness h("loss=20%", 5, ethernet);
    std::string all;
    for (int i = 0; i < 10; ++i) all += h.sent(1, 20);
    EXPECT_NEAR(static_cast<double>(h.device.counters_out().lost), 40, 20);
    EXPECT_NE(all.find(" 2 3"), std::string::npos) << "what goes on together stays together: " << all;
    EXPECT_EQ(all.find('!'), std::string::npos) << all;
    for (int i = 0; i < 10; ++i) h.inner.come_in(1, 20);
    const std::string in = h.received(3);
    EXPECT_NEAR(static_cast<double>(h.device.counters_in().lost), 40, 20);
    EXPECT_EQ(in.find('!'), std::string::npos) << in;
    EXPECT_NE(in.find("] ["), std::string::npos);
  }
}

// A plan befalls the same packets whether they come by themselves or in one piece.
TEST(FaultOffload, ASuperSegmentSuffersWhatItsPacketsWould) {
  const std::string harm = "loss=10%,dup=10%,reorder=10%,reorder-by=2,reorder-time=5ms";
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SuperHarness together(harm, seed);
    SuperHarness one_by_one(harm, seed);
    std::string expected;
    for (int i = 1; i <= 40; ++i) expected += one_by_one.sent(i, i);
    std::string got = together.sent(1, 20);
    got += together.sent(21, 40);
    for (SuperHarness* h : {&together, &one_by_one}) h->device.advance(Time{5ms});
    EXPECT_EQ(together.device.counters_out().lost, one_by_one.device.counters_out().lost);
    EXPECT_EQ(together.device.counters_out().duplicated, one_by_one.device.counters_out().duplicated);
    EXPECT_EQ(together.device.counters_out().reordered, one_by_one.device.counters_out().reordered);
    const auto sorted = [](const std::string& a, const std::string& b) {
      std::multiset<std::string> all;
      std::istringstream in(packets_in(a + b));
      for (std::string n; in >> n;) all.insert(n);
      return all;
    };
    EXPECT_EQ(sorted(got, together.inner.said), sorted(expected, one_by_one.inner.said)) << "seed " << seed;
  }
}

TEST(FaultOffload, WhatIsHarmedStaysInOrder) {
  SuperHarness h("loss=10%,corrupt=10%", 3);
  const auto ordered = [](const std::string& said) {
    std::istringstream in(packets_in(said));
    std::vector<int> numbers;
    for (int n = 0; in >> n;) numbers.push_back(n);
    return std::ranges::is_sorted(numbers);
  };
  for (int i = 0; i < 20; ++i) {
    const std::string out = h.sent(1, 40);
    // A flipped bit may hit the number itself.
    if (out.find('!') == std::string::npos) {
      EXPECT_TRUE(ordered(out)) << out;
    }
  }
  EXPECT_GT(h.device.counters_out().corrupted, 40U);
}

TEST(FaultOffload, ACorruptedPacketHasAWrongChecksumAndItsNeighborsRightOnes) {
  SuperHarness h("corrupt=10%", 2);
  std::string all;
  for (int i = 0; i < 10; ++i) all += h.sent(1, 20);
  const auto wrong = static_cast<uint64_t>(std::ranges::count(all, '!'));
  EXPECT_EQ(wrong, h.device.counters_out().corrupted);
  EXPECT_GT(wrong, 5U);
}

TEST(FaultOffload, ADelayedSuperSegmentComesAsItsPackets) {
  SuperHarness h("in.delay=10ms,out.rate=8mbit");
  h.inner.come_in(1, 3);
  EXPECT_EQ(h.received(4), "");
  EXPECT_EQ(h.received(2, Time{10ms}), "[1] [2] [3] ");
  EXPECT_EQ(h.sent(1, 3), "");
  h.device.advance(Time{1ms});
  EXPECT_EQ(h.inner.said, "[1] [2] [3] ");
}

TEST(FaultOffload, WhatTheDeviceDoesNotTakeOfItWaitsAndGoesFirst) {
  SuperHarness h("out.loss=20%", 5);
  SuperHarness same("out.loss=20%", 5);
  const std::string whole = same.sent(1, 20);
  ASSERT_NE(whole.find("] ["), std::string::npos) << whole;
  h.inner.takes = 1;
  EXPECT_EQ(h.transmit(1, 20), Transmit::taken) << "a part has gone: the rest waits here";
  EXPECT_EQ(h.transmit(21, 40), Transmit::refused);
  EXPECT_TRUE(h.device.wants_writable());
  EXPECT_EQ(h.device.next_deadline(), Time{1ms});
  h.inner.takes = 1000;
  h.device.advance(Time{1ms});
  EXPECT_EQ(h.inner.said, whole);
  EXPECT_TRUE(h.device.wants_writable()) << "the stack was refused, and is to hear that there is room";
  EXPECT_EQ(h.transmit(21, 40, Time{1ms}), Transmit::taken);
  EXPECT_FALSE(h.device.wants_writable());
}

TEST(FaultOffload, ARefusedSuperSegmentKeepsNothing) {
  SuperHarness h("dup=1%");
  h.inner.takes = 0;
  EXPECT_EQ(h.transmit(1, 20), Transmit::refused);
  EXPECT_EQ(h.device.counters_out().frames, 0U);
  EXPECT_EQ(h.device.next_deadline(), kNever);
}

// What a device says of a frame may be wrong: then it is the stack that drops it, with its counter.
TEST(FaultOffload, AFrameThatContradictsItselfIsNotCut) {
  SuperHarness h("in.loss=1%,in.corrupt=1%");
  for (int i = 0; i < 200; ++i) {
    h.inner.come_in(1, 3);
    h.inner.offloads_in.back().checksum_begin = 24;
  }
  std::string said = h.received(8);
  EXPECT_NE(said.find("[1 2 3] [1 2 3]"), std::string::npos);
}

}  // namespace
}  // namespace limpid
