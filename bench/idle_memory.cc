// What an idle established connection costs, everything included: resident memory before and after opening many of
// them, both ends in this process, over a wire in memory; and whether the last are opened as fast as the first.
// Usage: idle_memory [connections] [--spoken] [--keepalive] [--never-fold]
//   --spoken      each has carried a request and an answer
//   --keepalive   each end has a keep-alive timer
//   --never-fold  as they were before idle connections became small
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <vector>

#include "bench/two_stacks.h"
#include "stack/base/counters.h"

namespace {

using namespace limpid;

constexpr uint32_t kRow = 1000;          // connections that are timed together
constexpr uint32_t kOfOnePort = 20'000;  // a port serves as many as a client has ephemeral ones
constexpr Duration kBetween = 100us;     // one connection and the next
constexpr size_t kRequest = 100;         // bytes
constexpr size_t kAnswer = 1000;

struct Wishes {
  uint32_t connections = 20'000;
  bool spoken = false;
  bool keepalive = false;
  bool never_fold = false;
};

Wishes read_arguments(int argc, char** argv) {
  Wishes w;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--spoken") {
      w.spoken = true;
    } else if (arg == "--keepalive") {
      w.keepalive = true;
    } else if (arg == "--never-fold") {
      w.never_fold = true;
    } else {
      w.connections = static_cast<uint32_t>(std::strtoul(argv[i], nullptr, 10));
    }
  }
  return w;
}

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

class Bench {
 public:
  explicit Bench(const Wishes& wishes) : wishes_(wishes), net_(config(wishes)) {
    rows_.reserve(wishes.connections / kRow + 2);
    kept_.reserve(wishes.connections / kRow + 2);
    listen();
    open();  // pools and tables exist from here on
    before_ = resident_bytes();
  }

  void run() {
    double began = seconds();
    for (uint32_t i = 1; i <= wishes_.connections; ++i) {
      if (i % kOfOnePort == 0) listen();
      const auto pair = open();
      if (i % kRow != 0) continue;
      kept_.push_back(pair);
      rows_.push_back(seconds() - began);
      began = seconds();
    }
    const size_t opened = resident_bytes();
    for (int i = 0; i < 1000; ++i) net_.pass(5ms);
    const size_t idle = resident_bytes();
    fmt::print("{} connections: {:.0f} bytes an end\n", wishes_.connections, of_an_end(idle));
    fmt::print("just opened: {:.0f} bytes an end; all of the process: {:.1f} MiB; folded: {} and {}\n",
               of_an_end(opened), static_cast<double>(idle) / (1 << 20), folded(net_.client), folded(net_.server));
    tell_times();
  }

 private:
  static Config config(const Wishes& wishes) {
    Config c;
    if (wishes.never_fold) c.tcp.whole_connections = UINT32_MAX;
    return c;
  }
  void listen() {
    listener_ = net_.listen(++port_, 8);
    TcpOptions options;
    options.keepalive = wishes_.keepalive;
    (void)net_.server.stack.tcp_set_options(listener_, options, net_.now);
  }
  bench::TwoStacks::Pair open() {
    const auto pair = net_.connect(listener_, port_);
    if (wishes_.keepalive) {
      TcpOptions options = *net_.client.stack.tcp_options(pair.client);
      options.keepalive = true;
      (void)net_.client.stack.tcp_set_options(pair.client, options, net_.now);
    }
    if (wishes_.spoken) speak(pair);
    net_.pass(kBetween);
    return pair;
  }
  // A request and its answer.
  void speak(const bench::TwoStacks::Pair& pair) {
    std::array<std::byte, kAnswer> bytes{};
    (void)net_.client.stack.tcp_send(pair.client, ByteSpan(bytes).first(kRequest), {}, net_.now);
    net_.settle();
    if (net_.server.stack.tcp_receive(pair.server, bytes, {}, net_.now).value_or(0) != kRequest) std::abort();
    (void)net_.server.stack.tcp_send(pair.server, bytes, {}, net_.now);
    net_.settle();
    if (net_.client.stack.tcp_receive(pair.client, bytes, {}, net_.now).value_or(0) != kAnswer) std::abort();
    net_.settle();
  }

  double of_an_end(size_t now) const {
    return (static_cast<double>(now) - static_cast<double>(before_)) / (2.0 * wishes_.connections);
  }
  static uint64_t folded(const bench::Host& host) {
    const Counters& c = host.stack.counters();
    return c[Counter::tcp_folds] - c[Counter::tcp_unfolds];
  }

  void tell_times() {
    if (rows_.size() < 2) return;
    fmt::print("opening: the first thousand {:.1f} us each, the last {:.1f}; medians of the tenths:", us(rows_.front()),
               us(rows_.back()));
    for (size_t tenth = 0; tenth < 10; ++tenth) {
      std::vector<double> part(rows_.begin() + static_cast<ptrdiff_t>(rows_.size() * tenth / 10),
                               rows_.begin() + static_cast<ptrdiff_t>(rows_.size() * (tenth + 1) / 10));
      if (part.empty()) continue;
      std::ranges::nth_element(part, part.begin() + static_cast<ptrdiff_t>(part.size() / 2));
      fmt::print(" {:.1f}", us(part[part.size() / 2]));
    }
    fmt::print("\n");
    const double began = seconds();
    for (const auto& pair : kept_) speak(pair);
    const double first = seconds();
    for (const auto& pair : kept_) speak(pair);
    fmt::print("a request and an answer: {:.2f} us where the connection was idle, {:.2f} the next time\n",
               (first - began) * 1e6 / static_cast<double>(kept_.size()),
               (seconds() - first) * 1e6 / static_cast<double>(kept_.size()));
  }
  static double us(double row) { return row * 1e6 / kRow; }

  Wishes wishes_;
  bench::TwoStacks net_;
  SocketId listener_;
  uint16_t port_ = 79;
  size_t before_ = 0;
  std::vector<double> rows_;  // seconds
  std::vector<bench::TwoStacks::Pair> kept_;
};

}  // namespace

int main(int argc, char** argv) {
  Bench bench(read_arguments(argc, argv));
  bench.run();
}
