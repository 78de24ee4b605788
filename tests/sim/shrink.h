// Makes a failing scenario small: takes away one thing after the other, and keeps what still fails (delta debugging).
// Each thing has a name, so that a few words bring the small scenario back: limpid_sim_seeds --seed 7 --cut
// talk2,link0.box0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/scenario.h"

namespace limpid::sim {

// What could be taken from this scenario now, large things first.
std::vector<std::string> cuts_of(const Scenario& scenario);
// Takes it; false if the name means nothing here, or nothing is left to take.
bool make_cut(Scenario& scenario, std::string_view name);

struct Shrunk {
  Scenario scenario;
  std::vector<std::string> cuts;  // in this order
  unsigned runs = 0;
};
// `fails` is asked about ever smaller scenarios, `most_runs` times at most.
Shrunk shrink(const Scenario& scenario, const std::function<bool(const Scenario&)>& fails, unsigned most_runs = 600);

}  // namespace limpid::sim
