// BBR by itself (draft-ietf-ccwg-bbr), over a bottleneck with a buffer, one packet at a time.
#include "stack/tcp/cc_bbr.h"

#include <gtest/gtest.h>

#include <deque>

#include "stack/tcp/pacer.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;

// A sender that always has more to send, a bottleneck, and ACKs that come back one by one.
struct PathModel {
  uint64_t rate;  // bytes a second
  Duration delay;
  uint32_t buffer;  // bytes
  uint32_t lose_every = 0;
  uint32_t lose_permille = 0;  // at random
  uint32_t path_loss_percent = 5;
  uint32_t lose_next = 0;  // packets

  BbrModel bbr{path_loss_percent};
  uint64_t dice = 1;
  Window w{.mss = kMss, .cwnd = 10 * kMss};
  DeliveryRate delivery{};
  Pacer pacer{};
  Time now{1s};
  Time free_at{1s};  // when the bottleneck has sent what it holds
  Time next_send{1s};
  Duration srtt{};
  Duration min_rtt{};
  uint32_t in_flight = 0;
  uint64_t sent = 0;
  uint64_t delivered = 0;
  uint64_t lost = 0;
  uint32_t most_in_flight = 0;
  bool recovering = false;
  uint64_t recover = 0;
  struct Packet {
    SendRecord record;
    Time acked_at;
    bool dropped;
    uint64_t number;
  };
  std::deque<Packet> flying{};

  void send() {
    while (in_flight + kMss <= w.cwnd && now >= next_send) {
      Packet p{};
      p.record.sent = now;
      p.record.stamp = delivery.on_send(in_flight == 0, now);
      p.number = ++sent;
      const auto queued = static_cast<uint64_t>(std::max<int64_t>(to_us(free_at - now), 0)) * rate / 1'000'000;
      dice = dice * 6364136223846793005 + 1442695040888963407;
      p.dropped = queued + kMss > buffer || (lose_every != 0 && sent % lose_every == 0) ||
                  (dice >> 33) % 1000 < lose_permille || lose_next > 0;
      if (lose_next > 0) --lose_next;
      if (queued + kMss <= buffer)
        free_at = std::max(free_at, now) + Duration(static_cast<int64_t>(uint64_t{kMss} * 1'000'000'000 / rate));
      p.acked_at = std::max(free_at, now) + delay;
      flying.push_back(p);
      in_flight += kMss;
      next_send = now + pacer.on_sent(kMss, bbr.pacing_rate(w, srtt), kMss, now);
    }
    most_in_flight = std::max(most_in_flight, in_flight);
  }

  void step() {
    send();
    const bool may_send = in_flight + kMss <= w.cwnd;
    if (may_send && (flying.empty() || next_send < flying.front().acked_at)) {
      now = std::max(now, next_send);
      return;
    }
    const Packet p = flying.front();
    flying.pop_front();
    now = std::max(now, p.acked_at);
    const uint32_t before = in_flight;
    in_flight -= kMss;
    AckEvent ack{
        .in_flight_before = before, .in_flight = in_flight, .now = now, .cwnd_limited = before + kMss > w.cwnd};
    if (p.dropped) {
      ++lost;
      ack.lost = kMss;
      if (!recovering) {
        bbr.on_loss(w, {.kind = LossKind::fast, .flight_size = in_flight, .now = now});
        recovering = true;
        recover = sent;
      }
    } else {
      ++delivered;
      const Duration rtt = now - p.record.sent;
      srtt = srtt == Duration{} ? rtt : (7 * srtt + rtt) / 8;
      min_rtt = min_rtt == Duration{} ? rtt : std::min(min_rtt, rtt);
      ack.newly_acked = ack.delivered = kMss;
      ack.rtt = rtt;
      ack.rate = delivery.on_ack(kMss, p.record, min_rtt, now);
      if (recovering && p.number > recover) {
        recovering = false;
        bbr.on_recovered(w);
      }
    }
    ack.srtt = srtt;
    ack.total_delivered = delivery.delivered();
    bbr.on_ack(w, ack);
  }

  void run(Duration time) {
    for (const Time end = now + time; now < end;) step();
  }
  // Bytes a second from now on.
  double goodput(Duration time) {
    const uint64_t before = delivered;
    const Time begin = now;
    run(time);
    return static_cast<double>((delivered - before) * kMss) / std::chrono::duration<double>(now - begin).count();
  }
  double bdp() const { return static_cast<double>(rate) * std::chrono::duration<double>(delay).count(); }
};

TEST(Bbr, FindsRateAndDelayAndLeavesStartup) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 500'000};
  EXPECT_EQ(p.bbr.state(), BbrModel::State::startup);
  p.run(2s);
  EXPECT_GE(p.bbr.state(), BbrModel::State::probe_down);
  EXPECT_NEAR(static_cast<double>(p.bbr.bandwidth()), 1'250'000, 60'000);
  EXPECT_NEAR(static_cast<double>(to_us(p.bbr.min_rtt())), 40'800, 1'500);
}

TEST(Bbr, FillsPathsOfManyShapes) {
  for (const uint64_t rate : {125'000ull, 1'250'000ull, 12'500'000ull}) {
    for (const Duration delay : {Duration{2ms}, Duration{20ms}, Duration{100ms}}) {
      PathModel p{.rate = rate, .delay = delay, .buffer = static_cast<uint32_t>(rate)};
      p.run(5s);
      EXPECT_GT(p.goodput(15s), 0.9 * static_cast<double>(rate)) << rate << " bytes/s, " << to_us(delay) << " us";
    }
  }
}

// The queue that it stands is short, where a loss-based algorithm would fill the whole buffer.
TEST(Bbr, DoesNotFillTheBuffer) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 2'000'000};
  p.run(3s);
  p.most_in_flight = 0;
  p.run(15s);
  EXPECT_LT(p.most_in_flight, 2.6 * p.bdp());
  EXPECT_EQ(p.lost, 0u);
}

// A loss now and then is no congestion. (Reno would reach three tenths of the rate here: 1.22 / sqrt(p) segments.)
TEST(Bbr, RandomLossesBarelyMatter) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 500'000, .lose_every = 150};
  p.run(5s);
  EXPECT_GT(p.goodput(20s), 0.7 * 1'250'000);
}

// Losses that come without a queue do not tell of one: the model learns how many the path has.
TEST(Bbr, ALossyPathIsFilled) {
  for (const uint32_t permille : {10u, 30u, 50u}) {
    for (const Duration delay : {Duration{4ms}, Duration{40ms}, Duration{100ms}}) {
      PathModel p{.rate = 5'000'000, .delay = delay, .buffer = 500'000, .lose_permille = permille};
      p.run(5s);
      EXPECT_GT(p.goodput(15s), 0.9 * 5'000'000 * (1000 - permille) / 1000)
          << permille << ", " << to_ms(delay) << " ms";
    }
  }
}

// Without that, as the draft has it, the short-term bounds follow each other down.
TEST(Bbr, WhatThePathLosesIsCongestionIfSoConfigured) {
  PathModel p{.rate = 5'000'000, .delay = 40ms, .buffer = 500'000, .lose_permille = 50, .path_loss_percent = 0};
  p.run(5s);
  EXPECT_LT(p.goodput(15s), 0.6 * 5'000'000);
}

// Losses that come long after a probe do not judge it: what they leave is gone with the next one.
TEST(Bbr, AProbeIsJudgedByItsOwnLosses) {
  using enum BbrModel::State;
  PathModel p{.rate = 5'000'000, .delay = 40ms, .buffer = 500'000};
  p.run(6s);
  while (p.bbr.state() != probe_cruise) p.step();
  const uint32_t before = p.w.cwnd;
  uint32_t least = before;
  p.lose_next = 20;
  while (p.bbr.state() == probe_cruise) {
    p.step();
    least = std::min(least, p.w.cwnd);
  }
  EXPECT_LT(least, before);
  while (p.bbr.state() != probe_up) p.step();
  EXPECT_GE(p.w.cwnd, before);
}

// A buffer that is too short for a probe tells by its losses, without much delay: they are none of the path's own.
TEST(Bbr, AShallowBufferStillBoundsWhatIsInFlight) {
  PathModel p{.rate = 5'000'000, .delay = 40ms, .buffer = 20'000};
  p.run(5s);
  p.lost = 0;
  const double rate = p.goodput(20s);
  EXPECT_GT(rate, 0.8 * 5'000'000);
  EXPECT_LT(static_cast<double>(p.lost * kMss) / 20, 0.02 * rate);
}

TEST(BbrPathLosses, ChanceIsNotTooMuchAndAnOverflowIs) {
  PathLosses losses(5);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 97; ++i) losses.note(kMss, 0);
    losses.note(0, 3 * kMss);
    EXPECT_EQ(losses.too_much(100 * kMss, kMss), round == 0);  // of which nothing is known yet
    losses.end_round(true, kMss);
  }
  EXPECT_EQ(losses.expected(), 30u);
  losses.note(0, 11 * kMss);
  EXPECT_TRUE(losses.too_much(100 * kMss, kMss));
  losses.forgive();
  EXPECT_FALSE(losses.too_much(100 * kMss, kMss));
}

TEST(BbrPathLosses, WhatIsLostWhileAQueueStandsIsNotThePaths) {
  PathLosses losses(5);
  for (int round = 0; round < 20; ++round) {
    losses.note(90 * kMss, 10 * kMss);
    losses.end_round(false, kMss);
  }
  EXPECT_FALSE(losses.path_loses());
  for (int round = 0; round < 20; ++round) {
    losses.note(90 * kMss, 10 * kMss);
    losses.end_round(true, kMss);
  }
  EXPECT_EQ(losses.expected(), 50u);  // and no more than the configuration says
}

TEST(Bbr, LooksForTheLeastRoundTripTimeNowAndThen) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 500'000};
  p.run(3s);
  bool seen = false;
  bool narrow = false;
  for (const Time end = p.now + 12s; p.now < end;) {
    p.step();
    if (p.bbr.state() != BbrModel::State::probe_rtt) continue;
    seen = true;
    narrow |= p.in_flight <= 26 * kMss;
  }
  EXPECT_TRUE(seen);
  EXPECT_TRUE(narrow);  // half of what the path holds
}

TEST(Bbr, ProbesInACycle) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 500'000};
  p.run(1s);
  bool seen[7] = {};
  for (const Time end = p.now + 12s; p.now < end;) {
    p.step();
    seen[static_cast<int>(p.bbr.state())] = true;
  }
  using enum BbrModel::State;
  for (const auto state : {probe_down, probe_cruise, probe_refill, probe_up})
    EXPECT_TRUE(seen[static_cast<int>(state)]) << static_cast<int>(state);
}

TEST(Bbr, FollowsAPathThatBecomesFasterOrSlower) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 200'000};
  p.run(5s);
  p.rate = 5'000'000;
  p.run(15s);
  EXPECT_GT(p.goodput(5s), 0.85 * 5'000'000);
  p.rate = 1'250'000;
  p.run(15s);
  EXPECT_GT(p.goodput(5s), 0.85 * 1'250'000);
  EXPECT_NEAR(static_cast<double>(p.bbr.bandwidth()), 1'250'000, 200'000);
}

TEST(Bbr, ATimeoutLeavesWhatTheModelAllowsAfterwards) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 500'000};
  p.run(3s);
  const uint32_t before = p.w.cwnd;
  p.bbr.on_loss(p.w, {.kind = LossKind::timeout, .flight_size = p.in_flight, .now = p.now});
  EXPECT_EQ(p.w.cwnd, kMss);
  p.bbr.on_recovered(p.w);
  EXPECT_EQ(p.w.cwnd, before);
}

// RFC 3168 §6.1.2: an echo counts as a loss that is no chance, but nothing is missing, so nothing is conserved.
TEST(Bbr, AnEchoOfAMarkTakesNothingOutOfTheWindowAtOnce) {
  PathModel p{.rate = 1'250'000, .delay = 40ms, .buffer = 500'000};
  p.run(3s);
  const uint32_t cwnd = p.w.cwnd;
  const uint64_t bandwidth = p.bbr.bandwidth();
  p.bbr.on_loss(p.w, {.kind = LossKind::ecn, .flight_size = p.in_flight, .now = p.now});
  EXPECT_EQ(p.w.cwnd, cwnd);
  p.run(100ms);
  EXPECT_LT(p.bbr.bandwidth(), bandwidth) << "but the model comes down";
}

// The loss that ended Startup was none: it goes on, with the window of before.
TEST(Bbr, ALossThatWasNoneIsUndoneWithTheStateThatItEnded) {
  PathModel p{.rate = 12'500'000, .delay = 100ms, .buffer = 10'000'000};
  p.run(450ms);
  ASSERT_EQ(p.bbr.state(), BbrModel::State::startup);
  const uint32_t cwnd = p.w.cwnd;
  p.lose_next = 100;
  while (p.bbr.state() == BbrModel::State::startup && p.now < Time{5s}) p.step();
  ASSERT_NE(p.bbr.state(), BbrModel::State::startup);
  p.bbr.on_undo(p.w);
  EXPECT_EQ(p.bbr.state(), BbrModel::State::startup);
  EXPECT_GE(p.w.cwnd, cwnd);
  EXPECT_EQ(p.bbr.pacing_percent(), 277u);
  p.recovering = false;
  p.run(5s);
  EXPECT_GE(p.bbr.state(), BbrModel::State::probe_down) << "and it still ends";
}

}  // namespace
}  // namespace limpid
