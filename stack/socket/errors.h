// errno: what the stack's errors are called in POSIX.
#pragma once

#include <cerrno>

#include "stack/base/error.h"

namespace limpid {

int to_errno(Error error);

// The way a socket call fails.
inline int fail(int error) {
  errno = error;
  return -1;
}

}  // namespace limpid
