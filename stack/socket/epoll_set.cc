#include "stack/socket/epoll_set.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "stack/socket/call.h"
#include "stack/socket/readiness.h"

namespace limpid {

OpenSocket::OpenSocket(uint16_t at) : home(at) {}
OpenSocket::~OpenSocket() = default;

// --- one entry ------------------------------------------------------------------------------------------------------

EpollEntry::EpollEntry(EpollSet& set, int number, OpenSocket& of, const epoll_event& asked)
    : owner(set), fd(number), socket(of) {
  entry = this;
  set_event(asked);
  socket.join(*this);
}

EpollEntry::~EpollEntry() { socket.leave(*this); }

void EpollEntry::set_event(const epoll_event& asked) {
  event = asked;
  event.events |= EPOLLERR | EPOLLHUP;  // reported whether asked for or not
  exclusive = asks(EPOLLEXCLUSIVE);
  interest = interest_of(static_cast<short>(event.events & 0x7fff));
}

uint32_t EpollEntry::ready(Stack& stack) const {
  return deaf() ? 0 : static_cast<uint16_t>(events_of(stack, socket)) & event.events;
}

// --- epoll_ctl ------------------------------------------------------------------------------------------------------

EpollSet::~EpollSet() {
  if (kernel_ >= 0) ::close(kernel_);
}

void EpollSet::divide(size_t machines) {
  for (size_t at = 1; at < machines; ++at) {
    SocketRef part = SocketRef::make(static_cast<uint16_t>(at));
    part->kind = OpenSocket::Kind::epoll;
    part->epoll.reset(new EpollSet(*part, *this));
    parts_.push_back(std::move(part));
  }
}

// An entry whose number leads to another socket now is that of a descriptor which is just being closed.
EpollEntry* EpollSet::find(int fd, const OpenSocket& socket) {
  const auto at = entries_.find(fd);
  return at != entries_.end() && &at->second->socket == &socket ? at->second.get() : nullptr;
}

int EpollSet::add(Hold& hold, int fd, OpenSocket& socket, const epoll_event& event) {
  constexpr uint32_t kWithExclusive = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
  if ((event.events & EPOLLEXCLUSIVE) != 0 && (socket.is_epoll() || (event.events & ~kWithExclusive) != 0))
    return EINVAL;
  if (find(fd, socket) != nullptr) return EEXIST;
  if (socket.is_epoll() && is_first()) {
    if (const int error = nest(hold.machine(), *socket.epoll, event); error != 0) return error;
  }
  auto& entry = entries_[fd];
  entry = std::make_unique<EpollEntry>(*this, fd, socket, event);
  look(hold, *entry);
  return 0;
}

int EpollSet::modify(Hold& hold, int fd, OpenSocket& socket, const epoll_event& event) {
  if ((event.events & EPOLLEXCLUSIVE) != 0) return EINVAL;
  EpollEntry* entry = find(fd, socket);
  if (entry == nullptr) return ENOENT;
  if (entry->asks(EPOLLEXCLUSIVE)) return EINVAL;
  if (socket.is_epoll() && is_first()) {
    epoll_event copy = event;
    if (control_kernel(hold.machine(), EPOLL_CTL_MOD, socket.epoll->kernel_, &copy) != 0) return errno;
  }
  entry->set_event(event);
  look(hold, *entry);
  return 0;
}

int EpollSet::remove(int fd, const OpenSocket& socket) {
  if (find(fd, socket) == nullptr) return ENOENT;
  if (socket.is_epoll() && is_first()) ::epoll_ctl(kernel_, EPOLL_CTL_DEL, socket.epoll->kernel_, nullptr);
  entries_.erase(fd);
  return 0;
}

int EpollSet::control_kernel(Machine& machine, int operation, int kernel_fd, epoll_event* event) {
  if (const int error = make_kernel(machine); error != 0) return error;
  return ::epoll_ctl(kernel_, operation, kernel_fd, event) == 0 ? 0 : errno;
}

int EpollSet::make_kernel(Machine& machine) {
  if (kernel_ >= 0) return 0;
  kernel_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (kernel_ < 0) return errno;
  notify(machine, self_, kGivenUp);  // those who wait already: for the kernel's, too, from now on
  return 0;
}

// A set in a set: the kernel's parts are nested just so.
int EpollSet::nest(Machine& machine, EpollSet& inner, const epoll_event& event) {
  if (inner.leads_to(*this) || sets_above() + inner.sets_below() > kMostNested) return ELOOP;
  if (const int error = inner.make_kernel(machine); error != 0) return error;
  epoll_event copy = event;
  return control_kernel(machine, EPOLL_CTL_ADD, inner.kernel_, &copy);
}

bool EpollSet::leads_to(const EpollSet& other) const {
  return std::ranges::any_of(entries_, [&other](const auto& at) {
    const OpenSocket& socket = at.second->socket;
    return socket.is_epoll() && (socket.epoll.get() == &other || socket.epoll->leads_to(other));
  });
}

int EpollSet::sets_below() const {
  int most = 0;
  for (const auto& [fd, entry] : entries_)
    if (entry->socket.is_epoll()) most = std::max(most, entry->socket.epoll->sets_below());
  return most + 1;
}

int EpollSet::sets_above() const {
  int most = 0;
  for (const SocketWait* wait = self_.waits; wait != nullptr; wait = wait->next)
    if (wait->entry != nullptr) most = std::max(most, wait->entry->owner.sets_above());
  return most + 1;
}

void EpollSet::forget(OpenSocket& socket) {
  SocketWait* wait = socket.waits;
  while (wait != nullptr) {
    SocketWait* const next = wait->next;
    if (wait->entry != nullptr) wait->entry->owner.entries_.erase(wait->entry->fd);
    wait = next;
  }
}

std::vector<EpollSet::Place> EpollSet::take_out(OpenSocket& socket, uint16_t home) {
  std::vector<Place> places;
  for (const SocketWait* wait = socket.waits; wait != nullptr; wait = wait->next)
    if (wait->entry != nullptr) places.push_back({&wait->entry->owner.part_at(home), wait->entry->event});
  forget(socket);
  return places;
}

// --- news, and who is told ------------------------------------------------------------------------------------------

bool EpollSet::list(Machine& machine, EpollEntry& entry) {
  if (entry.deaf()) return false;
  if (!entry.linked()) listed_.push_back(entry);
  const bool awaited = self_.waits != nullptr;
  notify(machine, self_, kReadable);
  return awaited;
}

void EpollSet::look(Hold& hold, EpollEntry& entry) {
  if (entry.ready(hold.stack()) != 0) list(hold.machine(), entry);
}

int EpollSet::collect(Hold& hold, std::span<epoll_event> events) {
  kernels_first_ = !kernels_first_;
  int count = kernels_first_ ? collect_kernels(events) : 0;
  count += collect_ours(hold, events.subspan(static_cast<size_t>(count)));
  if (!kernels_first_) count += collect_kernels(events.subspan(static_cast<size_t>(count)));
  return count;
}

int EpollSet::collect_ours(Hold& hold, std::span<epoll_event> events) {
  IntrusiveList<EpollEntry> again;
  size_t count = 0;
  while (count < events.size() && !listed_.empty()) {
    EpollEntry& entry = listed_.pop_front();
    const uint32_t ready = entry.ready(hold.stack());
    if (ready == 0) continue;
    events[count++] = {.events = ready, .data = entry.event.data};
    if (entry.asks(EPOLLONESHOT)) {
      entry.deafen();
    } else if (!entry.asks(EPOLLET)) {
      again.push_back(entry);
    }
  }
  while (!again.empty()) listed_.push_back(again.pop_front());
  if (!listed_.empty()) wake_another(hold.machine());
  return static_cast<int>(count);
}

int EpollSet::collect_kernels(std::span<epoll_event> events) const {
  if (kernel_ < 0 || events.empty()) return 0;
  return std::max(0, ::epoll_wait(kernel_, events.data(), static_cast<int>(events.size()), 0));
}

// There is more than this caller takes.
void EpollSet::wake_another(Machine& machine) {
  for (SocketWait* wait = self_.waits; wait != nullptr; wait = wait->next) {
    if (!wait->exclusive || wait->waiter == nullptr || wait->waiter->raised.load(std::memory_order_relaxed) != 0)
      continue;
    machine.wake(*wait->waiter);
    return;
  }
}

bool EpollSet::has_ready(Stack& stack) {
  while (!listed_.empty() && listed_.front().ready(stack) == 0) listed_.pop_front();
  return !listed_.empty();
}

}  // namespace limpid
