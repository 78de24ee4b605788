// traceroute: finds the routers on the way to a host. A datagram with a time to live of n dies at the n-th router,
// which says so by ICMP; the host itself answers that nobody listens on the port (or to the echo request, with -I). The
// destination port (or the echo's sequence number) comes back in the quoted packet and tells the probes apart.
#include <fmt/core.h>

#include <array>
#include <limpid/socket.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/clock.h"
#include "apps/common/command_line.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"

namespace limpid::apps {
namespace {

struct Options {
  std::string target;
  int max_hops = 30;
  int first_hop = 1;
  int queries = 3;
  double wait = 5.0;
  uint16_t port = 33'434;
  bool icmp = false;
};

struct Answer {
  SocketAddress from;
  bool arrived = false;  // at the target: the last hop
  std::string mark;      // "!H" and the like
};

class Traceroute {
 public:
  Traceroute(const Options& options, SocketAddress target, Context& context)
      : options_(options),
        target_(target),
        calls_(*context.calls),
        out_(context.out),
        errors_(Socket::open(calls_, SOCK_RAW, IPPROTO_ICMP)),
        probes_(Socket::datagram(calls_)) {
    probes_.bind({"", 0});
    source_port_ = probes_.local().port();
    identifier_ = source_port_;  // as good as any, and free
  }

  int run() {
    fmt::print(out_, "traceroute to {0} ({0}), {1} hops max, {2} byte packets\n", target_.host(), options_.max_hops,
               Ipv4Header::kMinSize + 8 + kDataSize);
    for (int ttl = options_.first_hop; ttl <= options_.max_hops; ++ttl)
      if (probe_hop(ttl)) return 0;
    return 1;
  }

 private:
  static constexpr size_t kDataSize = 32;

  // All probes of one hop, one after the other. True when the target was reached, or nothing lies beyond.
  bool probe_hop(int ttl) {
    fmt::print(out_, "{:2} ", ttl);
    std::optional<SocketAddress> last;
    bool end = false;
    for (int i = 0; i < options_.queries; ++i) {
      ++number_;
      const Nanoseconds sent = now(calls_);
      if (options_.icmp) {
        send_echo(ttl);
      } else {
        send_datagram(ttl);
      }
      const auto answer = await_answer(sent + from_seconds(options_.wait));
      if (!answer) {
        fmt::print(out_, " *");
      } else {
        if (!last || !(*last == answer->from)) fmt::print(out_, " {0} ({0})", answer->from.host());
        fmt::print(out_, "  {:.3f} ms{}", milliseconds(now(calls_) - sent), answer->mark);
        last = answer->from;
        end = end || answer->arrived || !answer->mark.empty();
      }
      std::fflush(out_);
    }
    fmt::print(out_, "\n");
    return end;
  }

  uint16_t probe_port() const { return static_cast<uint16_t>(options_.port + number_ - 1); }

  void send_datagram(int ttl) {
    probes_.set_option(IPPROTO_IP, IP_TTL, ttl);
    const std::array<std::byte, kDataSize> data{};
    try {
      probes_.send_to(data, SocketAddress(target_.host(), probe_port()));
    } catch (const std::system_error& e) {
      if (e.code() == std::errc::operation_canceled) throw;  // others: an earlier probe's error, or no route: no answer
    }
  }

  void send_echo(int ttl) {
    errors_.set_option(IPPROTO_IP, IP_TTL, ttl);
    std::array<std::byte, Icmp4Header::kSize + kDataSize> message{};
    const ByteSpan body[] = {ByteSpan(message).subspan(Icmp4Header::kSize)};
    Icmp4Header::echo(icmp4_type::echo_request, identifier_, number_)
        .write(std::span(message).first(Icmp4Header::kSize), body);
    errors_.send_to(message, target_);
  }

  std::optional<Answer> await_answer(Nanoseconds deadline) {
    for (;;) {
      const Nanoseconds current = now(calls_);
      if (current >= deadline) return {};
      pollfd waiting{errors_.fd(), POLLIN, 0};
      if (Socket::check(calls_.poll(&waiting, 1, poll_timeout(deadline, current)), "poll") == 0) return {};
      std::array<std::byte, 2048> packet;
      SocketAddress from;
      socklen_t length = SocketAddress::size();
      const ssize_t n = calls_.recvfrom(errors_.fd(), packet.data(), packet.size(), MSG_DONTWAIT, from.data(), &length);
      if (n <= 0) continue;
      if (const auto answer = understand(ByteSpan(packet).first(static_cast<size_t>(n)), SocketAddress(from.host(), 0)))
        return answer;
    }
  }

  // Nothing when the packet does not answer the present probe.
  std::optional<Answer> understand(ByteSpan packet, const SocketAddress& from) const {
    const auto ip = parse_ipv4(packet);
    if (!ip) return {};
    const auto message = parse_icmp4(packet.subspan(ip->header_size, ip->payload_size));
    if (!message) return {};
    const Icmp4Header& header = message->header;
    if (header.type == icmp4_type::echo_reply && options_.icmp) {
      if (header.identifier() != identifier_ || header.sequence() != number_) return {};
      return Answer{from, true, ""};
    }
    if (header.type != icmp4_type::unreachable && header.type != icmp4_type::time_exceeded) return {};
    const auto quoted = parse_quoted_ipv4(message->body);
    if (!quoted || !is_ours(*quoted)) return {};
    if (header.type == icmp4_type::time_exceeded) return Answer{from, false, ""};
    switch (header.code) {
      case icmp4_unreachable::port:
        return Answer{from, true, ""};
      case icmp4_unreachable::net:
        return Answer{from, false, " !N"};
      case icmp4_unreachable::host:
        return Answer{from, false, " !H"};
      case icmp4_unreachable::protocol:
        return Answer{from, false, " !P"};
      case icmp4_unreachable::fragmentation_needed:
        return Answer{from, false, " !F"};
      default:
        return Answer{from, false, fmt::format(" !<{}>", header.code)};
    }
  }

  bool is_ours(const QuotedIpv4& quoted) const {
    const ByteSpan transport = quoted.payload;
    if (options_.icmp)
      return quoted.header.protocol == IpProtocol::icmp && load8(transport, 0) == icmp4_type::echo_request &&
             load16(transport, 4) == identifier_ && load16(transport, 6) == number_;
    return quoted.header.protocol == IpProtocol::udp && load16(transport, 0) == source_port_ &&
           load16(transport, 2) == probe_port();
  }

  const Options& options_;
  SocketAddress target_;
  const SocketCalls& calls_;
  std::FILE* out_;
  Socket errors_;  // raw ICMP: hears all errors
  Socket probes_;
  uint16_t source_port_ = 0;
  uint16_t identifier_ = 0;
  uint16_t number_ = 0;  // of the present probe, from 1
};

}  // namespace

int run_traceroute(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-traceroute",
                   "Finds the routers on the way to a host. (With --kernel it needs the right to raw sockets.)",
                   context);
  Options options;
  line->add_option("address", options.target, "the host")->required();
  line->add_option("-m,--max-hops", options.max_hops, "give up after so many routers")
      ->capture_default_str()
      ->check(CLI::Range(1, 255));
  line->add_option("-f,--first", options.first_hop, "begin with this time to live")
      ->capture_default_str()
      ->check(CLI::Range(1, 255));
  line->add_option("-q,--queries", options.queries, "probes for each hop")
      ->capture_default_str()
      ->check(CLI::Range(1, 10));
  line->add_option("-w,--wait", options.wait, "seconds to wait for an answer")->capture_default_str();
  line->add_option("-p,--port", options.port, "destination port of the first UDP probe")->capture_default_str();
  line->add_flag("-I,--icmp", options.icmp, "ICMP echo requests instead of UDP datagrams");
  if (const auto status = line.parse(arguments)) return *status;
  return Traceroute(options, SocketAddress(options.target, 0), context).run();
}

}  // namespace limpid::apps
