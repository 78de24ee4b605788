#include "apps/common/command_line.h"

#include <fmt/core.h>

#include <sstream>

namespace limpid::apps {

CommandLine::CommandLine(const std::string& name, const std::string& description, Context& context, bool with_kernel)
    : options_(description, name), context_(context) {
  if (!with_kernel) return;
  if (context.standalone) {
    add_host_options(options_, host_);
  } else {
    options_.add_flag("--kernel", host_.kernel, "run on the kernel's sockets instead of Limpid's");
  }
}

std::optional<int> CommandLine::parse(const Arguments& arguments) {
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // CLI11 takes them from the back
  try {
    options_.parse(std::move(reversed));
  } catch (const CLI::ParseError& e) {
    std::ostringstream out;
    std::ostringstream err;
    const int status = options_.exit(e, out, err);
    fmt::print(context_.out, "{}", out.str());
    fmt::print(context_.err, "{}", err.str());
    return status == 0 ? 0 : 2;
  }
  if (host_.kernel) context_.calls = &lp_kernel_calls;
  return {};
}

}  // namespace limpid::apps
