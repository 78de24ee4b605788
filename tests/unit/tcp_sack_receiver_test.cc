// The receiving side of SACK (RFC 2018 §4) and D-SACK (RFC 2883 §4): what is reported, in which order and how often.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

constexpr const char* kSackSyn = "win 65535 mss 1460 sackOK";

SocketId establish(TcpDialogue& t, const std::string& syn = kSackSyn) { return t.establish_passively({}, syn); }

// Ten octets that begin at 1 + 100 n, and the block that reports them.
std::string piece(int n) {
  const int at = 1 + 100 * n;
  return "P. " + std::to_string(at) + ":" + std::to_string(at + 10) + "(10) ack 1";
}
std::string block(int n) {
  const int at = 1 + 100 * n;
  return " " + std::to_string(at) + ":" + std::to_string(at + 10);
}

// req: 2018-3-a
TEST(TcpSackReceiver, NothingIsReportedToAPeerThatDidNotAskForIt) {
  TcpDialogue t;
  establish(t, "win 65535 mss 1460");
  t.peer(piece(2));
  t.expect(". 1:1(0) ack 1 sack");
  t.peer(piece(2));
  t.expect(". 1:1(0) ack 1 sack");
}

TEST(TcpSackReceiver, NothingIsReportedWhereItIsSwitchedOff) {
  Config config;
  config.tcp.offer_sack = false;
  TcpDialogue t(config);
  establish(t);
  t.peer(piece(2));
  t.expect(". 1:1(0) ack 1 sack");
}

// req: 2018-2-a
TEST(TcpSackReceiver, PermissionOnAnythingButASynMeansNothing) {
  TcpDialogue t;
  const SocketId id = establish(t, "win 65535 mss 1460");
  t.peer("P. 1:11(10) ack 1 sackOK");
  EXPECT_EQ(t.read(id).size(), 10u);
  t.peer("P. 101:111(10) ack 1 sackOK");
  EXPECT_EQ(t.status(id).sack, false);
  for (const auto& s : t.take_all()) {
    EXPECT_EQ(s.header.options.sack_count, 0);
    EXPECT_FALSE(s.header.options.sack_permitted);
  }
}

// req: 2018-4-a
TEST(TcpSackReceiver, TheFirstBlockHoldsWhatCameLast) {
  TcpDialogue t;
  establish(t);
  t.peer(piece(3));
  t.expect(". 1:1(0) ack 1 sack" + block(3));
  t.peer(piece(5));
  t.expect(". 1:1(0) ack 1 sack" + block(5) + block(3));
  t.peer("P. 311:321(10) ack 1");  // grows the older one
  t.expect(". 1:1(0) ack 1 sack 301:321" + block(5));
  t.peer("P. 291:301(10) ack 1");
  t.expect(". 1:1(0) ack 1 sack 291:321" + block(5));
}

// req: 2018-4-b
TEST(TcpSackReceiver, AsManyBlocksAsFitTheNewestFirst) {
  TcpDialogue four;
  establish(four);
  for (int n : {2, 4, 6, 8, 10}) four.peer(piece(n));
  EXPECT_EQ(four.pending(), 5u);
  for (int i = 0; i < 4; ++i) four.take();
  four.expect(". 1:1(0) ack 1 sack" + block(10) + block(8) + block(6) + block(4));

  TcpDialogue three;
  establish(three, "win 65535 mss 1460 sackOK ts 100");
  for (int n : {8, 2, 4, 6}) three.peer(piece(n));
  for (int i = 0; i < 3; ++i) three.take();
  const auto last = three.take();
  EXPECT_EQ(last.header.options.sack_count, 3);
  EXPECT_EQ(last.header.options.sack[0].left, TcpDialogue::kPeerIsn + 601);
  EXPECT_EQ(last.header.options.sack[1].left, TcpDialogue::kPeerIsn + 401);
  EXPECT_EQ(last.header.options.sack[2].left, TcpDialogue::kPeerIsn + 201);
  EXPECT_EQ(last.header.options.size(), TcpOptionSet::kMaxSize);
}

// Ranges older than those remembered come up again as newer ones go.
TEST(TcpSackReceiver, ForgottenRangesAreReportedAgainWhenThereIsRoom) {
  Config config;
  config.tcp.send_dsack = false;
  TcpDialogue t(config);
  establish(t);
  for (int n : {2, 4, 6, 8, 10}) t.peer(piece(n));
  t.take_all();
  t.peer("P. 411:1001(590) ack 1");  // joins 4 to 10
  t.expect(". 1:1(0) ack 1 sack 401:1011" + block(2));
}

// req: 2018-4-c
TEST(TcpSackReceiver, WithAGapEverythingThatWeSendCarriesBlocks) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.peer(piece(2));
  t.take();
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 1 sack" + block(2));
  t.peer(". 1:1(0) ack 11");
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect("F. 11:11(0) ack 1 sack" + block(2));
  t.peer("P. 1:201(200) ack 12");
  t.expect(". 12:12(0) ack 211 sack");
}

TEST(TcpSackReceiver, TheBlocksTakeTheirRoomFromTheText) {
  TcpDialogue t;
  const SocketId id = establish(t, "win 65535 mss 1460 sackOK ts 100");
  for (int n : {2, 4, 6}) t.peer(piece(n));
  t.take_all();
  t.send(id, 5000);
  const auto sent = t.take_all();
  ASSERT_FALSE(sent.empty());
  for (const auto& s : sent) {
    EXPECT_EQ(s.header.options.sack_count, 3);
    EXPECT_LE(s.text.size() + s.header.options.size(), 1460u);
  }
  EXPECT_EQ(sent[0].text.size(), 1420u);
}

TEST(TcpSackReceiver, AResetCarriesNone) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.peer(piece(2));
  t.take();
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 1:1(0) ack 1 sack");
}

// Random text in random order: the watch of the simulated wire judges the same over whole networks.
// req: 2018-3-b
TEST(TcpSackReceiver, BlocksLieBeyondTheAckAndApart) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    TcpDialogue t;
    establish(t);
    Rng rng(seed);
    std::vector<bool> came(2001);
    for (int i = 0; i < 60; ++i) {
      const auto at = static_cast<uint32_t>(1 + rng.below(1900));
      const auto n = static_cast<uint32_t>(1 + rng.below(100));
      t.peer("P. " + std::to_string(at) + ":" + std::to_string(at + n) + "(" + std::to_string(n) + ") ack 1");
      std::fill_n(came.begin() + at, n, true);
      for (const auto& s : t.take_all()) {
        const TcpOptionSet& o = s.header.options;
        const uint32_t ack = s.header.acknowledgment - TcpDialogue::kPeerIsn;
        for (size_t b = 0; b < o.sack_count; ++b) {
          const uint32_t left = o.sack[b].left - TcpDialogue::kPeerIsn;
          const uint32_t right = o.sack[b].right - TcpDialogue::kPeerIsn;
          ASSERT_LT(left, right);
          for (uint32_t p = left; p < right; ++p) ASSERT_TRUE(came[p]) << "seed " << seed << ", octet " << p;
          const bool duplicate =
              b == 0 && (right <= ack || (o.sack_count > 1 && left >= o.sack[1].left - TcpDialogue::kPeerIsn &&
                                          right <= o.sack[1].right - TcpDialogue::kPeerIsn));
          if (duplicate) continue;
          ASSERT_GT(left, ack);
          ASSERT_FALSE(came[left - 1]) << "the left edge is not the range's";
          ASSERT_FALSE(came[right]) << "the right edge is not the range's";
        }
      }
    }
  }
}

// Octets in small frames that no window pays for: when they go, only what came last is reported.
// req: 2018-8-b
TEST(TcpSackReceiver, UnderMemoryPressureOnlyTheNewestIsReported) {
  Config config;
  config.tcp.receive_buffer = 4096;
  TcpDialogue t(config);
  establish(t);
  for (int at = 3; at < 2000; at += 2) {
    t.peer("P. " + std::to_string(at) + ":" + std::to_string(at + 1) + "(1) ack 1");
    const auto ack = t.take();
    const auto first = ack.header.options.sack[0];
    EXPECT_EQ(first.left, TcpDialogue::kPeerIsn + static_cast<uint32_t>(at));
    if (t.count(Counter::tcp_drop_out_of_order_full) == 0) continue;
    EXPECT_EQ(ack.header.options.sack_count, 1);
    t.peer("P. 2500:2501(1) ack 1");  // what was dropped is not reported again
    t.expect(". 1:1(0) ack 1 sack 2500:2501");
    return;
  }
  ADD_FAILURE() << "there was no pressure";
}

// --- D-SACK ---

// req: 2883-4-a, 2883-4-b
TEST(TcpSackReceiver, TextThatCameTwiceIsReportedOnce) {
  TcpDialogue t;
  establish(t);
  t.peer("P. 1:501(500) ack 1");
  t.pass(50ms);
  t.expect(". 1:1(0) ack 501 sack");
  t.peer("P. 101:301(200) ack 1");
  t.expect(". 1:1(0) ack 501 sack 101:301");
  t.peer(piece(6));
  t.expect(". 1:1(0) ack 501 sack" + block(6));
}

// RFC 2883 §4.1.2, §4.1.3: beside the blocks of what is held.
// req: 2883-4-a
TEST(TcpSackReceiver, ADuplicateBelowTheAckComesBeforeWhatIsHeld) {
  TcpDialogue t;
  establish(t);
  t.peer("P. 1:101(100) ack 1");
  t.peer(piece(3));
  t.take_all();
  t.peer("P. 1:101(100) ack 1");
  t.expect(". 1:1(0) ack 101 sack 1:101" + block(3));
  t.peer(piece(5));
  t.expect(". 1:1(0) ack 101 sack" + block(5) + block(3));
}

// RFC 2883 §4.2: inside a larger block that is held, which comes second.
// req: 2883-4-a
TEST(TcpSackReceiver, ADuplicateOfWhatIsHeldComesBeforeItsRange) {
  TcpDialogue t;
  establish(t);
  t.peer("P. 501:1001(500) ack 1");
  t.peer(piece(20));
  t.take_all();
  t.peer("P. 601:701(100) ack 1");
  t.expect(". 1:1(0) ack 1 sack 601:701 501:1001" + block(20));
  t.peer("P. 901:1101(200) ack 1");  // half of it is new
  t.expect(". 1:1(0) ack 1 sack 901:1001 501:1101" + block(20));
}

// req: 2883-4-a
TEST(TcpSackReceiver, TheOldPartOfASegmentIsReportedTheNewOneTaken) {
  TcpDialogue t;
  const SocketId id = establish(t);
  t.peer("P. 1:101(100) ack 1");
  t.pass(50ms);
  t.take_all();
  t.peer("P. 51:201(150) ack 1");
  EXPECT_EQ(t.read(id).size(), 200u);
  t.pass(50ms);
  t.expect(". 1:1(0) ack 201 sack 51:101");
}

TEST(TcpSackReceiver, ARepeatedFinIsADuplicateToo) {
  TcpDialogue t;
  establish(t);
  t.peer("F. 1:1(0) ack 1");
  t.expect(". 1:1(0) ack 2 sack");
  t.peer("F. 1:1(0) ack 1");
  t.expect(". 1:1(0) ack 2 sack 1:2");
}

TEST(TcpSackReceiver, WhatLiesBeforeTheStreamIsNoDuplicate) {
  TcpDialogue t;
  establish(t);
  t.peer("P. -500:-400(100) ack 1");
  t.expect(". 1:1(0) ack 1 sack");
}

TEST(TcpSackReceiver, DuplicatesAreNotReportedWhereThatIsSwitchedOff) {
  Config config;
  config.tcp.send_dsack = false;
  TcpDialogue t(config);
  establish(t);
  t.peer("P. 1:101(100) ack 1");
  t.pass(50ms);
  t.take_all();
  t.peer("P. 1:101(100) ack 1");
  t.expect(". 1:1(0) ack 101 sack");
}

// req: 2883-4-a
TEST(TcpSackReceiver, TheRangeAroundADuplicateFollowsItThoughNewerOnesCameInTheSameBatch) {
  TcpDialogue t;
  establish(t);
  t.peer(". 101:201(100) ack 1");
  t.peer(". 301:401(100) ack 1");
  t.take_all();
  t.peer_batch({". 101:201(100) ack 1", ". 501:601(100) ack 1"});
  t.expect(". 1:1(0) ack 1 sack 101:201 101:201 501:601 301:401");
}

// req: 2018-8-b
TEST(TcpSackReceiver, TextThatWasNotKeptIsReportedOnlyAsLongAsItIsTheNewest) {
  Config config;
  config.tcp.receive_buffer = 4096;
  const auto octet = [](int i) { return ". " + std::to_string(2 * i) + ":" + std::to_string(2 * i + 1) + "(1) ack 1"; };
  int last = 0;  // the one that is too many
  for (TcpDialogue t(config); t.count(Counter::tcp_drop_out_of_order_full) == 0; t.peer(octet(++last)))
    if (last == 0) establish(t);
  TcpDialogue t(config);
  establish(t);
  for (int i = 1; i < last; ++i) t.peer(octet(i));
  t.take_all();
  const std::string at = std::to_string(2 * last);
  t.peer_batch({octet(last), ". 1:" + at + "(" + std::to_string(2 * last - 1) + ") ack 1"});
  EXPECT_EQ(t.count(Counter::tcp_drop_out_of_order_full), 1U);
  t.expect(". 1:1(0) ack " + at + " sack");
}

// A peer that has been promised a large window fills it in any order, though the user has made the buffer small since.
TEST(TcpSackReceiver, WhatThePromisedWindowCoversIsKeptThoughTheBufferBecameSmall) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1460 sackOK");
  TcpOptions small;
  small.receive_buffer = 256;
  ASSERT_TRUE(t.stack.tcp_set_options(id, small, t.now));
  t.take_all();
  t.peer(". 201:301(100) ack 1");
  t.expect(". 1:1(0) ack 1 sack 201:301");
  EXPECT_EQ(t.status(id).out_of_order, 100U);
}

// Seed 213478 of the simulation: with a window of 256 octets each loss cost the peer its timer.
TEST(TcpSackReceiver, TheSmallestBufferHoldsWhatArrivesBeyondAGap) {
  Config config;
  config.tcp.receive_buffer = 256;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively({}, "win 65535 mss 124 sackOK");
  t.peer(". 125:249(124) ack 1");
  t.expect(". 1:1(0) ack 1 sack 125:249");
  EXPECT_EQ(t.status(id).out_of_order, 124U);
  t.peer(". 1:125(124) ack 1");
  t.expect(". 1:1(0) ack 249");
}

}  // namespace
}  // namespace limpid
