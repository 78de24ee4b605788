// echo: gives back what it gets (RFC 862), over TCP and UDP on one port: the protocol is part of a socket's name, so
// TCP 7 and UDP 7 are two sockets. Three ways to serve many clients: one poll loop over all sockets; with --epoll the
// same loop, which then costs what is ready, not what there is; or with --threads one thread a connection, which is
// shorter, and costs a stack for each client.
#include <fmt/core.h>

#include <array>
#include <functional>
#include <limpid/socket.hpp>
#include <map>
#include <vector>

#include "apps/common/command_line.h"
#include "apps/common/servers.h"
#include "apps/common/thread.h"

namespace limpid::apps {
namespace {

constexpr size_t kBufferSize = 16 * 1024;

// What one client has sent and not yet got back. While it is not empty nothing more is read, so a client that does not
// read its echoes is held back by its own window, and costs us one buffer.
struct Client {
  Socket socket;
  std::vector<std::byte> unsent;

  short wanted() const { return unsent.empty() ? POLLIN : POLLOUT; }

  // One step; false when the conversation is over.
  bool serve() {
    if (unsent.empty()) {
      std::array<std::byte, kBufferSize> buffer;
      const auto n = socket.try_receive(buffer);
      if (!n) return true;
      if (*n == 0) return false;  // the client's FIN: closing sends ours
      unsent.assign(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
    }
    if (const auto n = socket.try_send(unsent))
      unsent.erase(unsent.begin(), unsent.begin() + static_cast<ptrdiff_t>(*n));
    return true;
  }
};

// Returns each waiting datagram to its sender. A UDP socket needs no connection: every datagram names its sender.
void echo_datagrams(Socket& socket) {
  std::array<std::byte, 65'536> buffer;
  for (;;) {
    SocketAddress from;
    socklen_t length = SocketAddress::size();
    const SocketCalls& calls = socket.calls();
    const ssize_t n = calls.recvfrom(socket.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT, from.data(), &length);
    if (n < 0) return;
    calls.sendto(socket.fd(), buffer.data(), static_cast<size_t>(n), MSG_DONTWAIT, from.data(), length);
  }
}

void accept_clients(Socket& listener, std::map<int, Client>& clients, const std::function<void(int)>& told = {}) {
  while (auto socket = accept_client(listener)) {
    socket->non_blocking();
    const int fd = socket->fd();
    clients.insert_or_assign(fd, Client{std::move(*socket), {}});
    if (told) told(fd);
  }
}

// Serves a client's events; false when it is gone.
bool serve_client(Client& client) {
  try {
    return client.serve();
  } catch (const std::system_error&) {
    return false;  // reset: the end of this conversation, not ours
  }
}

void serve_in_one_loop(Socket* listener, Socket* datagrams) {
  const SocketCalls& calls = (listener != nullptr ? listener : datagrams)->calls();
  if (listener != nullptr) listener->non_blocking();
  std::map<int, Client> clients;  // by descriptor
  std::vector<pollfd> waiting;
  for (;;) {
    waiting.clear();
    if (listener != nullptr) waiting.push_back({listener->fd(), POLLIN, 0});
    if (datagrams != nullptr) waiting.push_back({datagrams->fd(), POLLIN, 0});
    for (const auto& [fd, client] : clients) waiting.push_back({fd, client.wanted(), 0});
    Socket::check(calls.poll(waiting.data(), waiting.size(), -1), "poll");
    for (const pollfd& ready : waiting) {
      if (ready.revents == 0) continue;
      if (listener != nullptr && ready.fd == listener->fd()) {
        accept_clients(*listener, clients);
      } else if (datagrams != nullptr && ready.fd == datagrams->fd()) {
        echo_datagrams(*datagrams);
      } else if (!serve_client(clients.at(ready.fd))) {
        clients.erase(ready.fd);
      }
    }
  }
}

// A set of descriptors that says which of them are ready.
class Epoll {
 public:
  explicit Epoll(const SocketCalls& calls) : set_(calls, Socket::check(calls.epoll_create1(0), "epoll_create1")) {}
  void add(int fd) { control(EPOLL_CTL_ADD, fd, EPOLLIN); }
  void change(int fd, short wanted) { control(EPOLL_CTL_MOD, fd, static_cast<uint32_t>(wanted)); }
  std::span<const epoll_event> wait() {
    const int ready = set_.calls().epoll_wait(set_.fd(), ready_.data(), static_cast<int>(ready_.size()), -1);
    return {ready_.data(), static_cast<size_t>(Socket::check(ready, "epoll_wait"))};
  }

 private:
  void control(int operation, int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    Socket::check(set_.calls().epoll_ctl(set_.fd(), operation, fd, &event), "epoll_ctl");
  }

  Socket set_;
  std::array<epoll_event, 256> ready_{};
};

void serve_with_epoll(Socket* listener, Socket* datagrams) {
  Epoll epoll((listener != nullptr ? listener : datagrams)->calls());
  if (listener != nullptr) listener->non_blocking();
  for (const Socket* socket : {listener, datagrams})
    if (socket != nullptr) epoll.add(socket->fd());
  std::map<int, Client> clients;  // by descriptor
  for (;;) {
    for (const epoll_event& ready : epoll.wait()) {
      const int fd = ready.data.fd;
      if (listener != nullptr && fd == listener->fd()) {
        accept_clients(*listener, clients, [&epoll](int client) { epoll.add(client); });
      } else if (datagrams != nullptr && fd == datagrams->fd()) {
        echo_datagrams(*datagrams);
      } else {
        Client& client = clients.at(fd);
        const short wanted = client.wanted();
        if (!serve_client(client)) {
          clients.erase(fd);  // which closes it, and so takes it out of the set
        } else if (client.wanted() != wanted) {
          epoll.change(fd, client.wanted());
        }
      }
    }
  }
}

// The same conversation with blocking calls: three lines.
void echo_stream(Socket socket) {
  std::array<std::byte, kBufferSize> buffer;
  while (const size_t n = socket.receive(buffer)) socket.send(std::span(buffer).first(n));
}

void echo_datagrams_for_ever(Socket& socket) {
  std::array<std::byte, 65'536> buffer;
  for (;;) {
    const auto [n, from] = socket.receive_from(buffer);
    socket.send_to(std::span(buffer).first(n), from);
  }
}

void serve_threaded(Socket* listener, Socket* datagrams) {
  if (listener == nullptr) return echo_datagrams_for_ever(*datagrams);
  std::optional<Thread> second;
  if (datagrams != nullptr) {
    second.emplace(datagrams->calls(), [datagrams] {
      try {
        echo_datagrams_for_ever(*datagrams);
      } catch (const std::system_error&) {
        // The host was stopped; the thread that accepts says so too.
      }
    });
  }
  serve_with_threads(*listener, echo_stream);
}

}  // namespace

int run_echo(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-echo", "Gives back what it gets, over TCP and UDP (RFC 862).", context);
  uint16_t port = 7;
  std::string address;
  bool threads = false, epoll = false, only_tcp = false, only_udp = false, share = false;
  line->add_option("-p,--port", port, "where to listen")->capture_default_str();
  line->add_option("-a,--bind-address", address, "one local address only (default: all)");
  auto* threaded = line->add_flag("--threads", threads, "one thread a connection instead of one poll loop");
  line->add_flag("--epoll", epoll, "one epoll loop instead of one poll loop")->excludes(threaded);
  auto* tcp = line->add_flag("-t,--tcp", only_tcp, "TCP only");
  line->add_flag("-u,--udp", only_udp, "UDP only")->excludes(tcp);
  line->add_flag("--share-port", share, "let others listen there too, and share the clients (SO_REUSEPORT)");
  if (const auto status = line.parse(arguments)) return *status;

  const SocketCalls& calls = *context.calls;
  const SocketAddress local(address, port);
  std::optional<Socket> listener, datagrams;
  if (!only_udp) listener = listen_on(calls, local, 4096, share);
  if (!only_tcp) {
    datagrams = Socket::datagram(calls);
    if (share) datagrams->set_option(SOL_SOCKET, SO_REUSEPORT, 1);
    datagrams->bind(local);
  }
  fmt::print(context.err, "limpid-echo: {} on {} ({} sockets)\n",
             only_udp   ? "UDP"
             : only_tcp ? "TCP"
                        : "TCP and UDP",
             local.to_string(), calls.name);
  const auto serve = threads ? serve_threaded : epoll ? serve_with_epoll : serve_in_one_loop;
  serve(listener ? &*listener : nullptr, datagrams ? &*datagrams : nullptr);
  return 0;
}

}  // namespace limpid::apps
