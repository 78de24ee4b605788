// Classic HyStart by itself, and within CUBIC.
#include "stack/tcp/hystart_classic.h"

#include <gtest/gtest.h>

#include "stack/tcp/cc_cubic.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;

struct Flow {
  ClassicHyStart hystart;
  Window w{.mss = kMss, .cwnd = 20 * kMss};
  Time now{};
  int64_t una = 1;
  int64_t nxt = 20'001;
  bool paced = false;

  Rule ack(Duration after, Duration rtt) {
    now += after;
    una += kMss;
    const Rule why =
        hystart.on_ack(w, {.una = SeqPos{una}, .nxt = SeqPos{nxt}, .rtt = rtt, .paced = paced, .now = now});
    nxt += 2 * kMss;
    return why;
  }
};

TEST(ClassicHyStart, TheNinthSampleOfARoundTellsThatTheDelayRose) {
  Flow f;
  EXPECT_EQ(f.ack(5ms, 100ms), Rule::none);
  for (int i = 0; i < 19; ++i) EXPECT_EQ(f.ack(5ms, 112ms), Rule::none);  // an eighth more is not enough
  for (int i = 0; i < 8; ++i) EXPECT_EQ(f.ack(5ms, 113ms), Rule::none);   // the next round
  EXPECT_EQ(f.w.ssthresh, UINT32_MAX);
  EXPECT_EQ(f.ack(5ms, 113ms), Rule::tcp_hystart_delay);
  EXPECT_EQ(f.w.ssthresh, f.w.cwnd);
}

TEST(ClassicHyStart, ATrainOfHalfARoundTripFillsThePath) {
  Flow f;
  EXPECT_EQ(f.ack(20ms, 20ms), Rule::none);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(f.ack(1500us, 20ms), Rule::none);  // 10.5 ms = (20 + 1) / 2
  EXPECT_EQ(f.ack(1500us, 20ms), Rule::tcp_hystart_train);
}

TEST(ClassicHyStart, AGapEndsTheTrainAndPacingAsksForAWholeRoundTrip) {
  Flow f;
  f.ack(20ms, 20ms);
  f.ack(3ms, 20ms);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(f.ack(1500us, 20ms), Rule::none);
  Flow paced;
  paced.paced = true;
  paced.ack(20ms, 20ms);
  for (int i = 0; i < 14; ++i) EXPECT_EQ(paced.ack(1500us, 20ms), Rule::none);
  EXPECT_EQ(paced.ack(1500us, 20ms), Rule::tcp_hystart_train);
}

TEST(ClassicHyStart, DecidesNothingBelowSixteenSegments) {
  Flow f;
  f.w.cwnd = 15 * kMss;
  f.ack(5ms, 10ms);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(f.ack(1ms, 100ms), Rule::none);
}

// In CUBIC it leaves slow start at once, and avoidance follows with the same ACK.
TEST(ClassicHyStart, CubicGoesOnWithAvoidance) {
  Cubic cubic(true);
  Window w{.mss = kMss, .cwnd = 20 * kMss};
  Time now{};
  Rule why = Rule::none;
  int64_t una = 1;
  for (int i = 0; i < 40 && why != Rule::tcp_hystart_delay; ++i) {
    now += 5ms;
    una += kMss;
    why = cubic.on_ack(w, {.newly_acked = kMss,
                           .una = SeqPos{una},
                           .nxt = SeqPos{una + w.cwnd},
                           .rtt = i == 0 ? 20ms : 40ms,
                           .srtt = 30ms,
                           .now = now,
                           .cwnd_limited = true});
  }
  EXPECT_EQ(why, Rule::tcp_hystart_delay);
  EXPECT_EQ(w.cwnd, w.ssthresh);
}

}  // namespace
}  // namespace limpid
