// A call that waits: at the devices, or asleep while somebody else is there.
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "stack/runtime/futex.h"
#include "stack/runtime/real_world.h"
#include "stack/runtime/signals.h"

namespace limpid {
namespace {

// A thread that sleeps for kernel descriptors and ours at once is woken through one of these; one a thread, kept.
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

void RealWorld::prepare_for_descriptors(Waiter& waiter) { waiter.event_fd = t_event.get(); }

Wake RealMachine::wait(Waiter& waiter, Time deadline, std::span<pollfd> kernel) {
  Follower call(waiter);
  call.since = lock();
  stack_.release_held(call.since, {.bulk_acks = !more_});  // this thread has said what it had to
  if (may_lead(waiter, deadline, kernel)) {
    if (const Led led = lead(call, deadline, kernel)) {
      leave_lock();
      return *led;
    }
  } else {
    ask_for_lead();
    enter(call);
  }
  leave_lock();
  const Wake wake = sleep(waiter, deadline, kernel);
  leave(call);
  return wake;
}

// Wherever the news is, somebody else brings it: its machine's I/O thread, or a call that leads there.
Wake RealWorld::wait_at(Waiter& waiter, std::span<Machine* const> machines, Time deadline, std::span<pollfd> kernel) {
  if (machines.size() == 1) return wait(waiter, *machines[0], deadline, kernel);
  if (waiter.heeds_stop && stops() != 0) return Wake::stopped;
  const auto real = [](Machine* machine) -> RealMachine& { return static_cast<RealMachine&>(*machine); };
  std::vector<Follower> followers(machines.size(), Follower(waiter));
  for (size_t i = 0; i < machines.size(); ++i) real(machines[i]).join(followers[i]);
  const Wake wake = real(machines[0]).sleep(waiter, deadline, kernel);
  for (size_t i = 0; i < machines.size(); ++i) real(machines[i]).leave(followers[i]);
  return waiter.heeds_stop && stops() != 0 ? Wake::stopped : wake;
}

Wake RealMachine::sleep(Waiter& waiter, Time deadline, std::span<pollfd> kernel) {
  const bool on_word = kernel.empty() && waiter.mask == nullptr;
  return on_word ? sleep_on_word(waiter, deadline) : sleep_in_poll(waiter, deadline, kernel);
}

// A futex is interrupted by signals exactly as a blocking call on a socket is: one with a deadline ends with EINTR
// after any handler, one without goes on after a handler with SA_RESTART.
Wake RealMachine::sleep_on_word(Waiter& waiter, Time deadline) {
  const uint32_t continued = continue_signals();
  timespec until{};
  if (deadline != kNever) until = to_timespec(monotonic_at(deadline));
  while (waiter.raised.load(std::memory_order_acquire) == 0) {
    if (futex_wait(waiter.raised, 0, deadline != kNever ? &until : nullptr) == 0 || errno == EAGAIN) continue;
    if (errno == ETIMEDOUT) return Wake::deadline;
    // SIGCONT after a stop is no news to the program: the kernel's own calls go on after it.
    if (errno == EINTR) return continued != continue_signals() ? Wake::raised : Wake::interrupted;
  }
  return Wake::raised;
}

Wake RealMachine::sleep_in_poll(Waiter& waiter, Time deadline, std::span<pollfd> kernel) {
  std::vector<pollfd> fds(kernel.begin(), kernel.end());
  fds.push_back({.fd = waiter.event_fd, .events = POLLIN, .revents = 0});
  const uint32_t continued = continue_signals();
  timespec limit{};
  if (deadline != kNever)
    limit = to_timespec(std::max(Duration::zero(), monotonic_at(deadline) - StackClockSource::monotonic()));
  const int ready = ppoll(fds.data(), fds.size(), deadline != kNever ? &limit : nullptr, waiter.mask);
  if (ready < 0) return continued != continue_signals() ? Wake::raised : Wake::interrupted;
  if (ready == 0) return Wake::deadline;
  const bool woken = fds.back().revents != 0;
  if (woken) t_event.drain();
  std::copy_n(fds.begin(), kernel.size(), kernel.begin());
  return ready > (woken ? 1 : 0) ? Wake::descriptor : Wake::raised;
}

// --- those who sleep ------------------------------------------------------------------------------------------------

void RealMachine::join(Follower& follower) {
  lock();
  stack_.release_held(now_);
  enter(follower);
  unlock();
}

void RealMachine::enter(Follower& follower) {
  follower.since = now_;
  follow(follower);
  if (leader_ != Leader::nobody) return;
  led_ = false;  // nobody is about to come back for this one
  wake_watch();
}

void RealMachine::follow(Follower& follower) {
  follower.previous = nullptr;
  follower.next = followers_;
  if (follower.next != nullptr) follower.next->previous = &follower;
  followers_ = &follower;
}

void RealMachine::leave(Follower& follower) {
  const std::lock_guard guard(mutex_);
  (follower.previous != nullptr ? follower.previous->next : followers_) = follower.next;
  if (follower.next != nullptr) follower.next->previous = follower.previous;
}

// Somebody sleeps whom nothing has woken yet, but soon may.
bool RealMachine::others_wait() const {
  for (const Follower* f = followers_; f != nullptr; f = f->next)
    if (f->waiter.raised.load(std::memory_order_relaxed) == 0 && !quiet(*f)) return true;
  return false;
}

// Counted up to `most`.
size_t RealMachine::active_followers(size_t most) const {
  size_t n = 0;
  for (const Follower* f = followers_; f != nullptr && n < most; f = f->next)
    if (!quiet(*f)) ++n;
  return n;
}

// After RealWorld::stop(): what a signal handler cannot do itself.
void RealMachine::release_stopped_waiters() {
  for (Follower* f = followers_; f != nullptr; f = f->next)
    if (f->waiter.heeds_stop) wake(f->waiter);
}

}  // namespace limpid
