// epoll_create1, epoll_ctl and epoll_wait: epoll(7) over our sockets and the kernel's descriptors.
#include <limpid/limpid.h>

#include <climits>

#include "stack/socket/call.h"
#include "stack/socket/epoll_set.h"

namespace limpid {

namespace {

constexpr int kMostEvents = INT_MAX / static_cast<int>(sizeof(epoll_event));

int control(Hold& hold, EpollSet& set, int operation, int fd, OpenSocket& socket, const epoll_event* event) {
  if (socket.closed) return EBADF;
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

// Sleeps until the set has news. 0: look again; else the errno with which the call ends if nothing is ready then.
int sleep_at(Host& host, Hold& hold, OpenSocket& epoll, Time deadline, const sigset_t* mask) {
  Waiter waiter;
  waiter.mask = mask;
  pollfd kernel{.fd = epoll.epoll->kernel(), .events = POLLIN, .revents = 0};
  const std::span<pollfd> kernels(&kernel, kernel.fd >= 0 ? 1 : 0);
  if (!kernels.empty() || mask != nullptr) host.world().prepare_for_descriptors(waiter);
  SocketWait wait{.waiter = &waiter, .interest = kReadable, .exclusive = true};
  epoll.join(wait);
  hold.release();
  const Wake wake = host.world().wait(waiter, hold.machine(), deadline, kernels);
  hold.take();
  epoll.leave(wait);
  if (wake == Wake::interrupted) return EINTR;
  return wake == Wake::stopped ? ECANCELED : 0;
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
    const int count = epoll.epoll->collect(hold, {events, static_cast<size_t>(most)});
    if (count > 0) return count;
    if (error != 0) return fail(error);
    if (hold.now() >= deadline) return 0;
    error = sleep_at(*host, hold, epoll, deadline, mask);
  }
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_epoll_create1(int flags) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if ((flags & ~EPOLL_CLOEXEC) != 0) return fail(EINVAL);
  SocketRef socket = SocketRef::make();
  socket->kind = OpenSocket::Kind::epoll;
  socket->epoll = std::make_unique<EpollSet>(*socket);
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
  Hold hold(host->machine());
  if (epoll.socket->closed) return fail(EBADF);
  EpollSet& set = *epoll.socket->epoll;
  const int error = target.socket ? control(hold, set, operation, fd, *target.socket, event)
                                  : set.control_kernel(hold.machine(), operation, target.kernel, event);
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
