// poll and select: one wait for any number of sockets, and for the kernel's descriptors beside them.
#include <limpid/limpid.h>

#include <algorithm>
#include <array>
#include <vector>

#include "stack/socket/call.h"
#include "stack/socket/epoll_set.h"
#include "stack/socket/readiness.h"

namespace limpid {

namespace {

// Reported whether asked for or not.
constexpr short kUnasked = POLLERR | POLLHUP | POLLNVAL;

// One poll() call: its descriptors, looked up once, and the sockets that they lead to, by the machines that these live
// at. An epoll set has a part at each.
class Poll {
 public:
  Poll(Host& host, std::span<pollfd> fds) : host_(host), fds_(fds), descriptors_(fds.size()) {
    for (size_t i = 0; i < fds.size(); ++i) {
      if (fds[i].fd < 0) continue;  // poll(2): ignored, revents 0
      descriptors_[i] = host.descriptors().find(fds[i].fd);
      if (descriptors_[i].kernel >= 0) {
        kernel_.push_back({.fd = descriptors_[i].kernel, .events = fds[i].events, .revents = 0});
        kernel_at_.push_back(i);
      }
    }
    places_.reserve(fds.size());
    for (uint16_t home = 0; home < host.machines().size(); ++home) add_places(home);
    if (machine_count_ == 0) machines_[machine_count_++] = &host.machine();
  }

  // How many are ready, or -1 and errno.
  int run(Duration timeout) {
    Hold hold(*machines_.front());
    const Time deadline = timeout < Duration::zero() ? kNever : hold.now() + timeout;
    if (!kernel_.empty()) ::poll(kernel_.data(), kernel_.size(), 0);
    for (;;) {
      if (add_kernel_parts()) ::poll(kernel_.data(), kernel_.size(), 0);
      Waiter waiter;
      if (!kernel_.empty()) host_.world().prepare_for_descriptors(waiter);
      const int ready = look(hold, waiter);
      if (ready > 0 || hold.now() >= deadline) {
        leave(hold);
        return ready;
      }
      hold.release();
      const Wake wake = host_.world().wait_at(waiter, std::span(machines_).first(machine_count_), deadline, kernel_);
      hold.take();
      leave(hold);
      if (wake == Wake::interrupted) return fail(EINTR);
      if (wake == Wake::stopped) return fail(ECANCELED);
    }
  }

 private:
  struct Place {
    size_t at;  // in fds_
    OpenSocket& socket;
    SocketWait wait;
  };

  void add_places(uint16_t home) {
    const size_t before = places_.size();
    for (size_t i = 0; i < fds_.size(); ++i) {
      const SocketRef& socket = descriptors_[i].socket;
      if (!socket) continue;
      if (socket->home == home) {
        places_.push_back({i, *socket, {}});
      } else if (socket->is_epoll()) {
        places_.push_back({i, *socket->epoll->parts()[home - 1u], {}});
      }
    }
    if (places_.size() > before) machines_[machine_count_++] = host_.machines()[home];
  }

  // An epoll set is ready for what it has of the kernel's, too; it may get the first of them while we sleep. True if
  // there is one more.
  bool add_kernel_parts() {
    const size_t before = kernel_.size();
    for (size_t i = 0; i < fds_.size(); ++i) {
      const SocketRef& socket = descriptors_[i].socket;
      if (!socket || !socket->is_epoll() || socket->epoll->kernel() < 0) continue;
      if (std::ranges::find(kernel_at_, i) != kernel_at_.end()) continue;
      kernel_.push_back({.fd = socket->epoll->kernel(), .events = fds_[i].events, .revents = 0});
      kernel_at_.push_back(i);
    }
    return kernel_.size() > before;
  }

  // Sets every revents, and has the waiter woken by whatever would change one.
  int look(Hold& hold, Waiter& waiter) {
    for (size_t i = 0; i < fds_.size(); ++i)
      fds_[i].revents = fds_[i].fd >= 0 && !descriptors_[i] ? short{POLLNVAL} : short{0};
    for (size_t k = 0; k < kernel_.size(); ++k) fds_[kernel_at_[k]].revents = kernel_[k].revents;
    for (Place& place : places_) {
      hold.go_to(host_.machine_of(place.socket));
      pollfd& fd = fds_[place.at];
      const short events = place.socket.closed ? short{POLLNVAL} : events_of(hold.stack(), place.socket);
      fd.revents = static_cast<short>(fd.revents | (events & (fd.events | kUnasked)));
      place.wait = {.waiter = &waiter, .interest = interest_of(fd.events)};
      place.socket.join(place.wait);
    }
    hold.go_to(*machines_.front());
    return static_cast<int>(std::ranges::count_if(fds_, [](const pollfd& fd) { return fd.revents != 0; }));
  }

  void leave(Hold& hold) {
    for (Place& place : places_) {
      hold.go_to(host_.machine_of(place.socket));
      place.socket.leave(place.wait);
    }
    hold.go_to(*machines_.front());
  }

  Host& host_;
  std::span<pollfd> fds_;
  std::vector<Descriptor> descriptors_;
  std::vector<Place> places_;
  std::array<Machine*, Host::kMostMachines> machines_;  // that these are at; the deadline is on the clock of the first
  size_t machine_count_ = 0;
  std::vector<pollfd> kernel_;     // those of the kernel's
  std::vector<size_t> kernel_at_;  // and where they stand in fds_
};

// --- select ---------------------------------------------------------------------------------------------------------

constexpr short kSelectRead = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
constexpr short kSelectWrite = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;
constexpr short kSelectExcept = POLLPRI;

bool is_in(int fd, const fd_set* set) { return set != nullptr && FD_ISSET(fd, set); }

std::vector<pollfd> to_poll(int count, const fd_set* readable, const fd_set* writable, const fd_set* exceptional) {
  std::vector<pollfd> fds;
  for (int fd = 0; fd < count; ++fd) {
    int events = 0;
    if (is_in(fd, readable)) events |= POLLIN;
    if (is_in(fd, writable)) events |= POLLOUT;
    if (is_in(fd, exceptional)) events |= POLLPRI;
    if (events != 0) fds.push_back({.fd = fd, .events = static_cast<short>(events), .revents = 0});
  }
  return fds;
}

// Keeps in `set` the descriptors with one of `events`, and counts them.
int keep(fd_set* set, const std::vector<pollfd>& fds, short asked, short events) {
  if (set == nullptr) return 0;
  FD_ZERO(set);
  int count = 0;
  for (const pollfd& fd : fds) {
    if ((fd.events & asked) == 0 || (fd.revents & events) == 0) continue;
    FD_SET(fd.fd, set);
    ++count;
  }
  return count;
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_poll(pollfd* fds, nfds_t count, int timeout_ms) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if (fds == nullptr && count > 0) return fail(EFAULT);
  return Poll(*host, {fds, count}).run(std::chrono::milliseconds(timeout_ms));
}

int lp_select(int count, fd_set* readable, fd_set* writable, fd_set* exceptional, timeval* timeout) {
  Host* host = Host::current();
  if (host == nullptr) return fail(EBADF);
  if (count < 0 || count > FD_SETSIZE) return fail(EINVAL);
  Duration limit = -1ns;
  if (timeout != nullptr) {
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0) return fail(EINVAL);
    limit = std::chrono::seconds(timeout->tv_sec) + std::chrono::microseconds(timeout->tv_usec);
  }
  Time began;
  {
    Hold hold(host->machine());
    began = hold.now();
  }
  std::vector<pollfd> fds = to_poll(count, readable, writable, exceptional);
  if (Poll(*host, fds).run(limit) < 0) return -1;
  if (timeout != nullptr) {  // as Linux: what is left of it
    Hold hold(host->machine());
    const auto left =
        std::chrono::duration_cast<std::chrono::microseconds>(std::max(Duration::zero(), limit - (hold.now() - began)));
    timeout->tv_sec = static_cast<time_t>(left.count() / 1'000'000);
    timeout->tv_usec = static_cast<suseconds_t>(left.count() % 1'000'000);
  }
  if (std::ranges::any_of(fds, [](const pollfd& fd) { return (fd.revents & POLLNVAL) != 0; })) return fail(EBADF);
  int ready = keep(readable, fds, POLLIN, kSelectRead);
  ready += keep(writable, fds, POLLOUT, kSelectWrite);
  ready += keep(exceptional, fds, POLLPRI, kSelectExcept);
  return ready;
}
