#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "stack/base/rng.h"
#include "stack/buffer/byte_queue.h"

namespace limpid {
namespace {

ByteSpan as_bytes(const std::string& s) { return std::as_bytes(std::span(s.data(), s.size())); }

std::string gathered(const ByteQueue& q, uint64_t from, size_t length) {
  std::vector<ByteSpan> pieces(64);
  const auto done = q.gather(from, length, pieces);
  EXPECT_EQ(done.covered, length);
  std::string text;
  for (size_t i = 0; i < done.pieces; ++i)
    text.append(reinterpret_cast<const char*>(pieces[i].data()), pieces[i].size());
  return text;
}

TEST(ByteQueue, GivesBackARangeWhereItLies) {
  ChunkPool pool;
  ByteQueue q;
  q.append(as_bytes("hello, "), pool);
  q.append(as_bytes("world"), pool);
  EXPECT_EQ(gathered(q, 0, 12), "hello, world");
  EXPECT_EQ(gathered(q, 5, 4), ", wo");
  EXPECT_EQ(gathered(q, 12, 0), "");

  q.consume_to(7);
  EXPECT_EQ(q.begin(), 7u);
  EXPECT_EQ(q.size(), 5u);
  EXPECT_EQ(gathered(q, 7, 5), "world");
}

TEST(ByteQueue, OwnsNoMemoryWhenItIsEmpty) {
  ChunkPool pool;
  ByteQueue q;
  EXPECT_EQ(q.memory(), 0u);
  q.append(as_bytes("GET /"), pool);
  EXPECT_GT(q.memory(), 0u);
  EXPECT_LE(q.memory(), 1024u) << "a small request takes a small chunk";
  q.consume_to(q.end());
  EXPECT_EQ(q.memory(), 0u);
  EXPECT_TRUE(q.empty());

  q.append(as_bytes(std::string(100'000, 'x')), pool);
  q.clear();
  EXPECT_EQ(q.memory(), 0u);
  EXPECT_EQ(q.begin(), 100'005u) << "positions go on";
}

TEST(ByteQueue, WhatWasAcknowledgedLastIsUsedFirstAgain) {
  ChunkPool pool;
  ByteQueue q;
  const std::string chunk(ChunkPool::kChunk, 'x');
  q.append(as_bytes(chunk), pool);
  q.append(as_bytes(chunk), pool);
  ByteSpan piece;
  q.gather(ChunkPool::kChunk, 1, {&piece, 1});
  const std::byte* second = piece.data();
  q.consume_to(q.end());
  EXPECT_EQ(pool.kept(), 2u);

  q.append(as_bytes(chunk), pool);
  q.gather(q.begin(), 1, {&piece, 1});
  EXPECT_EQ(piece.data(), second);
  EXPECT_EQ(pool.kept(), 1u);

  const std::string much((ChunkPool::kMostKept + 10) * ChunkPool::kChunk, 'x');
  q.append(as_bytes(much), pool);
  q.clear();
  EXPECT_EQ(pool.kept(), ChunkPool::kMostKept) << "the rest went back to the system";
}

TEST(ByteQueue, SmallWritesShareAChunk) {
  ChunkPool pool;
  ByteQueue q;
  for (int i = 0; i < 10'000; ++i) q.append(as_bytes("x"), pool);
  EXPECT_LT(q.memory(), 40'000u);
}

TEST(ByteQueue, TooFewPiecesCutTheRange) {
  ChunkPool pool;
  ByteQueue q;
  q.append(as_bytes(std::string(100'000, 'x')), pool);
  ByteSpan one[1];
  const auto done = q.gather(10, 99'000, one);
  EXPECT_EQ(done.pieces, 1u);
  EXPECT_LT(done.covered, 99'000u);
  EXPECT_EQ(done.covered, one[0].size());
}

TEST(ByteQueue, AChunkStaysWhereItIsUntilItIsAcknowledged) {
  ChunkPool pool;
  ByteQueue q;
  q.append(as_bytes("first"), pool);
  ByteSpan piece[1];
  q.gather(0, 5, piece);
  const std::byte* place = piece[0].data();
  q.append(as_bytes(std::string(200'000, 'y')), pool);
  q.consume_to(1);
  q.gather(1, 4, piece);
  EXPECT_EQ(piece[0].data(), place + 1);
}

TEST(ByteQueue, TakesAChunkThatTheUserWrote) {
  ChunkPool pool;
  ByteQueue q;
  q.append(as_bytes("abc"), pool);
  ChunkPool::Memory chunk = pool.take();
  std::byte* const place = chunk.get();
  std::memset(place, 'x', ChunkPool::kChunk);
  q.adopt(std::move(chunk), 20'000, pool);
  q.append(as_bytes("def"), pool);
  EXPECT_EQ(q.size(), 20'006u);
  EXPECT_EQ(gathered(q, 0, 20'006), "abc" + std::string(20'000, 'x') + "def");
  ByteSpan piece[1];
  q.gather(3, 20'003, piece);
  EXPECT_EQ(piece[0].data(), place);
  EXPECT_EQ(piece[0].size(), 20'003u);  // what comes next uses what is left of it
  q.consume_to(20'006);
  EXPECT_EQ(q.memory(), 0u);
}

TEST(ByteQueue, CopiesAFewBytesOutOfAChunkThatTheUserWrote) {
  ChunkPool pool;
  ByteQueue q;
  for (int i = 0; i < 10; ++i) {
    ChunkPool::Memory chunk = pool.take();
    std::memset(chunk.get(), 'a' + i, 100);
    q.adopt(std::move(chunk), 100, pool);
  }
  EXPECT_EQ(pool.kept(), 1u);
  EXPECT_EQ(q.size(), 1000u);
  EXPECT_LT(q.memory(), ChunkPool::kChunk);
  EXPECT_EQ(gathered(q, 95, 10), "aaaaabbbbb");
}

// A string that knows where it begins in the stream is all that the queue pretends to be.
TEST(ByteQueue, AgreesWithAStringOverRandomOperations) {
  Rng rng(11);
  for (int round = 0; round < 20; ++round) {
    ChunkPool pool;
    ByteQueue q;
    std::string model;
    uint64_t begin = 0;
    for (int step = 0; step < 2'000; ++step) {
      const uint64_t what = rng.below(10);
      if (what < 4) {
        std::string more(rng.chance(100'000) ? rng.below(90'000) : rng.below(300), '\0');
        for (char& c : more)
          c = static_cast<char>('a' + (begin + model.size() + static_cast<size_t>(&c - more.data())) % 23);
        q.append(as_bytes(more), pool);
        model += more;
      } else if (what < 8) {
        const size_t n = rng.below(3) == 0 ? model.size() : rng.below(model.size() + 1);
        q.consume_to(begin + n);
        model.erase(0, n);
        begin += n;
      } else {
        const size_t offset = rng.below(model.size() + 1);
        const size_t length = rng.below(model.size() - offset + 1);
        ASSERT_EQ(gathered(q, begin + offset, length), model.substr(offset, length));
      }
      ASSERT_EQ(q.begin(), begin);
      ASSERT_EQ(q.end(), begin + model.size());
      ASSERT_GE(q.memory(), model.size());
      ASSERT_LE(q.memory(), model.empty() ? 0 : model.size() + 2 * 32 * 1024);
    }
  }
}

}  // namespace
}  // namespace limpid
