// The table of a connection's deadlines: the next one is the earliest of those that run, whatever was set in between.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "stack/base/rng.h"
#include "stack/tcp/timers.h"

namespace limpid {
namespace {

TEST(TimerTable, TheNextDeadlineIsTheEarliestOfAll) {
  Rng rng(7);
  TimerTable table;
  std::array<Time, kTcpTimerCount> model;
  model.fill(kNever);
  EXPECT_EQ(table.next_deadline(), kNever);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t which = rng.below(kTcpTimerCount);
    const uint64_t when = rng.below(8);  // so few that two often meet
    const Time at = when == 0 ? kNever : Time{} + Duration(when);
    if (rng.below(100) == 0) {
      table.cancel_all();
      model.fill(kNever);
    } else {
      table.set(static_cast<TcpTimer>(which), at);
      model[which] = at;
    }
    if (rng.below(2) == 0) continue;  // it is not always asked
    ASSERT_EQ(table.next_deadline(), std::ranges::min(model));
    ASSERT_EQ(table.at(table.next()), std::ranges::min(model));
  }
}

}  // namespace
}  // namespace limpid
