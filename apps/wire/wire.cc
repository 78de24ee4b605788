// limpid-wire: a bad path between two kernels, without root and without netem.
//
//   programs ... kernel 10.79.0.1 ── TUN ── [ simulated link ] ── TUN ── 10.79.0.2 kernel ... programs
//                      left                  (this process)                   right
//
// Each side is a network namespace. All of it ends with the left side's command.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdlib>
#include <optional>

#include "apps/common/sandbox.h"
#include "apps/wire/capture.h"
#include "apps/wire/options.h"
#include "apps/wire/relay.h"
#include "apps/wire/report.h"
#include "apps/wire/side.h"

namespace limpid::wire {
namespace {

// The commands find the right side's namespace under this number: nsenter --net=$LIMPID_RIGHT ping 10.79.0.1
constexpr int kRightDescriptor = 9;

void offer_right_side(const Side& right) {
  if (dup2(right.net.get(), kRightDescriptor) < 0) return;
  setenv("LIMPID_RIGHT", fmt::format("/proc/self/fd/{}", kRightDescriptor).c_str(), 1);
}

void introduce(const Side& left, const Side& right) {
  fmt::print(stderr, "A wire between two private networks, left {} and right {}.\n", left.address, right.address);
  for (const Side* side : {&left, &right})
    fmt::print(stderr,
               "  the {} side, from another terminal: nsenter --preserve-credentials --user=/proc/{}/ns/user "
               "--net=/proc/{}/fd/{}\n",
               side->name, getpid(), getpid(), side->net.get());
  fmt::print(stderr, "  the right side, from here: nsenter --net=$LIMPID_RIGHT COMMAND\n");
  fmt::print(stderr, "  a program on our stack, on either side: limpid-run PROGRAM; its address is {} or {}\n",
             left.ours, right.ours);
}

std::vector<std::string> shell() {
  const char* name = std::getenv("SHELL");
  const std::string path = name != nullptr && *name != '\0' ? name : "/bin/sh";
  setenv("PS1", "left$ ", 1);
  if (path.ends_with("/bash")) return {path, "--norc", "--noprofile"};  // or it takes its own prompt
  return {path};
}

// SIGTERM and a closed terminal end the command, and its end is ours, so that everything is put away as always.
std::atomic<pid_t> command{0};

void end_command(int) {
  if (const pid_t child = command.load(); child > 0) kill(child, SIGKILL);  // process 1 of its namespace: all go
}

KernelDescriptor descriptor_of(pid_t child) {
  KernelDescriptor fd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  if (!fd) throw DeviceError(errno, "pidfd_open: " + errno_text(errno), "Linux 5.3 or newer is needed");
  return fd;
}

void write_json(const std::string& path, const std::string& text) {
  std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "w");
  if (file == nullptr) throw std::system_error(errno, std::generic_category(), "--json " + path);
  std::fputs(text.c_str(), file);
  if (file != stdout) std::fclose(file);
}

int run(const Options& options) {
  signal(SIGINT, SIG_IGN);  // the command's to answer; we follow its end
  signal(SIGQUIT, SIG_IGN);
  enter_private_network();
  const Side right = make_side(1, options.mtu);
  const Side left = make_side(0, options.mtu);
  offer_right_side(right);
  if (!options.quiet) introduce(left, right);

  SimLink link(options.link, Rng(options.seed));
  std::optional<Capture> capture;
  if (!options.pcapng.empty()) {
    capture.emplace(options.pcapng, options.mtu);
    link.add_observer(&*capture);
  }
  const pid_t server = options.right.empty() ? 0 : spawn_in(right, {"/bin/sh", "-c", options.right});
  command = spawn_in(left, options.command.empty() ? shell() : options.command);
  signal(SIGTERM, end_command);
  signal(SIGHUP, end_command);
  const KernelDescriptor ends = descriptor_of(command);
  prctl(PR_SET_TIMERSLACK, 1UL);  // the sleeps are the link's delays
  Relay relay(link, *left.device, *right.device, capture ? &*capture : nullptr);
  relay.run(ends.get());

  const int status = wait_for(command.exchange(0));
  if (server > 0) {
    kill(server, SIGKILL);
    wait_for(server);
  }
  if (!options.quiet) fmt::print(stderr, "{}", report_text(link, relay));
  if (!options.json.empty()) write_json(options.json, report_json(link, relay, options.seed));
  return status;
}

}  // namespace
}  // namespace limpid::wire

int main(int argc, char** argv) {
  CLI::App line("A bad path between two private networks: delay, loss, reordering, duplication, a rate and its queue.",
                "limpid-wire");
  line.footer(
      "VALUE[,VALUE]: both directions, or from left to right and from right to left.\n"
      "  limpid-wire --delay 10ms --loss 1% -- ping -c 5 10.79.0.2\n"
      "  limpid-wire --rate 100mbit --delay 10ms --right 'limpid-perf --kernel -s' -- limpid-run perf -u 10.79.0.2");
  limpid::wire::Options options;
  limpid::wire::add_options(line, options);
  try {
    line.parse(argc, argv);
    limpid::wire::complete(options);
  } catch (const CLI::ParseError& error) {
    return line.exit(error) == 0 ? 0 : 2;
  }
  try {
    return limpid::wire::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "limpid-wire: {}\n", error.what());
    return 1;
  }
}
