#include <algorithm>

#include "bench/client.h"

namespace limpid::bench {
namespace {

using apps::perf::Mode;
using apps::perf::Request;

float microseconds_since(Clock::time_point start) {
  return std::chrono::duration<float, std::micro>(Clock::now() - start).count();
}

constexpr unsigned kParts = 10;  // of an opening, each with its rate

}  // namespace

Json percentiles(std::vector<float> microseconds) {
  if (microseconds.empty()) throw std::runtime_error("no round trip was made in the time");
  std::ranges::sort(microseconds);
  const auto at = [&](double share) {
    return microseconds[static_cast<size_t>(share * static_cast<double>(microseconds.size() - 1))];
  };
  return {{"p50_us", at(0.5)}, {"p90_us", at(0.9)}, {"p99_us", at(0.99)}, {"p99.9_us", at(0.999)}};
}

PingPong::PingPong(const Plan& plan)
    : socket_(open_connection(plan, Request{.mode = Mode::ping_pong, .message_size = plan.message_size()})),
      message_(plan.message_size(), std::byte{0x5a}) {
  microseconds_.reserve(1 << 20);
}

void PingPong::run(const std::atomic<bool>& end) {
  while (!end) {
    const auto start = Clock::now();
    socket_.send(message_);
    receive_all(socket_, message_);
    microseconds_.push_back(microseconds_since(start));
    if (forget_.exchange(false, std::memory_order_relaxed)) microseconds_.clear();
  }
}

void PingPong::forget() { forget_ = true; }

Json PingPong::summary() const { return percentiles(microseconds_); }

Json measure_ping_pong(const Plan& plan) {
  PingPong small(plan);
  std::atomic<bool> end{false};
  std::exception_ptr failure;
  std::thread worker([&] {
    try {
      small.run(end);
    } catch (...) {
      failure = std::current_exception();
    }
  });
  std::this_thread::sleep_for(Seconds(plan.warm_up));
  small.forget();
  const Moment before(plan);
  std::this_thread::sleep_for(Seconds(plan.seconds));
  const Moment after(plan);
  end = true;
  worker.join();
  if (failure) std::rethrow_exception(failure);
  Json result = small.summary();
  result["server_cpu_us"] = (after.server_cpu - before.server_cpu) * 1e6 / static_cast<double>(small.count());
  return result;
}

Json measure_connections(const Plan& plan) {
  std::vector<float> microseconds;
  microseconds.reserve(1 << 20);
  unsigned number = 0;
  const auto one = [&] {
    const auto start = Clock::now();
    {
      Socket socket = open_connection(plan, Request{.mode = Mode::connections}, number++);
      std::array<std::byte, 1> reply{};
      receive_all(socket, reply);
    }
    microseconds.push_back(microseconds_since(start));
  };
  const auto run_for = [&](double seconds) {
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
    while (Clock::now() < end) one();
  };
  run_for(plan.warm_up);
  microseconds.clear();
  const Moment before(plan);
  run_for(plan.seconds);
  const Moment after(plan);
  const auto count = static_cast<double>(microseconds.size());
  Json result{{"per_s", count / Seconds(after.at - before.at).count()},
              {"server_cpu_us", (after.server_cpu - before.server_cpu) * 1e6 / count}};
  result.update(percentiles(std::move(microseconds)));
  return result;
}

// Each connection makes one round trip, and stays.
Json measure_opening(const Plan& plan) {
  std::vector<Socket> open;
  std::vector<std::byte> message(plan.message_size(), std::byte{0x5a});
  const size_t resident = server_resident_bytes(plan);
  Json rates = Json::array();
  const auto start = Clock::now();
  for (unsigned part = 0; part < kParts; ++part) {
    const auto part_start = Clock::now();
    const size_t until = size_t{plan.connections} * (part + 1) / kParts;
    const size_t before = open.size();
    while (open.size() < until) {
      open.push_back(open_connection(plan, Request{.mode = Mode::ping_pong, .message_size = plan.message_size()},
                                     static_cast<unsigned>(open.size())));
      open.back().send(message);
      receive_all(open.back(), message);
    }
    rates.push_back(static_cast<double>(open.size() - before) / Seconds(Clock::now() - part_start).count());
  }
  const double all = Seconds(Clock::now() - start).count();
  const auto count = static_cast<double>(open.size());
  return {{"per_s", count / all},
          {"first_per_s", rates.front()},
          {"last_per_s", rates.back()},
          {"rates", rates},
          {"server_bytes_each", static_cast<double>(server_resident_bytes(plan) - resident) / count}};
}

}  // namespace limpid::bench
