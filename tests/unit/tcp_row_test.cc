// TCP's work done once for a row of packets where the device does not help: bursts that IP cuts (GSO), segments that
// are merged on their way up (GRO). Nothing of it can be seen from outside.
#include "stack/base/rng.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

const std::string kFull = "win 65535 mss 1460";

Config pieces(bool cut, bool merge) {
  Config c;
  c.ip.cut_bursts = cut;
  c.ip.merge_segments = merge;
  return c;
}

class Events final : public TraceSink {
 public:
  void event(const Event& e) override {
    if (e.kind == EventKind::tcp_packet_received) ++segments_in;
    if (e.kind == EventKind::tcp_packet_sent) ++segments_out;
    if (e.kind == EventKind::link_frame_in) ++frames_in;
  }
  int segments_in = 0;
  int segments_out = 0;
  int frames_in = 0;
};

std::string data(int packet, const std::string& flags = ".", int length = 1460, int ack = 1) {
  const int from = 1 + 1460 * packet;
  return flags + " " + std::to_string(from) + ":" + std::to_string(from + length) + "(" + std::to_string(length) +
         ") ack " + std::to_string(ack);
}

// --- cutting
// --------------------------------------------------------------------------------------------------------

TEST(TcpBurstCut, ABurstIsOneDecisionAndManyPackets) {
  TcpDialogue t;
  Events events;
  const SocketId id = t.establish_passively();
  t.stack.set_trace_sink(&events);
  t.frames = 0;
  t.send(id, 10 * 1460);
  EXPECT_EQ(t.frames, 10U);
  EXPECT_EQ(events.segments_out, 2);
  for (int i = 0; i < 10; ++i) t.expect(data(i, i == 4 || i == 9 ? "P." : "."));
  t.expect_nothing();
  EXPECT_EQ(t.status(id).segments_out, 10U);
  t.stack.set_trace_sink(nullptr);
}

// As if each segment had been planned by itself.
TEST(TcpBurstCut, TheFinGoesOnTheLastOfItsPackets) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, kFull);
  t.refuse = true;
  t.send(id, 3 * 1460);
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.refuse = false;
  t.writable();
  t.expect(data(0));
  t.expect(data(1));
  t.expect(data(2, "FP."));
  t.expect_nothing();
  EXPECT_EQ(t.state(id), TcpState::fin_wait_1);
}

TEST(TcpBurstCut, ThePeerSeesNoDifference) {
  const auto conversation = [](TcpDialogue& t) {
    std::vector<std::string> all;
    const auto note = [&] {
      for (const auto& s : t.take_all()) all.push_back(std::to_string(to_us(s.at.time_since_epoch())) + " " + s.words);
    };
    const SocketId id = t.establish_passively({}, kFull + " sackOK wscale 7 ts 1 ecr 0");
    t.send(id, 40'000);
    note();
    t.pass(10ms);
    t.peer(". 1:1(0) ack 1449 win 60000 ts 2 ecr 0");
    t.peer(". 1:1(0) ack 1449 win 60000 ts 2 ecr 0 sack 2897:5793");
    t.peer(". 1:1(0) ack 1449 win 60000 ts 2 ecr 0 sack 2897:14481");
    note();
    t.pass(5ms);
    t.peer(". 1:1(0) ack 14481 win 60000 ts 3 ecr 10");
    note();
    t.pass(3s);
    note();
    return all;
  };
  TcpDialogue cut(pieces(true, true));
  TcpDialogue plain(pieces(false, false));
  EXPECT_EQ(conversation(cut), conversation(plain));
}

// What the device took of a burst has gone, and nothing else has.
TEST(TcpBurstCut, ABurstThatTheDeviceTakesPartOfGoesOnWhereItStopped) {
  const auto conversation = [](TcpDialogue& t, size_t takes) {
    const SocketId id = t.establish_passively();
    const uint64_t before = t.status(id).segments_out;
    t.takes = takes;
    t.send(id, 10 * 1460);
    EXPECT_EQ(t.pending(), takes);
    EXPECT_EQ(t.status(id).segments_out - before, takes);
    t.takes = SIZE_MAX;
    t.writable();
    std::vector<std::string> all = t.take_words();
    EXPECT_EQ(t.status(id).segments_out - before, 10U);
    t.pass(20ms);
    t.peer(". 1:1(0) ack 14601");
    EXPECT_EQ(t.status(id).total_retransmits, 0U);
    return all;
  };
  for (size_t takes = 0; takes <= 10; ++takes) {
    TcpDialogue cut(pieces(true, true));
    TcpDialogue plain(pieces(false, false));
    const auto words = conversation(cut, takes);
    EXPECT_EQ(words.size(), 10U);
    EXPECT_EQ(words, conversation(plain, takes)) << takes;
  }
}

TEST(TcpBurstCut, EachPacketHasAnIdentificationOfItsOwn) {
  TcpDialogue t;
  TcpOptions options;
  options.dont_fragment = false;
  const SocketId id = t.establish_passively(options);
  t.send(id, 10 * 1460);
  t.peer(". 1:1(0) ack 14601");
  t.send(id, 1460);
  std::vector<uint16_t> seen;
  for (const auto& s : t.take_all()) seen.push_back(s.ip.identification);
  ASSERT_EQ(seen.size(), 11U);
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i], static_cast<uint16_t>(seen[i - 1] + 1));
}

// --- merging
// --------------------------------------------------------------------------------------------------------

struct Merging : TcpDialogue {
  Merging() : TcpDialogue(pieces(true, true)) { stack.set_trace_sink(&events); }
  ~Merging() override { stack.set_trace_sink(nullptr); }
  // How many segments TCP has seen for what came in meanwhile.
  int rows(const std::vector<std::string>& batch) {
    const int before = events.segments_in;
    peer_batch(batch);
    return events.segments_in - before;
  }
  Events events;
};

TEST(TcpMerge, ARowIsReadAsOneSegmentAndCountedAsItsPackets) {
  Merging t;
  const SocketId id = t.establish_passively();
  const uint64_t before = t.count(Counter::tcp_in);
  const int frames = t.events.frames_in;
  EXPECT_EQ(t.rows({data(0), data(1), data(2), data(3, "P.", 100)}), 1);
  EXPECT_EQ(t.events.frames_in - frames, 4);
  t.expect(". 1:1(0) ack 4481");
  t.expect_nothing();
  EXPECT_EQ(t.read(id).size(), 4480U);
  EXPECT_EQ(t.count(Counter::tcp_in) - before, 4U);
  EXPECT_EQ(t.status(id).segments_in, 5U);
  EXPECT_EQ(t.status(id).totals.data_segments_in, 4U);
}

TEST(TcpMerge, WhatDiffersIsARowOfItsOwn) {
  Merging t;
  t.establish_passively({}, kFull + " sackOK");
  int at = 0;
  const auto next = [&](const std::string& flags, int length, const std::string& more = "") {
    const std::string words = data(at, flags, length) + more;
    ++at;
    return words;
  };
  EXPECT_EQ(t.rows({next(".", 1460), next("P.", 1460), next(".", 1460)}), 2) << "PSH ends a row";
  EXPECT_EQ(t.rows({next(".", 1460), next(".", 1460, " win 70")}), 2) << "another window";
  EXPECT_EQ(t.rows({next(".", 1460), next(".", 1460, " ce")}), 2) << "another mark";
  at += 1;
  EXPECT_EQ(t.rows({data(at), data(at + 2)}), 2) << "a gap";
  EXPECT_EQ(t.rows({data(at + 5), ". 1:1(0) ack 1", data(at + 6)}), 3) << "something in between";
  t.take_all();
}

TEST(TcpMerge, APacketWithAWrongChecksumIsDroppedAlone) {
  Merging t;
  const SocketId id = t.establish_passively({}, kFull + " sackOK");
  t.peer_batch({data(0), data(1), data(2) + " bad-checksum", data(3), data(4)});
  EXPECT_EQ(t.count(Counter::tcp_drop_bad_checksum), 1U);
  t.expect(". 1:1(0) ack 2921 sack 4381:7301");
  t.expect_nothing();
  t.peer(data(2));
  t.expect(". 1:1(0) ack 7301 sack");
  EXPECT_EQ(t.read(id).size(), 7300U);
}

TEST(TcpMerge, AFinEndsItAndCounts) {
  Merging t;
  const SocketId id = t.establish_passively();
  EXPECT_EQ(t.rows({data(0), data(1), data(2, "F.", 30)}), 1);
  t.expect(". 1:1(0) ack 2952");
  EXPECT_EQ(t.state(id), TcpState::close_wait);
  EXPECT_EQ(t.read(id).size(), 2950U);
}

// Text that we have in part, and text beyond the window, is cut off a row as it is off a segment.
TEST(TcpMerge, ARowIsTrimmedAtBothEnds) {
  Merging t;
  TcpOptions options;
  options.receive_buffer = 8000;
  const SocketId id = t.establish_passively(options);
  t.peer(". 1:2001(2000) ack 1");
  t.take_all();
  std::vector<std::string> all;
  for (int i = 0; i < 8; ++i) all.push_back(data(i));
  EXPECT_EQ(t.rows(all), 1);
  const std::string got = t.read(id);
  EXPECT_GE(got.size(), 8000U);
  EXPECT_LT(got.size(), 8U * 1460);
  t.take_all();
  t.peer(". " + std::to_string(got.size() + 1) + ":" + std::to_string(got.size() + 11) + "(10) ack 1");
  EXPECT_EQ(t.read(id).size(), 10U) << "where it was cut off it goes on";
}

TEST(TcpMerge, ARowForAHalfOpenConnectionIsTakenSegmentBySegment) {
  Merging t;
  t.listen();
  t.peer("S 0:0(0) " + kFull);
  t.expect("S. 0:0(0) ack 1");
  const uint64_t before = t.count(Counter::tcp_in);
  t.peer_batch({data(0), data(1), data(2)});
  EXPECT_EQ(t.count(Counter::tcp_in) - before, 3U);
  t.expect(". 1:1(0) ack 4381");
  EXPECT_EQ(t.read(t.accept()).size(), 4380U);
}

TEST(TcpMerge, ARowForNobodyIsAnsweredSegmentBySegment) {
  Merging t;
  const SocketId id = t.establish_passively();
  t.stack.tcp_abort(id, t.now);
  t.take_all();
  const uint64_t before = t.count(Counter::tcp_drop_no_connection);
  t.peer_batch({data(0), data(1), data(2)});
  EXPECT_EQ(t.count(Counter::tcp_drop_no_connection) - before, 3U);
  EXPECT_EQ(t.pending(), 3U);
  t.take_all();
}

// Batches of a peer that sends, loses, sends again and marks what it likes: merged or not, the same answers and the
// same text. (Of text that comes twice the reports differ: one for a row, as for a super-segment.)
TEST(TcpMerge, MergedOrNotTheConversationIsTheSame) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const auto conversation = [seed](TcpDialogue& t) {
      Rng rng(seed);
      std::string all;
      const SocketId id = t.establish_passively({}, kFull + " sackOK");
      int at = 0;
      for (int round = 0; round < 20; ++round) {
        std::vector<std::string> batch;
        const int missing = static_cast<int>(t.status(id).bytes_received / 1460);
        if (missing < at && rng.chance(500'000)) batch.push_back(data(missing));
        const uint64_t count = 1 + rng.below(8);
        for (uint64_t i = 0; i < count; ++i) {
          const bool lost = rng.chance(50'000);
          const bool push = rng.chance(100'000);
          const bool marked = rng.chance(50'000);
          if (!lost) batch.push_back(data(at, push ? "P." : ".") + (marked ? " ce" : ""));
          ++at;
        }
        t.peer_batch(batch);
        for (const auto& s : t.take_all()) {
          all += s.words + " win " + std::to_string(s.header.window);
          for (size_t i = 0; i < s.header.options.sack_count; ++i)
            all += " sack " + std::to_string(s.header.options.sack[i].left);
          all += "\n";
        }
        if (rng.chance(300'000)) all += t.read(id).size() > 0 ? "read\n" : "nothing\n";
        t.pass(1ms);
      }
      all += std::to_string(t.status(id).bytes_received);
      return all;
    };
    TcpDialogue merging(pieces(true, true));
    TcpDialogue plain(pieces(true, false));
    const std::string one = conversation(merging);
    const std::string other = conversation(plain);
    ASSERT_EQ(one, other) << "seed " << seed;
  }
}

}  // namespace
}  // namespace limpid
