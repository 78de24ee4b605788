#include "stack/runtime/stack_clock.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <span>
#include <string_view>

#include "stack/runtime/signals.h"

namespace limpid {

namespace {

Duration read_clock(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec);
}

// A small file of /proc as text; empty when it cannot be read.
std::string_view read_file(const char* path, std::span<char> into) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t n = read(fd, into.data(), into.size());
  close(fd);
  return {into.data(), n > 0 ? static_cast<size_t>(n) : 0};
}

int64_t number_at(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// schedstat: "ran waited slices", the first two in nanoseconds.
ThreadUse parse_schedstat(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return {};
  return {.cpu = Duration(number_at(text)), .run_queue = Duration(number_at(text.substr(space + 1)))};
}

}  // namespace

ThreadUse ThreadUse::of_this_thread() {
  char text[96];
  ThreadUse use = parse_schedstat(read_file("/proc/thread-self/schedstat", text));
  use.cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);  // schedstat's own lags by up to a tick
  return use;
}

ThreadUse ThreadUse::of_thread(int thread) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", thread);
  char text[96];
  return parse_schedstat(read_file(path, text));
}

int StackClockSource::this_thread() {
  static thread_local const int id = static_cast<int>(syscall(SYS_gettid));
  return id;
}

Duration StackClockSource::monotonic() { return read_clock(CLOCK_MONOTONIC); }

bool StackClockSource::tracer_attached() {
  char buffer[2048];
  const std::string_view text = read_file("/proc/self/status", buffer);
  constexpr std::string_view kKey = "TracerPid:\t";
  const size_t at = text.find(kKey);
  return at != std::string_view::npos && number_at(text.substr(at + kKey.size())) != 0;
}

StackClockSource::StackClockSource() : origin_(monotonic()), last_(origin_), continued_(continue_signals()) {}

Time StackClockSource::sample(Duration monotonic_now) {
  last_ = std::max(last_, monotonic_now);
  return Time(last_ - origin_ - report_.frozen);
}

Time StackClockSource::lock() {
  const Duration now = monotonic();
  // A thread that sleeps should have been here long ago. It is late by the stop that this thread has just come out of
  // too, and whoever looks at the clock first must notice.
  for (const Sleep& sleep : sleeps_)
    if (sleep.began && is_late(sleep, now) && now - last_ > kGap)
      judge(*sleep.began + sleep.asked, now, run_queue_since(sleep, ThreadUse::of_thread(sleep.thread)));
  begin_hold(now);
  return sample(now);
}

void StackClockSource::begin_hold(Duration now) {
  locked_ = now;
  hold_measured_ = traced_;
  if (hold_measured_) hold_use_ = ThreadUse::of_this_thread();
}

void StackClockSource::unlock() {
  const Duration now = monotonic();
  if (now - locked_ > kGap) {
    // Without a measure from the beginning (the tracer came during this hold) nothing is excused: what else would take
    // a thread milliseconds here, with a debugger at the door?
    Duration excused{};
    if (hold_measured_) {
      const ThreadUse use = ThreadUse::of_this_thread();
      excused = use.cpu - hold_use_.cpu + use.run_queue - hold_use_.run_queue;
    }
    judge(locked_, now, excused);
  }
  last_ = std::max(last_, now);
}

bool StackClockSource::is_late(const Sleep& sleep, Duration now) { return now - *sleep.began > sleep.asked + kGap; }

Duration StackClockSource::run_queue_since(const Sleep& sleep, const ThreadUse& use) {
  return sleep.use_known ? use.run_queue - sleep.use.run_queue : Duration::zero();
}

void StackClockSource::begin_wait(ClockWait which, Duration asked) {
  const Duration now = monotonic();
  const int thread = this_thread();
  Sleep& sleep = sleeps_[static_cast<size_t>(which)];
  if (traced_ || now - sleep.use_read > kSlice) {
    sleep.use = ThreadUse::of_this_thread();
    sleep.use_read = now;
    sleep.use_known = true;
  } else if (sleep.thread != thread) {
    sleep.use_known = false;  // another thread's turn: a reading costs more than most turns
  }
  sleep.thread = thread;
  sleep.began = now;
  sleep.asked = asked;
}

void StackClockSource::cut_short(ClockWait which) {
  Sleep& sleep = sleeps_[static_cast<size_t>(which)];
  if (sleep.began) sleep.asked = std::min(sleep.asked, monotonic() - *sleep.began);
}

Time StackClockSource::end_wait(ClockWait which, bool traced) {
  const Duration now = monotonic();
  Sleep& sleep = sleeps_[static_cast<size_t>(which)];
  if (is_late(sleep, now)) {
    if (traced) traced_ = true;
    judge(*sleep.began + sleep.asked, now, run_queue_since(sleep, ThreadUse::of_this_thread()));
  }
  sleep.began.reset();
  traced_ = traced;
  begin_hold(now);
  return sample(now);
}

// The stack's clock stood still from `from` to `until`, but for what is excused, if somebody stopped the process then.
void StackClockSource::judge(Duration from, Duration until, Duration excused) {
  from = std::max(from, last_);  // what was sampled before has been lived through
  const Duration gap = until - from - std::max(excused, Duration::zero());
  if (gap <= kGap) return;
  bool stopped = stop_is_evident();
  if (!stopped && gap > kLongGap) {
    // SIGCONT wakes all threads at once, and the one that runs its handler may be a moment behind us.
    const timespec moment{.tv_sec = 0, .tv_nsec = 1'000'000};
    nanosleep(&moment, nullptr);
    stopped = stop_is_evident();
  }
  if (stopped) {
    report_.frozen += gap;
    ++report_.freezes;
  } else {
    report_.stalled += gap;
    ++report_.stalls;
  }
  last_ = until;
}

bool StackClockSource::stop_is_evident() {
  const uint32_t continued = continue_signals();
  const bool was_continued = continued != continued_;
  continued_ = continued;
  const bool was_traced = traced_;
  traced_ = tracer_attached();
  return was_continued || was_traced || traced_;
}

}  // namespace limpid
