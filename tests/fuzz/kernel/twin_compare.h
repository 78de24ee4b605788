// Compares what the two sides did, where both are bound: by a MUST, or, in what the user sees, by Linux's behaviour,
// which is our model. Where the kernel goes its own way, or we do, a named exemption says why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/kernel/twin_player.h"

namespace limpid::twin {

struct Difference {
  size_t step = 0;
  std::string what;
  std::string ours, kernels;
  const char* exemption = nullptr;  // its name, if it may be
};

// The first that is not exempt; else the first that is and ends the comparison, for what follows hangs on it.
std::optional<Difference> compare(const Case& c, const std::vector<Observation>& ours,
                                  const std::vector<Observation>& kernels);

// The case as a dialogue, both sides' answers below each step.
std::string dialogue_of(const Case& c, const std::vector<Observation>& ours, const std::vector<Observation>& kernels);

}  // namespace limpid::twin
