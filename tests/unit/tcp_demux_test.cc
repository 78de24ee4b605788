// Linear hashing against std::map: the same answers over random joins, leaves and look-ups.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "stack/base/rng.h"
#include "stack/tcp/demux.h"

namespace limpid {
namespace {

using Key = std::tuple<uint32_t, uint16_t, uint32_t, uint16_t>;

FourTuple tuple_of(const Key& k) {
  return {{IpAddress::v4(std::get<0>(k)), std::get<1>(k)}, {IpAddress::v4(std::get<2>(k)), std::get<3>(k)}};
}

class DemuxAgainstMap : public testing::Test {
 protected:
  Key random_key() {  // from so few that many are met again
    const auto peer = static_cast<uint32_t>(0x0a000000 + rng.below(64));
    const auto port = static_cast<uint16_t>(1024 + rng.below(4096));
    return {0x0a4d0001, 80, peer, port};
  }
  void join(const Key& k) {
    if (model.contains(k)) return;
    auto entry = std::make_unique<DemuxEntry>();
    entry->tuple = tuple_of(k);
    entry->owner = {next_index++, DemuxKind::connection};
    demux.insert(*entry);
    model.emplace(k, std::move(entry));
  }
  void leave(const Key& k) {
    const auto at = model.find(k);
    if (at == model.end()) return;
    demux.remove(*at->second);
    EXPECT_FALSE(at->second->linked());
    model.erase(at);
  }
  DemuxOwner wanted(const Key& k) const {
    const auto at = model.find(k);
    return at == model.end() ? DemuxOwner{} : at->second->owner;
  }

  Rng rng{42};
  Demux demux{rng.split("demux").key()};
  uint32_t next_index = 0;
  std::map<Key, std::unique_ptr<DemuxEntry>> model;
};

TEST_F(DemuxAgainstMap, AHundredThousandEntriesJoinAndAreFoundAndLeave) {
  while (model.size() < 100'000) join(random_key());
  EXPECT_EQ(demux.size(), 100'000u);
  for (const auto& [key, entry] : model) ASSERT_EQ(demux.find(tuple_of(key)), entry->owner);
  for (const auto& [key, entry] : model) ASSERT_EQ(demux.tuple_of(entry->node), tuple_of(key));
  while (!model.empty()) leave(model.begin()->first);
  EXPECT_EQ(demux.size(), 0u);
}

TEST_F(DemuxAgainstMap, RandomOperationsGiveTheSameAnswers) {
  for (int i = 0; i < 300'000; ++i) {
    const Key k = random_key();
    switch (rng.below(4)) {
      case 0:
      case 1:
        join(k);
        break;
      case 2:
        leave(k);
        break;
      default:
        ASSERT_EQ(demux.find(tuple_of(k)), wanted(k)) << "operation " << i;
    }
    ASSERT_EQ(demux.size(), model.size());
  }
}

TEST_F(DemuxAgainstMap, EveryPartOfTheTupleCounts) {
  const Key base{0x0a4d0001, 80, 0x0a4d0002, 4000};
  const std::vector<Key> others = {{0x0a4d0003, 80, 0x0a4d0002, 4000},
                                   {0x0a4d0001, 81, 0x0a4d0002, 4000},
                                   {0x0a4d0001, 80, 0x0a4d0004, 4000},
                                   {0x0a4d0001, 80, 0x0a4d0002, 4001}};
  join(base);
  for (const Key& k : others) EXPECT_FALSE(demux.find(tuple_of(k)));
  for (const Key& k : others) join(k);
  for (const Key& k : others) EXPECT_EQ(demux.find(tuple_of(k)), wanted(k));
  leave(base);
  EXPECT_FALSE(demux.find(tuple_of(base)));
  for (const Key& k : others) EXPECT_EQ(demux.find(tuple_of(k)), wanted(k));
}

TEST_F(DemuxAgainstMap, AddressesThatAreNotOfIPv4AreKeptToo) {
  const auto address = [](uint8_t last) {
    return IpAddress::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, last});
  };
  std::array<DemuxEntry, 8> entries;
  for (uint8_t round = 0; round < 2; ++round) {
    for (uint8_t i = 0; i < entries.size(); ++i) {
      entries[i].tuple = {{address(1), 80}, {address(static_cast<uint8_t>(2 + i + round)), 4000}};
      entries[i].owner = {i, DemuxKind::time_wait};
      demux.insert(entries[i]);
    }
    for (const DemuxEntry& e : entries) {
      EXPECT_EQ(demux.find(e.tuple), e.owner);
      EXPECT_EQ(demux.tuple_of(e.node), e.tuple);
    }
    for (DemuxEntry& e : entries) demux.remove(e);
    EXPECT_FALSE(demux.find(entries[0].tuple));
  }
}

TEST_F(DemuxAgainstMap, RemovingTwiceIsHarmless) {
  DemuxEntry entry;
  entry.tuple = tuple_of({1, 2, 3, 4});
  entry.owner.kind = DemuxKind::connection;
  demux.insert(entry);
  demux.remove(entry);
  demux.remove(entry);
  EXPECT_EQ(demux.size(), 0u);
}

// The key is secret: the same tuples fall elsewhere in another stack, so nobody can aim at a bucket.
TEST(TupleHash, DependsOnItsKeyAndOnNothingElse) {
  Rng rng(7);
  const TupleHash one(rng.split("one").key());
  const TupleHash same(rng.split("one").key());
  const TupleHash other(rng.split("other").key());
  int equal_low_bits = 0;
  for (uint16_t port = 1; port <= 4096; ++port) {
    const FourTuple t = tuple_of({0x0a4d0001, 80, 0x0a4d0002, port});
    EXPECT_EQ(one.hash(t), same.hash(t));
    if ((one.hash(t) & 0xff) == (other.hash(t) & 0xff)) ++equal_low_bits;
  }
  EXPECT_LT(equal_low_bits, 64);  // 16 are to be expected by chance
}

}  // namespace
}  // namespace limpid
