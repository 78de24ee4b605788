// The receiving half by itself: what is let in, what is cut, what the window promises, and the urgent mark.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stack/base/rng.h"
#include "stack/buffer/frame.h"
#include "stack/tcp/receiver.h"
#include "stack/wire/tcp.h"

namespace limpid {
namespace {

struct ReceiverTest : testing::Test {
  ReceiverTest() {
    r.set_buffer(1000);
    r.promised(r.nxt() + 1000);  // the window is [1, 1001)
  }

  Segment segment(int64_t seq, uint32_t length, uint8_t flags = tcp_flag::ack) {
    std::vector<std::byte> text(length);
    for (uint32_t i = 0; i < length; ++i) text[i] = static_cast<std::byte>('a' + (seq - 1 + i) % 26);
    Segment s;
    s.seq = SeqPos{seq};
    s.flags = flags;
    if (length > 0) s.text = Slice::whole(pool.copy(text));
    return s;
  }
  void arrive(int64_t seq, uint32_t length) {
    Segment s = segment(seq, length);
    r.take(s);
  }
  // As output does: what the next segment says, made true.
  uint32_t announce(bool scaled = false, uint32_t mss = 100) {
    const auto w = r.window(scaled, mss);
    r.promised(w.edge);
    return w.wire;
  }
  std::string read(size_t most = 10'000, bool peek = false) {
    std::vector<std::byte> into(most);
    const size_t n = r.read(into, peek);
    return {reinterpret_cast<const char*>(into.data()), n};
  }

  FramePool pool{1 << 24};
  Receiver r;
};

// --- what is let in
// -----------------------------------------------------------------------------------------------------------

// req: 9293-3.10.7.4-a
TEST_F(ReceiverTest, TheFourCasesOfTheAcceptabilityTest) {
  // Length 0, window > 0. The right edge itself is let in: docs/deviations.md.
  for (const auto& [seq, in] :
       {std::pair<int64_t, bool>{0, false}, {1, true}, {1000, true}, {1001, true}, {1002, false}})
    EXPECT_EQ(r.acceptable(segment(seq, 0)), in) << seq;
  // Length > 0, window > 0.
  for (const auto& [seq, in] :
       {std::pair<int64_t, bool>{-4, false}, {-3, true}, {1, true}, {1000, true}, {1001, false}})
    EXPECT_EQ(r.acceptable(segment(seq, 5)), in) << seq;
  arrive(1, 1000);
  ASSERT_EQ(r.wnd(), 0u);
  // Length 0, window 0.
  for (const auto& [seq, in] : {std::pair<int64_t, bool>{1000, false}, {1001, true}, {1002, false}})
    EXPECT_EQ(r.acceptable(segment(seq, 0)), in) << seq;
  // Length > 0, window 0: no text is taken, but at RCV.NXT its ACK, URG and RST are.
  EXPECT_FALSE(r.acceptable(segment(1000, 1)));
  EXPECT_FALSE(r.acceptable(segment(1002, 1)));
  Segment probe = segment(1001, 1);
  EXPECT_TRUE(r.acceptable(probe));
  EXPECT_TRUE(r.trim(probe));
  EXPECT_EQ(probe.text.length, 0u);
}

// req: 9293-3.10.7.4-b
TEST_F(ReceiverTest, WhatIsOldOrBeyondIsCutOffAndAFinBeyondWithIt) {
  Segment both = segment(-9, 2000, tcp_flag::ack | tcp_flag::fin);
  EXPECT_TRUE(r.trim(both));
  EXPECT_EQ(both.seq, SeqPos{1});
  EXPECT_EQ(both.text.length, 1000u);
  EXPECT_FALSE(both.has(tcp_flag::fin));
  Segment inside = segment(500, 100, tcp_flag::ack | tcp_flag::fin);
  EXPECT_FALSE(r.trim(inside));
  EXPECT_EQ(inside.text.length, 100u);
  EXPECT_TRUE(inside.has(tcp_flag::fin));
  Segment full = segment(1, 1000, tcp_flag::ack | tcp_flag::fin);  // its FIN takes no memory
  EXPECT_FALSE(r.trim(full));
  EXPECT_TRUE(full.has(tcp_flag::fin));
}

TEST_F(ReceiverTest, AFinIsReachedOnceAllBeforeItIsThere) {
  r.note_fin(SeqPos{11});
  EXPECT_FALSE(r.reach_fin());
  arrive(6, 5);
  EXPECT_FALSE(r.reach_fin());
  arrive(1, 5);
  EXPECT_TRUE(r.reach_fin());
  EXPECT_FALSE(r.reach_fin());  // once
  EXPECT_EQ(r.nxt(), SeqPos{12});
}

// --- the window
// -----------------------------------------------------------------------------------------------------------------

TEST_F(ReceiverTest, TheWindowShrinksByWhatArrivesAndGrowsByStepsWorthASegment) {
  EXPECT_EQ(announce(), 1000u);
  arrive(1, 600);
  EXPECT_EQ(announce(), 400u);
  read(99);
  EXPECT_EQ(announce(), 400u);  // the promise stands, and 99 more are not worth a word
  EXPECT_FALSE(r.update_due(100));
}

TEST_F(ReceiverTest, AnUpdateIsDueWhenTheSenderStarvesOrHalfTheBufferIsFree) {
  arrive(1, 1000);
  EXPECT_EQ(announce(), 0u);
  EXPECT_FALSE(r.update_due(100));
  read();
  EXPECT_TRUE(r.update_due(100));
  EXPECT_EQ(announce(), 1000u);
  EXPECT_FALSE(r.update_due(100));
}

// req: 9293-SHLD-14
TEST_F(ReceiverTest, TheEdgeNeverMovesLeftWhateverTheScale) {
  for (uint8_t shift : {uint8_t{0}, uint8_t{3}, uint8_t{7}}) {
    Receiver one;
    one.set_buffer(20'000);
    one.set_shift(shift);
    one.promised(one.nxt() + 20'000);
    Rng rng(shift);
    SeqPos edge = one.edge();
    std::vector<std::byte> into(5000);
    for (int step = 0; step < 20'000; ++step) {
      const auto n = static_cast<uint32_t>(std::min<uint64_t>(one.wnd(), rng.between(1, 400)));
      if (n > 0) {
        Segment s = segment(one.nxt().value, n);
        ASSERT_TRUE(one.acceptable(s));
        one.take(s);
      }
      if (rng.chance(300'000)) one.read(MutableByteSpan(into).first(rng.between(1, 5000)), false);
      if (rng.chance(10'000)) one.set_buffer(static_cast<uint32_t>(rng.between(1000, 40'000)));
      const auto w = one.window(true, 1460);
      ASSERT_GE(w.edge, edge);
      ASSERT_GE((int64_t{w.wire} << shift) + (1 << shift),
                one.edge() - one.nxt());  // the wire takes back less than a unit
      one.promised(w.edge);
      edge = w.edge;
    }
  }
}

// Many small frames that carry little pin much: later windows are smaller for it, the promise of today stands.
TEST_F(ReceiverTest, PinnedMemoryShapesOnlyFutureWindows) {
  r.set_buffer(100'000);
  r.promised(r.nxt() + 100'000);
  int64_t at = 1;
  for (int i = 0; i < 100; ++i, at += 700)
    arrive(at, 700);  // too large to be copied out, far smaller than their frames
  EXPECT_GT(r.queue().charge(), 200'000u);
  EXPECT_EQ(r.wnd(), 30'000u);
  EXPECT_EQ(announce(), 30'000u);
  EXPECT_TRUE(r.acceptable(segment(at, 30'000)));
}

// --- the urgent mark
// ---------------------------------------------------------------------------------------------------------------

TEST_F(ReceiverTest, TheMarkIsNewsOnlyWhenItMovesOn) {
  EXPECT_TRUE(r.note_urgent(SeqPos{10}));  // one past octet 9
  EXPECT_FALSE(r.note_urgent(SeqPos{10}));
  EXPECT_FALSE(r.note_urgent(SeqPos{5}));
  EXPECT_TRUE(r.note_urgent(SeqPos{11}));
  EXPECT_TRUE(r.urgent_ahead());
  EXPECT_FALSE(r.urgent_octet(false).has_value());  // not here yet
}

TEST_F(ReceiverTest, TheOctetIsTakenOutOfTheStreamInWhateverOrderTextComes) {
  r.note_urgent(SeqPos{8});  // octet 7, 'g'
  arrive(6, 5);
  EXPECT_EQ(r.urgent_octet(true), std::byte{'g'});
  EXPECT_EQ(r.readable(), 0u);
  arrive(1, 5);
  EXPECT_EQ(r.readable(), 6u);
  EXPECT_EQ(read(10'000, true), "abcdef");
  EXPECT_EQ(read(), "abcdef");
  EXPECT_EQ(read(), "hij");
  EXPECT_EQ(r.urgent_octet(false), std::byte{'g'});
  EXPECT_FALSE(r.urgent_octet(false).has_value());
}

TEST_F(ReceiverTest, AnOctetThatIsTheLastOneLeavesNothingToRead) {
  r.note_urgent(SeqPos{2});
  arrive(1, 1);
  EXPECT_EQ(r.readable(), 0u);
  EXPECT_EQ(read(), "");
  arrive(2, 2);
  EXPECT_EQ(read(), "bc");
}

TEST_F(ReceiverTest, ReadInlineItIsOrdinaryText) {
  r.set_urgent_inline(true);
  r.note_urgent(SeqPos{3});
  arrive(1, 5);
  EXPECT_EQ(r.readable(), 5u);
  EXPECT_FALSE(r.urgent_octet(false).has_value());
  EXPECT_EQ(read(), "abcde");
  EXPECT_FALSE(r.urgent_ahead());
}

}  // namespace
}  // namespace limpid
