// perf's server (apps/perf/protocol.h) as one event loop over epoll, on our sockets or (--kernel) on the kernel's: for
// measurements of many connections, where a thread each would be what is measured.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <array>
#include <vector>

#include "apps/common/open_host.h"
#include "apps/common/servers.h"
#include "apps/perf/measure.h"
#include "apps/perf/protocol.h"

namespace limpid::bench {
namespace {

using apps::perf::kRequestSize;
using apps::perf::Mode;
using apps::perf::Request;

constexpr size_t kPiece = 128 * 1024;
constexpr int kEventsAtOnce = 256;

class EventServer {
 public:
  EventServer(const SocketCalls& calls, uint16_t port, const apps::perf::Plan& plan)
      : calls_(calls),
        listener_(apps::listen_on(calls, {"", port})),
        epoll_(calls, Socket::check(calls.epoll_create1(0), "epoll")),
        piece_(kPiece, std::byte{0x5a}) {
    apps::perf::prepare(listener_, plan);
    listener_.non_blocking();
    watch(listener_.fd(), EPOLLIN, EPOLL_CTL_ADD);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kEventsAtOnce> events{};
    for (;;) {
      const int n = Socket::check(calls_.epoll_wait(epoll_.fd(), events.data(), kEventsAtOnce, -1), "epoll_wait");
      for (int i = 0; i < n; ++i) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == listener_.fd()) {
          admit();
        } else if (!serve(fd)) {
          calls_.close(fd);
        }
      }
    }
  }

 private:
  struct Client {
    bool asked = false;  // its request has come
    Mode mode = Mode::upload;
    uint32_t message_size = 0;
  };

  void watch(int fd, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    Socket::check(calls_.epoll_ctl(epoll_.fd(), operation, fd, &event), "epoll_ctl");
  }

  void admit() {
    while (auto client = apps::accept_client(listener_)) {
      client->non_blocking();
      client->no_delay();
      const int fd = client->release();
      if (clients_.size() <= static_cast<size_t>(fd)) clients_.resize(static_cast<size_t>(fd) + 1024);
      clients_[static_cast<size_t>(fd)] = {};
      watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  // False: the conversation is over.
  bool serve(int fd) {
    Client& client = clients_[static_cast<size_t>(fd)];
    if (client.asked && client.mode == Mode::download) {
      const size_t size = client.message_size == 0 ? kPiece : client.message_size;
      return calls_.send(fd, piece_.data(), std::min(size, kPiece), MSG_NOSIGNAL) > 0 || errno == EAGAIN;
    }
    const ssize_t n = calls_.recv(fd, piece_.data(), piece_.size(), 0);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    const auto received = std::span(piece_).first(static_cast<size_t>(n));
    if (client.asked) return hear(fd, client, received);
    const auto request = Request::decode(received);  // of 24 bytes in one send: they come together
    if (!request) return false;
    client = {.asked = true, .mode = request->mode, .message_size = request->message_size};
    if (client.mode == Mode::download) watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
    if (client.mode == Mode::connections) return say(fd, std::span(piece_).first(1));
    return received.size() == kRequestSize || hear(fd, client, received.subspan(kRequestSize));
  }

  bool hear(int fd, const Client& client, std::span<const std::byte> text) {
    return client.mode != Mode::ping_pong || say(fd, text);
  }

  bool say(int fd, std::span<const std::byte> text) {
    return calls_.send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  const SocketCalls& calls_;
  Socket listener_;
  Socket epoll_;
  std::vector<std::byte> piece_;
  std::vector<Client> clients_;  // by descriptor
};

}  // namespace
}  // namespace limpid::bench

int main(int argc, char** argv) {
  using namespace limpid;
  CLI::App line("perf's server as one event loop.", "event_server");
  HostOptions where;
  uint16_t port = apps::perf::kDefaultPort;
  apps::perf::Plan plan;
  line.add_option("-p,--port", port)->capture_default_str();
  line.add_option("--congestion", plan.congestion, "congestion control of this end: reno, cubic, bbr");
  add_host_options(line, where);
  CLI11_PARSE(line, argc, argv);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return with_host(where, [&](const SocketCalls& calls) {
    bench::EventServer server(calls, port, plan);
    fmt::print(stderr, "event_server: a server on port {} ({} sockets)\n", port, calls.name);
    server.run();
    return 0;
  });
}
