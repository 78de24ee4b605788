// A Host: one stack with its descriptor table, in a world. What lp_ calls work on is the calling thread's current one.
#pragma once

#include <limpid/limpid.h>

#include <atomic>
#include <memory>
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

// Several stacks under one table (one for each queue of a device) are later work: then machine() becomes a choice by
// flow, and everything else stays, because a wait is on an object of the thread, never on one stack.
class Host final : public ::lp_host, private ReadySink {
 public:
  Host(World& world, Machine& machine);
  // Closes all descriptors (the caller drains first, if it wants to), and waits for the threads that were started here.
  ~Host() override;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  World& world() const { return world_; }
  Machine& machine() const { return machine_; }
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

  // --- for stack/socket, under the machine's lock ---
  // The socket that the stack's wake-ups for this id go to.
  void watch(SocketId id, OpenSocket& socket);
  void unwatch(SocketId id);
  int event_fd();
  IntrusiveList<Loan>& loans() { return loans_; }  // that are out
  // Threads of lp_thread_create that have not ended: they may still call.
  void thread_begins() { threads_.fetch_add(1, std::memory_order_relaxed); }
  void thread_ends() { threads_.fetch_sub(1, std::memory_order_release); }

 private:
  void await_threads();
  void end_loans();
  PagedArray<OpenSocket*>& index_of(SocketId::Kind kind);
  void raise(SocketId id, ReadyEvents events) override;

  World& world_;
  Machine& machine_;
  DescriptorTable descriptors_;
  PagedArray<OpenSocket*> by_id_[4];  // by kind of id, then its index
  IntrusiveList<Loan> loans_;
  int event_fd_ = -1;
  std::atomic<int> threads_{0};
  int owner_;  // the process that made us: a child has the memory, but not the threads
};

}  // namespace limpid
