// What a fuzzer asserts, in every build: it says where, and ends the process so that the input is kept.
#pragma once

#include <cstdio>
#include <cstdlib>

#define HOLDS(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
