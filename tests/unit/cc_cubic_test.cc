// CUBIC by itself (RFC 9438), against the RFC's formulas in floating point.
#include "stack/tcp/cc_cubic.h"

#include <gtest/gtest.h>

#include <cmath>

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;
constexpr Duration kRtt = 100ms;

// A window that the sender always fills, a round trip at a time.
struct Flow {
  Cubic cubic;
  Window w{.mss = kMss, .cwnd = 0};
  Time now{10s};
  Duration rtt = kRtt;

  explicit Flow(uint32_t segments, Duration round_trip = kRtt) : rtt(round_trip) { w.cwnd = segments * kMss; }
  void lose(LossKind kind = LossKind::fast) {
    w.ssthresh = cubic.ssthresh_after(w, {.kind = kind, .flight_size = w.cwnd, .now = now});
    w.cwnd = kind == LossKind::timeout ? w.mss : w.ssthresh;
  }
  Rule ack(uint32_t bytes, bool limited = true) {
    return cubic.on_ack(w, {.newly_acked = bytes, .srtt = rtt, .now = now, .cwnd_limited = limited});
  }
  void round() {
    const uint32_t segments = std::max(w.cwnd / kMss, 1u);
    for (uint32_t i = 0; i < segments; ++i) {
      ack(kMss);
      now += rtt / segments;
    }
  }
  void run(Duration time) {
    for (const Time end = now + time; now < end;) round();
  }
};

double model_k(double w_max, double cwnd) { return std::cbrt((w_max - cwnd) / 0.4); }
double model_w(double t, double k, double w_max) { return 0.4 * std::pow(t - k, 3) + w_max; }

TEST(Cubic, TheCubeRootIsExact) {
  for (uint64_t root : {0ull, 1ull, 2ull, 3ull, 10ull, 4215ull, 100'000ull, 2'642'244ull}) {
    EXPECT_EQ(cube_root(root * root * root), root);
    EXPECT_EQ(cube_root((root + 1) * (root + 1) * (root + 1) - 1), root);
  }
  EXPECT_EQ(cube_root(UINT64_MAX), 2'642'245u);
}

// req: 9438-4.2-a
TEST(Cubic, TheCurveIsTheFormulas) {
  Flow f(1000);
  f.lose();
  EXPECT_EQ(f.w.cwnd, 700 * kMss);
  const Time begin = f.now;
  f.ack(1);
  const double k = model_k(1000, 700);  // 9.086 s
  EXPECT_NEAR(f.cubic.k() / 1000.0, k, 0.001);
  for (int t = 0; t <= 40; ++t)
    EXPECT_NEAR(f.cubic.w_cubic(f.w, begin + std::chrono::seconds(t)) / 1000.0, model_w(t, k, 1000), 1.5) << t;
}

// The window follows it: concave up to W_max, flat there, convex beyond.
// req: 9438-4.2-a
TEST(Cubic, TheWindowFollowsTheCurve) {
  Flow f(1000);
  f.lose();
  const Time begin = f.now;
  const double k = model_k(1000, 700);
  for (int t = 1; t <= 16; ++t) {
    f.run(begin + std::chrono::seconds(t) - f.now);
    const double at = std::chrono::duration<double>(f.now - begin).count();
    EXPECT_NEAR(f.w.cwnd / 1000.0, model_w(at, k, 1000), 0.02 * model_w(at, k, 1000)) << t;
  }
  EXPECT_GT(f.w.cwnd, 1000 * kMss);
}

// Never by more than half of the window in a round trip.
// req: 9438-4.2-a
TEST(Cubic, ARoundTripAddsHalfAtMost) {
  Flow f(100, 1s);
  f.lose();
  f.run(30s);
  f.now += 100s;  // far out on the curve
  const uint32_t before = f.w.cwnd;
  f.round();
  EXPECT_LE(f.w.cwnd, before + before / 2 + 2 * kMss);  // two: what was counted before, and rounding
  EXPECT_GT(f.w.cwnd, before + before / 3);
}

// req: 9438-4.2-b
TEST(Cubic, TimeInWhichTheWindowWasNotUsedDoesNotCount) {
  Flow paused(1000);
  paused.lose();
  paused.run(5s);
  Flow steady = paused;
  paused.now += 10s;
  paused.cubic.on_transmit_start(paused.now);  // nothing was in flight meanwhile
  steady.run(3s);
  paused.run(3s);
  EXPECT_NEAR(paused.w.cwnd, steady.w.cwnd, 5 * kMss);

  Flow slow = steady;
  for (int i = 0; i < 100; ++i) {  // the application sends a little at a time
    slow.now += 100ms;
    EXPECT_EQ(slow.ack(kMss, false), Rule::tcp_cwnd_unused);
  }
  EXPECT_EQ(slow.w.cwnd, steady.w.cwnd);
  slow.run(2s);
  steady.run(2s);
  EXPECT_NEAR(slow.w.cwnd, steady.w.cwnd, 5 * kMss);
}

// Small windows and short round trips: as fast as a Reno with beta 0.7, so alpha 9/17, and 1 from the old window on.
// req: 9438-4.3-a
TEST(Cubic, IsAtLeastAsFastAsReno) {
  Flow f(100, 10ms);
  f.lose();
  EXPECT_EQ(f.w.cwnd, 70 * kMss);
  Rule why = Rule::none;
  for (int round = 0; round < 51; ++round) {
    f.round();
    why = f.ack(0);
  }
  EXPECT_EQ(why, Rule::tcp_reno_friendly);
  EXPECT_NEAR(f.w.cwnd, (70 + 51 * 9.0 / 17) * kMss, 2 * kMss);
  while (f.w.cwnd < 101 * kMss) f.round();
  const uint32_t before = f.w.cwnd;
  for (int round = 0; round < 10; ++round) f.round();
  EXPECT_NEAR(f.w.cwnd, before + 10 * kMss, 2 * kMss);
}

// req: 9438-4.6-a, 9293-MAY-18
TEST(Cubic, ALossLeavesSevenTenthsAndTwoSegmentsAtLeast) {
  Flow f(100);
  f.lose();
  EXPECT_EQ(f.w.cwnd, 70 * kMss);
  Flow small(2);
  small.lose();
  EXPECT_EQ(small.w.ssthresh, 2 * kMss);
}

// req: 9438-4.7-a
TEST(Cubic, AFallingWindowLeavesRoomForANewcomer) {
  Flow f(1000);
  f.lose();
  EXPECT_EQ(f.cubic.w_max(), 1000 * kMss);
  f.run(1s);
  const uint32_t at = f.w.cwnd;
  EXPECT_LT(at, 1000 * kMss);
  f.lose();
  EXPECT_NEAR(f.cubic.w_max(), at * (1 + 0.7) / 2, kMss);
  f.run(40s);
  EXPECT_GT(f.w.cwnd, 1000 * kMss);
  const uint32_t risen = f.w.cwnd;
  f.lose();
  EXPECT_EQ(f.cubic.w_max(), risen);
}

// req: 9438-4.8-a
TEST(Cubic, AfterATimeoutTheCurveBeginsAfresh) {
  Flow f(1000);
  f.lose();
  f.run(3s);
  const uint32_t at = f.w.cwnd;
  f.lose(LossKind::timeout);
  EXPECT_EQ(f.w.cwnd, kMss);
  EXPECT_NEAR(f.w.ssthresh, at * 0.7, kMss);
  while (f.w.in_slow_start()) f.round();
  const uint32_t begin = f.w.cwnd;
  f.ack(kMss);
  EXPECT_EQ(f.cubic.k(), 0u);
  EXPECT_NEAR(f.cubic.w_cubic(f.w, f.now), begin, 2 * kMss);
  f.run(1s);
  EXPECT_LT(f.w.cwnd, begin + 12 * kMss);  // Reno's pace or 0.4 t^3, no jump
}

// With the classic HyStart all is as on Linux, which looks at Reno's window 32 times a second: it gets as far, in
// steps.
TEST(Cubic, AsOnLinuxRenosWindowIsTakenThirtyTwoTimesASecond) {
  Flow often(20, 2ms);
  Flow seldom(20, 2ms);
  seldom.cubic = Cubic(true);
  for (Flow* f : {&often, &seldom}) f->lose();
  Time last = seldom.now - 1s;
  int steps = 0;
  for (int round = 0; round < 250; ++round) {
    const uint32_t before = seldom.w.cwnd;
    const Rule expected = round == 0 ? Rule::tcp_cubic : Rule::tcp_reno_friendly;
    EXPECT_EQ(often.ack(often.w.cwnd), expected);
    EXPECT_EQ(seldom.ack(seldom.w.cwnd), expected);
    if (seldom.w.cwnd != before) {
      EXPECT_GE(seldom.now - last, 31ms);
      last = seldom.now;
      ++steps;
    }
    often.now = seldom.now += 2ms;
  }
  EXPECT_NEAR(steps, 500 / 32, 1);
  EXPECT_NEAR(seldom.w.cwnd, often.w.cwnd, 0.15 * often.w.cwnd);
}

// A window that was set from outside: no curve leads to it, and the next one begins there.
TEST(Cubic, ARestartForgetsTheCurveAndTheWindowBefore) {
  Flow f(1000);
  EXPECT_EQ(f.cubic.k(), 0u) << "no loss, no curve";
  EXPECT_EQ(f.cubic.w_cubic(f.w, f.now), f.w.cwnd);
  f.lose();
  f.ack(1);
  EXPECT_GT(f.cubic.k(), 0u);
  f.cubic.restart();
  EXPECT_EQ(f.cubic.k(), 0u);
  EXPECT_EQ(f.cubic.w_max(), 0u);
  f.w.cwnd = f.w.ssthresh = 500 * kMss;
  f.ack(1);
  EXPECT_EQ(f.cubic.k(), 0u);
  EXPECT_NEAR(f.cubic.w_cubic(f.w, f.now), f.w.cwnd, kMss);
  f.cubic.restart();
  f.cubic.restart();  // and of none there is nothing to forget
  EXPECT_EQ(f.cubic.k(), 0u);
}

}  // namespace
}  // namespace limpid
