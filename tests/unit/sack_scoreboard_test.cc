// The scoreboard by itself: what it counts, how it cuts and joins, and the same history in a map of single octets.
#include "stack/tcp/sack_scoreboard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "stack/base/rng.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1000;
constexpr Rule kWhy = Rule::tcp_fast_retransmit;

Time at(int64_t ms) { return Time{std::chrono::milliseconds(ms)}; }

// SND.UNA is 1, and so many segments go out, one each millisecond from 1 on.
SackScoreboard sent(int segments) {
  SackScoreboard board;
  for (int i = 0; i < segments; ++i) board.sent(SeqPos{1 + i * 1000}, SeqPos{1001 + i * 1000}, kMss, {}, at(1 + i));
  return board;
}

AckNews sack(SackScoreboard& board, int64_t left, int64_t right) {
  AckNews news;
  board.sacked(SeqPos{left}, SeqPos{right}, kMss, news);
  return news;
}

// What waits to be sent again, as "1:1001 3001:4001".
std::string resend_all(SackScoreboard& board, Time now) {
  std::string words;
  while (const auto range = board.next_to_resend(kMss)) {
    if (!words.empty()) words += ' ';
    words += std::to_string(range->seq.value) + ":" + std::to_string(range->end.value);
    board.resent(range->seq, range->end, kMss, {}, now);
  }
  return words;
}

// req: 6675-4-b
TEST(SackScoreboard, ThePipeIsWhatIsNeitherSackedNorLostAndWhatWasResent) {
  SackScoreboard board = sent(10);
  EXPECT_EQ(board.in_flight(), 10'000u);
  EXPECT_EQ(sack(board, 3001, 5001).sacked, 2'000u);
  EXPECT_EQ(board.in_flight(), 8'000u);
  EXPECT_EQ(board.mark_lost_until(SeqPos{3001}, kWhy), 3'000u);
  EXPECT_EQ(board.in_flight(), 5'000u);
  board.resent(SeqPos{1}, SeqPos{1001}, kMss, {}, at(50));
  EXPECT_EQ(board.in_flight(), 6'000u);
  EXPECT_EQ(board.retransmitted().segments, 1u);
  EXPECT_EQ(board.broken_invariant(SeqPos{1}, SeqPos{10'001}), nullptr);
}

// req: 6675-4-a
TEST(SackScoreboard, ThreeSackedRangesAboveAnOctetMeanThatItIsLost) {
  SackScoreboard board = sent(10);
  sack(board, 2001, 2011);
  sack(board, 4001, 4011);
  EXPECT_EQ(board.lost_boundary(3, kMss), SeqPos{1});
  sack(board, 6001, 6011);
  EXPECT_EQ(board.lost_boundary(3, kMss), SeqPos{2001});
}

// req: 6675-4-a
TEST(SackScoreboard, MoreThanTwoSegmentsOfSackedOctetsMeanThatWhatIsBelowIsLost) {
  SackScoreboard board = sent(10);
  sack(board, 3001, 5001);
  EXPECT_EQ(board.lost_boundary(3, kMss), SeqPos{1});
  sack(board, 5001, 5002);
  EXPECT_EQ(board.lost_boundary(3, kMss), SeqPos{3001});
}

TEST(SackScoreboard, ABurstIsOneRangeUntilSomethingTellsItsSegmentsApart) {
  SackScoreboard board;
  for (int i = 0; i < 40; ++i) board.sent(SeqPos{1 + i * 1000}, SeqPos{1001 + i * 1000}, kMss, {}, at(5));
  EXPECT_EQ(board.records(), 1u);
  EXPECT_EQ(board.outstanding().segments, 40u);
  sack(board, 10'001, 12'001);
  EXPECT_EQ(board.records(), 3u);
  EXPECT_EQ(board.sacked().segments, 2u);
  sack(board, 12'001, 30'001);
  EXPECT_EQ(board.records(), 3u);
  EXPECT_EQ(board.outstanding().segments, 40u);
}

TEST(SackScoreboard, SmallSegmentsStayCountable) {
  SackScoreboard board;
  for (int i = 0; i < 5; ++i) board.sent(SeqPos{1 + i * 10}, SeqPos{11 + i * 10}, kMss, {}, at(5));
  EXPECT_EQ(board.outstanding().segments, 5u);
  EXPECT_EQ(sack(board, 21, 31).sacked, 10u);
  EXPECT_EQ(board.sacked().segments, 1u);
}

TEST(SackScoreboard, WhatIsSackedTwiceIsNoNews) {
  SackScoreboard board = sent(10);
  EXPECT_EQ(sack(board, 3001, 5001).delivered, 2'000u);
  EXPECT_EQ(sack(board, 3001, 5001).delivered, 0u);
  EXPECT_EQ(sack(board, 2001, 6001).delivered, 2'000u);
  EXPECT_EQ(board.records(), 2u + 1u + 4u);
}

TEST(SackScoreboard, AcksDeliverWhatNoBlockReportedBefore) {
  SackScoreboard board = sent(4);
  sack(board, 1001, 2001);
  AckNews news;
  board.acked(SeqPos{3001}, kMss, news);
  EXPECT_EQ(news.acked, 3'000u);
  EXPECT_EQ(news.delivered, 2'000u);
  EXPECT_EQ(news.first_sent, at(1));
  EXPECT_EQ(news.last_sent, at(3));
  EXPECT_EQ(board.in_flight(), 1'000u);
}

TEST(SackScoreboard, AnAckMayEndWithinASegment) {
  SackScoreboard board = sent(2);
  AckNews news;
  board.acked(SeqPos{301}, kMss, news);
  EXPECT_EQ(news.acked, 300u);
  EXPECT_EQ(board.outstanding().segments, 2u);
  EXPECT_EQ(board.broken_invariant(SeqPos{301}, SeqPos{2001}), nullptr);
}

// req: 8985-6.2-a
TEST(SackScoreboard, OverdueIsWhatWasSentBeforeTheNewestAndLongEnoughAgo) {
  SackScoreboard board = sent(5);  // at 1, 2, 3, 4, 5 ms
  sack(board, 3001, 4001);
  auto o = board.mark_overdue(at(4), SeqPos{4001}, 10ms, kWhy, at(12));
  EXPECT_EQ(o.lost, 2'000u);
  EXPECT_EQ(o.next, Duration{1ms});
  o = board.mark_overdue(at(4), SeqPos{4001}, 10ms, kWhy, at(13));
  EXPECT_EQ(o.lost, 1'000u);
  EXPECT_EQ(o.next, std::nullopt);  // the fifth was sent after the newest
  EXPECT_EQ(resend_all(board, at(20)), "1:1001 1001:2001 2001:3001");
}

// A clock so coarse that all carry the same time: sequence numbers decide (RFC 8985 §6.2 step 2).
// req: 8985-6.2-a
TEST(SackScoreboard, OnACoarseClockTheSequenceNumberBreaksTheTie) {
  SackScoreboard board;
  for (int i = 0; i < 5; ++i) board.sent(SeqPos{1 + i * 1000}, SeqPos{1001 + i * 1000}, kMss, {}, at(10));
  sack(board, 2001, 3001);
  EXPECT_EQ(board.mark_overdue(at(10), SeqPos{3001}, 10ms, kWhy, at(20)).lost, 2'000u);
}

// req: 8985-6.2-e
TEST(SackScoreboard, ARetransmissionIsOverdueLikeAnythingElse) {
  SackScoreboard board = sent(5);
  sack(board, 2001, 3001);
  board.mark_overdue(at(3), SeqPos{3001}, {}, kWhy, at(20));
  EXPECT_EQ(resend_all(board, at(20)), "1:1001 1001:2001");
  board.sent(SeqPos{5001}, SeqPos{6001}, kMss, {}, at(21));
  sack(board, 5001, 6001);
  const auto o = board.mark_overdue(at(21), SeqPos{6001}, 5ms, kWhy, at(30));
  EXPECT_TRUE(o.retransmission_lost);
  EXPECT_EQ(o.lost, 4'000u);  // the third and fourth, and both retransmissions
  EXPECT_EQ(resend_all(board, at(31)), "1:1001 1001:2001 3001:4001 4001:5001");
}

TEST(SackScoreboard, NeighborsThatAreLostGoAsOneSegment) {
  SackScoreboard board;
  for (int i = 0; i < 4; ++i) board.sent(SeqPos{1 + i * 100}, SeqPos{101 + i * 100}, kMss, {}, at(i));
  board.mark_timed_out(at(10), Rule::tcp_retransmit_timeout);
  EXPECT_EQ(resend_all(board, at(20)), "1:401");
}

// req: 8985-7.3-b
TEST(SackScoreboard, TheLastSegmentIsTheOneBeforeSndNxt) {
  SackScoreboard board;
  board.sent(SeqPos{1}, SeqPos{1001}, kMss, {}, at(5));
  board.sent(SeqPos{1001}, SeqPos{1501}, kMss, {}, at(5));
  EXPECT_EQ(board.records(), 1u);
  EXPECT_EQ(board.last_segment(kMss).seq, SeqPos{1001});
  EXPECT_EQ(board.last_segment(kMss).end, SeqPos{1501});
}

// 20,000 octets in one burst, every second one reported by itself: the ranges stay bounded, and so does what a report
// costs. What goes beyond is not taken, and comes with the cumulative ACK.
// req: 6675-4-d
TEST(SackScoreboard, APeerThatReportsSingleOctetsCostsNoMoreThanItsShare) {
  SackScoreboard board;
  board.sent(SeqPos{1}, SeqPos{20'001}, kMss, {}, at(1));
  for (int i = 2; i < 20'000; i += 2) sack(board, i, i + 1);
  EXPECT_LE(board.records(), 1'024u + 4 * 20 + 1);
  EXPECT_EQ(board.broken_invariant(SeqPos{1}, SeqPos{20'001}), nullptr);
  AckNews news;
  board.acked(SeqPos{20'001}, kMss, news);
  EXPECT_EQ(news.acked, 20'000u);
  EXPECT_TRUE(board.empty());
}

TEST(SackScoreboard, AReceiverMayForgetWhatItReported) {
  SackScoreboard board = sent(5);
  sack(board, 1, 1001);
  sack(board, 3001, 5001);
  board.forget_sacks();
  EXPECT_EQ(board.sacked().bytes, 0u);
  EXPECT_EQ(board.mark_timed_out(at(100), kWhy), 5'000u);
  EXPECT_EQ(board.in_flight(), 0u);
}

// --- against single octets
// ----------------------------------------------------------------------------------------------------

struct Octet {
  Time sent{};
  int times = 1;
  bool sacked = false;
  bool lost = false;
  bool resent = false;
};

// One history of sending, SACKs, ACKs, losses and retransmissions, kept twice.
class TwoBooks {
 public:
  explicit TwoBooks(uint64_t seed) : rng_(seed) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      now_ += Duration{std::chrono::microseconds(below(3'000))};
      switch (below(8)) {
        case 0:
        case 1:
          send();
          break;
        case 2:
        case 3:
          sack();
          break;
        case 4:
          ack();
          break;
        case 5:
          overdue();
          break;
        case 6:
          resend();
          break;
        default:
          rare();
      }
      compare();
    }
  }

 private:
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(rng_.below(bound)); }
  int64_t pick() { return una_ + static_cast<int64_t>(below(static_cast<uint32_t>(nxt_ - una_))); }

  void send() {
    const uint32_t burst = 1 + below(12);
    for (uint32_t i = 0; i < burst; ++i) {
      const uint32_t length = below(3) > 0 ? kOctets : 1 + below(kOctets);
      board_.sent(SeqPos{nxt_}, SeqPos{nxt_ + length}, kOctets, {}, now_);
      for (uint32_t k = 0; k < length; ++k) octets_[nxt_++] = {.sent = now_};
    }
  }

  void sack() {
    if (una_ == nxt_) return;
    const int64_t left = pick();
    const int64_t right = std::min<int64_t>(nxt_, left + 1 + below(5 * kOctets));
    AckNews news;
    board_.sacked(SeqPos{left}, SeqPos{right}, kOctets, news);
    uint32_t expected = 0;
    for (int64_t i = left; i < right; ++i) {
      Octet& o = octets_[i];
      if (o.sacked) continue;
      ++expected;
      delivered(i, o);
      o.sacked = true;
      o.lost = o.resent = false;
    }
    EXPECT_EQ(news.delivered, expected);
  }

  void ack() {
    if (una_ == nxt_) return;
    const int64_t to = below(10) == 0 ? nxt_ : std::min<int64_t>(nxt_, una_ + 1 + below(4 * kOctets));
    AckNews news;
    board_.acked(SeqPos{to}, kOctets, news);
    uint32_t expected = 0;
    for (; una_ < to; ++una_) {
      if (!octets_[una_].sacked) {
        ++expected;
        delivered(una_, octets_[una_]);
      }
      octets_.erase(una_);
    }
    EXPECT_EQ(news.delivered, expected);
  }

  void delivered(int64_t i, const Octet& o) {
    if (o.sent < newest_ || (o.sent == newest_ && i + 1 < newest_end_)) return;
    newest_ = o.sent;
    newest_end_ = i + 1;
  }

  void overdue() {
    const Duration allowance{std::chrono::microseconds(below(20'000))};
    const auto o = board_.mark_overdue(newest_, SeqPos{newest_end_}, allowance, kWhy, now_);
    uint32_t expected = 0;
    for (auto& [i, octet] : octets_) {
      if (octet.sacked || (octet.lost && !octet.resent)) continue;
      const bool before = octet.sent < newest_ || (octet.sent == newest_ && i < newest_end_);
      if (!before || octet.sent + allowance > now_) continue;
      octet.lost = true;
      octet.resent = false;
      ++expected;
    }
    EXPECT_EQ(o.lost, expected);
  }

  void resend() {
    for (uint32_t n = 1 + below(6); n > 0; --n) {
      const auto range = board_.next_to_resend(kOctets);
      const auto first =
          std::find_if(octets_.begin(), octets_.end(), [](const auto& o) { return o.second.lost && !o.second.resent; });
      ASSERT_EQ(range.has_value(), first != octets_.end());
      if (!range) return;
      EXPECT_EQ(range->seq.value, first->first);
      EXPECT_LE(range->end - range->seq, kOctets);
      board_.resent(range->seq, range->end, kOctets, {}, now_);
      for (int64_t i = range->seq.value; i < range->end.value; ++i) {
        Octet& o = octets_[i];
        ASSERT_TRUE(o.lost && !o.resent) << i;
        o.resent = true;
        o.sent = now_;
        ++o.times;
      }
    }
    now_ += 1us;
  }

  void rare() {
    if (una_ == nxt_) return;
    switch (below(3)) {
      case 0: {
        const Time until = now_ - Duration{std::chrono::microseconds(below(5'000))};
        board_.mark_timed_out(until, kWhy);
        const SendRecord* head = board_.find(SeqPos{una_});
        for (auto& [i, o] : octets_) {
          if (o.sacked || (o.lost && !o.resent) || (i >= head->end.value && o.sent > until)) continue;
          o.lost = true;
          o.resent = false;
        }
        break;
      }
      case 1:
        board_.mark_first_lost(kOctets, kWhy);
        for (int64_t i = una_; i < board_.first().end.value; ++i) {
          if (octets_[i].sacked) continue;
          octets_[i].lost = true;
          octets_[i].resent = false;
        }
        break;
      default:
        break;
    }
  }

  void compare() {
    const char* broken = board_.broken_invariant(SeqPos{una_}, SeqPos{nxt_});
    EXPECT_EQ(broken, nullptr) << broken;
    uint32_t sacked = 0;
    uint32_t lost = 0;
    uint32_t resent = 0;
    for (const auto& [i, o] : octets_) {
      const SendRecord* r = board_.find(SeqPos{i});
      ASSERT_NE(r, nullptr) << i;
      ASSERT_EQ(r->sacked, o.sacked) << i;
      ASSERT_EQ(r->lost, o.lost) << i;
      ASSERT_EQ(r->resent, o.resent) << i;
      if (!o.sacked) {
        ASSERT_EQ(r->sent, o.sent) << i;
        ASSERT_EQ(r->times_sent, o.times) << i;
      }
      sacked += o.sacked;
      lost += o.lost;
      resent += o.resent;
    }
    EXPECT_EQ(board_.in_flight(), static_cast<uint32_t>(nxt_ - una_) - sacked - lost + resent);
  }

  static constexpr uint32_t kOctets = 10;  // a segment
  Rng rng_;
  SackScoreboard board_;
  std::map<int64_t, Octet> octets_;
  int64_t una_ = 1;
  int64_t nxt_ = 1;
  Time now_ = at(1'000);
  Time newest_{};
  int64_t newest_end_ = 0;
};

// req: 6675-4-b
TEST(SackScoreboard, AgreesWithABookOfSingleOctets) {
  for (uint64_t seed = 1; seed <= 3'000 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TwoBooks(seed).run(60);
  }
}

}  // namespace
}  // namespace limpid
