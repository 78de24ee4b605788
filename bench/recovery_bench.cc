// What losses cost: the scoreboard and the reassembly queue, by the segments in flight.
#include <benchmark/benchmark.h>

#include "stack/buffer/reassembly_queue.h"
#include "stack/tcp/sack_scoreboard.h"

namespace limpid::bench {
namespace {

constexpr uint32_t kMss = 1448;

SeqPos edge(int64_t segment) { return SeqPos{1 + segment * kMss}; }

// A window of segments of which the first is lost: each of the others is SACKed by an ACK of its own, the first goes
// again, and one ACK clears the board. By ACK.
void Scoreboard(benchmark::State& state) {
  const int64_t segments = state.range(0);
  Time now{};
  for (auto _ : state) {
    SackScoreboard board;
    for (int64_t i = 0; i < segments; ++i) board.sent(edge(i), edge(i + 1), kMss, {}, now += 1us);
    AckNews news;
    for (int64_t i = 1; i < segments; ++i) board.sacked(edge(1), edge(i + 1), kMss, news);
    benchmark::DoNotOptimize(board.mark_lost_until(edge(1), Rule::tcp_fast_retransmit));
    const auto again = board.next_to_resend(kMss);
    board.resent(again->seq, again->end, kMss, {}, now);
    board.acked(edge(segments), kMss, news);
  }
  state.SetItemsProcessed(state.iterations() * segments);
}
BENCHMARK(Scoreboard)->Arg(10)->Arg(1'000)->Arg(100'000);

// The same, with every second segment lost: a range for each.
void ScoreboardOfHoles(benchmark::State& state) {
  const int64_t segments = state.range(0);
  Time now{};
  for (auto _ : state) {
    SackScoreboard board;
    for (int64_t i = 0; i < segments; ++i) board.sent(edge(i), edge(i + 1), kMss, {}, now += 1us);
    AckNews news;
    for (int64_t i = 1; i < segments; i += 2) board.sacked(edge(i), edge(i + 1), kMss, news);
    benchmark::DoNotOptimize(board.mark_lost_until(edge(segments - 1), Rule::tcp_fast_retransmit));
    while (const auto again = board.next_to_resend(kMss)) board.resent(again->seq, again->end, kMss, {}, now);
    board.acked(edge(segments), kMss, news);
  }
  state.SetItemsProcessed(state.iterations() * segments);
}
BENCHMARK(ScoreboardOfHoles)->Arg(10)->Arg(1'000)->Arg(100'000);

// A window of segments whose first comes last. By segment.
void Reassembly(benchmark::State& state) {
  const auto segments = static_cast<uint64_t>(state.range(0));
  FramePool pool(uint64_t{1} << 30);
  const std::vector<std::byte> text(kMss, std::byte{0x5a});
  const FrameRef frame = pool.copy(text);
  ReassemblyQueue queue;
  for (auto _ : state) {
    const uint64_t begin = queue.next();
    for (uint64_t i = 1; i < segments; ++i) queue.insert(begin + i * kMss, Slice::whole(frame));
    queue.insert(begin, Slice::whole(frame));
    queue.discard(queue.readable());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Reassembly)->Arg(10)->Arg(1'000)->Arg(10'000);

}  // namespace
}  // namespace limpid::bench
