// The lock around a stack, and who is woken when it is let go.
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "stack/runtime/futex.h"
#include "stack/runtime/real_world.h"

namespace limpid {

RealMachine::RealMachine(RealWorld& world, const Config& config, uint64_t seed)
    : world_(world), stack_(config, seed, *this), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

RealMachine::~RealMachine() {
  stop_io();
  const std::lock_guard guard(mutex_);  // nobody is left; but the frames' counts move under it
  ports_.clear_frames();
  close(wake_fd_);
}

InterfaceId RealMachine::add_device(std::unique_ptr<Device> device) {
  const std::lock_guard guard(mutex_);
  return ports_.add(stack_, std::move(device));
}

void RealMachine::start() {
  const std::lock_guard guard(mutex_);
  if (io_running_) return;
  io_running_ = true;
  quit_ = false;
  // Signals are for the program's own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { io_thread(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void RealMachine::stop_io() {
  if (!thread_.joinable()) return;
  mutex_.lock();
  quit_ = true;
  wake_watch();
  let_go();
  poke();
  thread_.join();
  const std::lock_guard guard(mutex_);
  io_running_ = false;
}

void RealMachine::poke() {
  const int saved = errno;
  poked_.store(true, std::memory_order_relaxed);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof one);
  errno = saved;
}

// --- the lock -------------------------------------------------------------------------------------------------------

Time RealMachine::lock() {
  mutex_.lock();
  now_ = clock_.lock();
  note_gaps(now_);
  return now_;
}

// What the clock has found since the last look goes into the stream of events.
void RealMachine::note_gaps(Time now) {
  const ClockReport& report = clock_.report();
  if (report.freezes == noted_.freezes && report.stalls == noted_.stalls) return;
  if (report.freezes != noted_.freezes) stack_.note_clock_gap(true, report.frozen - noted_.frozen, now);
  if (report.stalls != noted_.stalls) stack_.note_clock_gap(false, report.stalled - noted_.stalled, now);
  noted_ = report;
}

void RealMachine::unlock() {
  const int saved = errno;  // the call that ends with this visit may have its result in it
  if (worth_a_glance()) glance();
  leave_lock();
  errno = saved;
}

void RealMachine::leave_lock() {
  clock_.unlock();
  const bool poked = io_running_ && calls_leader_back();
  let_go();
  if (poked) poke();
}

// The leader sleeps until leader_until_, and does not know what this visit asked for: a timer of the stack's, or a
// frame that a device holds back for a moment. Most visits ask for nothing sooner: its sleep is sliced, and a
// retransmission timer is longer than a slice. Where nobody leads there is nobody to tell.
bool RealMachine::calls_leader_back() {
  if (leader_until_ == Time{} && leader_waits_writable_) return false;
  const Time wanted = std::min(stack_.next_deadline(), ports_.next_deadline());
  const bool sooner = wanted < leader_until_;
  const bool refused = !leader_waits_writable_ && ports_.wants_writable();
  if (sooner) leader_until_ = wanted;
  if (refused) leader_waits_writable_ = true;
  return sooner || refused;
}

// Those who were woken run on when the lock is free, or they would only run into it.
void RealMachine::let_go() {
  if (woken_.empty() && woken_descriptors_.empty() && errands_.empty()) return mutex_.unlock();
  std::vector<std::atomic<uint32_t>*> words;
  std::vector<int> descriptors;
  std::vector<Errand> errands;
  words.swap(woken_);
  descriptors.swap(woken_descriptors_);
  errands.swap(errands_);
  if (!words.empty()) woke_others_ = true;
  mutex_.unlock();
  wake_threads(words, descriptors);
  for (const Errand& errand : errands) errand.run(errand.what);
}

Duration RealMachine::monotonic_at(Time t) {
  const std::lock_guard guard(mutex_);
  return clock_.monotonic_at(t);
}

void RealMachine::wake(Waiter& waiter) {
  if (waiter.raised.exchange(1, std::memory_order_release) != 0) return;
  if (leading_ != nullptr && &waiter == &leading_->waiter) {
    if (!at_devices_) return;  // it is the one that runs
    poked_.store(true, std::memory_order_relaxed);
    woken_descriptors_.push_back(wake_fd_);
  } else if (waiter.event_fd >= 0) {
    woken_descriptors_.push_back(waiter.event_fd);
  } else {
    woken_.push_back(&waiter.raised);
  }
}

// The waiters may be gone by now: a futex word is only an address to the kernel, and an event descriptor belongs to a
// thread, which at worst looks once more.
void RealMachine::wake_threads(std::vector<std::atomic<uint32_t>*>& words, std::vector<int>& descriptors) {
  const int saved = errno;  // the call that ends with this visit may have its result in it
  for (std::atomic<uint32_t>* word : words) futex_wake(*word);
  for (int fd : descriptors) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(fd, &one, sizeof one);
  }
  errno = saved;
}

void RealMachine::raise(SocketId socket, ReadyEvents events) {
  if (sink_ != nullptr) sink_->raise(socket, events);
}

}  // namespace limpid
