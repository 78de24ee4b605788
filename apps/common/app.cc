#include "apps/common/app.h"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <exception>
#include <system_error>

namespace limpid::apps {

std::span<const App> all_apps() {
  static constexpr std::array kApps = {
      App{"chat", "everybody reads what anybody writes: many clients, one poll loop", run_chat},
      App{"echo", "gives back what it gets, over TCP and UDP", run_echo},
      App{"fetch", "an HTTP client", run_fetch},
      App{"httpd", "an HTTP server for a directory", run_httpd},
      App{"nc", "joins a connection to standard input and output, in either role", run_nc},
      App{"perf", "measures throughput, round trips and connections a second", run_perf},
      App{"ping", "asks for ICMP echoes", run_ping},
      App{"sim", "two hosts and a lossy link in one process", run_sim, false},
      App{"ss", "lists the sockets of a running stack", run_ss, false},
      App{"traceroute", "finds the routers on the way to a host", run_traceroute},
  };
  return kApps;
}

const App* find_app(std::string_view name) {
  for (const App& app : all_apps())
    if (app.name == name) return &app;
  return nullptr;
}

int run_app(const App& app, const Arguments& arguments, Context& context) {
  try {
    return app.run(arguments, context);
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::operation_canceled) return 130;
    fmt::print(context.err, "limpid-{}: {}\n", app.name, e.what());
  } catch (const std::exception& e) {
    fmt::print(context.err, "limpid-{}: {}\n", app.name, e.what());
  }
  return 1;
}

}  // namespace limpid::apps
