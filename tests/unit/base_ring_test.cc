#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "stack/base/ring.h"
#include "stack/base/rng.h"

namespace limpid {
namespace {

TEST(Ring, AgreesWithADequeOverRandomOperations) {
  Rng rng(3);
  Ring<uint64_t> ring;
  std::deque<uint64_t> model;
  for (int step = 0; step < 100'000; ++step) {
    const bool growing = (step / 1000) % 2 == 0;
    if (model.empty() || rng.below(10) < (growing ? 7u : 3u)) {
      const uint64_t value = rng.next();
      ring.push_back(value);
      model.push_back(value);
    } else {
      ring.pop_front();
      model.pop_front();
    }
    ASSERT_EQ(ring.size(), model.size());
    if (model.empty()) continue;
    const size_t i = rng.below(model.size());
    ASSERT_EQ(ring[i], model[i]);
    ASSERT_EQ(ring.front(), model.front());
    ASSERT_EQ(ring.back(), model.back());
  }
}

TEST(Ring, WhatIsPoppedIsDestroyedAtOnce) {
  Ring<std::shared_ptr<int>> ring;
  const auto value = std::make_shared<int>(1);
  ring.push_back(value);
  ring.push_back(value);
  EXPECT_EQ(value.use_count(), 3);
  ring.pop_front();
  EXPECT_EQ(value.use_count(), 2);
  ring.clear();
  EXPECT_EQ(value.use_count(), 1);
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace limpid
