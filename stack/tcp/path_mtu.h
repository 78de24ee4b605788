// What a connection has to remember of its path's MTU while something is the matter with it (path_mtu.cc).
#pragma once

#include <cstdint>

#include "stack/tcp/seq.h"

namespace limpid {

struct PathMtuDoubts {
  uint32_t claimed = 0;    // by a router, not believed yet; 0: nothing
  SeqPos claimed_about;    // the segment that it quoted
  uint32_t probe_mss = 0;  // text and options of the largest segment while black holes are suspected; 0: they are not
  SeqPos raised_at;        // SND.NXT when segments last became larger

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&PathMtuDoubts::claimed, &PathMtuDoubts::claimed_about, &PathMtuDoubts::probe_mss,
             &PathMtuDoubts::raised_at);
  }
};

}  // namespace limpid
