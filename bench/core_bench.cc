// The core alone, both ends and the ACKs between them: nanoseconds a segment, a request, a connection.
#include <benchmark/benchmark.h>

#include "bench/two_stacks.h"

namespace limpid::bench {
namespace {

void BulkTransfer(benchmark::State& state) {
  TwoStacks net({}, {.mtu = static_cast<uint32_t>(state.range(0)), .checksums = state.range(1) != 0});
  const auto pair = net.connect(net.listen(80, 8), 80);
  std::vector<std::byte> out(65'536);
  std::vector<std::byte> in(65'536);
  uint64_t bytes = 0;
  const uint64_t segments_before = net.client.frames_sent;
  for (auto _ : state) bytes += net.transfer(pair, out, in);
  const auto segments = static_cast<double>(net.client.frames_sent - segments_before);
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.counters["per_segment"] =
      benchmark::Counter(segments, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BulkTransfer)->ArgsProduct({{1500, 9000, 65'535}, {1, 0}})->ArgNames({"mtu", "checksums"});

void PingPong(benchmark::State& state) {
  TwoStacks net;
  const auto pair = net.connect(net.listen(80, 8), 80);
  std::vector<std::byte> message(64);
  for (auto _ : state) net.ask(pair, message);
}
BENCHMARK(PingPong);

void ConnectAndClose(benchmark::State& state) {
  TwoStacks net;
  const SocketId listener = net.listen(80, 8);
  for (auto _ : state) net.connect_and_close(listener, 80);
}
BENCHMARK(ConnectAndClose);

}  // namespace
}  // namespace limpid::bench
