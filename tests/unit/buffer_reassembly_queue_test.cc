#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stack/base/rng.h"
#include "stack/buffer/reassembly_queue.h"

namespace limpid {
namespace {

constexpr size_t kSmallFrame = FramePool::kHeadroom + FramePool::kSmall;
constexpr size_t kPieceCost = ReassemblyQueue::kPieceCost;

char letter(uint64_t position) { return static_cast<char>('a' + position % 26); }

std::string letters(uint64_t from, size_t n) {
  std::string s;
  for (size_t i = 0; i < n; ++i) s += letter(from + i);
  return s;
}

class Reassembly : public ::testing::Test {
 protected:
  // A segment's text as it comes from the wire: a slice of a received frame, behind its headers.
  Slice segment(const std::string& text, bool large_frame = false) {
    FrameRef frame = pool.make(large_frame ? FramePool::kLarge : FramePool::kSmall);
    EXPECT_TRUE(frame);
    frame->length = static_cast<uint32_t>(40 + text.size());
    std::memcpy(frame->data() + 40, text.data(), text.size());
    Slice slice = Slice::whole(std::move(frame));
    slice.drop_front(40);
    return slice;
  }
  ReassemblyQueue::Inserted arrive(uint64_t position, size_t n, bool large_frame = false) {
    return q.insert(position, segment(letters(position, n), large_frame));
  }
  std::string read(size_t n = 1 << 20) {
    std::string s(n, '\0');
    s.resize(q.read(std::as_writable_bytes(std::span(s))));
    return s;
  }

  FramePool pool{uint64_t{64} << 20};
  ReassemblyQueue q;
};

TEST_F(Reassembly, InOrderTextIsReadableAtOnce) {
  EXPECT_EQ(arrive(0, 5).advanced, 5u);
  EXPECT_EQ(arrive(5, 5).advanced, 5u);
  EXPECT_EQ(q.readable(), 10u);
  EXPECT_EQ(read(7), "abcdefg");
  EXPECT_EQ(read(), "hij");
  EXPECT_EQ(q.charge(), 0u);
  EXPECT_EQ(pool.frames_out(), 0u);
}

std::string text_of(const std::vector<ReassemblyQueue::Piece>& pieces) {
  std::string s;
  for (const auto& piece : pieces)
    s.append(reinterpret_cast<const char*>(piece.text.bytes().data()), piece.text.bytes().size());
  return s;
}

TEST_F(Reassembly, LentTextStaysWhereItIsAndIsChargedUntilItIsGivenBack) {
  arrive(0, 1000);
  arrive(1000, 1000);
  const size_t charged = q.charge();
  std::vector<ReassemblyQueue::Piece> lent;
  EXPECT_EQ(q.lend(5000, 16, lent), 2000u);
  EXPECT_EQ(text_of(lent), letters(0, 2000));
  EXPECT_EQ(q.readable(), 0u);
  EXPECT_EQ(q.read_position(), 2000u);
  EXPECT_EQ(q.charge(), charged);
  for (auto& piece : lent) q.give_back(piece);
  EXPECT_EQ(q.charge(), 0u);
  EXPECT_EQ(pool.frames_out(), 0u);
}

// A frame of copies is charged once, whoever lets go of it last: the queue or a borrower.
TEST_F(Reassembly, LentCopiesShareTheirFrameWithWhatComesLater) {
  arrive(0, 1000);
  arrive(1000, 10);  // tiny: copied
  std::vector<ReassemblyQueue::Piece> first, second;
  EXPECT_EQ(q.lend(1005, 16, first), 1005u);
  arrive(1010, 10);
  EXPECT_EQ(q.lend(7, 16, second), 7u);
  EXPECT_EQ(text_of(first) + text_of(second), letters(0, 1012));
  EXPECT_EQ(read(), letters(1012, 8));
  for (auto& piece : first) q.give_back(piece);
  EXPECT_GT(q.charge(), kSmallFrame);
  EXPECT_EQ(text_of(second), letters(1005, 7));
  for (auto& piece : second) q.give_back(piece);
  EXPECT_EQ(q.charge(), 0u);
  EXPECT_EQ(pool.frames_out(), 0u);
}

TEST_F(Reassembly, LendsNoMorePiecesThanAskedFor) {
  for (uint64_t i = 0; i < 5; ++i) arrive(i * 1000, 1000);
  std::vector<ReassemblyQueue::Piece> lent;
  EXPECT_EQ(q.lend(5000, 2, lent), 2000u);
  EXPECT_EQ(read(10), letters(2000, 10));
  for (auto& piece : lent) q.give_back(piece);
}

TEST_F(Reassembly, TextBeyondAGapWaitsForIt) {
  const auto held = arrive(10, 5);
  EXPECT_EQ(held.held, 5u);
  EXPECT_EQ(held.advanced, 0u);
  EXPECT_EQ(q.readable(), 0u);
  EXPECT_EQ(q.out_of_order_bytes(), 5u);
  EXPECT_EQ(q.range_after(0)->begin, 10u);
  EXPECT_EQ(q.range_after(0)->end, 15u);

  const auto filling = arrive(0, 10);
  EXPECT_EQ(filling.advanced, 15u);
  EXPECT_TRUE(filling.filled_gap);
  EXPECT_EQ(q.out_of_order_bytes(), 0u);
  EXPECT_FALSE(q.range_after(0).has_value());
  EXPECT_EQ(read(), letters(0, 15));
}

TEST_F(Reassembly, TheFirstCopyOfAByteWins) {
  q.insert(2, segment("22"));
  const auto done = q.insert(0, segment("111111"));
  EXPECT_EQ(done.advanced, 6u);
  EXPECT_EQ(done.duplicate, 2u);
  EXPECT_EQ(read(), "112211");
  EXPECT_EQ(q.insert(0, segment("333333")).duplicate, 6u);
  EXPECT_EQ(pool.frames_out(), 0u);
}

TEST_F(Reassembly, RangesAreContiguousHoweverTheyCame) {
  arrive(10, 10);
  arrive(40, 10);
  arrive(30, 10);
  arrive(20, 10);
  arrive(60, 5);
  EXPECT_EQ(q.range_after(0)->begin, 10u);
  EXPECT_EQ(q.range_after(0)->end, 50u);
  EXPECT_EQ(q.range_after(49)->begin, 10u) << "one that reaches beyond the position";
  EXPECT_EQ(q.range_after(50)->begin, 60u);
  EXPECT_FALSE(q.range_after(65).has_value());
}

TEST_F(Reassembly, PeekLeavesTheBytesAndDiscardSkipsThem) {
  arrive(0, 10);
  std::string s(4, '\0');
  EXPECT_EQ(q.peek(std::as_writable_bytes(std::span(s))), 4u);
  EXPECT_EQ(s, "abcd");
  EXPECT_EQ(q.discard(3), 3u);
  EXPECT_EQ(read(), "defghij");
  EXPECT_EQ(q.discard(1), 0u);
  EXPECT_EQ(q.read_position(), 10u);
}

TEST_F(Reassembly, FullSegmentsStayInTheirFrames) {
  Slice text = segment(letters(0, 1460));
  const Frame* frame = text.frame.get();
  q.insert(0, std::move(text));
  EXPECT_EQ(frame->references, 1u);
  EXPECT_EQ(q.charge(), kSmallFrame + kPieceCost);
}

TEST_F(Reassembly, ALoneSmallSegmentIsNotCopied) {
  Slice text = segment("ping");
  const Frame* frame = text.frame.get();
  q.insert(0, std::move(text));
  EXPECT_EQ(frame->references, 1u) << "a copy would need just such a frame";
  EXPECT_EQ(pool.frames_out(), 1u);
}

TEST_F(Reassembly, ASegmentInAFarLargerFrameIsCopiedOut) {
  arrive(0, 1460, true);
  EXPECT_EQ(pool.frames_out(), 1u);
  EXPECT_EQ(q.charge(), kSmallFrame + kPieceCost);
  arrive(1460, 5000, true);
  EXPECT_EQ(pool.frames_out(), 4u) << "6460 bytes in four small frames";
  EXPECT_EQ(q.charge(), 4 * (kSmallFrame + kPieceCost));
  arrive(6460, 20'000, true);
  EXPECT_EQ(q.charge(), 4 * (kSmallFrame + kPieceCost) + FramePool::kHeadroom + FramePool::kLarge + kPieceCost)
      << "what fills a good part of its frame stays there";
  EXPECT_EQ(read(), letters(0, 26'460));
  EXPECT_EQ(q.charge(), 0u);
  EXPECT_EQ(pool.frames_out(), 0u);
}

TEST_F(Reassembly, TinySegmentsInOrderShareAFrame) {
  for (uint64_t i = 0; i < 10'000; ++i) arrive(i, 1);
  EXPECT_LE(pool.frames_out(), 6u);
  EXPECT_LE(q.charge(), 6 * (kSmallFrame + kPieceCost));
  EXPECT_EQ(read(), letters(0, 10'000));
  EXPECT_EQ(pool.frames_out(), 0u);
}

TEST_F(Reassembly, TinySegmentsBeyondGapsShareFramesToo) {
  for (uint64_t i = 0; i < 10'000; ++i) arrive(1 + 2 * i, 1);
  EXPECT_EQ(q.out_of_order_ranges(), 10'000u);
  EXPECT_LE(pool.frames_out(), 6u);
  EXPECT_LE(q.charge(), 10'000 * kPieceCost + 6 * kSmallFrame);

  EXPECT_EQ(arrive(0, 20'000, true).advanced, 20'000u);
  EXPECT_EQ(read(), letters(0, 20'000));
  EXPECT_EQ(q.charge(), 0u);
  EXPECT_EQ(pool.frames_out(), 0u);
}

// SegmentSmack: one-byte segments in the worst order, and repetitions of large ones over them, each followed by the
// question that SACK asks. Were any of these linear in what is held, this would take minutes.
TEST_F(Reassembly, HostileOrdersDoNotCostQuadraticTime) {
  constexpr uint64_t kBytes = 200'000;
  for (uint64_t i = kBytes; i > 0; --i) {
    q.insert(i, segment("x"));
    ASSERT_EQ(q.range_after(0)->begin, i);
  }
  EXPECT_EQ(q.range_after(0)->end, kBytes + 1);
  const Slice over = segment(std::string(60'000, 'y'), true);
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(q.insert(1, over).duplicate, 60'000u);
  q.insert(0, segment("x"));
  EXPECT_EQ(q.readable(), kBytes + 1);
}

TEST_F(Reassembly, AnExhaustedPoolKeepsTheOriginal) {
  FramePool tight(2 * (sizeof(Frame) + FramePool::kHeadroom + FramePool::kLarge));
  const auto large = [&](const std::string& text) {
    FrameRef frame = tight.make(FramePool::kLarge);
    std::memcpy(frame->data(), text.data(), text.size());
    frame->length = static_cast<uint32_t>(text.size());
    return Slice::whole(std::move(frame));
  };
  Slice one = large("one, ");
  Slice two = large("two");
  q.insert(0, std::move(one));
  q.insert(5, std::move(two));
  EXPECT_EQ(tight.frames_out(), 2u);
  EXPECT_EQ(q.charge(), 2 * (FramePool::kHeadroom + FramePool::kLarge + kPieceCost));
  EXPECT_EQ(read(), "one, two");
  EXPECT_EQ(q.charge(), 0u);
  EXPECT_EQ(tight.frames_out(), 0u);
}

TEST_F(Reassembly, UnderPressureWhatIsBeyondAGapGoesFirst) {
  arrive(0, 10);
  arrive(20, 10);
  q.drop_out_of_order();
  EXPECT_EQ(q.out_of_order_bytes(), 0u);
  EXPECT_FALSE(q.range_after(0).has_value());
  EXPECT_EQ(arrive(10, 20).duplicate, 0u) << "the peer sends them again";
  EXPECT_EQ(read(), letters(0, 30));

  arrive(30, 10);
  arrive(50, 10);
  q.clear();
  EXPECT_EQ(q.readable(), 0u);
  EXPECT_EQ(q.charge(), 0u);
  EXPECT_EQ(pool.frames_out(), 0u);
}

// The model: which bytes have come, and the first value of each.
struct Model {
  std::string stream = std::string(40'000, '\0');
  std::vector<bool> there = std::vector<bool>(40'000, false);
  size_t next = 0;
  size_t read = 0;

  size_t insert(size_t position, const std::string& text) {
    size_t duplicate = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      if (there[position + i] || position + i < next) {
        ++duplicate;
      } else {
        there[position + i] = true;
        stream[position + i] = text[i];
      }
    }
    while (next < there.size() && there[next]) ++next;
    return duplicate;
  }
  void drop_out_of_order() {
    for (size_t i = next; i < there.size(); ++i) there[i] = false;
  }
  size_t held() const {
    size_t n = 0;
    for (size_t i = next; i < there.size(); ++i) n += there[i] ? 1 : 0;
    return n;
  }
};

TEST_F(Reassembly, AgreesWithAModelOverRandomOperations) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    q = ReassemblyQueue{};
    Model model;
    for (int step = 0; step < 400; ++step) {
      const uint64_t what = rng.below(20);
      if (what < 15) {
        const size_t position =
            model.next + rng.below(3) * rng.below(3000) - std::min<size_t>(model.next, rng.below(200));
        if (position >= 37'000) break;
        std::string text(1 + (rng.below(3) == 0 ? rng.below(3000) : rng.below(50)), '\0');
        for (char& c : text) c = static_cast<char>('a' + rng.below(26));
        const bool large = text.size() > 1900 || rng.below(4) == 0;
        const size_t before = model.next;
        const size_t duplicate = model.insert(position, text);
        const auto done = q.insert(position, segment(text, large));
        ASSERT_EQ(done.duplicate, duplicate);
        ASSERT_EQ(done.advanced, model.next - before);
      } else if (what < 19) {
        const size_t n = rng.below(4000);
        const size_t expected = std::min(n, model.next - model.read);
        ASSERT_EQ(read(n), model.stream.substr(model.read, expected));
        model.read += expected;
      } else if (rng.below(4) == 0) {
        q.drop_out_of_order();
        model.drop_out_of_order();
      }
      ASSERT_EQ(q.next(), model.next);
      ASSERT_EQ(q.read_position(), model.read);
      ASSERT_EQ(q.out_of_order_bytes(), model.held());
      if (q.charge() == 0) {
        ASSERT_EQ(pool.frames_out(), 0u);
      }
      ASSERT_LE(pool.frames_out() * kSmallFrame, q.charge()) << "every frame that is out is charged for";
    }
    ASSERT_EQ(read(), model.stream.substr(model.read, model.next - model.read));
    q.drop_out_of_order();
    ASSERT_EQ(q.charge(), 0u);
    ASSERT_EQ(pool.frames_out(), 0u);
  }
}

}  // namespace
}  // namespace limpid
