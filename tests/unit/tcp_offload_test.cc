// Super-segments at both doors of TCP: a device that takes 64 KiB at once changes how often the stack is left, and
// nothing that the peer could see.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

const std::string kFull = "win 65535 mss 1460";

struct Offloaded : TcpDialogue {
  Offloaded() : TcpDialogue({}, 1500, 1, true) {}
};

TEST(TcpOffload, ABurstGoesInOnePieceAndArrivesAsItsPackets) {
  Offloaded t;
  const SocketId id = t.establish_passively();
  t.frames = 0;
  t.send(id, 10 * 1460);
  EXPECT_EQ(t.frames, 2U) << "bursts of half the congestion window";
  for (int i = 0; i < 10; ++i) {
    const int from = 1 + 1460 * i;
    t.expect((i == 4 || i == 9 ? "P. " : ". ") + std::to_string(from) + ":" + std::to_string(from + 1460) +
             "(1460) ack 1");
  }
  t.expect_nothing();
  EXPECT_EQ(t.status(id).segments_out, 10U);
}

// The largest MTU leaves no room for two segments in one piece.
TEST(TcpOffload, ASegmentAsLargeAsAPieceGoesByItself) {
  TcpDialogue t({}, 65'535, 1, true);
  const SocketId id = t.establish_passively({}, "win 65535 mss 65495 wscale 8");
  t.send(id, 70'000);
  t.expect(". 1:65496(65495) ack 1");
  t.peer(". 1:1(0) ack 65496 win 65535");
  t.expect("P. 65496:70001(4505) ack 1");
  t.expect_nothing();
}

// The same conversation, with loss, over a link with and one without: packet by packet the same.
TEST(TcpOffload, ThePeerSeesNoDifference) {
  const auto conversation = [](TcpDialogue& t) {
    std::vector<std::string> all;
    const auto note = [&] {
      for (const auto& s : t.take_all()) all.push_back(std::to_string(to_us(s.at.time_since_epoch())) + " " + s.words);
    };
    const SocketId id = t.establish_passively({}, kFull + " sackOK wscale 7");
    t.send(id, 40'000);
    note();
    t.pass(10ms);
    t.peer(". 1:1(0) ack 1461 win 60000");
    t.peer(". 1:1(0) ack 1461 win 60000 sack 2921:5841");
    t.peer(". 1:1(0) ack 1461 win 60000 sack 2921:14601");
    note();
    t.pass(5ms);
    t.peer(". 1:1(0) ack 14601 win 60000");
    note();
    t.pass(300ms);
    t.send(id, 100);
    note();
    t.pass(3s);
    note();
    return all;
  };
  TcpDialogue plain;
  Offloaded offloaded;
  EXPECT_EQ(conversation(offloaded), conversation(plain));
  EXPECT_LT(offloaded.frames, plain.frames);
}

// A part of it lost: only that part comes again.
TEST(TcpOffload, WhatIsLostOfASuperSegmentIsResentAlone) {
  Offloaded t;
  const SocketId id = t.establish_passively({}, kFull + " sackOK");
  t.send(id, 10 * 1460);
  t.take_all();
  t.pass(20ms);
  t.peer(". 1:1(0) ack 1461 sack 2921:7301");
  t.expect(". 1461:2921(1460) ack 1");
  t.expect_nothing();
}

TEST(TcpOffload, UrgentTextGoesPacketByPacket) {
  Offloaded t;
  const SocketId id = t.establish_passively();
  t.frames = 0;
  t.send(id, 5 * 1460, {.urgent = true});
  EXPECT_EQ(t.frames, 5U) << "a pointer copied to each packet as it is would point elsewhere";
  t.take_all();
}

TEST(TcpOffload, SelectiveAcknowledgmentsTakeTheirRoomInEachPacket) {
  Offloaded t;
  const SocketId id = t.establish_passively({}, kFull + " sackOK");
  t.peer(". 101:201(100) ack 1");  // a hole: every segment of ours tells of it
  t.take_all();
  t.send(id, 6 * 1460);
  for (const auto& s : t.take_all()) {
    EXPECT_LE(s.text.size() + s.header.size(), 1480U);
    EXPECT_EQ(s.header.options.sack_count, 1);
  }
}

// --- what comes in
// -----------------------------------------------------------------------------------------------------

// req: 9293-MUST-59
TEST(TcpOffload, ASuperSegmentIsReadAsOneAndCountedAsMany) {
  Offloaded t;
  const SocketId id = t.establish_passively();
  const uint64_t before = t.count(Counter::tcp_in);
  t.peer("P. 1:14601(14600) ack 1 gso 1460");
  t.expect(". 1:1(0) ack 14601");  // two full segments and more: acknowledged at once
  t.expect_nothing();
  EXPECT_EQ(t.read(id).size(), 14'600U);
  EXPECT_EQ(t.count(Counter::tcp_in) - before, 10U);
  EXPECT_EQ(t.status(id).segments_in, 11U);
}

TEST(TcpOffload, AnOpenChecksumIsNotLookedAt) {
  Offloaded t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 1 gso 0");
  EXPECT_EQ(t.read(id).size(), 10U);
  t.peer("P. 11:21(10) ack 1 bad-checksum");
  EXPECT_EQ(t.read(id), "error " + std::to_string(static_cast<int>(Error::would_block)))
      << "what vouches for one frame does not for the next";
}

}  // namespace
}  // namespace limpid
