// The simulated world under the socket layer: real threads, of which one runs at a time, and virtual time.
//
//   SimNet net(seed);  SimWorld world(net, seed);
//   SimMachine& a = world.add_machine("a", config);  SimMachine& b = …;
//   net.connect(a.host_id(), {10,0,0,1}, b.host_id(), {10,0,0,2}, link);
//   Host host_a(world, a), host_b(world, b);
//   world.run([&] { … blocking socket calls, lp_thread_create … });
//
// A baton goes from thread to thread. Whoever has it runs until it blocks in a socket call (or ends); then the next one
// is drawn, by the seed, from those that can go on. When none can, the one that gave the baton away moves the network,
// event by event, until some can. So the order of everything is the seed's, and a wait of two hours costs nothing.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "stack/base/rng.h"
#include "stack/runtime/sim_net.h"
#include "stack/runtime/world.h"

namespace limpid {

class SimWorld;

// One simulated host: its Stack lives in the SimNet. The baton is its lock.
class SimMachine final : public Machine, private ReadySink {
 public:
  SimMachine(SimWorld& world, const std::string& name, const Config& config);

  SimNet::HostId host_id() const { return host_; }
  Time lock() override;
  void unlock() override {}
  void wake(Waiter& waiter) override { waiter.raised.store(1, std::memory_order_relaxed); }
  Stack& stack() override;
  void set_ready_sink(ReadySink* sink) override { sink_ = sink; }
  void after_unlock(Errand errand) override { errand.run(errand.what); }  // nobody else has the baton

 private:
  void raise(SocketId socket, ReadyEvents events) override;

  SimWorld& world_;
  ReadySink* sink_ = nullptr;
  SimNet::HostId host_;
};

class SimWorld final : public World {
 public:
  SimWorld(SimNet& net, uint64_t seed);
  ~SimWorld() override;
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  SimMachine& add_machine(const std::string& name, const Config& config);
  // The machines of one host that has several queues: their stacks share its flows. So far they have no link, but for
  // loopback.
  std::vector<SimMachine*> add_machines(const std::string& name, const Config& config, uint16_t count);
  SimNet& net() { return net_; }

  // Runs `body` in a thread of this world, and every thread that it starts, until all have ended. When all wait and
  // nothing is left that could happen, the world is stuck: waits then return Wake::stopped (a server that waits for
  // clients that never come ends so). Answers false if it got stuck before `body` had ended.
  bool run(const std::function<void()>& body);
  // The virtual time past which nothing goes on; waits return Wake::stopped then.
  void set_time_limit(Time limit) { time_limit_ = limit; }

  Wake wait(Waiter& waiter, Machine& machine, Time deadline, std::span<pollfd> kernel) override;
  Wake wait_at(Waiter& waiter, std::span<Machine* const> machines, Time deadline, std::span<pollfd> kernel) override {
    return wait(waiter, *machines[0], deadline, kernel);
  }
  void prepare_for_descriptors(Waiter&) override {}
  int start_thread(ThreadId& id, ThreadFunction run, void* argument) override;
  int join_thread(ThreadId id, void** result) override;
  int detach_thread(ThreadId id) override;
  void stop() override { ++stops_; }
  int stops() const override { return stops_; }

 private:
  struct Thread {
    std::thread thread;
    std::binary_semaphore turn{0};  // the baton arrives
    ThreadFunction run = nullptr;
    void* argument = nullptr;
    void* result = nullptr;
    Waiter* waiter = nullptr;  // what it waits for; null: it can run, or waits for `joins`
    Time deadline = kNever;
    Thread* joins = nullptr;
    bool ended = false;
    bool detached = false;
    bool joined = false;
  };

  void thread_main(Thread& self);
  bool can_run(const Thread& thread) const;
  void give_baton_away(Thread* self);
  Thread* next_thread();
  bool move_the_network();

  SimNet& net_;
  Rng rng_;
  std::vector<std::unique_ptr<SimMachine>> machines_;
  std::vector<std::unique_ptr<Thread>> threads_;  // whoever has the baton may touch all of this
  Thread* current_ = nullptr;
  std::binary_semaphore all_ended_{0};
  Time time_limit_ = kNever;
  std::atomic<int> stops_{0};
  bool stuck_ = false;
};

}  // namespace limpid
