#include "stack/base/rule_sites.h"

#include <utility>

namespace limpid {
namespace {

constexpr std::pair<Rule, RuleSite> kSites[] = {
    {Rule::none, {"", 0}},
#include "rule_sites.inc"
};

}  // namespace

RuleSite site(Rule rule) {
  for (const auto& [known, where] : kSites)
    if (known == rule) return where;
  return {};
}

}  // namespace limpid
