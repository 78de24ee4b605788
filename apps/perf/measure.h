// perf's client: one measurement each.
#pragma once

#include <limpid/socket.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/clock.h"
#include "apps/perf/protocol.h"

namespace limpid::apps::perf {

struct Plan {
  SocketAddress server;
  double seconds = 5;
  uint64_t bytes = 0;  // 0: by time alone
  uint32_t message_size = 64;
  unsigned streams = 1;
  unsigned warm_up = 100;  // round trips that do not count
  uint32_t buffer = 0;     // SO_SNDBUF and SO_RCVBUF of our end; 0: the system's
  bool in_place = false;   // bulk bytes are written and read where the stack keeps them
  std::string congestion;  // congestion control of our end, as TCP_CONGESTION names it; empty: the system's
};

struct Throughput {
  uint64_t bytes = 0;
  double seconds = 0;
  uint64_t in_time = 0;  // of an upload: what the server had when the time was up, before the send buffers drained
  double gigabits_per_second() const { return seconds > 0 ? static_cast<double>(bytes) * 8e-9 / seconds : 0; }
};

struct Latency {
  uint64_t round_trips = 0;
  double seconds = 0;
  double mean = 0, least = 0, p50 = 0, p90 = 0, p99 = 0, p999 = 0, most = 0;  // microseconds
};

struct ConnectionRate {
  uint64_t connections = 0;
  uint64_t failed = 0;
  double seconds = 0;
  double per_second() const { return seconds > 0 ? static_cast<double>(connections) / seconds : 0; }
};

Throughput measure_upload(const SocketCalls& calls, const Plan& plan);
Throughput measure_download(const SocketCalls& calls, const Plan& plan);
Latency measure_ping_pong(const SocketCalls& calls, const Plan& plan);
// Each connection: SYN to answer of one request, then a RST, so that no port is left in TIME-WAIT.
ConnectionRate measure_connections(const SocketCalls& calls, const Plan& plan);

// Buffers and congestion control of our end, before a connection begins.
void prepare(Socket& socket, const Plan& plan);

// The server: one thread a connection, for ever (until the host is stopped).
[[noreturn]] void serve(Socket& listener, bool in_place);

}  // namespace limpid::apps::perf
