// Threads that have their creator's host, and time as the host has it.
#include <limpid/limpid.h>

#include <memory>

#include "stack/socket/call.h"

namespace limpid {

namespace {

struct Start {
  Host* host;
  void* (*run)(void*);
  void* argument;
};

void* run_with_host(void* start_) {
  const std::unique_ptr<Start> start(static_cast<Start*>(start_));
  Host::use(start->host);
  void* const result = start->run(start->argument);
  Host::use(nullptr);
  start->host->thread_ends();
  return result;
}

timespec to_timespec(Duration d) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(d);
  return {.tv_sec = static_cast<time_t>(whole.count()), .tv_nsec = static_cast<long>((d - whole).count())};
}

// How much of the time is left when a signal, or the end of the world, cut it short; `error` says which.
Duration sleep_for(Host& host, Duration time, int& error) {
  Hold hold(host.machine());
  const Time until = hold.now() + time;
  error = 0;
  while (hold.now() < until) {
    Waiter waiter;
    hold.release();
    const Wake wake = host.world().wait(waiter, host.machine(), until);
    hold.take();
    if (wake == Wake::interrupted || wake == Wake::stopped) {
      error = wake == Wake::stopped ? ECANCELED : EINTR;
      return std::max(Duration::zero(), until - hold.now());
    }
  }
  return Duration::zero();
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_thread_create(lp_thread_t* thread, void* (*run)(void*), void* argument) {
  Host* host = Host::current();
  if (host == nullptr) return EBADF;
  auto start = std::make_unique<Start>(Start{host, run, argument});
  host->thread_begins();
  const int error = host->world().start_thread(*thread, run_with_host, start.get());
  if (error == 0) {
    (void)start.release();  // the thread's now
  } else {
    host->thread_ends();
  }
  return error;
}

int lp_thread_join(lp_thread_t thread, void** result) {
  Host* host = Host::current();
  return host != nullptr ? host->world().join_thread(thread, result) : EBADF;
}

int lp_thread_detach(lp_thread_t thread) {
  Host* host = Host::current();
  return host != nullptr ? host->world().detach_thread(thread) : EBADF;
}

int lp_gettime(timespec* now) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if (now == nullptr) return fail(EFAULT);
  Hold hold(host->machine());
  *now = to_timespec(hold.now().time_since_epoch());
  return 0;
}

int lp_nanosleep(const timespec* request, timespec* remaining) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if (request == nullptr) return fail(EFAULT);
  if (request->tv_sec < 0 || request->tv_nsec < 0 || request->tv_nsec >= 1'000'000'000) return fail(EINVAL);
  int error = 0;
  const Duration left = sleep_for(*host, std::chrono::seconds(request->tv_sec) + Duration(request->tv_nsec), error);
  if (error == 0) return 0;
  if (remaining != nullptr) *remaining = to_timespec(left);
  return fail(error);
}

unsigned lp_sleep(unsigned seconds) {
  Host* host = Host::current();
  if (host == nullptr) return seconds;
  int error = 0;
  const Duration left = sleep_for(*host, std::chrono::seconds(seconds), error);
  return static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(left).count());
}
