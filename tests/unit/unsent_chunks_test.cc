// The chunks of what was written and not yet sent: where PSH is due, and how far a burst may reach.
#include "stack/tcp/unsent_chunks.h"

#include <gtest/gtest.h>

namespace limpid {
namespace {

constexpr uint32_t kGoal = 1000;

SeqPos at(int64_t n) { return SeqPos{n}; }

TEST(UnsentChunks, FillAcrossSendsAndEndAtTheGoal) {
  UnsentChunks c;
  c.write(at(1), at(1), kGoal, true);
  EXPECT_EQ(c.filled(at(1), at(601)), 600u);
  c.write(at(1), at(601), kGoal, true);  // goes into the same one
  EXPECT_TRUE(c.filling_first());
  EXPECT_EQ(c.first_end(at(1001)), at(1001));
  c.write(at(1), at(1001), kGoal, true);  // that is full now
  EXPECT_FALSE(c.filling_first());
  EXPECT_EQ(c.first_end(at(1501)), at(1001));
  c.sent(at(1001));
  EXPECT_EQ(c.first_end(at(1501)), at(1501));
}

// What was sent makes room in the chunk that is being filled.
TEST(UnsentChunks, GrowByWhatIsSentMeanwhile) {
  UnsentChunks c;
  c.write(at(1), at(1), kGoal, true);
  EXPECT_EQ(c.filled(at(401), at(1001)), 600u);
  c.write(at(401), at(1001), kGoal, false);
  EXPECT_TRUE(c.filling_first());
  EXPECT_EQ(c.first_end(at(1401)), at(1401));
}

TEST(UnsentChunks, PushIsDueWhereASendEndedUnlessTheNextSharesItsChunk) {
  UnsentChunks c;
  c.write(at(1), at(1), kGoal, true);
  c.push(at(501));
  EXPECT_TRUE(c.pushes(at(501), at(501)));
  c.write(at(1), at(501), kGoal, true);
  EXPECT_FALSE(c.pushes(at(501), at(1001)));
  c.push(at(1001));
  c.write(at(1), at(1001), kGoal, true);  // another chunk: the mark behind the first one stays
  EXPECT_TRUE(c.pushes(at(1001), at(1301)));
  c.sent(at(1001));
  EXPECT_FALSE(c.pushes(at(1301), at(1301)));
  c.push(at(1301));
  EXPECT_TRUE(c.pushes(at(1301), at(1301)));
}

TEST(UnsentChunks, PushIsOverdueAfterHalfAWindow) {
  UnsentChunks c;
  EXPECT_FALSE(c.push_overdue(at(1001), 2000));
  EXPECT_TRUE(c.push_overdue(at(1002), 2000));
  c.push(at(1002));
  EXPECT_FALSE(c.push_overdue(at(2002), 2000));
  EXPECT_TRUE(c.push_overdue(at(2003), 2000));
}

}  // namespace
}  // namespace limpid
