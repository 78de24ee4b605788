// ping: asks for ICMP echoes over a raw socket, which sends and receives IP packets without a transport of its own.
// The identifier tells our answers from those to other pings, the sequence number one request from the next.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limpid/socket.hpp>
#include <optional>
#include <unordered_map>
#include <vector>

#include "apps/common/clock.h"
#include "apps/common/command_line.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"

namespace limpid::apps {
namespace {

struct Options {
  std::string target;
  unsigned count = 0;
  double interval = 1.0;
  double wait = 1.0;
  uint16_t size = 56;
  int ttl = 0;
  bool quiet = false;
};

const char* unreachable_reason(uint8_t code) {
  switch (code) {
    case icmp4_unreachable::net:
      return "Destination Net Unreachable";
    case icmp4_unreachable::host:
      return "Destination Host Unreachable";
    case icmp4_unreachable::protocol:
      return "Destination Protocol Unreachable";
    case icmp4_unreachable::port:
      return "Destination Port Unreachable";
    case icmp4_unreachable::fragmentation_needed:
      return "Frag needed and DF set";
    default:
      return "Dest Unreachable";
  }
}

class Ping {
 public:
  Ping(const Options& options, SocketAddress target, Context& context)
      : options_(options),
        target_(target),
        calls_(*context.calls),
        out_(context.out),
        socket_(Socket::open(calls_, SOCK_RAW, IPPROTO_ICMP)) {
    if (options.ttl > 0) socket_.set_option(IPPROTO_IP, IP_TTL, options.ttl);
    // Any number does; that of the clock is seldom another ping's.
    identifier_ = static_cast<uint16_t>(static_cast<uint64_t>(now(calls_).count()) >> 10 ^
                                        static_cast<unsigned>(socket_.fd()) << 12);
    data_.resize(options.size);
    for (size_t i = 0; i < data_.size(); ++i) data_[i] = static_cast<std::byte>(i);
  }

  int run() {
    const size_t on_wire = data_.size() + Icmp4Header::kSize + Ipv4Header::kMinSize;
    fmt::print(out_, "PING {0} ({0}) {1}({2}) bytes of data.\n", target_.host(), data_.size(), on_wire);
    start_ = now(calls_);
    try {
      converse();
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::operation_canceled) throw;  // Ctrl-C: the statistics are due all the same
    }
    print_statistics();
    return received_ > 0 ? 0 : 1;
  }

 private:
  void converse() {
    const Nanoseconds interval = from_seconds(options_.interval);
    Nanoseconds next = start_;
    while (!complete()) {
      Nanoseconds current = now(calls_);
      const bool all_sent = options_.count != 0 && sent_ == options_.count;
      if (!all_sent && current >= next) {
        send_request();
        next += interval;
        continue;
      }
      if (all_sent && current >= last_sent_ + from_seconds(options_.wait)) return;
      const Nanoseconds until = all_sent ? last_sent_ + from_seconds(options_.wait) : next;
      pollfd waiting{socket_.fd(), POLLIN, 0};
      if (Socket::check(calls_.poll(&waiting, 1, poll_timeout(until, current)), "poll") > 0) receive();
    }
  }

  bool complete() const { return options_.count != 0 && received_ + errors_ >= options_.count; }

  void send_request() {
    const uint16_t sequence = static_cast<uint16_t>(++sent_);
    std::vector<std::byte> message(Icmp4Header::kSize + data_.size());
    const ByteSpan body[] = {data_};
    const auto header = Icmp4Header::echo(icmp4_type::echo_request, identifier_, sequence);
    header.write(std::span(message).first(Icmp4Header::kSize), body);
    std::ranges::copy(data_, message.begin() + Icmp4Header::kSize);
    last_sent_ = now(calls_);
    pending_[sequence] = last_sent_;
    try {
      socket_.send_to(message, target_);
    } catch (const std::system_error& e) {
      if (e.code() == std::errc::operation_canceled) throw;
      fmt::print(out_, "ping: sendto: {}\n", e.code().message());
      ++errors_;
    }
  }

  void receive() {
    std::vector<std::byte> packet(65'536);
    SocketAddress from;
    socklen_t length = SocketAddress::size();
    const ssize_t n = calls_.recvfrom(socket_.fd(), packet.data(), packet.size(), MSG_DONTWAIT, from.data(), &length);
    if (n < 0) return;  // an ICMP error's errno: its packet is queued as well
    const Nanoseconds arrived = now(calls_);
    const ByteSpan bytes = std::span(packet).first(static_cast<size_t>(n));
    const auto ip = parse_ipv4(bytes);
    if (!ip) return;
    const auto message = parse_icmp4(bytes.subspan(ip->header_size, ip->payload_size));
    if (!message) return;
    if (message->header.type == icmp4_type::echo_reply) {
      if (message->header.identifier() == identifier_) take_reply(*message, ip->header.ttl, from, arrived);
    } else if (icmp4_is_error(message->header.type)) {
      take_error(*message, from);
    }
  }

  void take_reply(const ParsedIcmp4& reply, uint8_t ttl, const SocketAddress& from, Nanoseconds arrived) {
    const uint16_t sequence = reply.header.sequence();
    const auto request = pending_.find(sequence);
    const bool duplicate = request == pending_.end();
    const char* mark = duplicate ? " (DUP!)" : std::ranges::equal(reply.body, data_) ? "" : " (wrong data)";
    std::string time;
    if (!duplicate) {
      const double ms = milliseconds(arrived - request->second);
      time = fmt::format(" time={:.{}f} ms", ms, ms < 1 ? 3 : ms < 10 ? 2 : ms < 100 ? 1 : 0);
      times_.push_back(ms);
      pending_.erase(request);
      ++received_;
    } else {
      ++duplicates_;
    }
    if (options_.quiet) return;
    fmt::print(out_, "{} bytes from {}: icmp_seq={} ttl={}{}{}\n", reply.body.size() + Icmp4Header::kSize, from.host(),
               sequence, ttl, time, mark);
    std::fflush(out_);
  }

  void take_error(const ParsedIcmp4& error, const SocketAddress& from) {
    const auto quoted = parse_quoted_ipv4(error.body);
    if (!quoted || quoted->header.protocol != IpProtocol::icmp) return;
    const uint16_t sequence = load16(quoted->payload, 6);
    if (load8(quoted->payload, 0) != icmp4_type::echo_request || load16(quoted->payload, 4) != identifier_) return;
    if (pending_.erase(sequence) == 0) return;
    ++errors_;
    if (options_.quiet) return;
    const char* what = error.header.type == icmp4_type::unreachable     ? unreachable_reason(error.header.code)
                       : error.header.type == icmp4_type::time_exceeded ? "Time to live exceeded"
                                                                        : "ICMP error";
    fmt::print(out_, "From {} icmp_seq={} {}\n", from.host(), sequence, what);
    std::fflush(out_);
  }

  void print_statistics() {
    const double loss = sent_ == 0 ? 0.0 : 100.0 * (sent_ - received_) / sent_;
    fmt::print(
        out_,
        "\n--- {} ping statistics ---\n{} packets transmitted, {} received,{}{} {:.4g}% packet loss, time {:.0f}ms\n",
        target_.host(), sent_, received_, duplicates_ > 0 ? fmt::format(" +{} duplicates,", duplicates_) : "",
        errors_ > 0 ? fmt::format(" +{} errors,", errors_) : "", loss, milliseconds(now(calls_) - start_));
    if (times_.empty()) return;
    double sum = 0, squares = 0;
    for (const double t : times_) sum += t, squares += t * t;
    const double mean = sum / static_cast<double>(times_.size());
    const double deviation = std::sqrt(std::max(0.0, squares / static_cast<double>(times_.size()) - mean * mean));
    const auto [least, most] = std::ranges::minmax(times_);
    fmt::print(out_, "rtt min/avg/max/mdev = {:.3f}/{:.3f}/{:.3f}/{:.3f} ms\n", least, mean, most, deviation);
  }

  const Options& options_;
  SocketAddress target_;
  const SocketCalls& calls_;
  std::FILE* out_;
  Socket socket_;
  uint16_t identifier_ = 0;
  std::vector<std::byte> data_;
  std::unordered_map<uint16_t, Nanoseconds> pending_;  // requests without an answer, by sequence number
  std::vector<double> times_;                          // milliseconds
  unsigned sent_ = 0, received_ = 0, duplicates_ = 0, errors_ = 0;
  Nanoseconds start_{}, last_sent_{};
};

}  // namespace

int run_ping(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-ping", "Asks a host for ICMP echoes. (With --kernel it needs the right to raw sockets.)",
                   context);
  Options options;
  line->add_option("address", options.target, "whom to ask")->required();
  line->add_option("-c,--count", options.count, "stop after so many (default: never)");
  line->add_option("-i,--interval", options.interval, "seconds between requests")->capture_default_str();
  line->add_option("-W,--wait", options.wait, "seconds to wait for the last answer")->capture_default_str();
  line->add_option("-s,--size", options.size, "bytes of data")->capture_default_str()->check(CLI::Range(0, 65'507));
  line->add_option("-t,--ttl", options.ttl, "time to live")->check(CLI::Range(1, 255));
  line->add_flag("-q,--quiet", options.quiet, "only the summary");
  if (const auto status = line.parse(arguments)) return *status;
  return Ping(options, SocketAddress(options.target, 0), context).run();
}

}  // namespace limpid::apps
