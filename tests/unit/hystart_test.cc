// HyStart++ by itself (RFC 9406).
#include "stack/tcp/hystart.h"

#include <gtest/gtest.h>

#include "stack/tcp/congestion.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;

struct SlowStart {
  HyStart hystart;
  Window w{.mss = kMss, .cwnd = 10 * kMss};

  // A round trip of `acks` ACKs, one segment each.
  Rule round(Duration rtt, int acks = 10) {
    Rule why = Rule::none;
    for (int i = 0; i < acks; ++i)
      why = hystart.on_ack(w, {.newly_acked = kMss, .rtt = rtt, .round_start = i == 0, .cwnd_limited = true});
    return why;
  }
};

// req: 9406-4.2-a
TEST(HyStart, ARiseOfAnEighthSlowsTheGrowthToAQuarter) {
  SlowStart s;
  for (int i = 0; i < 4; ++i) s.round(80ms);
  EXPECT_EQ(s.w.cwnd, 50 * kMss);
  s.round(89ms);  // less than 80 ms / 8 more
  EXPECT_FALSE(s.hystart.conservative());
  EXPECT_EQ(s.w.cwnd, 60 * kMss);
  s.round(89ms + 11'125us, 7);  // enough more, and too few samples
  EXPECT_FALSE(s.hystart.conservative());
  const uint32_t before = s.w.cwnd;
  s.hystart.on_ack(s.w, {.newly_acked = kMss, .rtt = 101ms, .cwnd_limited = true});  // the eighth
  EXPECT_TRUE(s.hystart.conservative());
  EXPECT_EQ(s.w.cwnd, before + kMss);
  s.hystart.on_ack(s.w, {.newly_acked = kMss, .rtt = 101ms, .cwnd_limited = true});
  EXPECT_EQ(s.w.cwnd, before + kMss + kMss / 4);
}

// The threshold lies between 4 and 16 ms.
// req: 9406-4.2-a
TEST(HyStart, TheThresholdHasBounds) {
  for (const auto& [rtt, threshold] :
       {std::pair<Duration, Duration>{1ms, 4ms}, {32ms, 4ms}, {64ms, 8ms}, {128ms, 16ms}, {600ms, 16ms}}) {
    SlowStart below;
    below.round(rtt);
    below.round(rtt + threshold - 1us);
    EXPECT_FALSE(below.hystart.conservative()) << to_us(rtt);
    SlowStart at;
    at.round(rtt);
    at.round(rtt + threshold);
    EXPECT_TRUE(at.hystart.conservative()) << to_us(rtt);
  }
}

// req: 9406-4.2-b
TEST(HyStart, AfterFiveRoundsSlowStartIsOver) {
  SlowStart s;
  s.round(20ms);
  s.round(30ms);  // the first of the five, in part
  for (int i = 0; i < 4; ++i) {
    const uint32_t before = s.w.cwnd;
    EXPECT_EQ(s.round(30ms), Rule::tcp_css);
    EXPECT_EQ(s.w.cwnd, before + 10 * kMss / 4);
    EXPECT_EQ(s.w.ssthresh, UINT32_MAX);
  }
  EXPECT_EQ(s.round(30ms, 1), Rule::tcp_css_done);
  EXPECT_EQ(s.w.ssthresh, s.w.cwnd);
}

// req: 9406-4.2-c
TEST(HyStart, ARoundTripBelowTheBaselineResumesSlowStart) {
  SlowStart s;
  s.round(20ms);
  s.round(30ms);
  EXPECT_TRUE(s.hystart.conservative());
  s.round(30ms);
  EXPECT_TRUE(s.hystart.conservative());  // as then, not below
  s.round(21ms);
  EXPECT_FALSE(s.hystart.conservative());
  const uint32_t before = s.w.cwnd;
  s.round(21ms);
  EXPECT_EQ(s.w.cwnd, before + 10 * kMss);
}

// req: 9406-4.3-a
TEST(HyStart, OneAckCountsForAllThatItAcknowledges) {  // L = infinity, also without pacing: docs/deviations.md
  SlowStart s;
  s.hystart.on_ack(s.w, {.newly_acked = 20 * kMss, .cwnd_limited = true});
  EXPECT_EQ(s.w.cwnd, 30 * kMss);
}

TEST(HyStart, AWindowThatIsNotUsedDoesNotGrow) {
  SlowStart s;
  EXPECT_EQ(s.hystart.on_ack(s.w, {.newly_acked = kMss}), Rule::tcp_cwnd_unused);
  EXPECT_EQ(s.w.cwnd, 10 * kMss);
}

// --- in CUBIC
// -----------------------------------------------------------------------------------------------------------

struct Flow {
  Congestion c{TcpConfig{}, CongestionChoice::cubic, kMss};
  int64_t una = 1;
  Time now{};

  void round(Duration rtt, int acks) {
    const SeqPos nxt{una + int64_t{acks} * kMss};
    for (int i = 0; i < acks; ++i) {
      c.on_output(SeqPos{una}, nxt, c.cwnd(), true);
      una += kMss;
      c.on_ack({.newly_acked = kMss,
                .una = SeqPos{una},
                .nxt = nxt + acks * int64_t{kMss},
                .rtt = rtt,
                .srtt = rtt,
                .now = now});
      now += rtt / acks;
    }
  }
};

// req: 9406-4.3-b, 9438-4.10-a
TEST(HyStart, IsForTheFirstSlowStartOnly) {
  Flow first;
  first.round(20ms, 10);
  first.round(40ms, 20);
  EXPECT_LT(first.c.cwnd(), 40 * kMss);  // slowed down on the way

  Flow later;
  later.round(20ms, 10);
  later.round(20ms, 20);
  later.c.on_loss({.kind = LossKind::timeout, .flight_size = 40 * kMss, .now = later.now});
  EXPECT_EQ(later.c.ssthresh(), 28 * kMss);
  for (int segments = 1; segments < 16; segments *= 2) later.round(segments % 3 == 1 ? 20ms : 40ms, segments);
  EXPECT_EQ(later.c.cwnd(), 16 * kMss);  // doubled each time
  later.round(80ms, 16);
  EXPECT_GE(later.c.cwnd(), later.c.ssthresh());
  EXPECT_EQ(later.c.ssthresh(), 28 * kMss);
}

// req: 9406-4.2-d
TEST(HyStart, ALossEndsConservativeSlowStart) {
  Flow f;
  f.round(20ms, 10);
  f.round(40ms, 20);
  const uint32_t before = f.c.cwnd();
  f.c.on_loss({.kind = LossKind::fast, .flight_size = before, .now = f.now});
  EXPECT_EQ(f.c.ssthresh(), before / 10 * 7);
  EXPECT_FALSE(f.c.in_slow_start());
}

}  // namespace
}  // namespace limpid
