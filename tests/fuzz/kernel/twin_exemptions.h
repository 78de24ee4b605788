// Where the two sides may differ, each with its name and reason. What the kernel chooses against the RFC's letter, what
// the RFC leaves open, and what docs/deviations.md says of us.
#pragma once

#include <string>

#include "tests/fuzz/kernel/twin_player.h"

namespace limpid::twin {

struct Look {
  const Case& c;
  size_t index;
  const CaseStep& step;
  const Observation& ours;
  const Observation& kernels;
  std::string what;
  std::string state_before;  // of the connection, on both sides
};

enum class Effect : uint8_t {
  none,   // what follows can still be compared
  ends,   // a difference that goes on in what follows
  parts,  // from here on the two differ, whether it shows at once or not
};

struct Exemption {
  const char* name;
  const char* reason;
  Effect effect;
  bool (*applies)(const Look&);
};

// The one that excuses this difference, or null.
const Exemption* exemption_of(const Look& look);
// The one after which nothing can be compared any more, though nothing may differ yet, or null.
const Exemption* parting_of(const Look& look);
std::string exemptions_text();

}  // namespace limpid::twin
