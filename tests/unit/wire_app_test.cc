// `limpid wire`: what its command line means, and what its relay does with frames. Its namespaces are tested in
// tests/interop.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "apps/wire/options.h"
#include "apps/wire/relay.h"
#include "tests/support/fake_device.h"

namespace limpid::wire {
namespace {

Options parse(const std::string& words) {
  CLI::App line;
  Options options;
  add_options(line, options);
  line.parse(words, false);
  complete(options);
  return options;
}

TEST(WireOptions, OneValueIsForBothDirections) {
  const Options o =
      parse("--loss 1% --delay 10ms --rate 100mbit --queue 250k --reorder 2% --reorder-delay 3ms --dup 1%");
  for (const SimImpairments& direction : o.link.direction) {
    EXPECT_EQ(direction.loss_ppm, 10'000U);
    EXPECT_EQ(direction.delay, 10ms);
    EXPECT_EQ(direction.rate, 100'000'000U);
    EXPECT_EQ(direction.queue_bytes, 250'000U);
    EXPECT_EQ(direction.reorder_ppm, 20'000U);
    EXPECT_EQ(direction.reorder_delay, 3ms);
    EXPECT_EQ(direction.duplicate_ppm, 10'000U);
  }
}

TEST(WireOptions, TwoValuesAreForEachFromTheLeftFirst) {
  const Options o = parse("--loss 1%,0% --delay 5ms,40ms --rate 100mbit,1mbit");
  EXPECT_EQ(o.link.direction[0].loss_ppm, 10'000U);
  EXPECT_EQ(o.link.direction[1].loss_ppm, 0U);
  EXPECT_EQ(o.link.direction[0].delay, 5ms);
  EXPECT_EQ(o.link.direction[1].delay, 40ms);
  EXPECT_EQ(o.link.direction[1].rate, 1'000'000U);
}

TEST(WireOptions, ARateHasAQueueAndTheLinkTakesTheInterfacesDatagrams) {
  const Options o = parse("--rate 10mbit --mtu 9000");
  EXPECT_EQ(o.link.direction[0].queue_bytes, 256U * 1024);
  EXPECT_EQ(o.link.mtu, 9000U);
  EXPECT_EQ(parse("--mtu 9000 --black-hole 1400").link.mtu, 1400U);
  EXPECT_EQ(parse("--delay 1ms").link.direction[0].queue_bytes, 0U) << "nothing waits where there is no rate";
}

TEST(WireOptions, TheLeftCommandIsAShellsOrIsGivenInWords) {
  EXPECT_EQ(parse("-- ping -c 1 10.79.0.2").command, (std::vector<std::string>{"ping", "-c", "1", "10.79.0.2"}));
  EXPECT_EQ(parse("--left 'ping x'").command, (std::vector<std::string>{"/bin/sh", "-c", "ping x"}));
  EXPECT_THROW(parse("--left 'ping x' -- true"), CLI::ParseError);
}

TEST(WireOptions, WhatMeansNothingIsNamed) {
  for (const char* wrong : {"--loss 1", "--loss 1%,", "--loss 1%,2%,3%", "--delay 10", "--rate fast", "--queue 0"}) {
    try {
      parse(wrong);
      ADD_FAILURE() << wrong;
    } catch (const CLI::ParseError& error) {
      const std::string option = std::string(wrong).substr(0, std::string(wrong).find(' '));
      EXPECT_NE(std::string(error.what()).find(option), std::string::npos) << error.what();
    }
  }
}

struct Bench {
  explicit Bench(const std::string& words, uint64_t seed = 1)
      : link(parse(words).link, Rng(seed)), relay(link, left, right, nullptr) {}

  void send(std::string_view text) { left.inbound.push_back(test::bytes_of(text)); }
  std::string arrived() {
    std::string letters;
    for (const test::Bytes& frame : right.outbound) letters += static_cast<char>(frame[0]);
    return letters;
  }

  test::FakeDevice left;
  test::FakeDevice right;
  SimLink link;
  Relay relay;
};

TEST(WireRelay, CarriesFramesWhenTheyAreDueAndNotBefore) {
  Bench b("--delay 10ms,1ms");
  b.send("a");
  b.relay.turn(Time(0ms));
  b.send("b");
  b.relay.turn(Time(3ms));
  EXPECT_EQ(b.relay.next_due(), Time(10ms));
  b.relay.turn(Time(9999us));
  EXPECT_EQ(b.arrived(), "");
  b.relay.turn(Time(10ms));
  EXPECT_EQ(b.arrived(), "a");
  b.relay.turn(Time(15ms));  // late by 2 ms: said, and not passed on to what follows
  EXPECT_EQ(b.arrived(), "ab");
  EXPECT_EQ(b.relay.lateness().deliveries(), 2U);
  EXPECT_EQ(b.relay.lateness().most(), 2ms);
  EXPECT_EQ(b.relay.lateness().mean(), 1ms);
  b.right.inbound.push_back(test::bytes_of("x"));
  b.relay.turn(Time(20ms));
  b.relay.turn(Time(21ms));
  EXPECT_EQ(b.left.outbound.size(), 1U);
}

TEST(WireRelay, ARefusedDeliveryIsCounted) {
  Bench b("--delay 0ms");
  b.right.refuse = true;
  b.send("a");
  b.relay.turn(Time(0ms));
  EXPECT_EQ(b.relay.refused(), 1U);
}

// Which frames of the left side arrive, by their number.
std::vector<size_t> survivors(const std::string& words, uint64_t seed, Duration apart, size_t size) {
  Bench b(words, seed);
  for (int i = 0; i < 200; ++i) {
    b.left.inbound.push_back(test::Bytes(size + static_cast<size_t>(i), std::byte{0}));
    b.relay.turn(Time(apart * i));
  }
  b.relay.turn(Time(1h));
  std::vector<size_t> numbers;
  for (const test::Bytes& frame : b.right.outbound) numbers.push_back(frame.size() - size);
  return numbers;
}

TEST(WireRelay, WhatIsLostDependsOnTheFramesNumberAndTheSeedAlone) {
  const auto first = survivors("--loss 10%", 7, 1ms, 40);
  EXPECT_LT(first.size(), 200U);
  EXPECT_GT(first.size(), 150U);
  EXPECT_EQ(first, survivors("--loss 10%", 7, 1ms, 40));
  EXPECT_EQ(first, survivors("--loss 10% --delay 20ms --rate 10mbit --queue 1m", 7, 130us, 1000))
      << "other times and sizes";
  EXPECT_NE(first, survivors("--loss 10%", 8, 1ms, 40));
}

}  // namespace
}  // namespace limpid::wire
