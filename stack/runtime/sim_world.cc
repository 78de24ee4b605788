#include "stack/runtime/sim_world.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace limpid {

// --- a host
// -----------------------------------------------------------------------------------------------------------

SimMachine::SimMachine(SimWorld& world, const std::string& name, const Config& config)
    : world_(world), host_(world.net().add_host(name, config, *this)) {}

Time SimMachine::lock() { return world_.net().now(); }

Stack& SimMachine::stack() { return world_.net().stack(host_); }

void SimMachine::raise(SocketId socket, ReadyEvents events) {
  if (sink_ != nullptr) sink_->raise(socket, events);
}

// --- the world
// --------------------------------------------------------------------------------------------------------

SimWorld::SimWorld(SimNet& net, uint64_t seed) : net_(net), rng_(Rng(seed).split("sim-world")) {}

SimWorld::~SimWorld() {
  for (const auto& thread : threads_)
    if (thread->thread.joinable()) thread->thread.join();
}

SimMachine& SimWorld::add_machine(const std::string& name, const Config& config) {
  return *machines_.emplace_back(std::make_unique<SimMachine>(*this, name, config));
}

std::vector<SimMachine*> SimWorld::add_machines(const std::string& name, const Config& config, uint16_t count) {
  Rng keys = rng_.split("flow owner " + name);
  const FlowOwner owner(keys.key(), count);
  std::vector<SimMachine*> host;
  for (uint16_t i = 0; i < count; ++i) {
    host.push_back(&add_machine(name + "." + std::to_string(i), config));
    host.back()->stack().share_flows(owner, i);
  }
  return host;
}

bool SimWorld::run(const std::function<void()>& body) {
  stuck_ = false;
  bool stuck_before_end = false;
  struct Start {
    const std::function<void()>& body;
    bool& stuck;
    bool& stuck_before_end;
  } start{body, stuck_, stuck_before_end};
  const auto call = [](void* argument) -> void* {
    auto& s = *static_cast<Start*>(argument);
    s.body();
    s.stuck_before_end = s.stuck;
    return nullptr;
  };
  ThreadId id = 0;
  if (start_thread(id, call, &start) != 0) return false;
  threads_.back()->detached = true;
  current_ = threads_.back().get();
  current_->turn.release();
  all_ended_.acquire();
  for (const auto& thread : threads_)
    if (thread->thread.joinable()) thread->thread.join();
  threads_.clear();
  current_ = nullptr;
  return !stuck_before_end;
}

// --- the baton
// --------------------------------------------------------------------------------------------------------

void SimWorld::thread_main(Thread& self) {
  self.turn.acquire();
  self.result = self.run(self.argument);
  self.ended = true;
  give_baton_away(nullptr);
}

bool SimWorld::can_run(const Thread& thread) const {
  if (thread.ended) return false;
  if (thread.joins != nullptr) return thread.joins->ended;
  if (thread.waiter == nullptr) return true;
  if (stuck_ || (thread.waiter->heeds_stop && stops_ != 0)) return true;
  return thread.waiter->raised.load(std::memory_order_relaxed) != 0 || thread.deadline <= net_.now();
}

SimWorld::Thread* SimWorld::next_thread() {
  std::vector<Thread*> ready;
  for (const auto& thread : threads_)
    if (can_run(*thread)) ready.push_back(thread.get());
  if (ready.empty()) return nullptr;
  return ready.size() == 1 ? ready.front() : ready[rng_.below(ready.size())];
}

// One event of the network, or the next thread's deadline if that is sooner. False: nothing is left to happen.
bool SimWorld::move_the_network() {
  Time until = kNever;
  for (const auto& thread : threads_)
    if (!thread->ended && thread->waiter != nullptr) until = std::min(until, thread->deadline);
  if (std::min(until, net_.next_event()) > time_limit_) return false;
  if (until == kNever && net_.next_event() == kNever) return false;
  net_.step(until);
  return true;
}

// `self` comes back when it has the baton again; null: its thread ends.
void SimWorld::give_baton_away(Thread* self) {
  Thread* next = next_thread();
  while (next == nullptr) {
    if (std::ranges::all_of(threads_, [](const auto& thread) { return thread->ended; })) {
      all_ended_.release();
      return;
    }
    // Nobody can go on and nothing will happen: whoever waits for the network is told. Then only threads are left that
    // join each other in a circle.
    if (!move_the_network()) {
      if (stuck_) std::abort();
      stuck_ = true;
    }
    next = next_thread();
  }
  current_ = next;
  if (next == self) return;
  next->turn.release();
  if (self != nullptr) self->turn.acquire();
}

Wake SimWorld::wait(Waiter& waiter, Machine&, Time deadline, std::span<pollfd> kernel) {
  if (!kernel.empty() && ::poll(kernel.data(), kernel.size(), 0) > 0) return Wake::descriptor;
  Thread& self = *current_;
  self.waiter = &waiter;
  self.deadline = deadline;
  give_baton_away(&self);
  self.waiter = nullptr;
  self.deadline = kNever;
  if (waiter.raised.load(std::memory_order_relaxed) != 0) return Wake::raised;
  if (stuck_ || (waiter.heeds_stop && stops_ != 0)) return Wake::stopped;
  return Wake::deadline;
}

// --- threads
// ----------------------------------------------------------------------------------------------------------

int SimWorld::start_thread(ThreadId& id, ThreadFunction function, void* argument) {
  auto thread = std::make_unique<Thread>();
  thread->run = function;
  thread->argument = argument;
  Thread& started = *thread;
  threads_.push_back(std::move(thread));
  started.thread = std::thread([this, &started] { thread_main(started); });
  id = threads_.size();
  return 0;
}

int SimWorld::join_thread(ThreadId id, void** result) {
  if (id == 0 || id > threads_.size()) return ESRCH;
  Thread& other = *threads_[id - 1];
  if (other.detached || other.joined) return EINVAL;
  if (&other == current_) return EDEADLK;
  Thread& self = *current_;
  self.joins = &other;
  if (!other.ended) give_baton_away(&self);
  self.joins = nullptr;
  other.joined = true;
  if (result != nullptr) *result = other.result;
  return 0;
}

int SimWorld::detach_thread(ThreadId id) {
  if (id == 0 || id > threads_.size()) return ESRCH;
  threads_[id - 1]->detached = true;
  return 0;
}

}  // namespace limpid
