// A Host: a stack with its descriptor table, in a world. What lp_ calls work on is the calling thread's current one.
//
// It may have several stacks, each in a machine of its own, that share its flows (net/flow_owner.h): one for each queue
// of its device. Then
//   a socket        has one of the machines as its home, for ever, and lives under its lock
//   datagrams, raw  live at the first machine, which gets all that is not TCP
//   a connection    lives where its flow belongs; a connect without bind chooses a port that belongs to its own home
//   bind, listen    claim the port at every machine, and listen at every machine; the socket itself lives at one, and
//                   hears of connections at the others (everywhere.h)
//   an epoll set    has a part at each machine, for the sockets that live there
// Nobody ever holds two machines' locks. What takes more than one step, and would not do twice at once, is guarded by
// arranging(), which is taken before any of them and never while something is waited for.
#pragma once

#include <limpid/limpid.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "stack/base/paged_array.h"
#include "stack/runtime/world.h"
#include "stack/socket/descriptor_table.h"
#include "stack/socket/loan.h"

// What C programs hold a pointer to.
struct lp_host {
 protected:
  ~lp_host() = default;
};

namespace limpid {

class Host final : public ::lp_host {
 public:
  static constexpr size_t kMostMachines = 32;

  Host(World& world, Machine& machine) : Host(world, std::vector<Machine*>{&machine}) {}
  // Machines that are alike but for their share of the flows (RealWorld::add_machines).
  Host(World& world, std::vector<Machine*> machines);
  // Closes all descriptors (the caller drains first, if it wants to), and waits for the threads that were started here.
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  World& world() const { return world_; }
  // The first one: what it says is the time of calls that have no socket.
  Machine& machine() const { return *machines_.front(); }
  std::span<Machine* const> machines() const { return machines_; }
  Machine& machine_of(const OpenSocket& socket) const { return *machines_[socket.home]; }
  bool has_several() const { return machines_.size() > 1; }
  // Where the next stream socket is to live: in turns.
  uint16_t next_home();
  std::unique_lock<std::mutex> arranging() {
    return has_several() ? std::unique_lock(arranging_) : std::unique_lock<std::mutex>();
  }
  DescriptorTable& descriptors() { return descriptors_; }

  // The calling thread's host; null: none, also in a child after fork(). Threads started by lp_thread_create inherit
  // it.
  static Host* current();
  // Makes `host` current (null: none), and answers the one before.
  static Host* use(Host* host);

  // Waits until every closed connection has delivered its data and its FIN, or until nothing has moved for `idle`, or
  // stop() is called twice. How many were not finished. TIME-WAIT does not count.
  size_t drain(Duration idle);
  void close_all();
  void stop() { world_.stop(); }

  // --- for stack/socket ---
  // The socket that the wake-ups of machine `at` for this id go to. Under that machine's lock.
  void watch(uint16_t at, SocketId id, OpenSocket& socket) { switchboards_[at]->watch(id, socket); }
  void unwatch(uint16_t at, SocketId id) { switchboards_[at]->unwatch(id); }
  IntrusiveList<Loan>& loans(uint16_t at) { return switchboards_[at]->loans; }  // that are out; under its lock
  int event_fd();
  // Threads of lp_thread_create that have not ended: they may still call.
  void thread_begins() { threads_.fetch_add(1, std::memory_order_relaxed); }
  void thread_ends() { threads_.fetch_sub(1, std::memory_order_release); }

 private:
  // What one machine raises, and whom it concerns. Under its lock.
  class Switchboard final : public ReadySink {
   public:
    Switchboard(Host& host, uint16_t at) : host_(host), at_(at) {}
    void watch(SocketId id, OpenSocket& socket);
    void unwatch(SocketId id);

    IntrusiveList<Loan> loans;

   private:
    struct Watched {
      OpenSocket* socket = nullptr;
      uint32_t generation = 0;
    };
    PagedArray<Watched>& index_of(SocketId::Kind kind) { return by_id_[static_cast<size_t>(kind) - 1]; }
    void raise(SocketId id, ReadyEvents events) override;

    Host& host_;
    uint16_t at_;
    PagedArray<Watched> by_id_[4];  // by kind of id, then its index
  };

  void await_threads();
  void end_loans(uint16_t at);
  void note_event();
  size_t unfinished(uint64_t& queued);

  World& world_;
  std::vector<Machine*> machines_;
  std::vector<std::unique_ptr<Switchboard>> switchboards_;  // by machine
  DescriptorTable descriptors_;
  std::mutex arranging_;
  std::atomic<uint32_t> homes_{0};
  std::atomic<int> event_fd_{-1};
  std::atomic<int> threads_{0};
  int owner_;  // the process that made us: a child has the memory, but not the threads
};

}  // namespace limpid
