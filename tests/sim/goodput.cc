// limpid_sim_goodput: what one flow makes of a link of 100 Mbit/s, by loss, round trip, buffer and algorithm, in
// virtual time; as a table on file, so that a change that costs goodput is noticed.
//
//   limpid_sim_goodput --check tests/sim/goodput.csv --some     the cells that every test run looks at
//   limpid_sim_goodput --check tests/sim/goodput.csv --jobs 2   all of them
//   limpid_sim_goodput --write tests/sim/goodput.csv --jobs 2   the table anew, after a change that was meant
//
// A cell: octets that the receiver has read, headers not counted, from the first third of the time on, as percent of
// the link; the mean of a few seeds. The path loses at random what the sender sends, and nothing else.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "stack/runtime/sim_net.h"

namespace limpid::sim {
namespace {

constexpr uint64_t kRate = 100'000'000;  // bit/s
constexpr uint64_t kSeeds = 3;
constexpr double kTolerance = 1.0;  // percent of the link

struct Cell {
  CongestionChoice algorithm{};
  uint32_t loss_ppm = 0;
  Duration rtt{};
  uint32_t quarters = 0;  // of the bandwidth-delay product: what the buffer holds

  std::string key() const {
    return fmt::format("{},{},{},{}", name(algorithm), loss_ppm / 1e4, to_ms(rtt), quarters / 4.0);
  }
  // A few cells stand for all: where the test should take seconds.
  bool is_one_of_some() const {
    return quarters == 4 && loss_ppm != 100 && loss_ppm != 30'000 && (rtt == 10ms || rtt == 100ms);
  }
};

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (size_t algorithm = 1; algorithm < kCongestionNames.size(); ++algorithm)
    for (uint32_t loss : {100U, 1'000U, 10'000U, 30'000U, 100'000U})
      for (Duration rtt : {1ms, 10ms, 50ms, 100ms, 300ms})
        for (uint32_t quarters : {1U, 4U, 16U})
          cells.push_back({static_cast<CongestionChoice>(algorithm), loss, rtt, quarters});
  return cells;
}

class Flag final : public ReadySink {
 public:
  void raise(SocketId, ReadyEvents) override { up = true; }
  bool up = true;
};

// One flow over one path, from its SYN on.
class Flow {
 public:
  Flow(const Cell& cell, uint64_t seed) : net_(seed, SimHash::none) {
    Config config;
    config.tcp.congestion = cell.algorithm;
    config.tcp.send_buffer = config.tcp.receive_buffer = 32 << 20;
    a_ = net_.add_host("a", config, at_a_);
    b_ = net_.add_host("b", config, at_b_);
    net_.connect(a_, IpAddress::v4(10, 0, 0, 1), b_, IpAddress::v4(10, 0, 0, 2), link_of(cell));
    const BindId port = net_.stack(b_).tcp_bind({IpAddress{}, 80}, {}, net_.now()).value();
    listener_ = net_.stack(b_).tcp_listen(port, 8, {}, net_.now()).value();
    client_ = net_.stack(a_).tcp_connect({IpAddress::v4(10, 0, 0, 2), 80}, {}, {}, net_.now()).value();
  }

  void run_until(Time end) {
    while (net_.now() < end) {
      net_.step(end);
      if (std::exchange(at_a_.up, false)) write();
      if (std::exchange(at_b_.up, false)) read();
    }
  }
  uint64_t received() const { return received_; }

 private:
  static SimLinkConfig link_of(const Cell& cell) {
    SimImpairments out;
    out.delay = cell.rtt / 2;
    out.rate = kRate;
    const auto bdp = static_cast<uint64_t>(to_us(cell.rtt)) * (kRate / 8) / 1'000'000;
    out.queue_bytes = static_cast<uint32_t>(std::max<uint64_t>(bdp * cell.quarters / 4, 3000));
    SimImpairments back = out;
    back.queue_bytes = 0;
    out.loss_ppm = cell.loss_ppm;
    return SimLinkConfig::of(out, back);
  }
  void write() {
    while (net_.stack(a_).tcp_send(client_, chunk_, {}, net_.now())) {
    }
  }
  void read() {
    Stack& stack = net_.stack(b_);
    if (!server_) {
      if (const auto got = stack.tcp_accept(listener_, net_.now())) server_ = *got;
    }
    while (server_) {
      const auto got = stack.tcp_receive(*server_, into_, {}, net_.now());
      if (!got) return;
      received_ += *got;
    }
  }

  Flag at_a_, at_b_;
  SimNet net_;
  SimNet::HostId a_ = 0, b_ = 0;
  SocketId client_, listener_;
  std::optional<SocketId> server_;
  uint64_t received_ = 0;
  std::vector<std::byte> chunk_ = std::vector<std::byte>(65'536);
  std::vector<std::byte> into_ = std::vector<std::byte>(262'144);
};

double percent_of(const Cell& cell) {
  const Duration whole = std::max<Duration>(6s, 60 * cell.rtt);
  const Duration start = whole / 3;
  double sum = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Flow flow(cell, seed);
    flow.run_until(Time(start));
    const uint64_t before = flow.received();
    flow.run_until(Time(whole));
    sum += static_cast<double>(flow.received() - before) * 8e9 / static_cast<double>((whole - start).count());
  }
  return sum * 100.0 / kSeeds / static_cast<double>(kRate);
}

std::vector<double> measure(const std::vector<Cell>& cells, unsigned jobs) {
  std::vector<double> percents(cells.size());
  std::atomic<size_t> next{0};
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < jobs; ++i)
    threads.emplace_back([&] {
      for (size_t cell = next++; cell < cells.size(); cell = next++) percents[cell] = percent_of(cells[cell]);
    });
  threads.clear();  // joined
  return percents;
}

std::map<std::string, double> read_table(const std::string& path) {
  std::map<std::string, double> table;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const size_t comma = line.rfind(',');
    if (line.empty() || line[0] == '#' || comma == std::string::npos || line.starts_with("algorithm")) continue;
    table[line.substr(0, comma)] = std::stod(line.substr(comma + 1));
  }
  return table;
}

int check(const std::string& path, const std::vector<Cell>& cells, const std::vector<double>& percents) {
  const std::map<std::string, double> table = read_table(path);
  size_t fallen = 0, risen = 0, unknown = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto known = table.find(cells[i].key());
    if (known == table.end()) {
      ++unknown;
      continue;
    }
    const double change = percents[i] - known->second;
    if (std::abs(change) <= kTolerance) continue;
    ++(change < 0 ? fallen : risen);
    fmt::print("{}: {:.1f} % of the link, the table says {:.1f}\n", cells[i].key(), percents[i], known->second);
  }
  fmt::print("{} cells: {} fell, {} rose, {} not in the table\n", cells.size(), fallen, risen, unknown);
  if (fallen + risen + unknown > 0)
    fmt::print("if that was meant, and is explained: limpid_sim_goodput --write {} --jobs 2\n", path);
  return fallen == 0 && unknown < cells.size() ? 0 : 1;
}

int write(const std::string& path, const std::vector<Cell>& cells, const std::vector<double>& percents) {
  std::ofstream out(path);
  out << "# Goodput of one flow on a link of 100 Mbit/s: limpid_sim_goodput writes and checks it.\n"
         "algorithm,loss_percent,rtt_ms,buffer_bdp,percent_of_link\n";
  for (size_t i = 0; i < cells.size(); ++i) out << fmt::format("{},{:.1f}\n", cells[i].key(), percents[i]);
  return out.good() ? 0 : 1;
}

int run(int argc, char** argv) {
  CLI::App app("Goodput of one flow on a link of 100 Mbit/s, by loss, round trip, buffer and algorithm");
  std::string check_path, write_path, only;
  unsigned jobs = 1;
  bool some = false;
  app.add_option("--check", check_path, "compare with this table; a fall of more than one percent of the link fails");
  app.add_option("--write", write_path, "write the table");
  app.add_option("--algorithm", only, "only this one");
  app.add_option("--jobs", jobs, "so many threads")->check(CLI::Range(1u, 256u));
  app.add_flag("--some", some, "a few cells only");
  CLI11_PARSE(app, argc, argv);
  std::vector<Cell> cells = all_cells();
  std::erase_if(cells, [&](const Cell& cell) {
    return (some && !cell.is_one_of_some()) || (!only.empty() && name(cell.algorithm) != only);
  });
  const std::vector<double> percents = measure(cells, jobs);
  if (!write_path.empty()) return write(write_path, cells, percents);
  if (!check_path.empty()) return check(check_path, cells, percents);
  for (size_t i = 0; i < cells.size(); ++i) fmt::print("{},{:.1f}\n", cells[i].key(), percents[i]);
  return 0;
}

}  // namespace
}  // namespace limpid::sim

int main(int argc, char** argv) {
  try {
    return limpid::sim::run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "limpid_sim_goodput: {}\n", e.what());
    return 2;
  }
}
