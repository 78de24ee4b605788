// What a bundled program is: a name and a function. No globals, no exit(), no signal handlers, so that many of them run
// in one process: each alone under its main, several under `limpid up`, two on two hosts in the simulated world.
#pragma once

#include <limpid/calls.h>

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limpid::apps {

using Arguments = std::vector<std::string>;  // as after argv[0]

// What a program may touch: the socket calls of the world it runs in (--kernel takes the kernel's instead), and where
// its words go. The calling thread already has its host (lp_host_use), and so have the threads that it starts.
struct Context {
  const SocketCalls* calls = &lp_limpid_calls;
  std::FILE* out = stdout;  // results
  std::FILE* err = stderr;  // notices and errors
  bool standalone = false;  // under a main of its own: its help tells of the host's options too
};

struct App {
  std::string_view name;     // "echo"; the executable is limpid-echo
  std::string_view summary;  // one line for a list
  int (*run)(const Arguments& arguments, Context& context);
  bool needs_host = true;  // ss and sim bring their own world
};

std::span<const App> all_apps();
const App* find_app(std::string_view name);  // null: there is none

// Runs an app and turns exceptions into a line on err: 0 all right, 1 failed, 2 wrong arguments, 130 the host was
// stopped (Ctrl-C) while the app waited.
int run_app(const App& app, const Arguments& arguments, Context& context);

// A whole main(): opens the host that the options and the environment name (common/open_host.h), unless --kernel or
// --help makes one unnecessary, and runs the app on it.
int app_main(std::string_view name, int argc, char** argv);

int run_chat(const Arguments& arguments, Context& context);
int run_echo(const Arguments& arguments, Context& context);
int run_fetch(const Arguments& arguments, Context& context);
int run_httpd(const Arguments& arguments, Context& context);
int run_nc(const Arguments& arguments, Context& context);
int run_perf(const Arguments& arguments, Context& context);
int run_ping(const Arguments& arguments, Context& context);
int run_sim(const Arguments& arguments, Context& context);
int run_ss(const Arguments& arguments, Context& context);
int run_traceroute(const Arguments& arguments, Context& context);

}  // namespace limpid::apps
