// limpid_sim_seeds: runs random little networks, each drawn from one number, and judges them. A failure is made small,
// printed, and comes with the one command that replays it.
//
//   limpid_sim_seeds --seeds 500 --jobs 2       a range (LIMPID_SIM_SEEDS: the default count)
//   limpid_sim_seeds --for 60 --jobs 2          as many as a minute allows
//   limpid_sim_seeds --seed 7 --verbose         one, with what it stands for
//   limpid_sim_seeds --seed 7 --trace           one, with every event of every stack
//   limpid_sim_seeds --check-table FILE         do the hashes of the table still come out? (of --plain networks)
//   limpid_sim_seeds --write-table FILE         write it anew, after a change of behaviour that was meant
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/sim/event_printer.h"
#include "tests/sim/shrink.h"
#include "tests/sim/simulation.h"
#include "tests/sim/workers.h"

namespace limpid::sim {
namespace {

constexpr uint64_t kTableSeeds = 32;
constexpr size_t kMostShrunk = 5;  // failures that are made small; the rest are only named

struct Arguments {
  uint64_t seed = 0;
  uint64_t from = 1;
  uint64_t seeds = 100;
  uint64_t part = 1;
  uint64_t parts = 1;
  unsigned jobs = 1;
  double most_seconds = 0;
  bool plain = false;
  bool verbose = false;
  bool hash_only = false;
  bool trace = false;
  bool twice = false;
  bool as_json = false;
  bool no_shrink = false;
  std::vector<std::string> cuts;
  std::string fold;
  std::string pretend;
  std::string check_table;
  std::string write_table;
};

Scenario scenario_of(const Arguments& args, uint64_t seed) {
  Scenario scenario = args.plain ? draw_plain_scenario(seed) : draw_scenario(seed);
  if (!args.fold.empty())
    for (HostPlan& host : scenario.hosts) host.config.tcp.whole_connections = args.fold == "never" ? UINT32_MAX : 0;
  for (const std::string& cut : args.cuts)
    if (!make_cut(scenario, cut)) fmt::print(stderr, "--cut {}: there is nothing of that name to take\n", cut);
  return scenario;
}

Verdict run_scenario(const Scenario& scenario, SimHash hash, bool trace) {
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

void print_verdict(uint64_t seed, const Verdict& verdict) {
  fmt::print("seed {}: {}, hash {:016x}, {} segments, {} steps, {} bytes, {:.3f} s of virtual time\n", seed,
             verdict.failure.empty() ? "well" : "FAILED", verdict.hash, verdict.segments, verdict.steps, verdict.bytes,
             static_cast<double>(to_us(verdict.virtual_time)) / 1e6);
}

// Nothing that can be seen depends on when idle connections become small, or whether they do.
Scenario folded_otherwise(Scenario scenario) {
  for (HostPlan& host : scenario.hosts) {
    uint32_t& whole = host.config.tcp.whole_connections;
    whole = whole == UINT32_MAX ? 0 : UINT32_MAX;
  }
  return scenario;
}

SeedReport judge(const Arguments& args, const Scenario& scenario) {
  if (args.verbose) fmt::print("{}", describe(scenario));
  const SimHash hash = args.twice || args.hash_only ? SimHash::frames_and_events : SimHash::frames;
  const Verdict verdict = run_scenario(scenario, hash, args.trace);
  if (args.hash_only) fmt::print("{} {:016x}\n", scenario.seed, verdict.hash);
  if (args.verbose) print_verdict(scenario.seed, verdict);
  SeedReport report{.seed = scenario.seed,
                    .failure = verdict.failure,
                    .segments = verdict.segments,
                    .virtual_ms = to_ms(verdict.virtual_time)};
  if (report.failure.empty() && args.twice &&
      run_scenario(folded_otherwise(scenario), hash, false).hash != verdict.hash)
    report.failure = "the second run differs";
  if (!args.pretend.empty() && describe(scenario).find(args.pretend) != std::string::npos)
    report.failure = fmt::format("pretended: {}", args.pretend);
  std::fflush(stdout);
  return report;
}

// What failed, without the figures that differ from one scenario to a smaller one.
std::string kind_of(const std::string& failure) {
  std::string kind;
  for (char c : failure.substr(0, failure.find('\n')))
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) kind += c;
  return kind.substr(0, 60);
}

struct Failure {
  SeedReport report;
  Scenario scenario;
  std::vector<std::string> cuts;
  std::string command;
};

Failure made_small(const Arguments& args, const SeedReport& report, bool small) {
  Arguments quiet = args;
  quiet.verbose = quiet.trace = quiet.hash_only = false;
  Failure f{.report = report, .scenario = scenario_of(args, report.seed), .cuts = args.cuts, .command = {}};
  if (small) {
    const std::string kind = kind_of(report.failure);
    const Shrunk shrunk = shrink(f.scenario, [&](const Scenario& smaller) {
      return kind_of(run_apart(smaller.seed, [&](uint64_t) { return judge(quiet, smaller); }).failure) == kind;
    });
    f.scenario = shrunk.scenario;
    f.cuts.insert(f.cuts.end(), shrunk.cuts.begin(), shrunk.cuts.end());
  }
  f.command = fmt::format("limpid_sim_seeds{} --seed {}", args.plain ? " --plain" : "", report.seed);
  if (!f.cuts.empty()) f.command += fmt::format(" --cut {}", fmt::join(f.cuts, ","));
  return f;
}

void print_failure(const Failure& f, bool small) {
  fmt::print("seed {} FAILED: {}\n", f.report.seed, f.report.failure);
  if (small) fmt::print("  made small:\n{}", describe(f.scenario));
  fmt::print("  replay: {} --verbose --trace\n", f.command);
  std::fflush(stdout);
}

nlohmann::json as_json(const Failure& f) {
  return {{"seed", f.report.seed},
          {"failure", f.report.failure},
          {"cuts", f.cuts},
          {"scenario", describe(f.scenario)},
          {"replay", f.command}};
}

// One line that is written over and over, for who watches.
class Progress {
 public:
  explicit Progress(bool on) : on_(on && isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (on_) fmt::print(stderr, "\r\033[K");
  }
  void show(uint64_t seeds, size_t failed) {
    const auto now = std::chrono::steady_clock::now();
    if (!on_ || now - last_ < std::chrono::milliseconds(500)) return;
    last_ = now;
    const double took = std::chrono::duration<double>(now - began_).count();
    fmt::print(stderr, "\r\033[K{} seeds, {} failed, {:.0f} s, {:.0f} seeds/s", seeds, failed, took,
               static_cast<double>(seeds) / took);
    std::fflush(stderr);
  }

 private:
  bool on_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_{};
};

struct Totals {
  uint64_t seeds = 0;
  uint64_t segments = 0;
  int64_t virtual_ms = 0;
  double seconds = 0;
  std::vector<SeedReport> failed;
};

Totals run_range(const Arguments& args) {
  Totals totals;
  const auto began = std::chrono::steady_clock::now();
  Progress progress(!args.verbose && !args.hash_only);
  const auto count = [&](const SeedReport& report) {
    ++totals.seeds;
    totals.segments += report.segments;
    totals.virtual_ms += report.virtual_ms;
    if (!report.failure.empty()) totals.failed.push_back(report);
    progress.show(totals.seeds, totals.failed.size());
  };
  WorkPlan plan{.from = args.from, .seeds = args.seeds, .jobs = args.jobs, .most_time = {}};
  if (args.most_seconds > 0) plan.most_time = std::chrono::duration<double>(args.most_seconds);
  run_seeds(plan, [&](uint64_t seed) { return judge(args, scenario_of(args, seed)); }, count);
  totals.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::ranges::sort(totals.failed, {}, &SeedReport::seed);
  return totals;
}

int report(const Arguments& args, const Totals& totals) {
  nlohmann::json failures = nlohmann::json::array();
  for (size_t i = 0; i < totals.failed.size(); ++i) {
    const bool small = !args.no_shrink && i < kMostShrunk && args.cuts.empty();
    const Failure f = made_small(args, totals.failed[i], small);
    failures.push_back(as_json(f));
    if (!args.as_json) print_failure(f, small);
  }
  if (args.as_json) {
    const nlohmann::json all = {{"seeds", totals.seeds},
                                {"segments", totals.segments},
                                {"virtual_hours", static_cast<double>(totals.virtual_ms) / 3.6e6},
                                {"seconds", totals.seconds},
                                {"failed", failures}};
    fmt::print("{}\n", all.dump(2));
  } else if (!args.hash_only) {
    fmt::print(
        "{} seeds, {} failed; {} segments, {:.1f} h of virtual time in {:.2f} s: {:.0f} seeds/s, {:.0f} segments/s\n",
        totals.seeds, totals.failed.size(), totals.segments, static_cast<double>(totals.virtual_ms) / 3.6e6,
        totals.seconds, static_cast<double>(totals.seeds) / totals.seconds,
        static_cast<double>(totals.segments) / totals.seconds);
  }
  return totals.failed.empty() ? 0 : 1;
}

uint64_t table_hash(uint64_t seed) {
  return run_scenario(draw_plain_scenario(seed), SimHash::frames_and_events, false).hash;
}

int write_table(const std::string& path) {
  std::ofstream table(path);
  table << "# seed and hash of every frame and event of its run; the same with each compiler and optimization.\n"
           "# After a change of behaviour that was meant: limpid_sim_seeds --write-table tests/sim/hashes.txt\n";
  for (uint64_t seed = 1; seed <= kTableSeeds; ++seed) table << fmt::format("{} {:016x}\n", seed, table_hash(seed));
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
    const std::string hash = fmt::format("{:016x}", table_hash(seed));
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
  CLI::Option* count = app.add_option("--seeds", args.seeds, "how many seeds")->envname("LIMPID_SIM_SEEDS");
  app.add_option("--for", args.most_seconds, "go on for so many seconds, whatever the count")
      ->check(CLI::PositiveNumber);
  app.add_option("--jobs", args.jobs, "so many side by side")->check(CLI::Range(1u, 1024u));
  app.add_option("--part", args.part, "run this part of the range only, from 1")->check(CLI::PositiveNumber);
  app.add_option("--of", args.parts, "cut the range into so many parts")->check(CLI::PositiveNumber);
  app.add_option("--cut", args.cuts, "take these things from the scenario, in this order")->delimiter(',');
  app.add_flag("--plain", args.plain, "networks without middleboxes and odd calls: those of the table of hashes");
  app.add_flag("--verbose", args.verbose, "say what each seed stands for, and how it went");
  app.add_flag("--hash-only", args.hash_only, "print seed and hash of frames and events");
  app.add_flag("--json", args.as_json, "the result as JSON");
  app.add_flag("--trace", args.trace, "print every event");
  app.add_flag("--twice", args.twice, "run each seed twice, the second time without folding, and compare the hashes");
  app.add_option("--fold", args.fold, "idle connections are folded: never, or at once; else as each seed draws it")
      ->check(CLI::IsMember({"never", "at-once"}));
  app.add_flag("--no-shrink", args.no_shrink, "leave a failing scenario as large as it is");
  app.add_option("--pretend", args.pretend,
                 "count as failed what has these words in its description: the least such one");
  app.add_option("--check-table", args.check_table, "compare hashes with this table");
  app.add_option("--write-table", args.write_table, "write the table of hashes");
  CLI11_PARSE(app, argc, argv);
  if (!args.write_table.empty()) return write_table(args.write_table);
  if (!args.check_table.empty()) return check_table(args.check_table);
  if (one->count() > 0) {
    args.from = args.seed;
    args.seeds = args.part = args.parts = 1;
  } else if (args.most_seconds > 0 && count->count() == 0) {
    args.seeds = UINT64_MAX / 2;
  }
  const uint64_t end =
      args.from + args.seeds / args.parts * args.part + args.seeds % args.parts * args.part / args.parts;
  args.from += args.seeds / args.parts * (args.part - 1) + args.seeds % args.parts * (args.part - 1) / args.parts;
  args.seeds = end - args.from;
  return report(args, run_range(args));
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
