// What an epoll descriptor leads to: a set of entries, each of which waits in its socket's list, and the list of those
// that have had news.
//
//   notify(socket) ─> entry is listed ─> notify(epoll descriptor) ─> a thread in lp_epoll_wait() wakes
//   lp_epoll_wait() walks the list alone: each entry is asked whether it is ready still, told of, and then
//     level-triggered   goes to the end of the list, and is asked again next time
//     EPOLLET           leaves the list, until its socket has news
//     EPOLLONESHOT      leaves the list, deaf until EPOLL_CTL_MOD
//
// The kernel's descriptors stand in an epoll of the kernel's behind ours, made when the first one is added: what they
// mean there is the kernel's own.
//
// In a host of several machines a set has a part at each, which holds the sockets that live there: each part is such a
// set, with a socket of its own in which those wait who wait for the whole. The first part is what the descriptor leads
// to, and alone has the kernel's.
#pragma once

#include <sys/epoll.h>

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "stack/base/intrusive_list.h"
#include "stack/socket/descriptor_table.h"

namespace limpid {

class EpollSet;

struct EpollEntry : SocketWait, ListHook<> {
  static constexpr uint32_t kModes = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE;

  EpollEntry(EpollSet& set, int number, OpenSocket& of, const epoll_event& asked);
  ~EpollEntry();

  void set_event(const epoll_event& asked);
  bool asks(uint32_t flag) const { return (event.events & flag) != 0; }
  bool deaf() const { return (event.events & ~kModes) == 0; }  // EPOLLONESHOT, and it was told
  void deafen() { event.events &= kModes; }
  // Which of what it asks for holds now.
  uint32_t ready(Stack& stack) const;

  EpollSet& owner;
  const int fd;
  OpenSocket& socket;
  epoll_event event{};
};

// Everything under the machine's lock; entries come and go under the host's arranging(), too.
class EpollSet {
 public:
  // `self`: the descriptor's own socket, in which those wait who wait for this set.
  explicit EpollSet(OpenSocket& self) : self_(self), whole_(*this) {}
  ~EpollSet();
  EpollSet(const EpollSet&) = delete;
  EpollSet& operator=(const EpollSet&) = delete;

  // Before anybody knows of it: parts at the machines 1 to `machines` - 1.
  void divide(size_t machines);
  std::span<const SocketRef> parts() const { return parts_; }  // behind the first
  EpollSet& part_at(uint16_t home) { return home == 0 ? whole_ : *whole_.parts_[home - 1u]->epoll; }
  // Which part is to be asked first, in turns. Of the first part, under its lock.
  size_t next_turn() { return turn_++ % (parts_.size() + 1); }
  bool closed() const { return self_.closed; }
  bool has_news() const { return !listed_.empty(); }

  // epoll_ctl(2) for a socket of ours that goes by `fd`. 0 or an errno.
  int add(Hold& hold, int fd, OpenSocket& socket, const epoll_event& event);
  int modify(Hold& hold, int fd, OpenSocket& socket, const epoll_event& event);
  int remove(int fd, const OpenSocket& socket);
  // And for a descriptor of the kernel's.
  int control_kernel(Machine& machine, int operation, int kernel_fd, epoll_event* event);

  // Tells what is ready now, of ours and of the kernel's; how many.
  int collect(Hold& hold, std::span<epoll_event> events);
  // An entry in it is ready. Those that are not any more leave the list.
  bool has_ready(Stack& stack);

  // The socket of `entry` has had news. True if somebody will look at it.
  bool list(Machine& machine, EpollEntry& entry);
  // The descriptor that `socket` went by was closed: it vanishes from every set.
  static void forget(OpenSocket& socket);
  // The same, for a socket that goes on at another machine: where it is to be added there.
  struct Place {
    EpollSet* set;
    epoll_event event;
  };
  static std::vector<Place> take_out(OpenSocket& socket, uint16_t home);

  // Its entries go; those who wait for it are the caller's to wake.
  void close() { entries_.clear(); }

  // The kernel's epoll behind this one; -1: it has no descriptor of the kernel's.
  int kernel() const { return kernel_; }

 private:
  static constexpr int kMostNested = 5;  // sets in a row, as on Linux

  EpollSet(OpenSocket& self, EpollSet& whole) : self_(self), whole_(whole) {}
  bool is_first() const { return &whole_ == this; }
  EpollEntry* find(int fd, const OpenSocket& socket);
  void look(Hold& hold, EpollEntry& entry);
  int collect_ours(Hold& hold, std::span<epoll_event> events);
  int collect_kernels(std::span<epoll_event> events) const;
  void wake_another(Machine& machine);
  int make_kernel(Machine& machine);
  int nest(Machine& machine, EpollSet& inner, const epoll_event& event);
  bool leads_to(const EpollSet& other) const;
  int sets_below() const;  // the longest row of sets from this one on
  int sets_above() const;  // and up to it

  OpenSocket& self_;
  EpollSet& whole_;  // the first part
  std::vector<SocketRef> parts_;
  size_t turn_ = 0;
  std::map<int, std::unique_ptr<EpollEntry>> entries_;  // by descriptor
  IntrusiveList<EpollEntry> listed_;
  int kernel_ = -1;
  bool kernels_first_ = false;  // taken in turns, so that neither sort starves the other
};

}  // namespace limpid
