// The client of `limpid bench`: always on the kernel's sockets, pinned to one processor, the same for every server that
// is measured. It speaks perf's protocol (apps/perf/protocol.h).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limpid/socket.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "apps/perf/protocol.h"

namespace limpid::bench {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Plan {
  SocketAddress server;
  pid_t server_pid = 0;       // whose processor time is counted; 0: nobody's
  double seconds = 2;         // that count
  double warm_up = 0.3;       // before them
  uint32_t message = 0;       // bytes of a call of bulk (0: 128 KiB), or of a message (0: 64)
  unsigned streams = 1;       // of bulk
  unsigned connections = 0;   // to open
  std::string congestion;     // of the client's end; empty: the system's
  uint32_t first_source = 0;  // IPv4 address of this end, host order; 0: the system's choice
  unsigned sources = 1;       // so many addresses from there on take turns, so that no port is waited for

  uint32_t message_size() const { return message == 0 ? 64 : message; }
};

// A connection that has sent its request.
Socket open_connection(const Plan& plan, const apps::perf::Request& request, unsigned number = 0);

// Receives exactly so many bytes; throws at the end of the stream.
void receive_all(Socket& socket, std::span<std::byte> into);

// What the peer has acknowledged (tcpi_bytes_acked).
uint64_t acknowledged_bytes(int fd);

// What the server's process used of the processors: user and system, all threads, those that ended too.
double server_cpu_seconds(const Plan& plan);
size_t server_resident_bytes(const Plan& plan);

// A sample of the server's and our own processor time, and of the clock.
struct Moment {
  explicit Moment(const Plan& plan);
  Clock::time_point at;
  double server_cpu;
};

// Round trips of one connection, one after the other, until told to end.
class PingPong {
 public:
  explicit PingPong(const Plan& plan);
  void run(const std::atomic<bool>& end);
  void forget();  // what was before counts no more
  Json summary() const;
  size_t count() const { return microseconds_.size(); }

 private:
  Socket socket_;
  std::vector<std::byte> message_;
  std::vector<float> microseconds_;
  std::atomic<bool> forget_{false};
};

// {"p50_us": …, "p90_us": …, "p99_us": …, "p99.9_us": …}
Json percentiles(std::vector<float> microseconds);

// Each returns its figures; the threads they start end with the process.
Json measure_bulk(const Plan& plan, apps::perf::Mode direction);
Json measure_ping_pong(const Plan& plan);
Json measure_mix(const Plan& plan);  // bulk to the server, and round trips beside it
Json measure_connections(const Plan& plan);
Json measure_opening(const Plan& plan);

}  // namespace limpid::bench
