// perf: throughput both ways, round-trip latency with its percentiles, connections a second; against a server that is
// the same program, on Limpid's or on the kernel's sockets, so that every figure has its twin.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "apps/common/command_line.h"
#include "apps/common/servers.h"
#include "apps/perf/measure.h"

namespace limpid::apps {
namespace {

using Json = nlohmann::ordered_json;
using namespace perf;

struct Options {
  std::string server_address;
  uint16_t port = kDefaultPort;
  bool server = false;
  bool upload = false, download = false, ping_pong = false, connections = false;
  bool json = false;
  Plan plan;
};

class Report {
 public:
  Report(std::FILE* out, bool json, const std::string& sockets) : out_(out), as_json_(json) {
    if (as_json_) json_["sockets"] = sockets;
  }

  void add(const char* what, const Throughput& t) {
    if (as_json_)
      json_[what] = {{"bytes", t.bytes},
                     {"seconds", t.seconds},
                     {"gbit_per_s", t.gigabits_per_second()},
                     {"bytes_in_time", t.in_time}};
    else
      fmt::print(out_, "{:<12} {:.3f} Gbit/s  ({} bytes in {:.3f} s)\n", what, t.gigabits_per_second(), t.bytes,
                 t.seconds);
    std::fflush(out_);
  }
  void add(const char* what, const Latency& l) {
    if (as_json_)
      json_[what] = {{"round_trips", l.round_trips},
                     {"seconds", l.seconds},
                     {"mean_us", l.mean},
                     {"min_us", l.least},
                     {"p50_us", l.p50},
                     {"p90_us", l.p90},
                     {"p99_us", l.p99},
                     {"p99.9_us", l.p999},
                     {"max_us", l.most}};
    else
      fmt::print(
          out_,
          "{:<12} p50 {:.1f} us  p90 {:.1f}  p99 {:.1f}  p99.9 {:.1f}  min {:.1f}  max {:.1f}  ({} round trips)\n",
          what, l.p50, l.p90, l.p99, l.p999, l.least, l.most, l.round_trips);
    std::fflush(out_);
  }
  void add(const char* what, const ConnectionRate& r) {
    if (as_json_)
      json_[what] = {
          {"connections", r.connections}, {"failed", r.failed}, {"seconds", r.seconds}, {"per_s", r.per_second()}};
    else
      fmt::print(out_, "{:<12} {:.0f} a second  ({} in {:.3f} s, {} failed)\n", what, r.per_second(), r.connections,
                 r.seconds, r.failed);
    std::fflush(out_);
  }
  void finish() {
    if (as_json_) fmt::print(out_, "{}\n", json_.dump(2));
  }

 private:
  std::FILE* out_;
  bool as_json_;
  Json json_;
};

int measure(const Options& options, Context& context) {
  const SocketCalls& calls = *context.calls;
  const bool all = !options.upload && !options.download && !options.ping_pong && !options.connections;
  Report report(context.out, options.json, calls.name);
  if (all || options.upload) report.add("upload", measure_upload(calls, options.plan));
  if (all || options.download) report.add("download", measure_download(calls, options.plan));
  if (all || options.ping_pong) report.add("ping-pong", measure_ping_pong(calls, options.plan));
  uint64_t failed = 0;
  if (all || options.connections) {
    const ConnectionRate rate = measure_connections(calls, options.plan);
    report.add("connections", rate);
    failed = rate.failed;
  }
  report.finish();
  return failed == 0 ? 0 : 1;
}

}  // namespace

int run_perf(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-perf", "Measures throughput, round trips and connections a second between two of itself.",
                   context);
  Options options;
  Plan& plan = options.plan;
  line->add_option("server", options.server_address, "ADDRESS[:PORT] of the server");
  line->add_flag("-s,--server", options.server, "be the server");
  line->add_option("-p,--port", options.port, "its port")->capture_default_str();
  line->add_flag("-u,--upload", options.upload, "measure client to server");
  line->add_flag("-d,--download", options.download, "measure server to client");
  line->add_flag("-l,--ping-pong", options.ping_pong, "measure round trips");
  line->add_flag("-c,--connections", options.connections, "measure connections a second");
  line->add_option("-t,--seconds", plan.seconds, "of each measurement; 0: no limit of time (with --bytes)")
      ->capture_default_str();
  line->add_option("-n,--bytes", plan.bytes, "end a transfer after so many bytes too");
  line->add_option("-m,--message", plan.message_size, "bytes of a ping-pong message")
      ->capture_default_str()
      ->check(CLI::Range(1u, kLargestMessage));
  line->add_option("-P,--streams", plan.streams, "connections at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  line->add_option("--congestion", plan.congestion, "congestion control of this end: reno, cubic, bbr");
  line->add_option("--buffer", plan.buffer, "bytes of send and receive buffer (SO_SNDBUF, SO_RCVBUF) of this end");
  line->add_flag("--zerocopy", plan.in_place,
                 "bulk bytes of this end are written and read where the stack keeps them (--kernel: copied as ever)");
  line->add_flag("--json", options.json, "the result as JSON");
  if (const auto status = line.parse(arguments)) return *status;

  if (options.server == !options.server_address.empty())
    throw std::invalid_argument("either --server or a server's address");
  if (options.server) {
    Socket listener = listen_on(*context.calls, {"", options.port});
    prepare(listener, plan);
    fmt::print(context.err, "limpid-perf: a server on port {} ({} sockets)\n", options.port, context.calls->name);
    serve(listener, plan.in_place);
  }
  if (plan.seconds <= 0 && plan.bytes == 0) throw std::invalid_argument("without a limit of time give --bytes");
  const auto address = SocketAddress::parse(options.server_address, options.port);
  if (!address) throw std::invalid_argument("not an address: " + options.server_address);
  plan.server = *address;
  return measure(options, context);
}

}  // namespace limpid::apps
