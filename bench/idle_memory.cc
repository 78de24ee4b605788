// What an idle established connection costs, everything included: resident memory before and after opening many of
// them, both ends in this process, over a wire in memory. Usage: idle_memory [connections]
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "bench/two_stacks.h"

namespace {

size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace limpid;
  const auto wanted = argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 20'000u;
  bench::TwoStacks net;
  uint16_t port = 80;
  SocketId listener = net.listen(port, 8);
  net.connect(listener, port);  // pools and tables exist from here on
  const size_t before = resident_bytes();
  for (uint32_t i = 1; i <= wanted; ++i) {
    if (i % 20'000 == 0) listener = net.listen(++port, 8);  // a port serves as many as a client has ephemeral ones
    net.connect(listener, port);
    net.pass(100us);
  }
  const size_t after = resident_bytes();
  fmt::print("{} connections: {:.0f} bytes an end\n", wanted, static_cast<double>(after - before) / (2.0 * wanted));
}
