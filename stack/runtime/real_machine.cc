// The lock around a stack, and the I/O thread at its devices.
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

#include "stack/runtime/real_world.h"

namespace limpid {

namespace {

constexpr uint32_t kLinkRoom = 64;  // Ethernet header, VLAN tag, a device's own header
constexpr size_t kBatch = 64;       // frames read at once …
constexpr size_t kLargeBatch = 16;  // … when each may be 64 KiB: a batch should fit the processor's cache

timespec to_timespec(Duration d) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(d);
  return {.tv_sec = static_cast<time_t>(whole.count()), .tv_nsec = static_cast<long>((d - whole).count())};
}

}  // namespace

RealMachine::RealMachine(RealWorld& world, const Config& config, uint64_t seed)
    : world_(world), stack_(config, seed, *this), wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

RealMachine::~RealMachine() {
  stop_io();
  const std::lock_guard guard(mutex_);  // nobody is left; but the frames' counts move under it
  for (Port& port : ports_) port.frames.clear();
  close(wake_fd_);
}

InterfaceId RealMachine::add_device(std::unique_ptr<Device> device) {
  const Capabilities capabilities = device->capabilities();
  const std::lock_guard guard(mutex_);
  const InterfaceConfig config{.name = capabilities.name,
                               .kind = capabilities.ethernet ? LinkKind::ethernet : LinkKind::ip,
                               .mtu = capabilities.mtu,
                               .mac = capabilities.mac,
                               .offloads = capabilities.offloads};
  Port port;
  port.interface = stack_.add_interface(config, *device);
  port.device = std::move(device);
  port.frame_room = capabilities.offloads ? FramePool::kLarge - FramePool::kHeadroom : capabilities.mtu + kLinkRoom;
  port.frames.resize(port.frame_room > FramePool::kSmall ? kLargeBatch : kBatch);
  ports_.push_back(std::move(port));
  return ports_.back().interface;
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
  quit_ = true;
  poke();
  thread_.join();
  const std::lock_guard guard(mutex_);
  io_running_ = false;
}

void RealMachine::poke() {
  const int saved = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof one);
  errno = saved;
}

// --- the lock -------------------------------------------------------------------------------------------------------

Time RealMachine::lock() {
  mutex_.lock();
  const Time now = clock_.lock();
  note_gaps(now);
  return now;
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
  clock_.unlock();
  // The I/O thread sleeps until io_until_, and does not know what this visit asked for: a timer of the stack's, or a
  // frame that a device holds back for a moment. Most visits ask for nothing sooner: its sleep is sliced, and a
  // retransmission timer is longer than a slice.
  Time wanted = stack_.next_deadline();
  for (const Port& port : ports_) wanted = std::min(wanted, port.device->next_deadline());
  const bool sooner = io_running_ && wanted < io_until_;
  const bool refused = io_running_ && !io_waits_writable_ && device_wants_writable();
  if (sooner) io_until_ = wanted;
  if (refused) io_waits_writable_ = true;
  if (woken_.empty() && woken_descriptors_.empty()) {
    mutex_.unlock();
  } else {
    // Woken after the lock is free, or they would only run into it.
    std::vector<std::atomic<uint32_t>*> words;
    std::vector<int> descriptors;
    words.swap(woken_);
    descriptors.swap(woken_descriptors_);
    mutex_.unlock();
    wake_threads(words, descriptors);
  }
  if (sooner || refused) poke();
}

Duration RealMachine::monotonic_at(Time t) {
  const std::lock_guard guard(mutex_);
  return clock_.monotonic_at(t);
}

void RealMachine::wake(Waiter& waiter) {
  if (waiter.raised.exchange(1, std::memory_order_release) != 0) return;
  if (waiter.event_fd >= 0) {
    woken_descriptors_.push_back(waiter.event_fd);
  } else {
    woken_.push_back(&waiter.raised);
  }
}

// The waiters may be gone by now: a futex word is only an address to the kernel, and an event descriptor belongs to a
// thread, which at worst looks once more.
void RealMachine::wake_threads(std::vector<std::atomic<uint32_t>*>& words, std::vector<int>& descriptors) {
  const int saved = errno;  // the call that ends with this visit may have its result in it
  for (std::atomic<uint32_t>* word : words)
    syscall(SYS_futex, static_cast<void*>(word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  for (int fd : descriptors) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(fd, &one, sizeof one);
  }
  errno = saved;
}

void RealMachine::raise(SocketId socket, ReadyEvents events) {
  if (sink_ != nullptr) sink_->raise(socket, events);
}

// --- the I/O thread -------------------------------------------------------------------------------------------------

// One turn: sleep at the devices, read what they have outside the lock, then one visit to the stack for all of it.
// (Later work lets a thread that blocks in recv() take this thread's place: whoever calls the three steps leads.)
void RealMachine::io_thread() {
  mutex_.lock();
  refill();
  Time now = clock_.lock();
  bool more = false;  // a full batch came: there is probably more
  while (!quit_) {
    const Time deadline = std::min(stack_.next_deadline(), device_deadline());
    Duration timeout = clock_.wait_slice();
    if (deadline != kNever) timeout = std::clamp(deadline - now, Duration::zero(), timeout);
    if (more) timeout = Duration::zero();
    io_until_ = now + timeout;
    io_waits_writable_ = device_wants_writable();
    const bool wants_writable = io_waits_writable_;
    bool traced = clock_.traced();
    clock_.unlock();
    clock_.begin_wait(timeout);
    mutex_.unlock();

    const Duration began = StackClockSource::monotonic();
    wait_at_devices(timeout, wants_writable);
    read_devices(now + std::min(StackClockSource::monotonic() - began, timeout));
    if (world_.stops() != 0) world_.release_stopped_waiters();
    if (timeout >= StackClockSource::kTracedSlice) traced = StackClockSource::tracer_attached();

    mutex_.lock();
    now = clock_.end_wait(traced);
    note_gaps(now);
    take_frames(now);
    stack_.flush(now);
    for (Port& port : ports_) {
      if (port.device->next_deadline() <= now) port.device->advance(now);
      if (port.writable) stack_.link_writable(port.interface, now);
    }
    if (stack_.next_deadline() <= now) stack_.advance(now);
    more =
        std::ranges::any_of(ports_, [](const Port& port) { return port.received != 0 && port.received == port.ready; });
    refill();
    // Those whom this turn woke are woken while the lock is free.
    if (!woken_.empty() || !woken_descriptors_.empty()) {
      io_until_ = now;  // we come straight back: nobody needs to poke us
      unlock();
      now = lock();
    }
  }
  clock_.unlock();
  mutex_.unlock();
}

void RealMachine::wait_at_devices(Duration timeout, bool wants_writable) {
  std::array<pollfd, 1 + kMaxDevices> fds{};
  fds[0] = {.fd = wake_fd_, .events = POLLIN, .revents = 0};
  for (size_t i = 0; i < ports_.size(); ++i) {
    int events = wants_writable ? POLLOUT : 0;
    if (ports_[i].ready > 0) events |= POLLIN;
    fds[1 + i] = {.fd = ports_[i].device->descriptor(), .events = static_cast<short>(events), .revents = 0};
  }
  const timespec limit = to_timespec(timeout);
  const bool any = ppoll(fds.data(), 1 + ports_.size(), &limit, nullptr) > 0;
  if (any && (fds[0].revents & POLLIN) != 0) {
    uint64_t pokes = 0;
    [[maybe_unused]] const ssize_t n = read(wake_fd_, &pokes, sizeof pokes);
  }
  for (size_t i = 0; i < ports_.size(); ++i) {
    ports_[i].readable = any && (fds[1 + i].revents & (POLLIN | POLLERR)) != 0;
    ports_[i].writable = any && (fds[1 + i].revents & POLLOUT) != 0;
  }
}

// A device that holds frames back (fault injection) is asked at its deadline too, whatever its descriptor says.
void RealMachine::read_devices(Time now) {
  for (Port& port : ports_) {
    port.received = 0;
    if (port.ready > 0 && (port.readable || port.deadline <= now))
      port.received = port.device->receive_batch(std::span(port.frames).first(port.ready), now);
  }
}

void RealMachine::take_frames(Time now) {
  for (Port& port : ports_)
    for (size_t i = 0; i < port.received; ++i) stack_.receive(port.interface, std::move(port.frames[i]), now);
}

// Empty frames for the next reading. When the pool is exhausted fewer lie ready, and the device keeps what it has.
void RealMachine::refill() {
  for (Port& port : ports_) {
    std::ranges::partition(port.frames, [](const FrameRef& frame) { return static_cast<bool>(frame); });
    port.ready = 0;
    for (FrameRef& frame : port.frames) {
      if (!frame) frame = stack_.frames().make(port.frame_room);
      if (!frame) break;
      ++port.ready;
    }
  }
}

Time RealMachine::device_deadline() {
  Time earliest = kNever;
  for (Port& port : ports_) {
    port.deadline = port.device->next_deadline();
    earliest = std::min(earliest, port.deadline);
  }
  return earliest;
}

bool RealMachine::device_wants_writable() const {
  for (const Port& port : ports_)
    if (port.device->wants_writable()) return true;
  return false;
}

}  // namespace limpid
