// nc: joins a connection to standard input and output, in either role. The point of it is the half-close: the end of
// standard input is our FIN (shutdown(SHUT_WR)), and what the other side still has to say is received to its end.
#include <fmt/core.h>

#include <array>
#include <limpid/socket.hpp>
#include <optional>
#include <vector>

#include "apps/common/clock.h"
#include "apps/common/command_line.h"
#include "apps/common/servers.h"

namespace limpid::apps {
namespace {

struct Options {
  std::vector<std::string> where;  // [address] port
  bool listen = false;
  bool udp = false;
  bool keep_listening = false;
  bool zero = false;
  bool verbose = false;
  uint16_t source_port = 0;
  int idle_seconds = 0;
  int syn_retries = 0;
  int keep_alive = 0;
};

constexpr size_t kBufferSize = 64 * 1024;

void write_all(const SocketCalls& calls, int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = calls.write(fd, bytes.data(), bytes.size());
    if (n < 0) throw std::system_error(errno, std::generic_category(), "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

// Moves bytes both ways until both directions have ended. Standard input is read only when the socket has taken what
// was read before, so that neither direction can block the other.
class Relay {
 public:
  Relay(Socket& socket, const Options& options) : socket_(socket), options_(options) { socket_.non_blocking(); }

  // 0: both directions ended. 1: nothing moved for too long.
  int run() {
    const SocketCalls& calls = socket_.calls();
    std::vector<std::byte> buffer(kBufferSize);
    while (receiving_ || sending_) {
      std::array<pollfd, 2> waiting = {{{socket_.fd(), 0, 0}, {reads_input() ? 0 : -1, POLLIN, 0}}};
      if (receiving_) waiting[0].events |= POLLIN;
      if (!unsent_.empty()) waiting[0].events |= POLLOUT;
      const int timeout = options_.idle_seconds > 0 ? options_.idle_seconds * 1000 : -1;
      if (Socket::check(calls.poll(waiting.data(), waiting.size(), timeout), "poll") == 0) return 1;
      if ((waiting[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && receiving_) receive(buffer);
      if ((waiting[1].revents & (POLLIN | POLLHUP)) != 0) read_input(buffer);
      flush();
    }
    return 0;
  }

 private:
  bool reads_input() const { return sending_ && !input_ended_ && unsent_.empty(); }

  void receive(std::span<std::byte> buffer) {
    const auto n = socket_.try_receive(buffer);
    if (!n) return;
    if (*n == 0 && !options_.udp) receiving_ = false;
    write_all(socket_.calls(), 1, buffer.first(*n));
  }

  void read_input(std::span<std::byte> buffer) {
    const ssize_t n = socket_.calls().read(0, buffer.data(), options_.udp ? 1400 : buffer.size());
    if (n < 0) throw std::system_error(errno, std::generic_category(), "read");
    unsent_.assign(buffer.begin(), buffer.begin() + n);
    input_ended_ = n == 0;
  }

  void flush() {
    if (!unsent_.empty())
      if (const auto n = socket_.try_send(unsent_))
        unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(*n));
    if (!input_ended_ || !unsent_.empty() || !sending_) return;
    sending_ = false;
    if (!options_.udp) end_sending();
  }

  // Our FIN: we have said all, and go on listening. Where a RST came meanwhile, listening will tell.
  void end_sending() {
    try {
      socket_.shutdown_send();
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::not_connected) throw;
    }
  }

  Socket& socket_;
  const Options& options_;
  std::vector<std::byte> unsent_;
  bool receiving_ = true;
  bool sending_ = true;
  bool input_ended_ = false;
};

void set_stream_options(Socket& socket, const Options& options) {
  if (options.syn_retries > 0) socket.set_option(IPPROTO_TCP, TCP_SYNCNT, options.syn_retries);
  if (options.keep_alive > 0) {  // silence of so many seconds, then three probes as far apart
    socket.set_option(SOL_SOCKET, SO_KEEPALIVE, 1).set_option(IPPROTO_TCP, TCP_KEEPIDLE, options.keep_alive);
    socket.set_option(IPPROTO_TCP, TCP_KEEPINTVL, options.keep_alive).set_option(IPPROTO_TCP, TCP_KEEPCNT, 3);
  }
}

int call(const Options& options, const SocketAddress& remote, Context& context) {
  Socket socket = options.udp ? Socket::datagram(*context.calls) : Socket::stream(*context.calls);
  if (options.source_port != 0) socket.reuse_address().bind({"", options.source_port});
  if (!options.udp) set_stream_options(socket, options);
  socket.connect(remote);
  if (options.verbose || options.zero)
    fmt::print(context.err, "limpid-nc: connected from {} to {}\n", socket.local().to_string(), remote.to_string());
  return options.zero ? 0 : Relay(socket, options).run();
}

int answer_calls(const Options& options, const SocketAddress& local, Context& context) {
  Socket listener = listen_on(*context.calls, local, 16);
  fmt::print(context.err, "limpid-nc: listening on {}\n", local.to_string());
  int status = 0;
  do {
    auto [socket, peer] = listener.accept();
    if (options.verbose) fmt::print(context.err, "limpid-nc: a call from {}\n", peer.to_string());
    if (!options.keep_listening) listener = {};
    set_stream_options(socket, options);
    status = Relay(socket, options).run();
  } while (options.keep_listening);
  return status;
}

// A UDP "server": the first datagram's sender becomes the peer.
int answer_datagrams(const Options& options, const SocketAddress& local, Context& context) {
  Socket socket = Socket::datagram(*context.calls);
  socket.reuse_address().bind(local);
  fmt::print(context.err, "limpid-nc: waiting for datagrams on {}\n", local.to_string());
  std::array<std::byte, 1> peeked;
  const SocketAddress peer = socket.receive_from(peeked, MSG_PEEK).second;
  if (options.verbose) fmt::print(context.err, "limpid-nc: datagrams from {}\n", peer.to_string());
  socket.connect(peer);
  return Relay(socket, options).run();
}

}  // namespace

int run_nc(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-nc", "Joins a connection to standard input and output.", context);
  Options options;
  line->add_option("where", options.where, "ADDRESS PORT to call; with -l [ADDRESS] PORT to listen on")
      ->required()
      ->expected(1, 2);
  line->add_flag("-l,--listen", options.listen, "wait for a call");
  line->add_flag("-k,--keep-listening", options.keep_listening, "with -l: wait for the next call after each");
  line->add_flag("-u,--udp", options.udp, "datagrams");
  line->add_flag("-z,--zero", options.zero, "connect, and close at once");
  line->add_flag("-v,--verbose", options.verbose, "tell who is connected to whom");
  line->add_option("-p,--source-port", options.source_port, "call from this local port");
  line->add_option("-w,--idle", options.idle_seconds,
                   "give up when nothing moved for so many seconds (needed to end -u)");
  line->add_option("--syn-count", options.syn_retries, "how often a SYN is repeated (TCP_SYNCNT)");
  line->add_option("--keep-alive", options.keep_alive,
                   "SO_KEEPALIVE: probe after so many silent seconds, and as often again; three lost ones end it");
  if (const auto status = line.parse(arguments)) return *status;

  const bool both = options.where.size() == 2;
  const auto address = SocketAddress::parse((both ? options.where[0] : std::string()) + ":" + options.where.back());
  if (!address || (!both && !options.listen)) throw std::invalid_argument("give an address and a port");
  if (!options.listen) return call(options, *address, context);
  return options.udp ? answer_datagrams(options, *address, context) : answer_calls(options, *address, context);
}

}  // namespace limpid::apps
