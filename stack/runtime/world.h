// Where the deterministic machine meets a world: what the socket layer needs of locks, clocks, waiting and threads.
//
// Two worlds, and the socket layer does not know which it is in: the real one (real_world.h: a mutex, an I/O thread and
// a device around each Stack, the system's clock) and a simulated one (sim_world.h: one thread at a time, virtual
// time).
//
// A blocking call is written so, in any world:
//
//     Hold hold(machine);                       // the stack's lock, and the time
//     while (nothing can be done yet) {
//       put a Waiter where raise() finds it
//       hold.release(); world.wait(waiter, deadline); hold.take();
//     }
#pragma once

#include <poll.h>
#include <signal.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "stack/base/time.h"
#include "stack/stack.h"

namespace limpid {

// One blocked call. It lives on that call's stack, and is known to others only while the call waits.
struct Waiter {
  std::atomic<uint32_t> raised{0};  // 1: somebody called Machine::wake(); a futex word in the real world
  int event_fd = -1;                // real world: written by wake() too, when the call waits for kernel descriptors
  const sigset_t* mask = nullptr;  // real world: the signals that are blocked while it sleeps (then event_fd is needed)
  bool heeds_stop = true;          // false: goes on waiting when the world is being stopped
  Duration busy_poll{};            // real world: looks at the devices again and again for so long before it sleeps
  uint32_t thread = 0;             // simulated world: whose call this is
};

enum class Wake : uint8_t {
  raised,       // wake() was called; or perhaps nothing happened: look again
  deadline,     // the deadline may have come: look at the machine's clock
  interrupted,  // a signal handler ran (EINTR)
  stopped,      // the world is being stopped (ECANCELED)
  descriptor,   // a kernel descriptor is ready
};

// What is done when a machine's lock has been let go, because it takes another machine's.
struct Errand {
  void (*run)(void* what) = nullptr;
  void* what = nullptr;
};

// A Stack in its world: the lock around it, the clock it lives by, and what carries its frames.
class Machine {
 public:
  virtual ~Machine() = default;

  // Takes the lock and reads the clock. Not recursive.
  virtual Time lock() = 0;
  // Lets go: threads that wake() named run on, and whoever drives the stack learns of a nearer deadline.
  virtual void unlock() = 0;
  // Ends a wait(). Under the lock.
  virtual void wake(Waiter& waiter) = 0;
  virtual Stack& stack() = 0;  // under the lock
  // Whether the tail of a SEND may be kept for the next one: somebody sends it if that does not come.
  virtual bool keeps_tails() const { return false; }
  // Where the stack's wake-ups go from now on; null: nowhere. Under the lock.
  virtual void set_ready_sink(ReadySink* sink) = 0;
  // Runs it once this lock has been let go. Under the lock.
  virtual void after_unlock(Errand errand) = 0;
};

class World {
 public:
  using ThreadId = unsigned long;
  using ThreadFunction = void* (*)(void*);

  virtual ~World() = default;

  // Sleeps until wake(), until `deadline` on the machine's clock, or until one of the kernel's descriptors is ready
  // (their revents are set). May return early for no reason. The machine's lock is not held.
  virtual Wake wait(Waiter& waiter, Machine& machine, Time deadline, std::span<pollfd> kernel = {}) = 0;

  // The same for a call that waits for sockets of several machines (those of one host); the deadline is on the clock of
  // the first.
  virtual Wake wait_at(Waiter& waiter, std::span<Machine* const> machines, Time deadline,
                       std::span<pollfd> kernel = {}) = 0;

  // Before a waiter becomes known to others: its wait() will be for kernel descriptors too.
  virtual void prepare_for_descriptors(Waiter& waiter) = 0;

  // As pthread_create and so on: 0 or an error number.
  virtual int start_thread(ThreadId& id, ThreadFunction run, void* argument) = 0;
  virtual int join_thread(ThreadId id, void** result) = 0;
  virtual int detach_thread(ThreadId id) = 0;

  // From now on waits that heed it return Wake::stopped. Async-signal-safe.
  virtual void stop() = 0;
  virtual int stops() const = 0;  // how often stop() was called: the second Ctrl-C is in more of a hurry
};

// The stack's lock, held for a scope. `now` is the time of this visit: sampled once, passed on to every call in it.
class Hold {
 public:
  explicit Hold(Machine& machine) : machine_(&machine) { take(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() {
    if (held_) release();
  }
  void take() {
    now_ = machine_->lock();
    held_ = true;
  }
  void release() {
    held_ = false;
    machine_->unlock();
  }
  // Lets go of this lock, and takes that of another machine of the same host; never both at once.
  void go_to(Machine& other) {
    if (&other == machine_) return;
    release();
    machine_ = &other;
    take();
  }
  Time now() const { return now_; }
  Stack& stack() const { return machine_->stack(); }
  Machine& machine() const { return *machine_; }

 private:
  Machine* machine_;
  Time now_{};
  bool held_ = false;
};

}  // namespace limpid
