// Time as the app's world has it: virtual in a simulation, standing still under a debugger.
#pragma once

#include <limpid/calls.h>

#include <chrono>

namespace limpid::apps {

using Nanoseconds = std::chrono::nanoseconds;

inline Nanoseconds now(const SocketCalls& calls) {
  timespec t{};
  calls.gettime(&t);
  return std::chrono::seconds(t.tv_sec) + Nanoseconds(t.tv_nsec);
}

inline double seconds(Nanoseconds t) { return std::chrono::duration<double>(t).count(); }
inline double milliseconds(Nanoseconds t) { return std::chrono::duration<double, std::milli>(t).count(); }
inline Nanoseconds from_seconds(double s) {
  return std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(s));
}

// For poll(): milliseconds until then, rounded up, so that a loop does not spin through the last one.
inline int poll_timeout(Nanoseconds until, Nanoseconds current) {
  if (until <= current) return 0;
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(until - current).count());
}

inline void sleep_for(const SocketCalls& calls, Nanoseconds t) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(t);
  timespec request{.tv_sec = static_cast<time_t>(whole.count()), .tv_nsec = static_cast<long>((t - whole).count())};
  calls.nanosleep(&request, nullptr);
}

}  // namespace limpid::apps
