// A segment out and a segment in, each end timed for itself: what core_bench has together. The copies between the hosts
// are in neither, but for the one that the wire in memory makes of what is sent.
#include <benchmark/benchmark.h>

#include "bench/two_stacks.h"

namespace limpid::bench {
namespace {

using Clock = std::chrono::steady_clock;

enum class End { sender, receiver };

// A burst is sent, received with its ACKs sent, and read; only one end's part of it is timed.
void one_end(benchmark::State& state, End end) {
  TwoStacks net({}, {.mtu = static_cast<uint32_t>(state.range(0))});
  const auto pair = net.connect(net.listen(80, 8), 80);
  const std::vector<std::byte> out(65'536);
  std::vector<std::byte> in(65'536);
  uint64_t segments = 0;
  for (auto _ : state) {
    const uint64_t before = net.client.frames_sent;
    const auto start = Clock::now();
    (void)net.client.stack.tcp_send(pair.client, out, {}, net.now);
    const auto sent = Clock::now();
    segments += net.client.frames_sent - before;
    net.server.step(net.now);
    const auto received = Clock::now();
    state.SetIterationTime(std::chrono::duration<double>(end == End::sender ? sent - start : received - sent).count());
    net.settle();
    while (net.server.stack.tcp_receive(pair.server, in, {}, net.now)) {
    }
    net.pass(10us);
  }
  state.counters["per_segment"] =
      benchmark::Counter(static_cast<double>(segments), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void SegmentOut(benchmark::State& state) { one_end(state, End::sender); }
BENCHMARK(SegmentOut)->Arg(1500)->Arg(65'535)->ArgName("mtu")->UseManualTime();

void SegmentIn(benchmark::State& state) { one_end(state, End::receiver); }
BENCHMARK(SegmentIn)->Arg(1500)->Arg(65'535)->ArgName("mtu")->UseManualTime();

}  // namespace
}  // namespace limpid::bench
