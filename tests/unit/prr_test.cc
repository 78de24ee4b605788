// Proportional Rate Reduction by itself: the examples of RFC 6937 and the rule of SafeACK.
#include "stack/tcp/prr.h"

#include <gtest/gtest.h>

#include <vector>

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;

// A network of whole segments in front of one Prr: each call is one ACK that delivers one segment.
struct Flight {
  Prr prr;
  uint32_t in_flight = 0;  // segments

  // `window` segments were in flight, `lost` of them never arrive and are all known as lost at once.
  Flight(uint32_t window, uint32_t lost, uint32_t ssthresh) : in_flight(window - lost) {
    prr.begin(ssthresh * kMss, window * kMss);
  }
  // How many segments go out for an ACK that SACKs one segment.
  uint32_t ack(bool safe_ack = false) {
    --in_flight;
    const uint32_t sent = prr.on_ack(kMss, in_flight * kMss, safe_ack, kMss) / kMss;
    prr.on_sent(sent * kMss);
    in_flight += sent;
    return sent;
  }
};

// req: 6937-3-a
TEST(Prr, OneLossOfTwentyHalvesTheWindowOneSegmentForTwoAcks) {
  Flight f(20, 1, 10);
  std::vector<uint32_t> sent;
  for (int i = 0; i < 19; ++i) sent.push_back(f.ack());
  EXPECT_EQ(sent, (std::vector<uint32_t>{1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1}));
  EXPECT_EQ(f.in_flight, 10u);
}

// A window that comes down to 0.7 (CUBIC) sends seven segments for ten ACKs.
// req: 6937-3-a
TEST(Prr, TheProportionIsThatOfTheCongestionControl) {
  Flight f(100, 1, 70);
  uint32_t sent = 0;
  for (int i = 0; i < 50; ++i) sent += f.ack();
  EXPECT_EQ(sent, 35u);
}

// RFC 6937 §4: 15 of 20 lost. Nothing stalls, and no ACK lets go of more than two segments.
// req: 6937-3-b
TEST(Prr, HeavyLossGrowsBackByTheReductionBound) {
  Flight f(20, 15, 10);
  std::vector<uint32_t> sent;
  for (int i = 0; i < 8; ++i) sent.push_back(f.ack(true));
  EXPECT_EQ(sent, (std::vector<uint32_t>{2, 2, 2, 2, 2, 1, 1, 1}));
  EXPECT_EQ(f.in_flight, 10u);
}

// While ACKs tell of further losses the network is not probed: packets are conserved.
// req: 6937-3-b
TEST(Prr, WithoutASafeAckWhatLeftTheNetworkIsReplacedAndNoMore) {
  Flight f(20, 15, 10);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(f.ack(false), 1u);
  EXPECT_EQ(f.in_flight, 5u);
}

// req: 6937-3-b
TEST(Prr, TheRefillNeverGoesBeyondSsthresh) {
  Flight f(20, 11, 10);
  for (int i = 0; i < 30; ++i) {
    f.ack(true);
    EXPECT_LE(f.in_flight, 10u);
  }
  EXPECT_EQ(f.in_flight, 10u);
}

TEST(Prr, TheFirstRetransmissionIsNeverHeldBack) {
  Prr prr;
  prr.begin(kMss, 1'000 * kMss);
  EXPECT_EQ(prr.on_ack(1, 999 * kMss, false, kMss), kMss);
  prr.on_sent(kMss);
  EXPECT_EQ(prr.on_ack(1, 999 * kMss, false, kMss), 0u);
}

// RFC 9937: an ACK that delivers nothing, as a window update or a DSACK does, lets nothing go.
TEST(Prr, AnAckThatDeliversNothingLetsNothingGo) {
  Prr prr;
  prr.begin(10 * kMss, 20 * kMss);
  EXPECT_EQ(prr.on_ack(0, 19 * kMss, true, kMss), 0u);
}

// What was held back (by the peer's window, or by the application) may go later, still within the reduction.
TEST(Prr, WhatWasNotSentWhenItMightStaysAllowed) {
  Prr prr;
  prr.begin(10 * kMss, 20 * kMss);
  uint32_t allowed = 0;
  for (uint32_t i = 1; i <= 8; ++i) allowed = prr.on_ack(kMss, (20 - i) * kMss, false, kMss);
  EXPECT_EQ(allowed, 4 * kMss);
}

TEST(Prr, NothingOutstandingAtTheStartIsNoDivisionByZero) {
  Prr prr;
  prr.begin(2 * kMss, 0);
  EXPECT_EQ(prr.on_ack(kMss, 0, true, kMss), 2 * kMss);
}

// Amounts near the top of 32 bits neither wrap nor overflow.
TEST(Prr, HugeWindows) {
  Prr prr;
  prr.begin(3'000'000'000u, 4'000'000'000u);
  EXPECT_EQ(prr.on_ack(2'000'000'000u, 3'900'000'000u, true, 65'495), UINT32_MAX - 3'900'000'000u);
}

}  // namespace
}  // namespace limpid
