// limpid_sim_seeds: runs random little networks, each drawn from one number, and judges them.
//
//   limpid_sim_seeds --from 1 --seeds 500       a range, silent unless something breaks (LIMPID_SIM_SEEDS: the default
//   count) limpid_sim_seeds --seed 7 --verbose         one, with what it stands for limpid_sim_seeds --seed 7 --trace
//   one, with every event of every stack limpid_sim_seeds --check-table FILE         do the hashes of the table still
//   come out? limpid_sim_seeds --write-table FILE         write it anew, after a change of behaviour that was meant
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "tests/sim/event_printer.h"
#include "tests/sim/simulation.h"

namespace limpid::sim {
namespace {

constexpr uint64_t kTableSeeds = 32;

struct Arguments {
  uint64_t seed = 0;
  uint64_t from = 1;
  uint64_t seeds = 100;
  uint64_t part = 1;
  uint64_t parts = 1;
  bool verbose = false;
  bool hash_only = false;
  bool trace = false;
  bool twice = false;
  std::string check_table;
  std::string write_table;
};

Verdict run_seed(uint64_t seed, SimHash hash, bool trace) {
  const Scenario scenario = draw_scenario(seed);
  Simulation simulation(scenario, hash);
  std::vector<std::unique_ptr<EventPrinter>> printers;
  std::vector<std::unique_ptr<SimLinkTrace>> link_traces;
  if (trace) {
    for (size_t host = 0; host < simulation.net().hosts(); ++host) {
      printers.push_back(std::make_unique<EventPrinter>(simulation.net().name(host)));
      simulation.net().set_trace_sink(host, printers.back().get());
    }
    for (size_t link = 0; link < simulation.net().links(); ++link) {
      printers.push_back(std::make_unique<EventPrinter>(fmt::format("link {}", link)));
      link_traces.push_back(std::make_unique<SimLinkTrace>(*printers.back()));
      simulation.net().link(link).add_observer(link_traces.back().get());
    }
  }
  return simulation.run();
}

void print_failure(uint64_t seed, const std::string& what) {
  fmt::print("seed {} FAILED: {}\n  replay: limpid_sim_seeds --seed {} --verbose --trace\n", seed, what, seed);
}

void print_verdict(uint64_t seed, const Verdict& verdict) {
  fmt::print("seed {}: {}, hash {:016x}, {} segments, {} steps, {} bytes, {:.3f} s of virtual time\n", seed,
             verdict.failure.empty() ? "well" : "FAILED", verdict.hash, verdict.segments, verdict.steps, verdict.bytes,
             static_cast<double>(to_us(verdict.virtual_time)) / 1e6);
}

int run_range(const Arguments& args) {
  const auto began = std::chrono::steady_clock::now();
  uint64_t failures = 0;
  uint64_t segments = 0;
  Duration virtual_time{};
  for (uint64_t seed = args.from; seed < args.from + args.seeds; ++seed) {
    if (args.verbose) fmt::print("{}", describe(draw_scenario(seed)));
    const SimHash hash = args.twice || args.hash_only ? SimHash::frames_and_events : SimHash::frames;
    const Verdict verdict = run_seed(seed, hash, args.trace);
    if (args.hash_only) fmt::print("{} {:016x}\n", seed, verdict.hash);
    if (args.verbose) print_verdict(seed, verdict);
    std::string failure = verdict.failure;
    if (failure.empty() && args.twice && run_seed(seed, hash, false).hash != verdict.hash)
      failure = "the second run differs";
    if (!failure.empty()) {
      print_failure(seed, failure);
      ++failures;
    }
    segments += verdict.segments;
    virtual_time += verdict.virtual_time;
    std::fflush(stdout);
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (!args.hash_only) {
    fmt::print(
        "{} seeds, {} failed; {} segments, {:.1f} h of virtual time in {:.2f} s: {:.0f} seeds/s, {:.0f} segments/s\n",
        args.seeds, failures, segments, static_cast<double>(to_ms(virtual_time)) / 3.6e6, took,
        static_cast<double>(args.seeds) / took, static_cast<double>(segments) / took);
  }
  return failures == 0 ? 0 : 1;
}

int write_table(const std::string& path) {
  std::ofstream table(path);
  table << "# seed and hash of every frame and event of its run; the same with each compiler and optimization.\n"
           "# After a change of behaviour that was meant: limpid_sim_seeds --write-table tests/sim/hashes.txt\n";
  for (uint64_t seed = 1; seed <= kTableSeeds; ++seed) {
    table << fmt::format("{} {:016x}\n", seed, run_seed(seed, SimHash::frames_and_events, false).hash);
  }
  return table.good() ? 0 : 1;
}

int check_table(const std::string& path) {
  std::ifstream table(path);
  if (!table) return (fmt::print("cannot read {}\n", path), 1);
  int wrong = 0;
  int lines = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    uint64_t seed = 0;
    std::string expected;
    words >> seed >> expected;
    const std::string hash = fmt::format("{:016x}", run_seed(seed, SimHash::frames_and_events, false).hash);
    ++lines;
    if (hash == expected) continue;
    ++wrong;
    fmt::print("seed {}: hash {}, the table says {}\n", seed, hash, expected);
  }
  fmt::print("{} hashes, {} differ\n", lines, wrong);
  if (wrong != 0) fmt::print("if behaviour was meant to change: limpid_sim_seeds --write-table tests/sim/hashes.txt\n");
  return lines > 0 && wrong == 0 ? 0 : 1;
}

int run(int argc, char** argv) {
  CLI::App app("Random little networks, each drawn from one number: a test of the whole stack in virtual time");
  Arguments args;
  CLI::Option* one = app.add_option("--seed", args.seed, "run this seed only");
  app.add_option("--from", args.from, "first seed of the range");
  app.add_option("--seeds", args.seeds, "how many seeds")->envname("LIMPID_SIM_SEEDS");
  app.add_option("--part", args.part, "run this part of the range only, from 1")->check(CLI::PositiveNumber);
  app.add_option("--of", args.parts, "cut the range into so many parts")->check(CLI::PositiveNumber);
  app.add_flag("--verbose", args.verbose, "say what each seed stands for, and how it went");
  app.add_flag("--hash-only", args.hash_only, "print seed and hash of frames and events");
  app.add_flag("--trace", args.trace, "print every event");
  app.add_flag("--twice", args.twice, "run each seed twice and compare the hashes");
  app.add_option("--check-table", args.check_table, "compare hashes with this table");
  app.add_option("--write-table", args.write_table, "write the table of hashes");
  CLI11_PARSE(app, argc, argv);
  if (!args.write_table.empty()) return write_table(args.write_table);
  if (!args.check_table.empty()) return check_table(args.check_table);
  if (one->count() > 0) {
    args.from = args.seed;
    args.seeds = args.part = args.parts = 1;
  }
  const uint64_t end = args.from + args.seeds * args.part / args.parts;
  args.from += args.seeds * (args.part - 1) / args.parts;
  args.seeds = end - args.from;
  return run_range(args);
}

}  // namespace
}  // namespace limpid::sim

int main(int argc, char** argv) {
  try {
    return limpid::sim::run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "limpid_sim_seeds: {}\n", e.what());
    return 2;
  }
}
