#include "apps/wire/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "drivers/quantity.h"

namespace limpid::wire {
namespace {

constexpr uint32_t kDefaultQueue = 256 * 1024;  // bytes in front of a limited rate

template <class T>
using Parse = bool (*)(std::string_view, T&);

// An option of both directions, or of each.
template <class T>
void add_both(CLI::App& line, Options& options, const char* name, T SimImpairments::* field, Parse<T> parse,
              const char* help) {
  const auto read = [&options, name, field, parse](const std::string& text) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view first = std::string_view(text).substr(0, comma);
    const std::string_view second = comma == text.size() ? first : std::string_view(text).substr(comma + 1);
    if (!parse(first, options.link.direction[0].*field) || !parse(second, options.link.direction[1].*field))
      throw CLI::ValidationError(name, fmt::format("\"{}\" is not understood", text));
  };
  line.add_option_function<std::string>(name, read, help)->type_name("VALUE[,VALUE]");
}

void add_impairments(CLI::App& line, Options& options) {
  using I = SimImpairments;
  add_both(line, options, "--loss", &I::loss_ppm, parse_share, "share of the frames that are lost: 1%, 200ppm");
  add_both(line, options, "--delay", &I::delay, parse_duration, "of each frame, one way: 10ms (a round trip of 20 ms)");
  add_both(line, options, "--jitter", &I::jitter, parse_duration, "up to so much more delay; the order is kept");
  add_both(line, options, "--rate", &I::rate, parse_rate, "of the line: 100mbit (default: no limit)");
  add_both(line, options, "--queue", &I::queue_bytes, parse_size, "bytes that may wait for the rate (default: 256ki)");
  add_both(line, options, "--reorder", &I::reorder_ppm, parse_share,
           "share that is held back, so that others overtake");
  add_both(line, options, "--reorder-delay", &I::reorder_delay, parse_duration, "for how long (default: 5ms)");
  add_both(line, options, "--dup", &I::duplicate_ppm, parse_share, "share that comes twice");
}

}  // namespace

void add_options(CLI::App& line, Options& options) {
  add_impairments(line, options);
  line.add_option("--seed", options.seed, "of all chances: the same seed, the same fate for frame N of a direction")
      ->capture_default_str();
  line.add_option("--mtu", options.mtu, "of the interface on either side")
      ->capture_default_str()
      ->check(CLI::Range(576u, 65'535u));
  const auto black_hole = [&options](const std::string& text) {
    if (!parse_size(text, options.black_hole))
      throw CLI::ValidationError("--black-hole", fmt::format("\"{}\" is not understood", text));
  };
  line.add_option_function<std::string>("--black-hole", black_hole,
                                        "datagrams longer than this vanish without a word, as where ICMP is filtered")
      ->type_name("BYTES");
  line.add_option("--left", options.left, "a shell command on the left side; the wire ends with it");
  line.add_option("--right", options.right, "a shell command on the right side, started first; it ends with the wire");
  line.add_option("--pcapng", options.pcapng, "write every frame at both ends, and what befell it, to this file");
  line.add_option("--json", options.json, "write the statistics to this file, - for standard output");
  line.add_flag("--quiet", options.quiet, "say neither what was set up nor what happened");
  line.add_option("command", options.command, "a command on the left side; a shell unless given");
  line.positionals_at_end();
}

void complete(Options& options) {
  options.link.mtu = options.black_hole != 0 ? std::min(options.black_hole, options.mtu) : options.mtu;
  for (SimImpairments& direction : options.link.direction)
    if (direction.rate != 0 && direction.queue_bytes == 0) direction.queue_bytes = kDefaultQueue;
  if (!options.left.empty() && !options.command.empty())
    throw CLI::ValidationError("--left", "there is a command for the left side already");
  if (!options.left.empty()) options.command = {"/bin/sh", "-c", options.left};
}

}  // namespace limpid::wire
