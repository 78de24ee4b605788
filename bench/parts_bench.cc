// The parts, one by one: checksum, parsing, demux, timer queue.
#include <benchmark/benchmark.h>

#include <vector>

#include "stack/base/checksum.h"
#include "stack/base/timer_queue.h"
#include "stack/tcp/demux.h"
#include "stack/wire/tcp.h"

namespace limpid::bench {
namespace {

void InternetChecksum(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<size_t>(state.range(0)), std::byte{0x5a});
  for (auto _ : state) benchmark::DoNotOptimize(internet_checksum(bytes));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(InternetChecksum)->Arg(20)->Arg(1460)->Arg(65'535);

void ParseTcp(benchmark::State& state) {
  constexpr IpAddress a = IpAddress::v4(10, 0, 0, 1);
  constexpr IpAddress b = IpAddress::v4(10, 0, 0, 2);
  TcpHeader header;
  header.flags = tcp_flag::ack;
  header.options.timestamps = TcpTimestamps{1, 2};
  std::vector<std::byte> segment(header.size());
  header.write(segment, a, b, {});
  for (auto _ : state) benchmark::DoNotOptimize(parse_tcp(segment, a, b));
}
BENCHMARK(ParseTcp);

FourTuple tuple_number(uint32_t i) {
  return {{IpAddress::v4(10, 0, 0, 1), 80},
          {IpAddress::v4(0x0b000000 + i / 60'000), static_cast<uint16_t>(i % 60'000 + 1024)}};
}

void DemuxLookUp(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  std::vector<DemuxEntry> entries(count);
  Demux demux({1, 2});
  for (uint32_t i = 0; i < count; ++i) {
    entries[i].tuple = tuple_number(i);
    entries[i].owner = {i, DemuxKind::connection};
    demux.insert(entries[i]);
  }
  uint32_t i = 0;
  for (auto _ : state) {
    i = (i + 7919) % count;
    benchmark::DoNotOptimize(demux.find(tuple_number(i)));
  }
}
BENCHMARK(DemuxLookUp)->Arg(10)->Arg(10'000)->Arg(1'000'000);

// The usual life of a retransmission timer: pushed back again and again.
void TimerPushedBack(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  std::vector<TimerEntry> entries(count);
  TimerQueue queue;
  Time now{};
  for (TimerEntry& e : entries) queue.set(e, now + 200ms);
  size_t i = 0;
  for (auto _ : state) {
    now += 100ns;
    queue.set(entries[i], now + 200ms);
    if (TimerEntry* due = queue.pop_due(now)) queue.set(*due, now + 200ms);
    i = (i + 1) % count;
  }
}
BENCHMARK(TimerPushedBack)->Arg(10)->Arg(10'000)->Arg(1'000'000);

}  // namespace
}  // namespace limpid::bench
