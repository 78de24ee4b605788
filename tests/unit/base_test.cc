#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <vector>

#include "stack/base/checksum.h"
#include "stack/base/intrusive_list.h"
#include "stack/base/paged_array.h"
#include "stack/base/rng.h"
#include "stack/base/siphash.h"
#include "stack/base/slab.h"
#include "stack/base/timer_queue.h"

namespace limpid {
namespace {

// The first vectors of the reference implementation: key 00 01 … 0f, message 00 01 … of growing length.
TEST(SipHash, AgreesWithThePublishedVectors) {
  const SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::array<std::byte, 15> message{};
  for (size_t i = 0; i < message.size(); ++i) message[i] = static_cast<std::byte>(i);
  EXPECT_EQ(siphash(key, {message.data(), 0}), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash(key, {message.data(), 1}), 0x74f839c593dc67fdu);
  EXPECT_EQ(siphash(key, {message.data(), 8}), 0x93f5f5799a932462u);
  EXPECT_EQ(siphash(key, message), 0xa129ca6149be45e5u);
}

TEST(Rng, ASplitDoesNotDependOnWhatWasDrawnBefore) {
  Rng a(7);
  Rng b(7);
  b.next();
  EXPECT_EQ(a.split("isn").next(), b.split("isn").next());
  EXPECT_NE(a.split("isn").next(), a.split("ports").next());
}

// RFC 1071 §3's example: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
TEST(Checksum, AgreesWithTheExampleOfTheRfc) {
  const std::array<std::byte, 8> bytes{std::byte{0x00}, std::byte{0x01}, std::byte{0xf2}, std::byte{0x03},
                                       std::byte{0xf4}, std::byte{0xf5}, std::byte{0xf6}, std::byte{0xf7}};
  EXPECT_EQ(internet_checksum(bytes), static_cast<uint16_t>(~0xddf2));
}

// req: 1071-1-a
TEST(Checksum, PiecesOfAnyLengthGiveTheSumOfTheWhole) {
  Rng rng(1);
  std::array<std::byte, 257> bytes{};
  for (auto& b : bytes) b = static_cast<std::byte>(rng.next());
  const uint16_t whole = internet_checksum(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Checksum c;
    c.add(ByteSpan(bytes).first(cut));
    c.add(ByteSpan(bytes).subspan(cut));
    ASSERT_EQ(c.finish(), whole) << "cut at " << cut;
  }
}

TEST(Slab, AStaleHandleIsANullLookUp) {
  Slab<int> slab;
  const auto first = slab.emplace(1);
  slab.erase(first);
  const auto second = slab.emplace(2);
  EXPECT_EQ(second.index, first.index);
  EXPECT_EQ(slab.get(first), nullptr);
  EXPECT_EQ(*slab.get(second), 2);
}

TEST(TimerQueue, FiresInOrderOfDeadlineThenOfInsertion) {
  TimerQueue queue;
  TimerEntry a, b, c;
  queue.set(a, Time{2ms});
  queue.set(b, Time{1ms});
  queue.set(c, Time{2ms});
  EXPECT_EQ(queue.next_deadline(), Time{1ms});
  EXPECT_EQ(queue.pop_due(Time{3ms}), &b);
  EXPECT_EQ(queue.pop_due(Time{3ms}), &a);
  EXPECT_EQ(queue.pop_due(Time{3ms}), &c);
  EXPECT_EQ(queue.pop_due(Time{3ms}), nullptr);
}

TEST(TimerQueue, ADeadlinePushedBackFiresOnceAndLater) {
  TimerQueue queue;
  TimerEntry a;
  queue.set(a, Time{1ms});
  queue.set(a, Time{5ms});
  EXPECT_EQ(queue.pop_due(Time{2ms}), nullptr);
  EXPECT_EQ(queue.next_deadline(), Time{5ms});
  EXPECT_EQ(queue.pop_due(Time{5ms}), &a);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(TimerQueue, AnEntryThatIsHandedOverKeepsItsPlace) {
  TimerQueue queue;
  TimerEntry a, b, other;
  queue.set(a, Time{2ms});
  queue.set(b, Time{2ms});
  queue.hand_over(a, other);
  EXPECT_EQ(a.deadline, kNever);
  EXPECT_EQ(queue.pop_due(Time{2ms}), &other);
  EXPECT_EQ(queue.pop_due(Time{2ms}), &b);
  queue.hand_over(other, a);  // nothing is in the queue
  EXPECT_EQ(a.deadline, kNever);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(PagedArray, WhatStandsInItDoesNotMoveAsItGrowsAndShrinks) {
  PagedArray<int, 4> array;
  std::vector<int*> at;
  for (int i = 0; i < 100; ++i) {
    at.push_back(&array.push_back());
    *at.back() = i;
  }
  while (array.size() > 0) {
    const size_t last = array.size() - 1;
    EXPECT_EQ(&array[last], at[last]);
    EXPECT_EQ(array[last], static_cast<int>(last));
    array.pop_back();
  }
  array.extend(7);
  EXPECT_EQ(array.size(), 7u);
}

TEST(TimerQueue, AgreesWithASortedListOverManyRandomOperations) {
  Rng rng(42);
  for (int round = 0; round < 200; ++round) {
    TimerQueue queue;
    std::array<TimerEntry, 32> entries;
    Time now{};
    for (int step = 0; step < 300; ++step) {
      TimerEntry& e = entries[rng.below(entries.size())];
      switch (rng.below(4)) {
        case 0:
          queue.remove(e);
          break;
        case 1:
          now += Duration(rng.below(10));
          break;
        default:
          queue.set(e, now + Duration(rng.below(50)));
      }
      while (TimerEntry* due = queue.pop_due(now)) ASSERT_EQ(due->deadline, kNever);  // disarmed as it fires
      for (const TimerEntry& other : entries) {
        if (other.deadline == kNever) continue;
        ASSERT_GT(other.deadline, now);
        ASSERT_LE(queue.next_deadline(), other.deadline);
      }
    }
  }
}

struct Item : ListHook<> {
  int value = 0;
};

TEST(IntrusiveList, LeavingAndJoiningKeepTheOrder) {
  IntrusiveList<Item> list;
  Item a, b, c;
  a.value = 1, b.value = 2, c.value = 3;
  list.push_back(a);
  list.push_back(b);
  list.push_back(c);
  b.unlink();
  EXPECT_EQ(list.pop_front().value, 1);
  EXPECT_EQ(list.next(c), nullptr);
  EXPECT_EQ(list.pop_front().value, 3);
  EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace limpid
