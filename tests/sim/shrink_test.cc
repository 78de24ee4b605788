// A scenario that fails for one reason is cut down to that reason, and its cuts bring it back.
#include "tests/sim/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace limpid::sim {
namespace {

size_t present(const Scenario& scenario) {
  return static_cast<size_t>(
      std::ranges::count_if(scenario.conversations, [](const ConversationPlan& talk) { return !talk.absent; }));
}

// As a bug would have it that shows when a conversation toggles the cork and the path loses something.
bool fails(const Scenario& scenario) {
  const bool corks = std::ranges::any_of(scenario.conversations, [](const ConversationPlan& talk) {
    const auto cork = [](const CallPlan& call) { return call.kind == CallKind::cork; };
    return !talk.absent && std::ranges::any_of(talk.client.calls, cork);
  });
  const bool loses =
      std::ranges::any_of(scenario.links, [](const LinkPlan& link) { return link.config.direction[0].loss_ppm > 0; });
  return corks && loses;
}

TEST(Shrink, LeavesOnlyWhatTheFailureNeeds) {
  unsigned tried = 0;
  for (uint64_t seed = 1; seed < 300; ++seed) {
    const Scenario scenario = draw_scenario(seed);
    if (!fails(scenario)) continue;
    ++tried;
    const Shrunk small = shrink(scenario, fails, 5000);
    EXPECT_TRUE(fails(small.scenario)) << seed;
    EXPECT_EQ(present(small.scenario), 1U) << seed;
    for (const ConversationPlan& talk : small.scenario.conversations) {
      if (talk.absent) continue;
      EXPECT_EQ(talk.client.calls.size(), 1U) << seed;
      EXPECT_EQ(talk.server.calls.size(), 0U) << seed;
      EXPECT_EQ(talk.client.bytes + talk.server.bytes, 0U) << seed;
    }
    for (const LinkPlan& link : small.scenario.links) {
      EXPECT_EQ(link.config.direction[1].loss_ppm, 0U) << seed;
      EXPECT_FALSE(link.middleboxes[0].meddles()) << seed;
    }
    Scenario again = draw_scenario(seed);
    for (const std::string& cut : small.cuts) EXPECT_TRUE(make_cut(again, cut)) << cut;
    EXPECT_EQ(describe(again), describe(small.scenario)) << seed;
  }
  EXPECT_GT(tried, 10U);
}

TEST(Shrink, ANameThatMeansNothingCutsNothing) {
  Scenario scenario = draw_scenario(1);
  const std::string before = describe(scenario);
  for (const char* name :
       {"", "talk", "talk99999", "link0", "link0.0", "link99.0.loss", "host0.", "rubbish3.x", "talk0.client"})
    EXPECT_FALSE(make_cut(scenario, name)) << name;
  EXPECT_EQ(describe(scenario), before);
}

}  // namespace
}  // namespace limpid::sim
