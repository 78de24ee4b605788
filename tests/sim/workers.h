// Runs seeds in processes side by side: one that dies takes no other seed with it, and its seed is known.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace limpid::sim {

struct SeedReport {
  uint64_t seed = 0;
  std::string failure;  // empty: all is well
  uint64_t segments = 0;
  int64_t virtual_ms = 0;
};

struct WorkPlan {
  uint64_t from = 1;
  uint64_t seeds = 100;
  unsigned jobs = 1;
  std::optional<std::chrono::duration<double>> most_time;  // then no new seed begins
};

// `run` is called in the workers, `report` here, in the order in which seeds end.
void run_seeds(const WorkPlan& plan, const std::function<SeedReport(uint64_t)>& run,
               const std::function<void(const SeedReport&)>& report);

// The same for one seed, in a process of its own.
SeedReport run_apart(uint64_t seed, const std::function<SeedReport(uint64_t)>& run);

}  // namespace limpid::sim
