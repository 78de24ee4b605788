// limpid-up: a private network with bundled programs on our stack, and a command on the kernel's side of it.
//
//   bash, curl, ping ... kernel 10.77.0.1 ── TUN or veth ── 10.77.0.2 our stack ... httpd, echo   (in this process)
//
// The command's family, the device and the namespaces end with this process, however it ends.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdlib>
#include <list>
#include <thread>

#include "apps/common/app.h"
#include "apps/common/open_host.h"
#include "apps/common/sandbox.h"

namespace limpid {
namespace {

struct Settings {
  HostOptions host;
  std::vector<std::string> apps;     // command lines: "httpd --port 80 ."
  std::vector<std::string> command;  // empty: a shell
  bool quiet = false;
};

// A bundled program on a thread of its own. What it says is kept, and shown only if it fails.
class RunningApp {
 public:
  RunningApp(const std::string& line, const SocketCalls& calls) : line_(line), words_(CLI::detail::split_up(line)) {
    app_ = words_.empty() ? nullptr : apps::find_app(words_.front());
    if (app_ == nullptr) throw std::runtime_error(fmt::format("--app '{}': there is no such bundled program", line));
    words_.erase(words_.begin());
    context_.calls = &calls;
    said_ = std::tmpfile();
    if (said_ != nullptr) context_.out = context_.err = said_;
    thread_ = std::thread([this, host = lp_host_current()] {
      lp_host_use(host);
      int status = apps::run_app(*app_, words_, context_);
      if (status != 0 && status != 130) complain(status);
    });
  }
  ~RunningApp() {
    thread_.join();
    if (said_ != nullptr) std::fclose(said_);
  }

 private:
  void complain(int status) {
    fmt::print(stderr, "limpid-up: '{}' ended with status {}\n", line_, status);
    if (said_ == nullptr) return;
    if (std::fseek(said_, 0, SEEK_SET) != 0) return;
    for (int c = std::fgetc(said_); c != EOF; c = std::fgetc(said_)) std::fputc(c, stderr);
  }

  std::string line_;
  std::vector<std::string> words_;
  const apps::App* app_ = nullptr;
  apps::Context context_;
  std::FILE* said_ = nullptr;
  std::thread thread_;
};

std::vector<std::string> shell() {
  const char* name = std::getenv("SHELL");
  const std::string path = name != nullptr && *name != '\0' ? name : "/bin/sh";
  setenv("PS1", "limpid$ ", 1);
  // bash keeps our prompt only without its start-up files.
  if (path.ends_with("/bash")) return {path, "--norc", "--noprofile"};
  return {path};
}

// SIGTERM and a closed terminal end the command, and its end is ours, so that everything is put away as always.
std::atomic<pid_t> command{0};

void end_command(int) {
  if (const pid_t child = command.load(); child > 0) kill(child, SIGKILL);  // process 1 of its namespace: all go
}

int run(const Settings& settings) {
  // Ctrl-C is the command's to answer. When it ends, so do we.
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
  std::string namespaces = enter_private_network();
  OpenHost host(settings.host);
  setenv("LIMPID_ADDRESS", host.address().c_str(), 1);
  if (!settings.quiet) {
    fmt::print("A private network by {}, {}.\nOur stack is {}, the kernel's end {}.\n", namespaces, host.way(),
               host.address(), host.peer_address());
    for (const std::string& line : settings.apps) fmt::print("  on the stack: {}\n", line);
    std::fflush(stdout);
  }
  int status = 0;
  {
    std::list<RunningApp> running;
    for (const std::string& line : settings.apps) running.emplace_back(line, host.calls());
    command = spawn_inside(settings.command.empty() ? shell() : settings.command);
    signal(SIGTERM, end_command);
    signal(SIGHUP, end_command);
    status = wait_for(command);
    command = 0;
    host.stop();
  }
  return status;
}

}  // namespace
}  // namespace limpid

int main(int argc, char** argv) {
  CLI::App line("A private network with bundled programs on our stack, and a command on the kernel's side of it.",
                "limpid-up");
  limpid::Settings settings;
  line.add_option("--app", settings.apps, "a bundled program with its arguments; may be given more than once")
      ->default_str("'httpd --port 80 .' and 'echo --port 7'");
  line.add_flag("--quiet", settings.quiet, "do not say what was set up");
  line.add_option("command", settings.command, "runs on the kernel's side; a shell unless given");
  line.positionals_at_end();
  limpid::add_host_options(line, settings.host);
  CLI11_PARSE(line, argc, argv);
  if (settings.apps.empty()) settings.apps = {"httpd --port 80 .", "echo --port 7"};
  try {
    return limpid::run(settings);
  } catch (const std::exception& error) {
    fmt::print(stderr, "limpid-up: {}\n", error.what());
    return 1;
  }
}
