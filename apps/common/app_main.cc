#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "apps/common/app.h"
#include "apps/common/open_host.h"

namespace limpid::apps {

int app_main(std::string_view name, int argc, char** argv) {
  const App& app = *find_app(name);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // who reads a pipe sees lines as they come
  Context context;
  context.standalone = true;
  Arguments arguments(argv + 1, argv + argc);
  const bool help = std::ranges::any_of(arguments, [](const auto& a) { return a == "--help" || a == "-h"; });
  if (help || !app.needs_host) return run_app(app, arguments, context);

  // The host's options are taken out first; the rest is the program's.
  CLI::App host_line;
  host_line.set_help_flag();
  host_line.allow_extras();
  HostOptions where;
  add_host_options(host_line, where);
  try {
    host_line.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return host_line.exit(e) == 0 ? 0 : 2;
  }
  arguments = host_line.remaining();
  return with_host(where, [&](const SocketCalls& calls) {
    context.calls = &calls;
    return run_app(app, arguments, context);
  });
}

}  // namespace limpid::apps
