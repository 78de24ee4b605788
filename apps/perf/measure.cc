#include "apps/perf/measure.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <list>
#include <numeric>
#include <stdexcept>

#include "apps/common/servers.h"
#include "apps/common/thread.h"

namespace limpid::apps::perf {
namespace {

constexpr size_t kBulkPiece = 128 * 1024;

uint32_t to_milliseconds(double s) { return static_cast<uint32_t>(s * 1000); }

// Receives exactly so many bytes; false at the end of the stream.
bool receive_all(Socket& socket, std::span<std::byte> into) {
  while (!into.empty()) {
    const size_t n = socket.receive(into);
    if (n == 0) return false;
    into = into.subspan(n);
  }
  return true;
}

constexpr std::byte kFiller{0x5a};
constexpr size_t kPoolLink = sizeof(void*);

// As much as there is room for, written in place. A chunk that was sent before holds the filler still, but for the link
// that its pool keeps at the beginning: so nothing is made anew for each piece here either.
size_t send_in_place(Socket& socket, size_t most) {
  Reservation room = socket.reserve(most);
  for (size_t i = 0; i < room.count(); ++i) {
    const std::span<std::byte> piece = room[i];
    const size_t stale = piece.back() == kFiller ? std::min(piece.size(), kPoolLink) : piece.size();
    std::ranges::fill(piece.first(stale), kFiller);
  }
  return room.commit(room.size());
}

// Sends until the request's time or bytes are up, so many bytes a call as it asks for.
uint64_t send_bulk(Socket& socket, const Request& request, bool in_place) {
  const size_t size = request.message_size == 0 ? kBulkPiece : request.message_size;
  const std::vector<std::byte> piece(in_place ? 0 : size, kFiller);
  const Nanoseconds end = now(socket.calls()) + std::chrono::milliseconds(request.milliseconds);
  uint64_t sent = 0;
  while (request.bytes == 0 || sent < request.bytes) {
    const uint64_t left = request.bytes == 0 ? size : request.bytes - sent;
    const auto most = static_cast<size_t>(std::min<uint64_t>(left, size));
    sent += in_place ? send_in_place(socket, most) : socket.send(std::span(piece).first(most));
    if (request.milliseconds != 0 && now(socket.calls()) >= end) break;
  }
  return sent;
}

struct Received {
  uint64_t all = 0;
  uint64_t in_time = 0;  // within so many milliseconds of the beginning
};

Received receive_bulk(Socket& socket, bool in_place, uint32_t milliseconds = 0) {
  std::vector<std::byte> piece(in_place ? 0 : kBulkPiece);
  Received received;
  const Nanoseconds end = now(socket.calls()) + std::chrono::milliseconds(milliseconds);
  while (const size_t n = in_place ? socket.borrow(kBulkPiece).size() : socket.receive(piece)) {
    received.all += n;
    if (milliseconds == 0 || now(socket.calls()) <= end) received.in_time = received.all;
  }
  return received;
}

Socket connect_with(const SocketCalls& calls, const Plan& plan, Request request) {
  Socket socket = Socket::stream(calls);
  prepare(socket, plan);
  socket.connect(plan.server).no_delay();
  socket.send(request.encode());
  return socket;
}

// Runs one transfer on each stream at once. The first that fails is reported.
Throughput on_all_streams(const SocketCalls& calls, const Plan& plan, const std::function<uint64_t()>& transfer) {
  std::atomic<uint64_t> total{0};
  std::atomic<int> error{0};
  const Nanoseconds start = now(calls);
  const auto one = [&] {
    try {
      total += transfer();
    } catch (const std::system_error& e) {
      error = e.code().value();
    }
  };
  {
    std::list<Thread> others;
    for (unsigned i = 1; i < plan.streams; ++i) others.emplace_back(calls, one);
    one();
  }
  const Nanoseconds elapsed = now(calls) - start;
  if (error != 0) throw std::system_error(error, std::generic_category(), "transfer");
  return {.bytes = total, .seconds = seconds(elapsed)};
}

Latency summarize(std::vector<double> microseconds, Nanoseconds elapsed) {
  Latency latency{.round_trips = microseconds.size(), .seconds = seconds(elapsed)};
  if (microseconds.empty()) return latency;
  std::ranges::sort(microseconds);
  const auto percentile = [&](double p) {
    return microseconds[static_cast<size_t>(p * static_cast<double>(microseconds.size() - 1))];
  };
  latency.mean =
      std::accumulate(microseconds.begin(), microseconds.end(), 0.0) / static_cast<double>(microseconds.size());
  latency.least = microseconds.front();
  latency.p50 = percentile(0.5);
  latency.p90 = percentile(0.9);
  latency.p99 = percentile(0.99);
  latency.p999 = percentile(0.999);
  latency.most = microseconds.back();
  return latency;
}

void answer(Socket socket, bool in_place) {
  std::array<std::byte, kRequestSize> bytes;
  if (!receive_all(socket, bytes)) return;
  const auto request = Request::decode(bytes);
  if (!request) return;
  socket.no_delay();
  switch (request->mode) {
    case Mode::upload: {
      std::array<std::byte, 16> counts;
      const Received received = receive_bulk(socket, in_place, request->milliseconds);
      store_be<uint64_t>(counts, 0, received.all);
      store_be<uint64_t>(counts, 8, received.in_time);
      socket.send(counts);
      return;
    }
    case Mode::download:
      send_bulk(socket, *request, in_place);
      socket.shutdown_send();
      receive_bulk(socket, in_place);  // until the client closes: so the client has had all
      return;
    case Mode::ping_pong: {
      std::vector<std::byte> message(request->message_size);
      while (!message.empty() && receive_all(socket, message)) socket.send(message);
      return;
    }
    case Mode::connections:
      socket.send(std::span(bytes).first(1));
      receive_bulk(socket, in_place);
      return;
  }
}

}  // namespace

Throughput measure_upload(const SocketCalls& calls, const Plan& plan) {
  std::atomic<uint64_t> in_time{0};
  Throughput upload = on_all_streams(calls, plan, [&] {
    const Request request{.mode = Mode::upload, .milliseconds = to_milliseconds(plan.seconds), .bytes = plan.bytes};
    Socket socket = connect_with(calls, plan, request);
    const uint64_t sent = send_bulk(socket, request, plan.in_place);
    socket.shutdown_send();
    std::array<std::byte, 16> counts;
    if (!receive_all(socket, counts)) throw std::system_error(ECONNRESET, std::generic_category(), "upload");
    const uint64_t received = load_be<uint64_t>(counts, 0);
    if (received != sent) throw std::runtime_error("sent and received differ");
    in_time += load_be<uint64_t>(counts, 8);
    return received;
  });
  upload.in_time = in_time;
  return upload;
}

Throughput measure_download(const SocketCalls& calls, const Plan& plan) {
  return on_all_streams(calls, plan, [&] {
    const Request request{.mode = Mode::download, .milliseconds = to_milliseconds(plan.seconds), .bytes = plan.bytes};
    Socket socket = connect_with(calls, plan, request);
    return receive_bulk(socket, plan.in_place).all;
  });
}

Latency measure_ping_pong(const SocketCalls& calls, const Plan& plan) {
  Socket socket = connect_with(calls, plan, {.mode = Mode::ping_pong, .message_size = plan.message_size});
  std::vector<std::byte> message(plan.message_size, std::byte{0x5a});
  const auto round_trip = [&] {
    socket.send(message);
    if (!receive_all(socket, message)) throw std::system_error(ECONNRESET, std::generic_category(), "ping-pong");
  };
  for (unsigned i = 0; i < plan.warm_up; ++i) round_trip();
  std::vector<double> microseconds;
  const Nanoseconds start = now(calls);
  const Nanoseconds end = start + from_seconds(plan.seconds);
  Nanoseconds before = start;
  while (before < end) {
    round_trip();
    const Nanoseconds after = now(calls);
    microseconds.push_back(std::chrono::duration<double, std::micro>(after - before).count());
    before = after;
  }
  return summarize(std::move(microseconds), before - start);
}

ConnectionRate measure_connections(const SocketCalls& calls, const Plan& plan) {
  std::atomic<uint64_t> done{0}, failed{0};
  const Nanoseconds start = now(calls);
  const Nanoseconds end = start + from_seconds(plan.seconds);
  const auto one_after_the_other = [&] {
    while (now(calls) < end) {
      try {
        Socket socket = connect_with(calls, plan, {.mode = Mode::connections});
        std::array<std::byte, 1> reply;
        ++(receive_all(socket, reply) ? done : failed);
        socket.set_option(SOL_SOCKET, SO_LINGER, linger{.l_onoff = 1, .l_linger = 0});
      } catch (const std::system_error& e) {
        if (e.code() == std::errc::operation_canceled) return;
        if (++failed > 100 + done / 10) return;  // nobody is there
      }
    }
  };
  {
    std::list<Thread> others;
    for (unsigned i = 1; i < plan.streams; ++i) others.emplace_back(calls, one_after_the_other);
    one_after_the_other();
  }
  return {.connections = done, .failed = failed, .seconds = seconds(now(calls) - start)};
}

void prepare(Socket& socket, const Plan& plan) {
  if (plan.buffer != 0) {
    socket.set_option(SOL_SOCKET, SO_SNDBUF, static_cast<int>(plan.buffer));
    socket.set_option(SOL_SOCKET, SO_RCVBUF, static_cast<int>(plan.buffer));
  }
  const std::string& name = plan.congestion;
  if (name.empty()) return;
  if (socket.calls().setsockopt(socket.fd(), IPPROTO_TCP, TCP_CONGESTION, name.data(),
                                static_cast<socklen_t>(name.size())) != 0)
    throw std::system_error(errno, std::generic_category(), "congestion control " + name);
}

void serve(Socket& listener, bool in_place) {
  serve_with_threads(listener, [in_place](Socket socket) { answer(std::move(socket), in_place); });
}

}  // namespace limpid::apps::perf
