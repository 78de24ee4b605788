// httpd: an HTTP server for a directory. conversation.h holds what HTTP says; here is only how many clients are served
// through one port: in one poll loop, or with --threads by one thread each.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limpid/socket.hpp>
#include <map>
#include <vector>

#include "apps/common/clock.h"
#include "apps/common/command_line.h"
#include "apps/common/servers.h"
#include "apps/httpd/conversation.h"

namespace limpid::apps {
namespace {

struct Options {
  std::string root = ".";
  std::string address;
  uint16_t port = 80;
  bool threads = false;
  bool generated = false;
  unsigned idle_seconds = 60;
  int fast_open = 0;
};

constexpr uint64_t kPiece = uint64_t{64} * 1024;  // of content read at a time

uint64_t next_piece(const Conversation& conversation) { return std::min(conversation.content_left(), kPiece); }

// Reads content straight into what the socket sends from. False: there is no more of it.
bool read_into(const Reservation& room, Conversation& conversation) {
  uint64_t offset = 0;
  for (size_t i = 0; i < room.count(); ++i) {
    if (!conversation.read_content(offset, room[i])) return false;
    offset += room[i].size();
  }
  return true;
}

// --- one thread a connection: the conversation as it reads ---------------------------------------------------------

void converse(Socket socket, const Site& site, const Options& options) {
  socket.receive_timeout(std::chrono::seconds(options.idle_seconds));
  socket.no_delay();
  Conversation conversation(site);
  std::array<std::byte, 16 * 1024> buffer;
  while (!conversation.finished()) {
    if (conversation.wants_input()) {
      const size_t n = socket.receive(buffer);
      if (n == 0) return;
      conversation.received(std::span(buffer).first(n));
    }
    while (!conversation.output().empty()) conversation.sent(socket.send(conversation.output()));
    if (conversation.content_left() == 0) continue;
    Reservation room = socket.reserve(next_piece(conversation));
    if (read_into(room, conversation)) conversation.content_sent(room.commit(room.size()));
  }
  // Closing over unread bytes would reset the connection, and the reset could overtake our answer at the client: so
  // first the FIN, then the wait for the client's.
  socket.shutdown_send();
  while (socket.receive(buffer) > 0) continue;
}

// --- one loop over all connections -----------------------------------------------------------------------------------

struct Client {
  Socket socket;
  Conversation conversation;
  Nanoseconds last_moved;
  bool farewell = false;  // our FIN is sent, the client's is awaited: see converse()

  short wanted() const { return conversation.wants_input() || farewell ? POLLIN : POLLOUT; }

  bool send_content();
  // Sends until the socket takes no more, reads when all is answered. False when the connection is to be closed.
  bool serve() {
    for (;;) {
      const auto out = conversation.output();
      if (!out.empty()) {
        const auto n = socket.try_send(out);
        if (!n) return true;
        conversation.sent(*n);
        continue;
      }
      if (conversation.content_left() > 0) {
        if (!send_content()) return true;
        continue;
      }
      if (conversation.finished() && !farewell) {
        socket.shutdown_send();
        farewell = true;
      }
      std::array<std::byte, 16 * 1024> buffer;
      const auto n = socket.try_receive(buffer);
      if (!n) return true;
      if (*n == 0) return false;
      if (!farewell) conversation.received(std::span(buffer).first(*n));
    }
  }
};

// False when the socket takes no more now.
bool Client::send_content() {
  auto room = socket.try_reserve(next_piece(conversation));
  if (!room) return false;
  if (!read_into(*room, conversation)) return true;
  const auto n = room->try_commit(room->size());
  if (n) conversation.content_sent(*n);
  return n.has_value();
}

class Loop {
 public:
  Loop(Socket& listener, const Site& site, const Options& options)
      : listener_(listener), site_(site), idle_(std::chrono::seconds(options.idle_seconds)) {
    listener_.non_blocking();
  }

  void run() {
    const SocketCalls& calls = listener_.calls();
    std::vector<pollfd> waiting;
    for (;;) {
      waiting.assign(1, {listener_.fd(), POLLIN, 0});
      for (const auto& [fd, client] : clients_) waiting.push_back({fd, client.wanted(), 0});
      Socket::check(calls.poll(waiting.data(), waiting.size(), clients_.empty() ? -1 : 1000), "poll");
      const Nanoseconds current = now(calls);
      for (const pollfd& ready : std::span(waiting).subspan(1))
        if (ready.revents != 0 && !serve(clients_.at(ready.fd), current)) clients_.erase(ready.fd);
      std::erase_if(clients_, [&](const auto& entry) { return current - entry.second.last_moved > idle_; });
      if (waiting[0].revents != 0) accept_all(current);
    }
  }

 private:
  static bool serve(Client& client, Nanoseconds current) {
    client.last_moved = current;
    try {
      return client.serve();
    } catch (const std::system_error&) {
      return false;  // the client reset the connection
    }
  }

  void accept_all(Nanoseconds current) {
    while (auto socket = accept_client(listener_)) {
      socket->non_blocking().no_delay();
      const int fd = socket->fd();
      clients_.insert_or_assign(fd, Client{std::move(*socket), Conversation(site_), current});
    }
  }

  Socket& listener_;
  const Site& site_;
  Nanoseconds idle_;
  std::map<int, Client> clients_;  // by descriptor
};

}  // namespace

int run_httpd(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-httpd", "Serves the files of a directory over HTTP/1.1.", context);
  Options options;
  line->add_option("root", options.root, "the directory")->capture_default_str()->check(CLI::ExistingDirectory);
  line->add_option("-p,--port", options.port, "where to listen")->capture_default_str();
  line->add_option("-a,--bind-address", options.address, "one local address only (default: all)");
  line->add_flag("--threads", options.threads, "one thread a connection instead of one poll loop");
  line->add_flag("--generate", options.generated, "also answer /bytes/N with N made-up bytes");
  line->add_option("--idle", options.idle_seconds, "close a connection after so many seconds without a request")
      ->capture_default_str();
  line->add_option("--fast-open", options.fast_open,
                   "TCP_FASTOPEN: so many requests may come with a SYN and wait for their handshake (the host needs "
                   "--tcp-fast-open 3)");
  if (const auto status = line.parse(arguments)) return *status;

  const Site site(options.root, options.generated);
  const SocketAddress local(options.address, options.port);
  Socket listener = listen_on(*context.calls, local);
  if (options.fast_open > 0) listener.set_option(IPPROTO_TCP, TCP_FASTOPEN, options.fast_open);
  fmt::print(context.err, "limpid-httpd: {} on {} ({} sockets)\n", options.root, local.to_string(),
             context.calls->name);
  if (options.threads) {
    serve_with_threads(listener, [&](Socket socket) { converse(std::move(socket), site, options); });
  } else {
    Loop(listener, site, options).run();
  }
  return 0;
}

}  // namespace limpid::apps
