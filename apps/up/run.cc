// limpid-run: one bundled program on our stack, in a private network whose other end is the kernel.
//
//   limpid-run --with 'python3 -m http.server 8000' fetch http://10.77.0.1:8000/README.md
//
// Inside the shell of limpid-up it runs on a device of its own beside the one that is there.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "apps/common/app.h"
#include "apps/common/sandbox.h"

namespace limpid {
namespace {

// Does anything in this network namespace listen for TCP? (state 0A of proc(5), net/tcp)
bool somebody_listens() {
  std::ifstream table("/proc/self/net/tcp");
  std::string row;
  std::getline(table, row);
  while (std::getline(table, row)) {
    std::istringstream words(row);
    std::string number, local, remote, state;
    if (words >> number >> local >> remote >> state && state == "0A") return true;
  }
  return false;
}

// The command on the kernel's side. Most are servers: a moment is given to them to listen.
pid_t start_peer(const std::string& command) {
  pid_t peer = spawn_inside({"/bin/sh", "-c", command});
  for (int tries = 0; tries < 100 && !somebody_listens() && waitpid(peer, nullptr, WNOHANG) == 0; ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return peer;
}

// Where the program's own words begin: our options stand in front of them.
int first_word(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word == "--") return i + 1;
    if (word == "--with") {
      ++i;
    } else if (!word.starts_with('-')) {
      return i;
    }
  }
  return argc;
}

int run(const std::string& peer_command, int argc, char** argv) {
  std::string name = argv[0];
  if (apps::find_app(name) == nullptr) throw std::runtime_error(fmt::format("there is no bundled program '{}'", name));
  enter_private_network();
  pid_t peer = peer_command.empty() ? 0 : start_peer(peer_command);
  int status = apps::app_main(name, argc, argv);
  if (peer > 0) {
    kill(peer, SIGKILL);  // process 1 of its namespace: the rest goes with it
    wait_for(peer);
  }
  return status;
}

}  // namespace
}  // namespace limpid

int main(int argc, char** argv) {
  CLI::App line("One bundled program on our stack, in a private network whose other end is the kernel, 10.77.0.1.",
                "limpid-run");
  line.footer(
      "Then: PROGRAM [arguments]. PROGRAM is fetch, httpd, echo, chat, ping, traceroute, nc or perf; PROGRAM --help "
      "tells its arguments.");
  std::string peer_command;
  line.add_option("--with", peer_command, "first start this command on the kernel's side; it ends when we do");
  int program = limpid::first_word(argc, argv);
  bool separated = program > 1 && std::string_view(argv[program - 1]) == "--";
  CLI11_PARSE(line, separated ? program - 1 : program, argv);
  if (program == argc) {
    fmt::print(stderr, "{}", line.help());
    return 2;
  }
  try {
    return limpid::run(peer_command, argc - program, argv + program);
  } catch (const std::exception& error) {
    fmt::print(stderr, "limpid-run: {}\n", error.what());
    return 1;
  }
}
