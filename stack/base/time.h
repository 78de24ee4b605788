// Time as the core knows it: an argument, never a reading.
//
// `Time` is a point on the stack's own clock, in nanoseconds since the stack was made. The clock has no now():
// whoever drives the stack (stack/runtime) samples a real clock or steps a virtual one and passes `now` in, as the
// last parameter. That is why a stack can be frozen at a breakpoint, and a year of keep-alive tested in a millisecond.
#pragma once

#include <chrono>
#include <cstdint>

namespace limpid {

struct StackClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<StackClock>;
  static constexpr bool is_steady = true;
};

using Duration = StackClock::duration;
using Time = StackClock::time_point;

// "No deadline": later than every time that a stack can reach (292 years).
inline constexpr Time kNever = Time::max();

// Whole milliseconds or microseconds since the stack was made, for wire fields and for people.
constexpr int64_t to_ms(Duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }
constexpr int64_t to_us(Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); }

using namespace std::chrono_literals;  // 200ms, 1s, 2h: the way RFCs write their constants

}  // namespace limpid
