// sim: the lab from the command line. Two hosts, a link that can be made bad, and both state machines in one process,
// in virtual time; no device and no privileges.
#include <fmt/core.h>

#include "apps/common/command_line.h"
#include "apps/sim/lab.h"

namespace limpid::apps {
namespace {

struct Options {
  LabOptions lab;
  unsigned seeds = 1;
  bool quiet = false;
  bool unfolded = false;
};

int one_download(const Options& options, Context& context) {
  const LabOptions& lab = options.lab;
  fmt::print(context.out,
             "client 10.0.0.1 -- {} ms each way, {} % loss, {} -- 10.0.0.2 server; GET of {} bytes; seed {}\n\n",
             lab.delay_ms, lab.loss_percent,
             lab.rate_mbit > 0 ? fmt::format("{} Mbit/s", lab.rate_mbit) : "no limit of rate", lab.size, lab.seed);
  LabResult result;
  if (options.quiet) {
    result = run_lab(lab, nullptr);
  } else {
    DialogueOptions layout = dialogue_options_for(context.out);
    layout.fold = !options.unfolded;
    Dialogue dialogue(lines_to(context.out), layout);
    result = run_lab(lab, &dialogue);
  }
  if (!result.right) {
    fmt::print(context.err, "limpid-sim: the download went wrong: {}\n", result.complaint);
    return 1;
  }
  fmt::print(context.out,
             "\n{} bytes in {:.3f} s (virtual), SHA-256 as it should be. Lost: {} data segments, {} ACKs, "
             "{} SYN or FIN, {} retransmissions; retransmitted: {}. Hash of all packets and events: {:016x}\n",
             lab.size, result.seconds, result.lost_data, result.lost_acks, result.lost_control, result.lost_again,
             result.retransmitted, result.hash);
  return 0;
}

int many_downloads(const Options& options, Context& context) {
  unsigned wrong = 0;
  LabOptions lab = options.lab;
  fmt::print(context.out, "      seed  seconds  frames  lost: data ACKs again  retransmitted              hash\n");
  for (unsigned i = 0; i < options.seeds; ++i, ++lab.seed) {
    const LabResult result = run_lab(lab, nullptr);
    if (!options.quiet || !result.right)
      fmt::print(context.out, "{:10} {:8.3f} {:7} {:11} {:4} {:5} {:14}  {:016x}{}\n", lab.seed, result.seconds,
                 result.frames, result.lost_data, result.lost_acks, result.lost_again, result.retransmitted,
                 result.hash, result.right ? "" : "  WRONG");
    if (result.right) continue;
    ++wrong;
    fmt::print(context.err,
               "limpid-sim: seed {}: {}\n  again: limpid-sim lab --seed {} --delay {} --loss {} --rate {} --size {}\n",
               lab.seed, result.complaint, lab.seed, lab.delay_ms, lab.loss_percent, lab.rate_mbit, lab.size);
  }
  fmt::print(context.out, "{} downloads, {} wrong\n", options.seeds, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int run_sim(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-sim",
                   "Two hosts, the link between them and one HTTP download, in one process and virtual time.", context,
                   false);
  Options options;
  LabOptions& lab = options.lab;
  CLI::App* command = line->add_subcommand("lab", "the download, packet by packet, each with its reason");
  line->require_subcommand(1);
  command->add_option("--seed", lab.seed, "of all that is random")->capture_default_str();
  command->add_option("--delay", lab.delay_ms, "milliseconds from host to host")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--loss", lab.loss_percent, "percent of the packets, each way")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 90.0));
  command->add_option("--rate", lab.rate_mbit, "Mbit/s, each way; 0: no limit")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--size", lab.size, "bytes to download")->capture_default_str();
  command->add_option("--seeds", options.seeds, "so many downloads, the first with --seed; one line for each")
      ->check(CLI::Range(1u, 1'000'000u));
  command->add_option("--pcapng", lab.pcapng, "write the packets, each with its reason, to this file");
  command->add_flag("--all", options.unfolded, "print every packet: runs of ordinary ones are not folded");
  command->add_flag("-q,--quiet", options.quiet, "no dialogue; with --seeds only what went wrong");
  if (const auto status = line.parse(arguments)) return *status;
  return options.seeds > 1 ? many_downloads(options, context) : one_download(options, context);
}

}  // namespace limpid::apps
