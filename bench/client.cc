// bench_client MODE ADDRESS[:PORT] [options]: one measurement, printed as JSON.
#include "bench/client.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <map>

namespace limpid::bench {
namespace {

using apps::perf::Mode;

const std::map<std::string, Json (*)(const Plan&)> kModes = {
    {"to", [](const Plan& plan) { return measure_bulk(plan, Mode::upload); }},
    {"from", [](const Plan& plan) { return measure_bulk(plan, Mode::download); }},
    {"ping-pong", measure_ping_pong},
    {"mix", measure_mix},
    {"connections", measure_connections},
    {"open", measure_opening},
};

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  sched_setaffinity(0, sizeof set, &set);
}

// Many connections need many descriptors: as many as we may have.
void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace
}  // namespace limpid::bench

int main(int argc, char** argv) {
  using namespace limpid;
  CLI::App line("One measurement by a client on the kernel's sockets, as JSON.", "bench_client");
  bench::Plan plan;
  std::string mode, server, source;
  int cpu = -1;
  line.add_option("mode", mode, "to, from, ping-pong, mix, connections or open")
      ->required()
      ->check(CLI::IsMember(bench::kModes));
  line.add_option("server", server, "ADDRESS[:PORT]")->required();
  line.add_option("--server-pid", plan.server_pid, "whose processor time is counted");
  line.add_option("--seconds", plan.seconds)->capture_default_str();
  line.add_option("--warm-up", plan.warm_up, "seconds that do not count")->capture_default_str();
  line.add_option("--message", plan.message, "bytes of each call of bulk, or of a message");
  line.add_option("--streams", plan.streams, "of bulk")->check(CLI::Range(1, 1000));
  line.add_option("--connections", plan.connections, "to open");
  line.add_option("--congestion", plan.congestion, "congestion control of this end");
  line.add_option("--source", source, "the first address of this end");
  line.add_option("--sources", plan.sources, "so many addresses take turns")->check(CLI::Range(1, 250));
  line.add_option("--cpu", cpu, "stay on this processor");
  CLI11_PARSE(line, argc, argv);
  if (cpu >= 0) bench::pin_to(cpu);
  bench::raise_descriptor_limit();
  try {
    plan.server = SocketAddress::parse(server, apps::perf::kDefaultPort).value();
    if (!source.empty()) plan.first_source = ntohl(SocketAddress(source, 0).raw().sin_addr.s_addr);
    fmt::print("{}\n", bench::kModes.at(mode)(plan).dump());
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_client: {}\n", error.what());
    std::fflush(nullptr);
    _exit(1);
  }
  std::fflush(nullptr);
  _exit(0);  // threads that still move bytes end here
}
