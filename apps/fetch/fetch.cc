// fetch: an HTTP client. socket, connect, send, recv, close; and with --parallel many such clients at once, each on a
// connection, and so on an ephemeral port, of its own.
#include <fmt/core.h>

#include <atomic>
#include <list>
#include <memory>
#include <stdexcept>

#include "apps/common/clock.h"
#include "apps/common/command_line.h"
#include "apps/common/sha256.h"
#include "apps/common/thread.h"
#include "apps/fetch/http_client.h"

namespace limpid::apps {
namespace {

struct Options {
  std::string url;
  std::string output;
  std::string range;
  bool sha256 = false;
  bool quiet = false;
  bool close = false;
  bool fast_open = false;
  unsigned repeat = 1;
  unsigned parallel = 1;
  int timeout_seconds = 30;
};

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

std::string rate(uint64_t bytes, Nanoseconds elapsed) {
  const double s = seconds(elapsed);
  return fmt::format("{} bytes in {:.3f} s, {:.2f} Mbit/s", bytes, s,
                     s > 0 ? static_cast<double>(bytes) * 8e-6 / s : 0.0);
}

int fetch_once(const Options& options, const Url& url, Context& context) {
  File file;
  std::FILE* out = options.sha256 ? nullptr : context.out;  // with --sha256 the sum is the output
  if (!options.output.empty() && options.output != "-") {
    file.reset(std::fopen(options.output.c_str(), "wb"));
    if (file == nullptr) throw std::system_error(errno, std::generic_category(), options.output);
    out = file.get();
  }
  const SocketCalls& calls = *context.calls;
  Sha256 sum;
  HttpClient client(calls, url, {.timeout_seconds = options.timeout_seconds, .fast_open = options.fast_open});
  const Nanoseconds start = now(calls);
  const Response response = client.get(options.range, [&](std::span<const std::byte> piece) {
    if (options.sha256) sum.update(piece);
    if (out != nullptr && std::fwrite(piece.data(), 1, piece.size(), out) != piece.size())
      throw std::system_error(errno, std::generic_category(), "write");
  });
  client.close();
  const Nanoseconds elapsed = now(calls) - start;
  if (out != nullptr && std::fflush(out) != 0) throw std::system_error(errno, std::generic_category(), "write");
  if (options.sha256)
    fmt::print(context.out, "{}  {}\n", sum.hex(), options.output.empty() ? url.target : options.output);
  if (!options.quiet)
    fmt::print(context.err, "limpid-fetch: {} {}, {}\n", response.status, response.reason,
               rate(response.body_bytes, elapsed));
  return response.status < 400 ? 0 : 1;
}

struct Tally {
  std::atomic<uint64_t> bytes{0};
  std::atomic<unsigned> done{0};
  std::atomic<unsigned> failed{0};
  std::atomic<int> error{0};  // of one that failed
};

void fetch_repeatedly(const Options& options, const Url& url, const SocketCalls& calls, Tally& tally) {
  HttpClient client(calls, url, {.timeout_seconds = options.timeout_seconds, .fast_open = options.fast_open});
  for (unsigned i = 0; i < options.repeat; ++i) {
    try {
      const Response response = client.get(options.range, [](std::span<const std::byte>) {});
      if (options.close) client.close();
      tally.bytes += response.body_bytes;
      ++(response.status < 400 ? tally.done : tally.failed);
    } catch (const std::system_error& e) {
      tally.error = e.code().value();
      ++tally.failed;
      client.close();
    } catch (const std::runtime_error&) {
      ++tally.failed;
      client.close();
    }
  }
}

int fetch_many(const Options& options, const Url& url, Context& context) {
  const SocketCalls& calls = *context.calls;
  Tally tally;
  const Nanoseconds start = now(calls);
  {
    std::list<Thread> threads;
    for (unsigned i = 0; i < options.parallel; ++i)
      threads.emplace_back(calls, [&] { fetch_repeatedly(options, url, calls, tally); });
  }
  const Nanoseconds elapsed = now(calls) - start;
  fmt::print(context.out, "{} fetched, {} failed, {}, {:.0f} a second\n", tally.done.load(), tally.failed.load(),
             rate(tally.bytes, elapsed), tally.done / seconds(elapsed));
  if (const int error = tally.error)
    fmt::print(context.err, "limpid-fetch: one failed so: {}\n", std::generic_category().message(error));
  return tally.failed == 0 ? 0 : 1;
}

}  // namespace

int run_fetch(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-fetch", "Fetches a file over HTTP/1.1.", context);
  Options options;
  line->add_option("url", options.url, "http://ADDRESS[:PORT]/PATH; addresses only, there is no name service yet")
      ->required();
  line->add_option("-o,--output", options.output, "write the file there (default: to standard output)");
  line->add_option("-r,--range", options.range, "bytes to ask for: 0-499, 500-, or -500 (the last 500)");
  line->add_flag("--sha256", options.sha256, "print the SHA-256 of what came");
  line->add_flag("-q,--quiet", options.quiet, "no summary on standard error");
  line->add_option("-n,--repeat", options.repeat, "fetch so many times on each connection, and count only")
      ->check(CLI::PositiveNumber);
  line->add_option("-j,--parallel", options.parallel, "with so many connections at once")->check(CLI::Range(1, 10'000));
  line->add_flag("--close", options.close, "a new connection for each fetch");
  line->add_flag("--fast-open", options.fast_open,
                 "TCP_FASTOPEN_CONNECT: the request goes with the SYN to a server that gave us a cookie before");
  line->add_option("--timeout", options.timeout_seconds, "seconds without progress before giving up; 0: for ever")
      ->capture_default_str();
  if (const auto status = line.parse(arguments)) return *status;

  const auto url = parse_url(options.url);
  if (!url) {
    fmt::print(context.err, "limpid-fetch: not http://ADDRESS[:PORT]/PATH: {}\n", options.url);
    return 2;
  }
  const bool many = options.repeat > 1 || options.parallel > 1;
  return many ? fetch_many(options, *url, context) : fetch_once(options, *url, context);
}

}  // namespace limpid::apps
