// A stack's clock: CLOCK_MONOTONIC, less the time for which a debugger or a stop signal held the process.
//
// So that stepping over a line never fires a retransmission timer. It is sampled under the stack's lock, and a sample
// after a gap asks: could this thread have run, and did not?
//
//   while a thread holds the lock   the time from lock() to unlock(), less the CPU time that the thread used and the
//                                   time it stood in the run queue
//   while all wait                  the waits at the devices are sliced: a slice that lasts longer than was asked was a
//                                   stop, or a machine too busy to run us (which the thread's run-queue time shows)
//
// A blocking system call and a paused virtual machine look the same. So a gap is dropped only with evidence that the
// process was stopped: a tracer, now or at the last look, or SIGCONT. Without it, it is time, and counted as a stall.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "stack/base/time.h"

namespace limpid {

// What the kernel says about a thread; the difference of two readings judges the gap between them.
struct ThreadUse {
  Duration cpu{};        // time it ran
  Duration run_queue{};  // time it was ready to run, and did not
  static ThreadUse of_this_thread();
  static ThreadUse of_thread(int thread);  // from /proc/self/task/…/schedstat; zero when it cannot be read
};

struct ClockReport {
  Duration frozen{};  // dropped, in all
  uint32_t freezes = 0;
  Duration stalled{};  // gaps without evidence of a stop, in all: they are time
  uint32_t stalls = 0;
};

// The two waits that a stack's threads do for it; others wait for themselves.
enum class ClockWait : uint8_t {
  devices,  // whoever leads (real_world.h)
  watch,    // the I/O thread, while it does not
};

// Every method under the stack's lock, unless it says otherwise.
class StackClockSource {
 public:
  static constexpr Duration kGap = 2ms;          // what is shorter is not looked at
  static constexpr Duration kLongGap = 100ms;    // so long that a moment more to look twice does not matter
  static constexpr Duration kSlice = 100ms;      // of the waits at the device
  static constexpr Duration kTracedSlice = 5ms;  // the same while a tracer is attached

  StackClockSource();

  // A thread took the lock: the stack's time at this moment.
  Time lock();
  // It is about to let go: judges the time for which it held the lock.
  void unlock();

  // This thread is about to leave the lock, and to wait for at most so long.
  void begin_wait(ClockWait which, Duration asked);
  // Another thread has ended its wait: what follows, till it runs, is no longer what it asked for.
  void cut_short(ClockWait which);
  // It came back, and took the lock again: call this instead of lock(). `traced`: what tracer_attached() said just now.
  Time end_wait(ClockWait which, bool traced);
  bool traced() const { return traced_; }
  Duration wait_slice() const { return traced_ ? kTracedSlice : kSlice; }

  // CLOCK_MONOTONIC at the time `t` of the stack, if nothing freezes it till then.
  Duration monotonic_at(Time t) const { return t.time_since_epoch() + origin_ + report_.frozen; }
  const ClockReport& report() const { return report_; }

  // Reads /proc/self/status, some 15 µs: not under the lock.
  static bool tracer_attached();
  static Duration monotonic();

 private:
  struct Sleep {
    std::optional<Duration> began;
    Duration asked{};
    int thread = 0;   // its kernel id
    ThreadUse use{};  // of this thread, not older than a slice
    Duration use_read{};
    bool use_known = false;
  };

  static int this_thread();
  static bool is_late(const Sleep& sleep, Duration now);
  static Duration run_queue_since(const Sleep& sleep, const ThreadUse& use);
  Time sample(Duration monotonic_now);
  void begin_hold(Duration now);
  void judge(Duration from, Duration until, Duration excused);
  bool stop_is_evident();

  Duration origin_{};  // CLOCK_MONOTONIC when the stack was made
  Duration last_{};    // CLOCK_MONOTONIC at the last sample: what lies before it is settled
  Duration locked_{};  // CLOCK_MONOTONIC when the lock was taken
  bool traced_ = false;
  uint32_t continued_ = 0;  // SIGCONTs that have been evidence already

  ThreadUse hold_use_{};  // of the holder when it took the lock; read only while traced, it costs microseconds
  bool hold_measured_ = false;

  std::array<Sleep, 2> sleeps_;  // by ClockWait

  ClockReport report_;
};

}  // namespace limpid
