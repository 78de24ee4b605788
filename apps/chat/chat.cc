// chat: everybody reads what anybody writes. One thread, one poll loop, many clients, and the problem that every such
// server has: a client that does not read must not hold up the rest, so each has a bounded queue, and goes when it is
// full.
#include <fmt/core.h>

#include <array>
#include <limpid/socket.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/command_line.h"
#include "apps/common/servers.h"

namespace limpid::apps {
namespace {

constexpr size_t kLongestLine = 4096;
constexpr size_t kLongestQueue = 256 * 1024;

struct Client {
  Socket socket;
  std::string name;      // what the first line says
  std::string received;  // the beginning of a line
  std::string unsent;
  bool gone = false;

  short wanted() const { return static_cast<short>(unsent.empty() ? POLLIN : POLLIN | POLLOUT); }
};

class Room {
 public:
  explicit Room(Socket& listener) : listener_(listener) { listener_.non_blocking(); }

  void run() {
    const SocketCalls& calls = listener_.calls();
    std::vector<pollfd> waiting;
    for (;;) {
      waiting.assign(1, {listener_.fd(), POLLIN, 0});
      for (const auto& [fd, client] : clients_) waiting.push_back({fd, client.wanted(), 0});
      Socket::check(calls.poll(waiting.data(), waiting.size(), -1), "poll");
      for (const pollfd& ready : std::span(waiting).subspan(1))
        if (ready.revents != 0) serve(clients_.at(ready.fd), ready.revents);
      if (waiting[0].revents != 0) admit();
      dismiss();
    }
  }

 private:
  void admit() {
    while (auto socket = accept_client(listener_)) {
      socket->non_blocking();
      const int fd = socket->fd();
      Client& client = clients_.insert_or_assign(fd, Client{std::move(*socket), {}, {}, {}}).first->second;
      tell(client, "your name?\n");
    }
  }

  void serve(Client& client, short events) {
    try {
      if ((events & POLLOUT) != 0) flush(client);
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) read(client);
    } catch (const std::system_error&) {
      client.gone = true;  // reset
    }
  }

  void read(Client& client) {
    std::array<std::byte, kLongestLine> buffer;
    const auto n = client.socket.try_receive(buffer);
    if (!n) return;
    if (*n == 0) client.gone = true;
    client.received.append(reinterpret_cast<const char*>(buffer.data()), *n);
    for (size_t end; (end = client.received.find('\n')) != std::string::npos;) {
      std::string line = client.received.substr(0, end);
      client.received.erase(0, end + 1);
      if (line.ends_with('\r')) line.pop_back();
      hear(client, line);
    }
    if (client.received.size() > kLongestLine) client.gone = true;
  }

  void hear(Client& client, const std::string& line) {
    if (client.name.empty()) {
      if (line.empty()) return;
      client.name = line.substr(0, 32);
      tell_all(fmt::format("* {} has come\n", client.name), nullptr);
    } else {
      tell_all(fmt::format("<{}> {}\n", client.name, line), &client);
    }
  }

  void tell_all(std::string_view text, const Client* except) {
    for (auto& [fd, client] : clients_)
      if (&client != except && !client.name.empty()) tell(client, text);
  }

  void tell(Client& client, std::string_view text) {
    if (client.gone) return;
    if (client.unsent.size() + text.size() > kLongestQueue) {
      client.gone = true;  // it does not read
      return;
    }
    client.unsent += text;
    try {
      flush(client);
    } catch (const std::system_error&) {
      client.gone = true;
    }
  }

  static void flush(Client& client) {
    if (client.unsent.empty()) return;
    if (const auto n = client.socket.try_send(std::as_bytes(std::span(client.unsent)))) client.unsent.erase(0, *n);
  }

  // Telling the others that somebody left may show that another one is gone too: so until nobody is.
  void dismiss() {
    for (;;) {
      const auto leaver = std::ranges::find_if(clients_, [](const auto& entry) { return entry.second.gone; });
      if (leaver == clients_.end()) return;
      const std::string name = leaver->second.name;
      clients_.erase(leaver);
      if (!name.empty()) tell_all(fmt::format("* {} has left\n", name), nullptr);
    }
  }

  Socket& listener_;
  std::map<int, Client> clients_;  // by descriptor
};

// The client's side: what is typed goes out, what comes is printed.
int join(const SocketCalls& calls, const SocketAddress& server, const std::string& name, std::FILE* out) {
  Socket socket = Socket::stream(calls);
  socket.connect(server);
  if (!name.empty()) socket.send(name + "\n");
  std::array<std::byte, kLongestLine> buffer;
  bool typing = true;
  for (;;) {
    std::array<pollfd, 2> waiting = {{{socket.fd(), POLLIN, 0}, {typing ? 0 : -1, POLLIN, 0}}};
    Socket::check(calls.poll(waiting.data(), waiting.size(), -1), "poll");
    if (waiting[0].revents != 0) {
      const size_t n = socket.receive(buffer);
      if (n == 0) return 0;
      std::fwrite(buffer.data(), 1, n, out);
      std::fflush(out);
    }
    if (waiting[1].revents != 0) {
      const ssize_t n = Socket::check(static_cast<int>(calls.read(0, buffer.data(), buffer.size())), "read");
      typing = n > 0;
      if (typing) {
        socket.send(std::span(buffer).first(static_cast<size_t>(n)));
      } else {
        socket.shutdown_send();
      }
    }
  }
}

}  // namespace

int run_chat(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-chat", "A chat room. Clients: this program with an address, or nc.", context);
  std::string server, name;
  uint16_t port = 5000;
  line->add_option("server", server, "join the room there: ADDRESS[:PORT] (default: be the room)");
  line->add_option("-n,--name", name, "your name");
  line->add_option("-p,--port", port, "where the room listens")->capture_default_str();
  if (const auto status = line.parse(arguments)) return *status;

  const SocketCalls& calls = *context.calls;
  if (!server.empty()) {
    const auto address = SocketAddress::parse(server, port);
    if (!address) throw std::invalid_argument("not an address: " + server);
    return join(calls, *address, name, context.out);
  }
  Socket listener = listen_on(calls, {"", port});
  fmt::print(context.err, "limpid-chat: a room on 0.0.0.0:{} ({} sockets)\n", port, calls.name);
  Room(listener).run();
  return 0;
}

}  // namespace limpid::apps
