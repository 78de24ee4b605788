// Recovery by counting, without RACK (RFC 6675): what is sent next, and when it is over.
#include "tests/unit/recovery_flow.h"

namespace limpid {
namespace {

Config by_count() {
  Config config;
  config.tcp.rack = false;
  config.tcp.congestion = CongestionChoice::reno;
  return config;
}

// NextSeg in its order: (1) what is lost, (2) new data, (3) what is only missing, (4) once the end of the flight.
// req: 6675-4-c
TEST(TcpNextSeg, LostThenNewThenMissingThenTheEndOnce) {
  RecoveryFlow f("win 65535 mss 1000 sackOK", by_count());
  f.fill(10'000);
  f.ack(1001, "sack 3001:4001");
  f.ack(1001, "sack 3001:5001");
  EXPECT_EQ(f.ack(1001, "sack 3001:6001"), Words{". 1001:2001(1000) ack 1"});  // and 2001 is lost, too
  f.ack(1001, "sack 3001:6001 8001:9001");
  EXPECT_EQ(f.ack(2001, "sack 3001:6001 8001:9001"), Words{". 2001:3001(1000) ack 1"});
  f.t.send(f.id, 1000);
  EXPECT_EQ(f.ack(6001, "sack 8001:9001"), Words{"P. 11001:12001(1000) ack 1"});  // new data before 6001
  EXPECT_EQ(f.ack(6001, "sack 8001:10001"), Words{". 6001:7001(1000) ack 1"});    // a hole, not known to be lost
  EXPECT_EQ(f.ack(7001, "sack 8001:10001"), (Words{". 7001:8001(1000) ack 1", "P. 11001:12001(1000) ack 1"}));
  EXPECT_EQ(f.ack(8001, "sack 8001:10001"), Words{});  // no second rescue
  EXPECT_TRUE(f.status().in_recovery);
  f.ack(12001);
  EXPECT_FALSE(f.status().in_recovery);
}

// With RACK the time of each range tells, and nothing is sent again on suspicion.
// req: 8985-9.2-a
TEST(TcpNextSeg, RackResendsOnlyWhatIsLost) {
  Config config = by_count();
  config.tcp.rack = true;
  RecoveryFlow f("win 65535 mss 1000 sackOK", config);
  f.fill(4000);
  f.t.pass(100ms);
  f.ack(1001, "sack 3001:4001");
  f.t.pass(26ms);
  EXPECT_EQ(f.t.take_words(), Words{". 1001:2001(1000) ack 1"});
  EXPECT_EQ(f.ack(2001, "sack 3001:4001"), Words{". 2001:3001(1000) ack 1"});
  EXPECT_EQ(f.ack(3001, "sack 3001:4001"), Words{});  // 4001 has no SACK above it, and is not overdue
}

// req: 6675-5-a
TEST(TcpNextSeg, RecoveryHalvesTheFlightAndSendsWhileThePipeHasRoom) {
  RecoveryFlow f("win 65535 mss 1000 sackOK", by_count());
  f.t.send(f.id, 40'000);
  f.t.take_all();
  f.ack(1001, "sack 2001:3001");
  f.ack(1001, "sack 2001:4001");
  EXPECT_EQ(f.status().congestion_state, CaState::disorder);
  f.ack(1001, "sack 2001:5001");
  EXPECT_TRUE(f.status().in_recovery);
  EXPECT_EQ(f.status().ssthresh, 5000u);
  int64_t sacked = 5001;
  for (int i = 0; i < 6; ++i) {
    f.ack(1001, "sack 2001:" + std::to_string(sacked += 1000));
    EXPECT_LE(f.status().in_flight, std::max(f.status().cwnd, 5000u));
  }
  EXPECT_LE(f.status().in_flight, 6000u);
}

// req: 6675-5-b
TEST(TcpNextSeg, RecoveryEndsAtItsPoint) {
  RecoveryFlow f("win 65535 mss 1000 sackOK", by_count());
  f.fill(10'000);
  f.ack(1001, "sack 2001:5001");
  EXPECT_TRUE(f.status().in_recovery);
  f.ack(6001);
  EXPECT_TRUE(f.status().in_recovery);
  f.ack(11'001);
  EXPECT_FALSE(f.status().in_recovery);
  EXPECT_GE(f.status().cwnd, f.status().ssthresh);
  EXPECT_LE(f.status().cwnd, f.status().ssthresh + 1000);  // the ACK that ends it counts
}

// Each segment with news of SACK counts, also one with text; and an ACK that moves on begins anew.
// req: 6675-5-c
TEST(TcpNextSeg, NewsOfSackCountWhateverCarriesThem) {
  RecoveryFlow f("win 65535 mss 1000 sackOK", by_count());
  f.fill(10'000);
  f.t.peer("P. 1:11(10) ack 1001 sack 2001:3001");
  f.t.peer("P. 11:21(10) ack 1001 sack 2001:4001");
  EXPECT_FALSE(f.status().in_recovery);
  f.t.peer("P. 21:31(10) ack 1001 sack 2001:5001");
  EXPECT_TRUE(f.status().in_recovery);

  RecoveryFlow moved("win 65535 mss 1000 sackOK", by_count());
  moved.fill(10'000);
  moved.ack(1001, "sack 2001:4001");
  moved.ack(4001);
  moved.ack(4001, "sack 5001:6001");
  EXPECT_FALSE(moved.status().in_recovery);
}

}  // namespace
}  // namespace limpid
