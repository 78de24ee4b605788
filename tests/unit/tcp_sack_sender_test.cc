// What the sender believes of SACK blocks: RFC 2018 §5, §8; RFC 2883 §4.3.
#include "tests/unit/recovery_flow.h"

namespace limpid {
namespace {

// req: 2018-5-a
TEST(TcpSackSender, OnlyWhatIsMissingGoesAgain) {
  RecoveryFlow f;
  f.fill(6000);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 2001:6001"), Words{". 1001:2001(1000) ack 1"});
  EXPECT_EQ(f.status().sacked_segments, 4u);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(7001), Words{});
  EXPECT_EQ(f.status().total_retransmits, 1u);
}

// As Linux: receivers hold whole segments, so less of one is no news.
TEST(TcpSackSender, ASegmentIsSackedOnceAllOfItIs) {
  RecoveryFlow f;
  f.fill(4000);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 4501:5001"), Words{});
  EXPECT_EQ(f.status().sacked_segments, 0u);
  f.ack(1001, "sack 3500:5001");
  EXPECT_EQ(f.status().sacked_segments, 1u);
}

// A receiver may forget what it reported. When it acknowledges less than it has reported for as long as an RTO, nothing
// of its reports counts any more.
// req: 2018-5-b, 2018-8-a
TEST(TcpSackSender, AfterATimeoutTheFirstSegmentGoesAgainThoughItWasSacked) {
  RecoveryFlow f;
  f.fill(3000);
  f.t.pass(100ms);
  EXPECT_EQ(f.ack(1001, "sack 1001:4001"), Words{});
  f.t.pass(1s);
  const auto again = f.t.take();
  EXPECT_EQ(again.words, ". 1001:2001(1000) ack 1");
  EXPECT_EQ(again.text.substr(0, 4), "mnop");  // the octet at n is the letter (n - 1) mod 26
  EXPECT_EQ(f.status().sacked_segments, 0u);
  f.t.take_all();
  EXPECT_EQ(f.ack(2001), (Words{". 2001:3001(1000) ack 1", "P. 3001:4001(1000) ack 1"}));
  EXPECT_EQ(f.ack(4001), Words{});
}

// A timeout in the middle of recovery moves the RecoveryPoint to the highest octet sent: until that is acknowledged,
// reports of what lies below repair, but begin no recovery, and the window is not reduced once more.
// req: 6675-5.1-a
TEST(TcpSackSender, AfterATimeoutInRecoveryNoOtherBeginsBelowTheNewRecoveryPoint) {
  Config c;
  c.tcp.tail_loss_probe = false;
  RecoveryFlow f("win 65535 mss 1000 sackOK", c);
  f.fill(20'000);  // of which 1001 to 11000 go
  f.t.pass(100ms);
  f.ack(1001, "sack 3001:6001");
  EXPECT_TRUE(f.status().in_recovery);
  f.t.pass(f.status().rto);
  f.t.take_all();
  EXPECT_TRUE(f.status().in_loss);
  const uint32_t ssthresh = f.status().ssthresh;
  const int64_t recovery_point = 1001 + f.status().send_queue - f.status().unsent;
  for (int64_t right = 7001; right <= recovery_point; right += 1000) {
    f.ack(1001, "sack 3001:" + std::to_string(right));
    EXPECT_FALSE(f.status().in_recovery) << right;
    EXPECT_TRUE(f.status().in_loss) << right;
  }
  f.ack(2001, "sack 3001:" + std::to_string(recovery_point));
  EXPECT_TRUE(f.status().in_loss);
  EXPECT_EQ(f.status().ssthresh, ssthresh);
  f.ack(recovery_point);
  EXPECT_FALSE(f.status().in_loss);
  EXPECT_FALSE(f.status().in_recovery);
  EXPECT_EQ(f.status().ssthresh, ssthresh);
}

// Text is kept until it is acknowledged, whatever was reported of it.
// req: 2018-8-a
TEST(TcpSackSender, WhatWasSackedAndForgottenCanStillBeSent) {
  RecoveryFlow f;
  f.fill(3000);
  f.t.pass(100ms);
  f.ack(1001, "sack 2001:3001");
  f.t.pass(100ms);  // the reordering timer: the first goes again
  f.t.take_all();
  f.ack(2001);  // the first has arrived, and the second is not there any more
  f.t.pass(2s);
  const auto again = f.t.take();
  EXPECT_EQ(again.words, ". 2001:3001(1000) ack 1");
  EXPECT_EQ(again.text.substr(0, 4), "yzab");
}

// req: 2018-5-c
TEST(TcpSackSender, BlocksThatCannotBeAreIgnored) {
  RecoveryFlow f;
  f.fill(5000);
  for (const char* blocks : {"sack 3001:2001", "sack 2001:2001", "sack 5001:7001", "sack 6001:8001", "sack 9001:12001",
                             "sack -2000000000:2001", "sack 2001:2147483000", "sack -5000:-4000"}) {
    EXPECT_EQ(f.ack(1001, blocks), Words{}) << blocks;
    EXPECT_EQ(f.status().sacked_segments, 0u) << blocks;
  }
  // One that is right between two that are not.
  f.ack(1001, "sack 5001:9001 2001:3001 4001:3001");
  EXPECT_EQ(f.status().sacked_segments, 1u);
}

// Timestamps prove nothing here: the needless retransmission is known by the duplicate that the receiver reports.
// req: 2883-4.3-a
TEST(TcpSackSender, ADuplicateIsJudgedByTheAckOfItsOwnSegment) {
  for (bool reordered : {false, true}) {
    RecoveryFlow f;
    f.fill(6000);
    const uint32_t cwnd = f.status().cwnd;
    f.t.pass(100ms);
    EXPECT_EQ(f.ack(1001, "sack 2001:5001"), Words{". 1001:2001(1000) ack 1"});
    EXPECT_LT(f.status().ssthresh, cwnd);
    if (reordered) {
      f.ack(6001);
      // Overtaken on its way: its block lies below SND.UNA, but beyond its own ACK. It reports no duplicate.
      f.ack(5001, "sack 5001:6001");
      EXPECT_LT(f.status().ssthresh, cwnd);
    } else {
      f.ack(5001);
      f.ack(5001, "sack 1001:2001");  // below its own ACK: a duplicate
      EXPECT_EQ(f.status().cwnd, cwnd);
      EXPECT_EQ(f.status().ssthresh, UINT32_MAX);
    }
  }
}

}  // namespace
}  // namespace limpid
