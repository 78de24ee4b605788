// Whoever waits at the devices: a thread that waits in a call, or the I/O thread in its place.
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "stack/runtime/futex.h"
#include "stack/runtime/real_world.h"
#include "stack/runtime/signals.h"

namespace limpid {
namespace {

constexpr size_t kMostKernelDescriptors = 16;  // of a call that leads; one that waits for more sleeps in poll()
constexpr int kUnasked = 8;                    // full readings in a row before poll() is asked again
constexpr Duration kAsleep = std::chrono::microseconds(3);  // poll() took longer than that: there was nothing yet
constexpr Duration kHopefulLook = std::chrono::microseconds(50);
constexpr uint32_t kSeldom = 32;  // where looks are in vain: one wait in so many
constexpr int kBusyMoments = 4;   // for which the I/O thread finds the lock taken, until it waits for it
constexpr Duration kForever = std::chrono::hours(24 * 365);

// poll() is a point where a thread may be cancelled; a leader would take the lead with it.
class NoCancel {
 public:
  NoCancel() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  NoCancel(const NoCancel&) = delete;
  NoCancel& operator=(const NoCancel&) = delete;
  ~NoCancel() { pthread_setcancelstate(before_, nullptr); }

 private:
  int before_ = 0;
};

}  // namespace

// --- a turn ---------------------------------------------------------------------------------------------------------

// Sleep at the devices, read what they have outside the lock, then one visit to the stack for all of it.
RealMachine::Turned RealMachine::turn(const Patience& patience) {
  stack_.release_held(now_, {.tails = false, .bulk_acks = !more_});  // what has waited in vain
  // Not before: the frames that have been read from since are the hottest.
  ports_.refill(stack_.frames(), active_followers(DevicePorts::kMostReaders));
  const Time deadline = std::min({stack_.next_deadline(), ports_.next_deadline(), patience.until});
  Duration timeout = clock_.wait_slice();
  if (deadline != kNever) timeout = std::clamp(deadline - now_, Duration::zero(), timeout);
  if (more_ || !patience.waits) timeout = Duration::zero();
  leader_until_ = now_ + timeout;
  leader_waits_writable_ = ports_.wants_writable();
  const bool wants_writable = leader_waits_writable_;
  const Duration look = timeout > Duration::zero() ? std::min(how_long_to_look(patience), timeout) : Duration::zero();
  const Time then = now_;
  bool traced = clock_.traced();
  at_devices_ = true;
  clock_.unlock();
  clock_.begin_wait(ClockWait::devices, timeout);
  const bool makes_way = patience.waits && ((woke_others_ && ports_.has_read_bulk()) || !woken_.empty());
  let_go();
  // What was read is in this processor's cache: best used before more is. Amid bulk this thread may never sleep, and
  // those whom it woke on its way to the program would run when its slice is over.
  if (makes_way) sched_yield();

  const Duration began = StackClockSource::monotonic();
  Turned turned = Turned::went_on;
  const bool found = !wants_writable && look_busily(look, then);
  if (look > Duration::zero()) note_look(found);
  if (!found) turned = wait_at_devices(timeout, wants_writable, patience);
  const Duration waited = StackClockSource::monotonic() - began;
  if (!found) {
    ports_.read(then + std::min(waited, timeout));
    ports_.note_arrival(waited < kAsleep);
  }
  if (!siblings_.empty()) hand_over();
  if (waited >= StackClockSource::kTracedSlice) traced = StackClockSource::tracer_attached();

  mutex_.lock();
  at_devices_ = false;
  if (makes_way) woke_others_ = false;
  now_ = visited_ = clock_.end_wait(ClockWait::devices, traced);
  note_gaps(now_);
  ports_.give_to(stack_, now_);
  // Whoever is here and has news goes back to the program now, which often has an answer at once: that can carry the
  // ACK.
  const bool returns =
      leading_ == nullptr ? !patience.waits : leading_->waiter.raised.load(std::memory_order_relaxed) != 0;
  more_ = ports_.filled_all();
  stack_.flush(now_, {.for_user = returns, .for_frames = more_});
  ports_.advance(stack_, now_);
  if (stack_.next_deadline() <= now_) stack_.advance(now_);
  if (world_.stops() != 0) release_stopped_waiters();
  return turned;
}

// As long as the call wishes, or the machine was told. Otherwise for a moment, while that has paid lately: amid bulk,
// or requests that follow each other, the next frame is nearly here, and to fall asleep and to be woken takes longer
// and costs more. Where looks are in vain they become rare. Not while other calls sleep: they may have use for the
// processor.
Duration RealMachine::how_long_to_look(const Patience& patience) {
  looks_in_hope_ = false;
  if (patience.busy) return *patience.busy;
  if (active_followers(1) > 0 || (look_hopes_ == 0 && ++unlooked_ < kSeldom)) return Duration::zero();
  looks_in_hope_ = true;
  unlooked_ = 0;
  return kHopefulLook;
}

void RealMachine::note_look(bool found) {
  if (!looks_in_hope_) return;
  if (found) {
    look_hopes_ = kLookHopes;
  } else if (look_hopes_ > 0) {
    --look_hopes_;
  }
}

// Reads without asking first whether there is anything, until there is: no sleep, and nobody has to wake this thread.
bool RealMachine::look_busily(Duration most, Time now) {
  if (most <= Duration::zero()) return false;
  const Duration until = StackClockSource::monotonic() + most;
  bool waited = false;
  do {
    ports_.note_all_readable();
    ports_.read(now);
    if (ports_.has_read()) {
      ports_.note_arrival(!waited);
      return true;
    }
    waited = true;
  } while (!poked_.load(std::memory_order_relaxed) && StackClockSource::monotonic() < until);
  return false;
}

RealMachine::Turned RealMachine::wait_at_devices(Duration timeout, bool wants_writable, const Patience& patience) {
  if (!patience.waits || (more_ && !wants_writable && ++unasked_ < kUnasked)) {
    ports_.note_all_readable();
    return Turned::went_on;
  }
  unasked_ = 0;
  std::array<pollfd, 1 + DevicePorts::kMaxDevices + kMostKernelDescriptors> room;
  const std::span<pollfd> devices = std::span(room).subspan(1, ports_.size());
  const std::span<pollfd> kernel = std::span(room).subspan(1 + ports_.size(), patience.kernel.size());
  room[0] = {.fd = wake_fd_, .events = POLLIN, .revents = 0};
  ports_.ask(devices, wants_writable);
  std::ranges::copy(patience.kernel, kernel.begin());

  const timespec limit = to_timespec(timeout);
  const int ready = ppoll(room.data(), 1 + devices.size() + kernel.size(), &limit, patience.mask);
  const bool interrupted = ready < 0 && errno == EINTR;
  if (ready < 0)
    for (pollfd& fd : room) fd.revents = 0;
  if (room[0].revents != 0) {
    poked_.store(false, std::memory_order_relaxed);
    uint64_t pokes = 0;
    [[maybe_unused]] const ssize_t n = read(wake_fd_, &pokes, sizeof pokes);
  }
  ports_.note(devices);
  std::ranges::copy(kernel, patience.kernel.begin());
  if (interrupted) return Turned::interrupted;
  return std::ranges::any_of(kernel, [](const pollfd& fd) { return fd.revents != 0; }) ? Turned::descriptor
                                                                                       : Turned::went_on;
}

// --- a call that leads ----------------------------------------------------------------------------------------------

// A call without a deadline goes on after a handler with SA_RESTART, and ends with EINTR after another. Asleep it is
// told which it was; at the devices it cannot be, so with handlers of both kinds it sleeps.
bool RealMachine::may_lead(const Waiter& waiter, Time deadline, std::span<const pollfd> kernel) {
  if (leader_ != Leader::nobody || !io_running_ || quit_) return false;
  if (kernel.size() > kMostKernelDescriptors) return false;
  if (deadline != kNever || !kernel.empty() || waiter.mask != nullptr) return true;
  if (now_ - handlers_read_ > StackClockSource::kSlice) {
    handlers_ = signal_handlers();
    handlers_read_ = now_;
  }
  return handlers_ != SignalHandlers::of_both_kinds;
}

RealMachine::Led RealMachine::lead(Follower& call, Time deadline, std::span<pollfd> kernel) {
  Waiter& waiter = call.waiter;
  const NoCancel no_cancel;
  const bool restarts = deadline == kNever && kernel.empty() && waiter.mask == nullptr;
  const uint32_t continued = continue_signals();
  const Patience patience{.until = deadline,
                          .kernel = kernel,
                          .mask = waiter.mask,
                          .busy = waiter.busy_poll > Duration::zero() ? waiter.busy_poll : busy_poll_};
  leader_ = Leader::caller;
  leading_ = &call;
  Wake wake = Wake::raised;
  while (waiter.raised.load(std::memory_order_relaxed) == 0 && !quit_) {
    if (waiter.heeds_stop && world_.stops() != 0) break;
    if (deadline <= now_) {
      wake = Wake::deadline;
      break;
    }
    const Turned turned = turn(patience);
    if (wanted_ && turned == Turned::went_on && waiter.raised.load(std::memory_order_relaxed) == 0) {
      hand_lead_over(call);
      return {};
    }
    if (turned == Turned::descriptor) {
      wake = Wake::descriptor;
      break;
    }
    if (turned != Turned::interrupted || continued != continue_signals()) continue;
    handlers_read_ = kNotRead;  // they are in use, and may change
    if (restarts && signal_handlers() == SignalHandlers::that_restart) continue;
    wake = Wake::interrupted;
    break;
  }
  leave_lead();
  return wake;
}

// Nobody leads for a moment: this thread has something to do, and will be back, or another one.
void RealMachine::leave_lead() {
  leader_ = Leader::nobody;
  leading_ = nullptr;
  wanted_ = false;
  leader_until_ = Time{};  // the I/O thread looks soon: nobody needs to poke
  leader_waits_writable_ = true;
  led_ = true;
  if (watch_sleeps_) wake_watch();
}

// Nobody leads, and this thread comes by: it has had enough to do not to have waited for a while, and others may have
// news.
bool RealMachine::worth_a_glance() const {
  if (leader_ != Leader::nobody || !io_running_ || quit_) return false;
  const Duration unread = now_ - visited_;
  return unread >= kGlance || (unread >= kGlanceForOthers && others_wait());
}

void RealMachine::glance() {
  const NoCancel no_cancel;
  leader_ = Leader::caller;
  turn({.waits = false});
  leader_ = Leader::nobody;
  leader_until_ = Time{};
  leader_waits_writable_ = true;
  led_ = true;  // the I/O thread need not: it would take each frame from the thread that is busy here
}

// A call comes to wait while a quiet one leads: that one would read for this one, and wake it, again and again.
void RealMachine::ask_for_lead() {
  if (leading_ == nullptr || wanted_ || !at_devices_ || !quiet(*leading_)) return;
  wanted_ = true;
  poked_.store(true, std::memory_order_relaxed);
  woken_descriptors_.push_back(wake_fd_);
}

// Who came last has asked: woken without news it looks, waits again, and leads.
void RealMachine::hand_lead_over(Follower& call) {
  if (followers_ != nullptr) wake(followers_->waiter);
  leave_lead();
  follow(call);
}

// --- the I/O thread -------------------------------------------------------------------------------------------------

void RealMachine::io_thread() {
  now_ = lock();
  while (!quit_ || leader_ == Leader::caller) {
    if (leader_ == Leader::caller || led_) {
      watch();
      continue;
    }
    led_ = false;
    leader_ = Leader::io_thread;
    turn({});
    leader_ = Leader::nobody;
    // Whom this turn woke leads when he comes back.
    if (!woken_.empty() || !woken_descriptors_.empty()) {
      led_ = true;
      leader_until_ = Time{};
      leader_waits_writable_ = true;
    }
  }
  stack_.release_held(now_);  // nobody else will
  clock_.unlock();
  let_go();
}

// Asleep for a moment, and for longer ones while others have led or looked in each; or, under a leader that has stayed
// for kLong such moments, until he leaves.
void RealMachine::watch() {
  constexpr uint32_t kLong = 50;
  if (led_) looks_ = 0;
  const bool others = others_wait();
  const Duration least = others ? kWatchForOthers : kWatch;
  const Duration most = others ? kLongestWatchForOthers : kLongestWatch;
  watched_ = led_ ? std::clamp(2 * watched_, least, most) : least;
  led_ = false;
  watch_sleeps_ = leader_ == Leader::caller && ++looks_ > kLong && !quit_;
  const Duration moment = watch_sleeps_ ? kForever : watched_;
  watch_word_.store(0, std::memory_order_relaxed);
  clock_.unlock();
  clock_.begin_wait(ClockWait::watch, (1 + kBusyMoments) * moment);
  let_go();
  sleep_while_busy(moment);
  watch_sleeps_ = false;
  now_ = clock_.end_wait(ClockWait::watch, clock_.traced());
  note_gaps(now_);
  // The program that an ACK waits for has had its moment, and computes.
  const bool woken = watch_word_.load(std::memory_order_relaxed) != 0;
  if (!woken && leader_ == Leader::nobody) stack_.release_held(now_);
  if (world_.stops() != 0) release_stopped_waiters();
}

// Where somebody is with the stack there is no need of the I/O thread, and to wait for the lock would cost both a
// switch.
void RealMachine::sleep_while_busy(Duration moment) {
  for (int moments = 0; moments <= kBusyMoments; ++moments) {
    const timespec until = to_timespec(StackClockSource::monotonic() + moment);
    futex_wait(watch_word_, 0, &until);
    if (watch_word_.load(std::memory_order_relaxed) != 0) break;
    if (mutex_.try_lock()) return;
  }
  mutex_.lock();
}

void RealMachine::wake_watch() {
  clock_.cut_short(ClockWait::watch);  // a stop may come before the thread runs
  watch_word_.store(1, std::memory_order_relaxed);
  woken_.push_back(&watch_word_);
}

}  // namespace limpid
