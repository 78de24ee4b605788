// The command line of an app: CLI11, plus --kernel, which every app that speaks through sockets has.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "apps/common/app.h"
#include "apps/common/open_host.h"

namespace limpid::apps {

class CommandLine {
 public:
  CommandLine(const std::string& name, const std::string& description, Context& context, bool with_kernel = true);

  CLI::App* operator->() { return &options_; }

  // The exit status, if the program has to end here: 0 after --help, 2 after a mistake (both have been printed).
  // Then context.calls are the calls to use.
  std::optional<int> parse(const Arguments& arguments);

 private:
  CLI::App options_;
  Context& context_;
  HostOptions host_;  // of these only `kernel` is looked at here: app_main() has taken the rest
};

}  // namespace limpid::apps
