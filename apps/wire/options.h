// What `limpid wire` is asked for. A value that may differ in the two directions is written once for both, or twice,
// from left to right first:
//
//   --loss 1%        --delay 10ms,30ms        --rate 100mbit,10mbit
#pragma once

#include <string>
#include <vector>

#include "drivers/sim_link.h"

namespace CLI {
class App;
}

namespace limpid::wire {

struct Options {
  SimLinkConfig link;       // direction 0 is from left to right
  uint32_t mtu = 1500;      // of the two sides' interfaces
  uint32_t black_hole = 0;  // the longest datagram that passes; 0: all do
  uint64_t seed = 1;
  std::string left;  // shell commands
  std::string right;
  std::vector<std::string> command;  // on the left; neither: a shell
  std::string pcapng;
  std::string json;  // a file, or "-" for standard output
  bool quiet = false;
};

// The options read themselves in as the line is parsed; a value that means nothing is a CLI::ValidationError.
void add_options(CLI::App& line, Options& options);
// What depends on more than one of them. Call when the line has been parsed.
void complete(Options& options);

}  // namespace limpid::wire
