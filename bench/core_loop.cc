// What core_bench times, a fixed number of times: for callgrind, which counts instructions and does not care how busy
// the machine is.
//
//   core_loop COUNT [MTU] [--no-checksums]              COUNT bursts of 64 KiB; prints the segments that went
//   core_loop COUNT --requests                          COUNT messages of 64 bytes, each with its answer
//   core_loop COUNT --connections                       COUNT connections, from SYN to both FINs
//   valgrind --tool=callgrind build/bench/core_loop 200       and 1200: the difference, by segment, is the cost of one
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/two_stacks.h"

namespace {

using namespace limpid::bench;

void send_bursts(TwoStacks& net, long count) {
  const auto pair = net.connect(net.listen(80, 8), 80);
  const std::vector<std::byte> out(65'536);
  std::vector<std::byte> in(65'536);
  for (long i = 0; i < count; ++i) net.transfer(pair, out, in);
}

void ask(TwoStacks& net, long count) {
  const auto pair = net.connect(net.listen(80, 8), 80);
  std::vector<std::byte> message(64);
  for (long i = 0; i < count; ++i) net.ask(pair, message);
}

void connect_and_close(TwoStacks& net, long count) {
  const limpid::SocketId listener = net.listen(80, 8);
  for (long i = 0; i < count; ++i) net.connect_and_close(listener, 80);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "core_loop COUNT [MTU] [--no-checksums | --requests | --connections]\n");
    return 2;
  }
  const long count = std::atol(argv[1]);
  Wire wire;
  void (*work)(TwoStacks&, long) = send_bursts;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--no-checksums") == 0) {
      wire.checksums = false;
    } else if (std::strcmp(argv[i], "--requests") == 0) {
      work = ask;
    } else if (std::strcmp(argv[i], "--connections") == 0) {
      work = connect_and_close;
    } else {
      wire.mtu = static_cast<uint32_t>(std::atol(argv[i]));
    }
  }
  TwoStacks net({}, wire);
  work(net, count);
  std::printf("%llu\n", static_cast<unsigned long long>(net.client.frames_sent));
}
