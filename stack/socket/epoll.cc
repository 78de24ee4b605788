// epoll_create1, epoll_ctl and epoll_wait: epoll(7) over our sockets and the kernel's descriptors.
#include <limpid/limpid.h>

#include <climits>

#include "stack/socket/call.h"
#include "stack/socket/epoll_set.h"

namespace limpid {

namespace {

constexpr int kMostEvents = INT_MAX / static_cast<int>(sizeof(epoll_event));

int control(Hold& hold, EpollSet& set, int operation, int fd, OpenSocket& socket, const epoll_event* event) {
  if (socket.closed || set.closed()) return EBADF;
  switch (operation) {
    case EPOLL_CTL_ADD:
      return set.add(hold, fd, socket, *event);
    case EPOLL_CTL_MOD:
      return set.modify(hold, fd, socket, *event);
    case EPOLL_CTL_DEL:
      return set.remove(fd, socket);
    default:
      return EINVAL;
  }
}

// The part of the set where the socket lives; with a set in a set, each part of the one goes into that of the other.
int control_parts(Host& host, EpollSet& set, int operation, int fd, OpenSocket& socket, const epoll_event* event) {
  Hold hold(host.machine_of(socket));
  int error = control(hold, set.part_at(socket.home), operation, fd, socket, event);
  if (error != 0 || !socket.is_epoll()) return error;
  for (const SocketRef& part : socket.epoll->parts()) {
    hold.go_to(host.machine_of(*part));
    if (error == 0) error = control(hold, set.part_at(part->home), operation, fd, *part, event);
  }
  return error;
}

// Whoever sleeps at a set, and at the kernel's set in it.
struct Sleeper {
  Sleeper(Host& host, const OpenSocket& epoll, const sigset_t* mask)
      : kernel{.fd = epoll.epoll->kernel(), .events = POLLIN, .revents = 0} {
    waiter.mask = mask;
    if (!kernels().empty() || mask != nullptr) host.world().prepare_for_descriptors(waiter);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  std::span<pollfd> kernels() { return {&kernel, kernel.fd >= 0 ? size_t{1} : 0}; }
  SocketWait wait() { return {.waiter = &waiter, .interest = kReadable, .exclusive = true}; }

  Waiter waiter;
  pollfd kernel;
};

int error_after(Wake wake) {
  if (wake == Wake::interrupted) return EINTR;
  return wake == Wake::stopped ? ECANCELED : 0;
}

// Sleeps until the set has news. 0: look again; else the errno with which the call ends if nothing is ready then.
int sleep_at(Host& host, Hold& hold, OpenSocket& epoll, Time deadline, const sigset_t* mask) {
  Sleeper sleeper(host, epoll, mask);
  SocketWait wait = sleeper.wait();
  epoll.join(wait);
  hold.release();
  const Wake wake = host.world().wait(sleeper.waiter, hold.machine(), deadline, sleeper.kernels());
  hold.take();
  epoll.leave(wait);
  return error_after(wake);
}

// The same for a set of several parts, and with the lock of the first again.
int sleep_at_parts(Host& host, Hold& hold, OpenSocket& epoll, Time deadline, const sigset_t* mask) {
  Sleeper sleeper(host, epoll, mask);
  const size_t parts = host.machines().size();
  std::vector<SocketWait> waits(parts, sleeper.wait());
  const auto part = [&](size_t at) -> OpenSocket& { return at == 0 ? epoll : *epoll.epoll->parts()[at - 1]; };
  bool news = false;
  for (size_t at = 0; at < parts; ++at) {
    hold.go_to(*host.machines()[at]);
    part(at).join(waits[at]);
    news |= part(at).closed || part(at).epoll->has_news();
  }
  hold.release();
  const Wake wake =
      news ? Wake::raised : host.world().wait_at(sleeper.waiter, host.machines(), deadline, sleeper.kernels());
  hold.take();
  for (size_t at = parts; at-- > 0;) {
    hold.go_to(*host.machines()[at]);
    part(at).leave(waits[at]);
  }
  return error_after(wake);
}

// Of all parts, in turns; what does not fit wakes another call that waits.
int collect(Host& host, Hold& hold, EpollSet& set, std::span<epoll_event> events) {
  if (!host.has_several()) return set.collect(hold, events);
  const size_t parts = host.machines().size();
  const size_t first = set.next_turn();
  int count = 0;
  for (size_t i = 0; i < parts; ++i) {
    const auto at = static_cast<uint16_t>((first + i) % parts);
    hold.go_to(*host.machines()[at]);
    count += set.part_at(at).collect(hold, events.subspan(static_cast<size_t>(count)));
  }
  hold.go_to(host.machine());
  return count;
}

int wait_for_events(int fd, epoll_event* events, int most, Duration timeout, const sigset_t* mask) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if (most <= 0 || most > kMostEvents) return fail(EINVAL);
  if (events == nullptr) return fail(EFAULT);
  const Descriptor descriptor = host->descriptors().find(fd);
  if (!descriptor) return fail(EBADF);
  if (!descriptor.socket || !descriptor.socket->is_epoll()) return fail(EINVAL);
  OpenSocket& epoll = *descriptor.socket;

  Hold hold(host->machine());
  const Time deadline = timeout < Duration::zero() ? kNever : hold.now() + timeout;
  for (int error = 0;;) {
    if (epoll.closed) return fail(EBADF);
    const int count = collect(*host, hold, *epoll.epoll, {events, static_cast<size_t>(most)});
    if (count > 0) return count;
    if (error != 0) return fail(error);
    if (hold.now() >= deadline) return 0;
    error = host->has_several() ? sleep_at_parts(*host, hold, epoll, deadline, mask)
                                : sleep_at(*host, hold, epoll, deadline, mask);
  }
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_epoll_create1(int flags) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if ((flags & ~EPOLL_CLOEXEC) != 0) return fail(EINVAL);
  SocketRef socket = SocketRef::make(0);
  socket->kind = OpenSocket::Kind::epoll;
  socket->epoll = std::make_unique<EpollSet>(*socket);
  socket->epoll->divide(host->machines().size());
  const int fd = host->descriptors().enter(std::move(socket));
  return fd >= 0 ? fd : fail(EMFILE);
}

int lp_epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if (event == nullptr && operation != EPOLL_CTL_DEL) return fail(EFAULT);
  const Descriptor epoll = host->descriptors().find(epoll_fd);
  const Descriptor target = host->descriptors().find(fd);
  if (!epoll || !target) return fail(EBADF);
  if (epoll_fd == fd || !epoll.socket || !epoll.socket->is_epoll()) return fail(EINVAL);
  const auto arranging = host->arranging();
  EpollSet& set = *epoll.socket->epoll;
  int error = 0;
  if (target.socket) {
    error = control_parts(*host, set, operation, fd, *target.socket, event);
  } else {
    Hold hold(host->machine());
    error = set.closed() ? EBADF : set.control_kernel(hold.machine(), operation, target.kernel, event);
  }
  return error == 0 ? 0 : fail(error);
}

int lp_epoll_wait(int epoll_fd, epoll_event* events, int most, int timeout_ms) {
  return wait_for_events(epoll_fd, events, most, std::chrono::milliseconds(timeout_ms), nullptr);
}

int lp_epoll_pwait(int epoll_fd, epoll_event* events, int most, int timeout_ms, const sigset_t* mask) {
  return wait_for_events(epoll_fd, events, most, std::chrono::milliseconds(timeout_ms), mask);
}

int lp_epoll_pwait2(int epoll_fd, epoll_event* events, int most, const timespec* timeout, const sigset_t* mask) {
  Duration limit = -1ns;
  if (timeout != nullptr) {
    if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1'000'000'000) return fail(EINVAL);
    limit = std::chrono::seconds(timeout->tv_sec) + Duration(timeout->tv_nsec);
  }
  return wait_for_events(epoll_fd, events, most, limit, mask);
}
