#include "stack/runtime/real_world.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace limpid {

namespace {

timespec to_timespec(Duration d) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(d);
  return {.tv_sec = static_cast<time_t>(whole.count()), .tv_nsec = static_cast<long>((d - whole).count())};
}

uint64_t seed_from_system() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    throw std::system_error(errno, std::generic_category(), "getrandom");
  return seed;
}

// A thread that waits for kernel descriptors and ours at once is woken through one of these; one a thread, kept.
class ThreadEvent {
 public:
  ~ThreadEvent() {
    if (fd_ >= 0) close(fd_);
  }
  int get() {
    if (fd_ < 0) fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd_;
  }
  void drain() const {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = read(fd_, &count, sizeof count);
  }

 private:
  int fd_ = -1;
};
thread_local ThreadEvent t_event;

}  // namespace

RealWorld::RealWorld() { watch_continue_signals(); }

RealWorld::~RealWorld() = default;

RealMachine& RealWorld::add_machine(const Config& config, uint64_t seed) {
  return *machines_.emplace_back(std::make_unique<RealMachine>(*this, config, seed != 0 ? seed : seed_from_system()));
}

// --- waiting --------------------------------------------------------------------------------------------------------

class RealWorld::Sleeping {
 public:
  Sleeping(RealWorld& world, Waiter& waiter) : world_(world), waiter_(waiter) {
    const std::lock_guard guard(world_.waiters_mutex_);
    waiter_.previous = nullptr;
    waiter_.next = world_.waiters_;
    if (waiter_.next != nullptr) waiter_.next->previous = &waiter_;
    world_.waiters_ = &waiter_;
  }
  ~Sleeping() {
    const std::lock_guard guard(world_.waiters_mutex_);
    (waiter_.previous != nullptr ? waiter_.previous->next : world_.waiters_) = waiter_.next;
    if (waiter_.next != nullptr) waiter_.next->previous = waiter_.previous;
  }

 private:
  RealWorld& world_;
  Waiter& waiter_;
};

Wake RealWorld::wait(Waiter& waiter, Machine& machine, Time deadline, std::span<pollfd> kernel) {
  auto& real = static_cast<RealMachine&>(machine);
  const Sleeping sleeping(*this, waiter);
  if (waiter.heeds_stop && stops() != 0) return Wake::stopped;
  const bool on_word = kernel.empty() && waiter.mask == nullptr;
  const Wake wake = on_word ? sleep_on_word(waiter, real, deadline) : sleep_in_poll(waiter, real, deadline, kernel);
  return waiter.heeds_stop && stops() != 0 ? Wake::stopped : wake;
}

// A futex is interrupted by signals exactly as a blocking call on a socket is: one with a deadline ends with EINTR
// after any handler, one without goes on after a handler with SA_RESTART.
Wake RealWorld::sleep_on_word(Waiter& waiter, RealMachine& machine, Time deadline) {
  const uint32_t continued = continue_signals();
  timespec until{};
  if (deadline != kNever) until = to_timespec(machine.monotonic_at(deadline));
  while (waiter.raised.load(std::memory_order_acquire) == 0) {
    const long result = syscall(SYS_futex, static_cast<void*>(&waiter.raised), FUTEX_WAIT_BITSET_PRIVATE, 0,
                                deadline != kNever ? &until : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
    if (result == 0 || errno == EAGAIN) continue;
    if (errno == ETIMEDOUT) return Wake::deadline;
    // SIGCONT after a stop is no news to the program: the kernel's own calls go on after it.
    if (errno == EINTR) return continued != continue_signals() ? Wake::raised : Wake::interrupted;
  }
  return Wake::raised;
}

Wake RealWorld::sleep_in_poll(Waiter& waiter, RealMachine& machine, Time deadline, std::span<pollfd> kernel) {
  std::vector<pollfd> fds(kernel.begin(), kernel.end());
  fds.push_back({.fd = waiter.event_fd, .events = POLLIN, .revents = 0});
  const uint32_t continued = continue_signals();
  timespec limit{};
  if (deadline != kNever)
    limit = to_timespec(std::max(Duration::zero(), machine.monotonic_at(deadline) - StackClockSource::monotonic()));
  const int ready = ppoll(fds.data(), fds.size(), deadline != kNever ? &limit : nullptr, waiter.mask);
  if (ready < 0) return continued != continue_signals() ? Wake::raised : Wake::interrupted;
  if (ready == 0) return Wake::deadline;
  const bool woken = fds.back().revents != 0;
  if (woken) t_event.drain();
  std::copy_n(fds.begin(), kernel.size(), kernel.begin());
  return ready > (woken ? 1 : 0) ? Wake::descriptor : Wake::raised;
}

void RealWorld::prepare_for_descriptors(Waiter& waiter) { waiter.event_fd = t_event.get(); }

void RealWorld::stop() {
  stops_.fetch_add(1, std::memory_order_relaxed);
  for (const auto& machine : machines_) machine->poke();
}

void RealWorld::release_stopped_waiters() {
  const std::lock_guard guard(waiters_mutex_);
  for (Waiter* waiter = waiters_; waiter != nullptr; waiter = waiter->next) {
    if (!waiter->heeds_stop) continue;
    waiter->raised.store(1, std::memory_order_release);
    syscall(SYS_futex, static_cast<void*>(&waiter->raised), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    if (waiter->event_fd >= 0) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t n = write(waiter->event_fd, &one, sizeof one);
    }
  }
}

// --- threads --------------------------------------------------------------------------------------------------------

int RealWorld::start_thread(ThreadId& id, ThreadFunction run, void* argument) {
  pthread_t thread{};
  const int error = pthread_create(&thread, nullptr, run, argument);
  if (error == 0) id = thread;
  return error;
}

int RealWorld::join_thread(ThreadId id, void** result) { return pthread_join(id, result); }

int RealWorld::detach_thread(ThreadId id) { return pthread_detach(id); }

}  // namespace limpid
