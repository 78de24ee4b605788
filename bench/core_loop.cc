// The same transfer as core_bench's BulkTransfer, a fixed number of times: for callgrind, which counts instructions and
// does not care how busy the machine is.
//
//   core_loop BURSTS [MTU] [--no-checksums]             each burst is 64 KiB; prints the segments that went
//   valgrind --tool=callgrind build/bench/core_loop 200       and 1200: the difference, by segment, is the cost of one
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/two_stacks.h"

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  if (argc < 2) {
    std::fprintf(stderr, "core_loop BURSTS [MTU] [--no-checksums]\n");
    return 2;
  }
  const long bursts = std::atol(argv[1]);
  limpid::bench::Wire wire;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--no-checksums") == 0) {
      wire.checksums = false;
    } else {
      wire.mtu = static_cast<uint32_t>(std::atol(argv[i]));
    }
  }
  limpid::bench::TwoStacks net({}, wire);
  const auto pair = net.connect(net.listen(80, 8), 80);
  std::vector<std::byte> out(65'536);
  std::vector<std::byte> in(65'536);
  for (long i = 0; i < bursts; ++i) {
    (void)net.client.stack.tcp_send(pair.client, out, {}, net.now);
    net.settle();
    while (net.server.stack.tcp_receive(pair.server, in, {}, net.now)) {
    }
    net.pass(10us);
  }
  std::printf("%llu\n", static_cast<unsigned long long>(net.client.frames_sent));
}
