// Pacing and samples of the delivery rate (draft-ietf-ccwg-bbr).
#include "stack/tcp/pacer.h"

#include <gtest/gtest.h>

#include "stack/tcp/delivery_rate.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;

TEST(Pacer, ABurstIsAMillisecondAndTwoSegmentsAtLeast) {
  EXPECT_EQ(Pacer::burst(100'000, kMss), 2000u);
  EXPECT_EQ(Pacer::burst(10'000'000, kMss), 10'000u);
  EXPECT_EQ(Pacer::burst(10'000'000'000, kMss), 65'536u);
}

TEST(Pacer, TheRateComesOut) {
  for (const uint64_t rate : {100'000ull, 1'000'000ull, 12'500'000ull, 1'250'000'000ull}) {
    Pacer pacer;
    Duration waited{};
    const uint32_t segments = 10'000;
    for (uint32_t i = 0; i < segments; ++i) waited += pacer.on_sent(kMss, rate, kMss, Time{1s} + waited);
    const double seconds = std::chrono::duration<double>(waited).count();
    EXPECT_NEAR(segments * 1.0 * kMss / seconds, static_cast<double>(rate), static_cast<double>(rate) * 0.01);
  }
}

TEST(Pacer, WhatWasSentLongAgoIsNoPartOfTheBurst) {
  Pacer pacer;
  EXPECT_EQ(pacer.on_sent(5000, 10'000'000, kMss, Time{1s}), Duration{});
  EXPECT_EQ(pacer.on_sent(kMss, 100'000, kMss, Time{2s}), Duration{});
  EXPECT_EQ(pacer.on_sent(kMss, 100'000, kMss, Time{2s}), 20ms);
}

TEST(Pacer, ALateTimerIsMadeUpForAndALazySenderIsNot) {
  Pacer pacer;
  EXPECT_EQ(pacer.on_sent(2 * kMss, 1'000'000, kMss, Time{1s}), 2ms);
  const Time late = Time{1s} + 10ms;  // 8 ms late: 8 segments more, and the burst
  pacer.on_timer(late);
  uint32_t sent = 0;
  while (pacer.on_sent(kMss, 1'000'000, kMss, late) == Duration{}) ++sent;
  EXPECT_EQ(sent + 1, 10u);
  pacer.on_timer(late + 2ms);
  sent = 0;
  while (pacer.on_sent(kMss, 1'000'000, kMss, late + 50ms) == Duration{}) ++sent;
  EXPECT_EQ(sent + 1, 2u);
}

TEST(Pacer, WithoutARateNothingWaits) {
  Pacer pacer;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(pacer.on_sent(kMss, 0, kMss, Time{1s}), Duration{});
}

SendRecord sent(DeliveryRate& rate, bool first, Time now) {
  SendRecord r;
  r.sent = now;
  r.stamp = rate.on_send(first, now);
  return r;
}

TEST(DeliveryRate, IsWhatWasDeliveredOverARoundTrip) {
  DeliveryRate rate;
  const Time begin{1s};
  SendRecord records[10];
  for (int i = 0; i < 10; ++i) records[i] = sent(rate, i == 0, begin + i * 1ms);
  // A segment each 2 ms comes out of the bottleneck: 500,000 bytes a second.
  RateSample sample;
  for (int i = 0; i < 10; ++i) sample = rate.on_ack(kMss, records[i], 50ms, begin + 50ms + i * 2ms);
  EXPECT_EQ(rate.delivered(), 10'000u);
  EXPECT_NEAR(static_cast<double>(sample.rate), 10'000 / 0.068, 5);  // the first round has its silence in it
  SendRecord later[30];
  Time now = begin + 70ms;
  for (int i = 0; i < 30; ++i) {
    later[i] = sent(rate, false, now + i * 2ms);
  }
  // Each was sent as the ACK of one came: the pipe stays full.
  for (int i = 0; i < 30; ++i) sample = rate.on_ack(kMss, later[i], 50ms, now + 60ms + i * 2ms);
  EXPECT_FALSE(sample.app_limited);
  EXPECT_GT(sample.rate, 200'000u);
  EXPECT_LE(sample.rate, 500'000u);
}

TEST(DeliveryRate, ASampleShorterThanARoundTripIsNone) {
  DeliveryRate rate;
  const SendRecord r = sent(rate, true, Time{1s});
  EXPECT_FALSE(rate.on_ack(kMss, r, 50ms, Time{1s} + 20ms));
  EXPECT_EQ(rate.delivered(), kMss);
}

// Bursts of ACKs, and of segments, do not raise it.
TEST(DeliveryRate, TheSlowerOfSendingAndDeliveringCounts) {
  DeliveryRate rate;
  SendRecord records[10];
  for (int i = 0; i < 10; ++i) records[i] = sent(rate, i == 0, Time{1s} + i * 100ms);
  RateSample sample;
  for (int i = 0; i < 10; ++i) sample = rate.on_ack(kMss, records[i], 50ms, Time{2s});  // all at once
  EXPECT_LE(sample.rate, 11'200u);
}

TEST(DeliveryRate, WhatTheApplicationLimitedIsALowerBound) {
  DeliveryRate rate;
  const SendRecord full = sent(rate, true, Time{1s});
  rate.on_ack(100 * kMss, full, 50ms, Time{1s} + 100ms);
  EXPECT_EQ(rate.rate(), 1'000'000u);
  rate.on_app_limited(2 * kMss);
  EXPECT_TRUE(rate.app_limited());
  const SendRecord one = sent(rate, true, Time{2s});
  const SendRecord two = sent(rate, false, Time{2s});
  const RateSample sample = rate.on_ack(kMss, one, 50ms, Time{2s} + 100ms);
  EXPECT_TRUE(sample.app_limited);
  EXPECT_EQ(sample.rate, 10'000u);
  EXPECT_EQ(rate.rate(), 1'000'000u);
  rate.on_ack(kMss, two, 50ms, Time{2s} + 100ms);
  rate.on_ack(kMss, two, 50ms, Time{2s} + 110ms);
  EXPECT_FALSE(rate.app_limited());  // what was under way then is delivered
}

}  // namespace
}  // namespace limpid
