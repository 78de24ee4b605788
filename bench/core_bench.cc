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
  for (auto _ : state) {
    (void)net.client.stack.tcp_send(pair.client, out, {}, net.now);
    net.settle();
    while (const auto n = net.server.stack.tcp_receive(pair.server, in, {}, net.now)) bytes += *n;
    net.pass(10us);
  }
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
  for (auto _ : state) {
    (void)net.client.stack.tcp_send(pair.client, message, {}, net.now);
    net.settle();
    (void)net.server.stack.tcp_receive(pair.server, message, {}, net.now);
    (void)net.server.stack.tcp_send(pair.server, message, {}, net.now);
    net.settle();
    (void)net.client.stack.tcp_receive(pair.client, message, {}, net.now);
    net.now += 10us;
  }
}
BENCHMARK(PingPong);

// connect, accept, both ends closed; the client's TIME-WAIT passes by the way.
void ConnectAndClose(benchmark::State& state) {
  TwoStacks net;
  const SocketId listener = net.listen(80, 8);
  for (auto _ : state) {
    const auto pair = net.connect(listener, 80);
    net.client.stack.tcp_close(pair.client, net.now);
    net.settle();
    net.server.stack.tcp_close(pair.server, net.now);
    net.settle();
    net.pass(10ms);
  }
}
BENCHMARK(ConnectAndClose);

}  // namespace
}  // namespace limpid::bench
