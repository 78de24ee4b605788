// A simulated link, seen from both ends: what goes in, what comes out, and when.
#include "drivers/sim_link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace limpid {
namespace {

struct LogEntry {
  EventKind kind;
  uint64_t index;
};

class Log final : public SimLinkObserver {
 public:
  void delivered(uint32_t, ByteSpan, Time) override { ++deliveries; }
  void incident(const SimIncident& incident, Time) override { entries.push_back({incident.kind, incident.index}); }
  size_t count(EventKind kind) const {
    return static_cast<size_t>(std::ranges::count_if(entries, [kind](const LogEntry& e) { return e.kind == kind; }));
  }
  std::vector<LogEntry> entries;
  size_t deliveries = 0;
};

class SimLinkTest : public testing::Test {
 protected:
  static Time at(Duration d) { return Time(d); }

  Transmit send(SimLink& link, size_t end, const std::string& text, Duration when, size_t pad = 0) {
    std::string bytes = text;
    bytes.resize(std::max(bytes.size(), pad), '.');
    const TxFrame frame{.head = std::as_bytes(std::span(bytes)), .body = {}, .event = 0};
    return link.end(end).transmit(frame, at(when));
  }
  // What has arrived at this end by `when`: the first letter of each frame.
  std::string arrived(SimLink& link, size_t end, Duration when) {
    std::string letters;
    while (true) {
      FrameRef frame = pool_.make(2000);
      if (link.end(end).receive_batch({&frame, 1}, at(when)) == 0) return letters;
      letters += static_cast<char>(frame->bytes()[0]);
      last_ = std::string(reinterpret_cast<const char*>(frame->data()), frame->length);
    }
  }

  FramePool pool_{1 << 20};
  std::string last_;
};

TEST_F(SimLinkTest, DeliversBothWaysAfterTheDelayAndInOrder) {
  SimLink link(SimLinkConfig::symmetric({.delay = 10ms}), Rng(1));
  send(link, 0, "a", 0ms);
  send(link, 0, "b", 1ms);
  send(link, 1, "x", 2ms);
  EXPECT_EQ(link.end(1).next_deadline(), at(10ms));
  EXPECT_EQ(arrived(link, 1, 9ms), "");
  EXPECT_EQ(arrived(link, 1, 10ms), "a");
  EXPECT_EQ(arrived(link, 1, 20ms), "b");
  EXPECT_EQ(arrived(link, 0, 20ms), "x");
  EXPECT_EQ(link.in_flight(), 0U);
  EXPECT_EQ(link.end(0).next_deadline(), kNever);
}

TEST_F(SimLinkTest, JoinsHeadAndBodyOfAFrame) {
  SimLink link(SimLinkConfig::symmetric({}), Rng(1));
  const std::string head = "head ", one = "one ", two = "two";
  const ByteSpan body[] = {std::as_bytes(std::span(one)), std::as_bytes(std::span(two))};
  link.end(0).transmit({.head = std::as_bytes(std::span(head)), .body = body, .event = 0}, at(0ms));
  EXPECT_EQ(arrived(link, 1, 0ms), "h");
  EXPECT_EQ(last_, "head one two");
}

TEST_F(SimLinkTest, RateSpacesFramesAndTheQueueDropsAtItsTail) {
  SimLink link(SimLinkConfig::symmetric({.rate = 800'000, .queue_frames = 2}), Rng(1));  // 100 bytes take 1 ms
  Log log;
  link.add_observer(&log);
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(send(link, 0, name, 0ms, 100), Transmit::taken);
  EXPECT_EQ(arrived(link, 1, 1ms), "a");
  EXPECT_EQ(arrived(link, 1, 1999us), "");
  EXPECT_EQ(arrived(link, 1, 9ms), "b");
  EXPECT_EQ(log.count(EventKind::sim_queue_full), 1U);
  EXPECT_EQ(link.counters(0).queue_full, 1U);
}

TEST_F(SimLinkTest, AFullQueueMayRefuseAndSaysWhenThereIsRoom) {
  SimLink link(SimLinkConfig::symmetric({.rate = 800'000, .queue_frames = 1, .refuse_when_full = true}), Rng(1));
  Device& device = link.end(0);
  EXPECT_EQ(send(link, 0, "a", 0ms, 100), Transmit::taken);
  EXPECT_FALSE(device.wants_writable());
  EXPECT_EQ(send(link, 0, "b", 0ms, 100), Transmit::refused);
  EXPECT_TRUE(device.wants_writable());
  EXPECT_EQ(device.next_deadline(), at(1ms));
  device.advance(at(1ms));
  EXPECT_FALSE(device.wants_writable());
  EXPECT_EQ(send(link, 0, "b", 1ms, 100), Transmit::taken);
  EXPECT_EQ(arrived(link, 1, 2ms), "ab");
}

TEST_F(SimLinkTest, LosesExactlyTheFramesOfTheList) {
  SimLink link(SimLinkConfig::of({.lose = {2, 4}}, {}), Rng(1));
  for (const char* name : {"a", "b", "c", "d", "e"}) send(link, 0, name, 0ms);
  EXPECT_EQ(arrived(link, 1, 0ms), "ace");
  for (const char* name : {"v", "w"}) send(link, 1, name, 0ms);
  EXPECT_EQ(arrived(link, 0, 0ms), "vw") << "the list belongs to one direction";
}

TEST_F(SimLinkTest, LosesAboutAsManyAsTold) {
  SimLink link(SimLinkConfig::symmetric({.loss_ppm = 100'000}), Rng(7));
  for (int i = 0; i < 10'000; ++i) send(link, 0, "a", 0ms);
  EXPECT_NEAR(static_cast<double>(link.counters(0).lost), 1000, 120);
  EXPECT_EQ(arrived(link, 1, 0ms).size(), 10'000 - link.counters(0).lost);
}

TEST_F(SimLinkTest, AHeldBackFrameIsOvertaken) {
  SimLink link(SimLinkConfig::symmetric({.delay = 10ms, .reorder_ppm = 300'000, .reorder_delay = 4ms}), Rng(3));
  std::string sent;
  for (char c = 'a'; c <= 'z'; ++c) {
    send(link, 0, std::string(1, c), (c - 'a') * 1ms);
    sent += c;
  }
  std::string got = arrived(link, 1, 100ms);
  EXPECT_NE(got, sent);
  EXPECT_GT(link.counters(0).reordered, 0U);
  std::ranges::sort(got);
  EXPECT_EQ(got, sent) << "nothing is lost by reordering";
}

TEST_F(SimLinkTest, JitterKeepsTheOrder) {
  SimLink link(SimLinkConfig::symmetric({.delay = 1ms, .jitter = 20ms}), Rng(3));
  std::string sent;
  for (char c = 'a'; c <= 'z'; ++c) {
    send(link, 0, std::string(1, c), (c - 'a') * 1ms);
    sent += c;
  }
  EXPECT_EQ(arrived(link, 1, 100ms), sent);
}

TEST_F(SimLinkTest, DuplicatesAndCorrupts) {
  SimLink link(SimLinkConfig::of({.duplicate_ppm = 1'000'000}, {.corrupt_ppm = 1'000'000}), Rng(3));
  send(link, 0, "a", 0ms);
  EXPECT_EQ(arrived(link, 1, 0ms), "aa");

  send(link, 1, "hello", 0ms);
  arrived(link, 0, 0ms);
  int bits = 0;
  for (size_t i = 0; i < 5; ++i)
    bits += std::popcount(static_cast<unsigned>(static_cast<uint8_t>(last_[i] ^ "hello"[i])));
  EXPECT_EQ(bits, 1) << "corruption flips exactly one bit";
}

TEST_F(SimLinkTest, ACutLosesWhatEntersAndWhatIsUnderWay) {
  SimLink link(SimLinkConfig::symmetric({.delay = 10ms, .cuts = {{.from = at(15ms), .to = at(30ms)}}}), Rng(3));
  send(link, 0, "a", 0ms);   // arrives at 10
  send(link, 0, "b", 7ms);   // would arrive at 17
  send(link, 0, "c", 16ms);  // enters the cut
  send(link, 0, "d", 30ms);
  EXPECT_EQ(arrived(link, 1, 1s), "ad");
}

TEST_F(SimLinkTest, FramesAboveTheMtuAreLost) {
  SimLinkConfig config;
  config.mtu = 500;
  SimLink link(config, Rng(3));
  send(link, 0, "a", 0ms, 500);
  send(link, 0, "b", 0ms, 501);
  EXPECT_EQ(arrived(link, 1, 0ms), "a");
  EXPECT_EQ(link.counters(0).too_long, 1U);
}

class EventLog final : public TraceSink {
 public:
  void event(const Event& e) override { events.push_back(e); }
  std::vector<Event> events;
};

TEST_F(SimLinkTest, TheTraceNamesTheEventOfTheLostFrame) {
  SimLink link(SimLinkConfig::of({.lose = {1}}, {}), Rng(3));
  EventLog log;
  SimLinkTrace trace(log);
  link.add_observer(&trace);
  const std::string text = "lost";
  link.end(0).transmit({.head = std::as_bytes(std::span(text)), .body = {}, .event = 42}, at(5ms));
  ASSERT_EQ(log.events.size(), 1U);
  EXPECT_EQ(log.events[0].kind, EventKind::sim_lost);
  EXPECT_EQ(log.events[0].cause, 42U);
  EXPECT_EQ(log.events[0].time, at(5ms));
  EXPECT_EQ(log.events[0].words[0], 4U);
  EXPECT_EQ(log.events[0].words[1], 1U);
}

TEST_F(SimLinkTest, TheSameSeedGivesTheSameFate) {
  const SimImpairments bad{.jitter = 3ms, .loss_ppm = 200'000, .reorder_ppm = 200'000, .duplicate_ppm = 200'000};
  std::string results[3];
  const uint64_t seeds[3] = {5, 5, 6};
  for (size_t run = 0; run < 3; ++run) {
    SimLink link(SimLinkConfig::symmetric(bad), Rng(seeds[run]));
    for (char c = 'A'; c <= 'z'; ++c) send(link, 0, std::string(1, c), (c - 'A') * 1ms);
    results[run] = arrived(link, 1, 1s);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_NE(results[0], results[2]);
}

}  // namespace
}  // namespace limpid
