#include "stack/runtime/real_world.h"

#include <pthread.h>
#include <sys/random.h>

#include <cerrno>
#include <system_error>

#include "stack/runtime/signals.h"

namespace limpid {

namespace {

uint64_t seed_from_system() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    throw std::system_error(errno, std::generic_category(), "getrandom");
  return seed;
}

}  // namespace

RealWorld::RealWorld() { watch_continue_signals(); }

// Machines of one host call each other, so none goes before all stand still.
RealWorld::~RealWorld() {
  for (const auto& machine : machines_) machine->stop_io();
}

RealMachine& RealWorld::add_machine(const Config& config, uint64_t seed) {
  return *machines_.emplace_back(std::make_unique<RealMachine>(*this, config, seed != 0 ? seed : seed_from_system()));
}

std::vector<RealMachine*> RealWorld::add_machines(Config config, uint64_t seed, uint16_t count) {
  Rng rng(seed != 0 ? seed : seed_from_system());
  const FlowOwner owner(rng.split("flow owner").key(), count);
  // A client may come back on a flow of another stack's with the cookie that it got from this one.
  if (!config.tcp.fast_open_keys) config.tcp.fast_open_keys = FastOpenKeys{.primary = rng.split("fast open").key()};
  Rng seeds = rng.split("stacks");
  std::vector<RealMachine*> host;
  for (uint16_t i = 0; i < count; ++i) host.push_back(&add_machine(config, seeds.next()));
  for (uint16_t i = 0; i < count; ++i) host[i]->share_flows(host, owner, i);
  return host;
}

Wake RealWorld::wait(Waiter& waiter, Machine& machine, Time deadline, std::span<pollfd> kernel) {
  if (waiter.heeds_stop && stops() != 0) return Wake::stopped;
  const Wake wake = static_cast<RealMachine&>(machine).wait(waiter, deadline, kernel);
  return waiter.heeds_stop && stops() != 0 ? Wake::stopped : wake;
}

void RealWorld::stop() {
  stops_.fetch_add(1, std::memory_order_relaxed);
  for (const auto& machine : machines_) machine->poke();
}

// --- threads --------------------------------------------------------------------------------------------------------

int RealWorld::start_thread(ThreadId& id, ThreadFunction run, void* argument) {
  pthread_t thread{};
  const int error = pthread_create(&thread, nullptr, run, argument);
  if (error == 0) id = thread;
  return error;
}

int RealWorld::join_thread(ThreadId id, void** result) { return pthread_join(id, result); }

int RealWorld::detach_thread(ThreadId id) { return pthread_detach(id); }

}  // namespace limpid
