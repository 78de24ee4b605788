// Runs a test's body in a child process with user and network namespaces of its own, so that it may make devices and
// addresses without privilege and leaves nothing behind. What the child fails or skips, the test fails or skips.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "drivers/device_error.h"
#include "drivers/netconfig.h"

namespace limpid::test {

struct NamespaceResult {
  bool passed = false;
  std::string skipped;  // the reason, when the machine does not allow it
};

// What a body throws to skip.
struct SkipTest {
  std::string reason;
};

inline void enter_namespaces() {
  const unsigned uid = ::geteuid();
  const unsigned gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
    throw SkipTest{"no user and network namespace to be had: " + std::string(std::strerror(errno))};
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
  std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
  set_interface_up("lo", true);
}

// `uid`: become this user first (only root can; else the body runs as who we are).
inline NamespaceResult in_own_namespace(const std::function<void()>& body, unsigned uid = 0) {
  int reason[2];
  if (::pipe(reason) < 0) return {};
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(30);  // a test that hangs ends by itself
    ::close(reason[0]);
    int result = 0;
    try {
      if (uid != 0 && ::geteuid() == 0 && (::setgid(uid) < 0 || ::setuid(uid) < 0))
        throw SkipTest{"cannot change the user"};
      enter_namespaces();
      body();
      result = ::testing::Test::HasFailure() ? 1 : 0;
    } catch (const SkipTest& skip) {
      (void)!::write(reason[1], skip.reason.data(), skip.reason.size());
    } catch (const std::exception& e) {
      std::fprintf(stderr, "in the namespace: %s\n", e.what());
      result = 1;
    }
    std::fflush(nullptr);
    ::_exit(result);
  }
  ::close(reason[1]);
  NamespaceResult result;
  char text[512];
  for (ssize_t n; (n = ::read(reason[0], text, sizeof text)) > 0;) result.skipped.append(text, static_cast<size_t>(n));
  ::close(reason[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return result;
}

}  // namespace limpid::test

#define LIMPID_IN_NAMESPACE(...)                                         \
  do {                                                                   \
    const auto outcome_ = ::limpid::test::in_own_namespace(__VA_ARGS__); \
    if (!outcome_.skipped.empty()) GTEST_SKIP() << outcome_.skipped;     \
    EXPECT_TRUE(outcome_.passed) << "the child process says why, above"; \
  } while (false)
