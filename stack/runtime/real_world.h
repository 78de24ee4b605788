// The real world: the system's clock, the kernel's threads and devices.
//
//   RealWorld world;
//   RealMachine& machine = world.add_machine(config, seed);
//   InterfaceId tun = machine.add_device(std::move(device), "tun0");
//   { Hold hold(machine); hold.stack().add_address(tun, …); hold.stack().add_route(…); }
//   machine.start();                                    // its I/O thread runs from here on
//   Host host(world, machine);                          // stack/socket/host.h: descriptors on top
//
// A host with several queues has as many machines (add_machines); flow_owner.h says whose a flow is.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "stack/runtime/device_ports.h"
#include "stack/runtime/signals.h"
#include "stack/runtime/stack_clock.h"
#include "stack/runtime/world.h"

namespace limpid {

class RealWorld;

// How long somebody at the devices stays there, and what else would bring him back.
struct Patience {
  Time until = kNever;         // on the machine's clock
  std::span<pollfd> kernel{};  // descriptors of the kernel's (revents are set)
  const sigset_t* mask = nullptr;
  std::optional<Duration> busy{};  // looks again and again for so long before it sleeps; none: as seems worth it
  bool waits = true;               // false: takes what is there
};

// A call that sleeps while somebody else is at the devices: in the list of each machine that it waits for.
struct Follower {
  explicit Follower(Waiter& call) : waiter(call) {}

  Waiter& waiter;
  Time since{};  // when the call began to wait
  Follower* next = nullptr;
  Follower* previous = nullptr;
};

// A Stack, its mutex, its clock, its devices, and the one thread at a time that waits at them and reads them: the
// leader.
//
// A thread that waits in a call takes the lead if nobody has it, and so reads its own answer: no other thread has to
// run first. Between its calls nobody leads, for a moment: it usually comes back at once, and calls that come by look
// at the devices every kGlance. The I/O thread watches, and leads where no caller does. Under a leader that stays it
// sleeps.
//
// A call that has waited for kQuiet is quiet: nothing is likely to come for it soon (a server's accept() beside its
// busy connections). It does not keep others from the lead, and gives its own lead to a call that comes to wait.
class RealMachine final : public Machine, private ReadySink {
 public:
  RealMachine(RealWorld& world, const Config& config, uint64_t seed);
  ~RealMachine() override;  // stops the I/O thread first
  RealMachine(const RealMachine&) = delete;
  RealMachine& operator=(const RealMachine&) = delete;

  // Before start(): the device becomes an interface of the stack. Its MTU, kind and address come from its capabilities.
  InterfaceId add_device(std::unique_ptr<Device> device);
  // For all calls whose socket says nothing else: how long a leader looks before it sleeps, always. (Otherwise a
  // moment, where that has paid lately.) Before start().
  void set_busy_poll(Duration busy) { busy_poll_ = busy; }
  // Number `own` of several machines of one host: frames of flows that another owns are handed to it. Before start().
  void share_flows(std::span<RealMachine* const> machines, const FlowOwner& owner, uint16_t own);
  uint64_t frames_handed_over() const { return handed_over_.load(std::memory_order_relaxed); }
  void start();
  void stop_io();  // the I/O thread ends; the devices stay

  Time lock() override;
  void unlock() override;
  void wake(Waiter& waiter) override;
  Stack& stack() override { return stack_; }
  bool keeps_tails() const override { return io_running_; }
  void set_ready_sink(ReadySink* sink) override { sink_ = sink; }
  void after_unlock(Errand errand) override { errands_.push_back(errand); }

  StackClockSource& clock() { return clock_; }  // under the lock
  Duration monotonic_at(Time t);                // without it
  Device& device(size_t index) { return ports_.device(index); }
  // Brings the leader back from the devices. Async-signal-safe; without the lock.
  void poke();

  // Waits for `waiter` to be raised: at the devices if the lead is free, else asleep. World::wait() says what it
  // answers.
  Wake wait(Waiter& waiter, Time deadline, std::span<pollfd> kernel);
  // The parts of RealWorld::wait_at(): no machine of several can be led by a call that waits for all of them.
  void join(Follower& follower);
  void leave(Follower& follower);
  Wake sleep(Waiter& waiter, Time deadline, std::span<pollfd> kernel);

 private:
  static constexpr Duration kWatch = std::chrono::milliseconds(1);
  static constexpr Duration kLongestWatch = std::chrono::milliseconds(4);
  static constexpr Duration kQuiet = std::chrono::milliseconds(5);
  // While nobody leads: how long the devices may go unread until a call that comes by looks, or, with others waiting,
  // the I/O thread.
  static constexpr Duration kGlance = std::chrono::microseconds(100);
  static constexpr Duration kGlanceForOthers = std::chrono::microseconds(50);
  static constexpr Duration kWatchForOthers = std::chrono::microseconds(200);
  static constexpr Duration kLongestWatchForOthers = std::chrono::milliseconds(1);
  static constexpr uint32_t kLookHopes = 4;
  static constexpr Time kNotRead{std::chrono::hours(-1)};

  enum class Leader : uint8_t { nobody, io_thread, caller };
  enum class Turned : uint8_t { went_on, interrupted, descriptor };
  // How a lead ended: as wait() answers; or by somebody who has more use for it.
  using Led = std::optional<Wake>;

  void raise(SocketId socket, ReadyEvents events) override;
  void note_gaps(Time now);
  void leave_lock();
  bool calls_leader_back();
  void let_go();

  // lead.cc: the turns of whoever leads, under the lock at their begin and their end.
  Turned turn(const Patience& patience);
  Turned wait_at_devices(Duration timeout, bool wants_writable, const Patience& patience);
  Duration how_long_to_look(const Patience& patience);
  void note_look(bool found);
  bool look_busily(Duration most, Time now);
  bool may_lead(const Waiter& waiter, Time deadline, std::span<const pollfd> kernel);
  Led lead(Follower& call, Time deadline, std::span<pollfd> kernel);
  void leave_lead();
  bool worth_a_glance() const;
  void glance();
  void ask_for_lead();
  void hand_lead_over(Follower& call);
  void io_thread();
  void watch();
  void sleep_while_busy(Duration moment);
  void wake_watch();

  // follow.cc: asleep, while somebody else leads.
  Wake sleep_on_word(Waiter& waiter, Time deadline);
  Wake sleep_in_poll(Waiter& waiter, Time deadline, std::span<pollfd> kernel);
  void follow(Follower& follower);
  void enter(Follower& follower);
  bool quiet(const Follower& f) const { return now_ - f.since > kQuiet; }
  bool others_wait() const;
  size_t active_followers(size_t most) const;
  void release_stopped_waiters();
  void wake_threads(std::vector<std::atomic<uint32_t>*>& words, std::vector<int>& descriptors);

  // hand_over.cc: what was read and is another machine's. Outside the lock, by the leader.
  void hand_over();
  void take_over(std::span<const DevicePorts::Stray> strays);

  RealWorld& world_;
  std::mutex mutex_;
  // All below under mutex_, but for what is said.
  StackClockSource clock_;
  ReadySink* sink_ = nullptr;
  DevicePorts ports_;  // some of it is the leader's while it is outside the lock
  Stack stack_;
  Time now_{};      // when the lock was taken last
  Time visited_{};  // when the devices were read last
  Follower* followers_ = nullptr;
  std::vector<std::atomic<uint32_t>*> woken_;  // futex words to wake when the lock is let go
  std::vector<int> woken_descriptors_;
  bool woke_others_ = false;  // since a leader last made way for them
  std::vector<Errand> errands_;
  ClockReport noted_;  // gaps of the clock that are in the event stream already

  Leader leader_ = Leader::nobody;
  Follower* leading_ = nullptr;       // the call that leads; not in the list of those who sleep
  bool wanted_ = false;               // and another has asked for its place
  bool at_devices_ = false;           // the leader is outside the lock
  bool more_ = false;                 // its last reading was a full one
  int unasked_ = 0;                   // readings since poll() was asked
  uint32_t look_hopes_ = kLookHopes;  // looks that may be in vain before they become rare
  bool looks_in_hope_ = false;
  uint32_t unlooked_ = 0;  // waits since the last look
  Time leader_until_{};    // it comes back by then; while nobody leads, somebody is about to
  bool leader_waits_writable_ = true;

  std::atomic<uint32_t> watch_word_{0};  // what the I/O thread sleeps on while it does not lead
  bool watch_sleeps_ = false;
  bool led_ = false;                                        // a caller led since the I/O thread last looked
  Duration watched_ = kWatch;                               // how long it slept last
  uint32_t looks_ = 0;                                      // since one last left the lead
  SignalHandlers handlers_ = SignalHandlers::that_restart;  // as they were …
  Time handlers_read_ = kNotRead;                           // … at this time

  std::vector<RealMachine*> siblings_;  // all machines of the host, this one too; empty: it is the only one
  FlowOwner flow_owner_;
  uint16_t own_share_ = 0;
  std::vector<DevicePorts::Stray> strays_;  // the leader's
  std::atomic<uint64_t> handed_over_{0};

  std::optional<Duration> busy_poll_;
  bool io_running_ = false;
  int wake_fd_ = -1;
  std::atomic<bool> poked_{false};  // wake_fd_ was written; for a leader that does not look there
  std::atomic<bool> quit_{false};
  std::thread thread_;
};

class RealWorld final : public World {
 public:
  RealWorld();
  ~RealWorld() override;  // machines first

  RealMachine& add_machine(const Config& config, uint64_t seed);  // seed 0: from the system
  // The machines of one host that has several queues: their stacks share its flows.
  std::vector<RealMachine*> add_machines(Config config, uint64_t seed, uint16_t count);
  RealMachine& machine(size_t index) { return *machines_[index]; }

  Wake wait(Waiter& waiter, Machine& machine, Time deadline, std::span<pollfd> kernel) override;
  Wake wait_at(Waiter& waiter, std::span<Machine* const> machines, Time deadline, std::span<pollfd> kernel) override;
  void prepare_for_descriptors(Waiter& waiter) override;
  int start_thread(ThreadId& id, ThreadFunction run, void* argument) override;
  int join_thread(ThreadId id, void** result) override;
  int detach_thread(ThreadId id) override;
  void stop() override;
  int stops() const override { return stops_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> stops_{0};
  std::vector<std::unique_ptr<RealMachine>> machines_;
};

}  // namespace limpid
