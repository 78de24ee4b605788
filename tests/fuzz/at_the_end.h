// What every game ends with: the finding, or a stack at rest.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "stack/stack.h"

namespace limpid::fuzz {

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "invariant: %s\n", what.c_str());
  std::abort();
}

// Everything is closed; with a peer that never answers again, the stack has to come to rest by itself. `check` is
// called after each of its timers.
template <typename Check>
void come_to_rest(Stack& stack, Time& now, const Check& check) {
  check();
  for (int i = 0; i < 5000; ++i) {
    const Time next = stack.next_deadline();
    if (next == kNever) break;
    now = std::max(now, next);
    stack.advance(now);
    check();
  }
  if (!stack.tcp_list().empty()) fail("a socket is left: " + std::string(name(stack.tcp_list()[0].state)));
  if (stack.next_deadline() != kNever) fail("a timer still runs");
  if (stack.frames().frames_out() != 0) fail("frames are not back in their pool");
}

}  // namespace limpid::fuzz
