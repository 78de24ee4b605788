// Where in the sources a rule is applied: found at build time by cmake/rule_sites.cmake.
#pragma once

#include <string_view>

#include "stack/base/rules.h"

namespace limpid {

struct RuleSite {
  std::string_view file;  // "stack/tcp/input.cc"; empty when the rule stands nowhere
  int line = 0;
};

RuleSite site(Rule rule);

}  // namespace limpid
