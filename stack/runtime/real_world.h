// The real world: the system's clock, the kernel's threads and devices.
//
//   RealWorld world;
//   RealMachine& machine = world.add_machine(config, seed);
//   InterfaceId tun = machine.add_device(std::move(device), "tun0");
//   { Hold hold(machine); hold.stack().add_address(tun, …); hold.stack().add_route(…); }
//   machine.start();                                    // its I/O thread runs from here on
//   Host host(world, machine);                          // stack/socket/host.h: descriptors on top
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "drivers/device.h"
#include "stack/runtime/stack_clock.h"
#include "stack/runtime/world.h"

namespace limpid {

class RealWorld;

// A Stack, its mutex, its clock, its devices, and the one thread that reads them.
class RealMachine final : public Machine, private ReadySink {
 public:
  RealMachine(RealWorld& world, const Config& config, uint64_t seed);
  ~RealMachine() override;  // stops the I/O thread first
  RealMachine(const RealMachine&) = delete;
  RealMachine& operator=(const RealMachine&) = delete;

  // Before start(): the device becomes an interface of the stack. Its MTU, kind and address come from its capabilities.
  InterfaceId add_device(std::unique_ptr<Device> device);
  void start();
  void stop_io();  // the I/O thread ends; the devices stay

  Time lock() override;
  void unlock() override;
  void wake(Waiter& waiter) override;
  Stack& stack() override { return stack_; }
  void set_ready_sink(ReadySink* sink) override { sink_ = sink; }

  StackClockSource& clock() { return clock_; }  // under the lock
  Duration monotonic_at(Time t);                // without it
  Device& device(size_t index) { return *ports_[index].device; }
  // Brings the I/O thread back from the device. Async-signal-safe; without the lock.
  void poke();

 private:
  static constexpr size_t kMaxDevices = 8;

  // A device, and the empty frames that lie ready for it (taken from the pool under the lock, filled outside it).
  struct Port {
    std::unique_ptr<Device> device;
    InterfaceId interface = 0;
    uint32_t frame_room = 0;
    std::vector<FrameRef> frames;
    size_t ready = 0;     // how many of them are there
    size_t received = 0;  // how many the last reading filled
    Time deadline = kNever;
    bool readable = false;
    bool writable = false;
  };

  void raise(SocketId socket, ReadyEvents events) override;
  void note_gaps(Time now);
  void io_thread();
  void wait_at_devices(Duration timeout, bool wants_writable);
  void read_devices(Time now);
  void take_frames(Time now);
  void refill();
  Time device_deadline();
  bool device_wants_writable() const;
  void wake_threads(std::vector<std::atomic<uint32_t>*>& words, std::vector<int>& descriptors);

  RealWorld& world_;
  std::mutex mutex_;
  // All below under mutex_, but for what is said.
  StackClockSource clock_;
  ReadySink* sink_ = nullptr;
  std::vector<Port> ports_;  // frames, received, readable, writable: the I/O thread's while it is outside the lock
  Stack stack_;
  std::vector<std::atomic<uint32_t>*> woken_;  // futex words to wake when the lock is let go
  std::vector<int> woken_descriptors_;
  Time io_until_ = kNever;  // the I/O thread comes back by then
  bool io_waits_writable_ = false;
  bool io_running_ = false;
  ClockReport noted_;  // gaps of the clock that are in the event stream already

  int wake_fd_ = -1;
  std::atomic<bool> quit_{false};
  std::thread thread_;
};

class RealWorld final : public World {
 public:
  RealWorld();
  ~RealWorld() override;  // machines first

  RealMachine& add_machine(const Config& config, uint64_t seed);  // seed 0: from the system
  RealMachine& machine(size_t index) { return *machines_[index]; }

  Wake wait(Waiter& waiter, Machine& machine, Time deadline, std::span<pollfd> kernel) override;
  void prepare_for_descriptors(Waiter& waiter) override;
  int start_thread(ThreadId& id, ThreadFunction run, void* argument) override;
  int join_thread(ThreadId id, void** result) override;
  int detach_thread(ThreadId id) override;
  void stop() override;
  int stops() const override { return stops_.load(std::memory_order_relaxed); }

  // The I/O thread calls this after stop(): what a signal handler cannot do itself.
  void release_stopped_waiters();

 private:
  class Sleeping;  // a waiter in the list, for as long as it waits

  Wake sleep_on_word(Waiter& waiter, RealMachine& machine, Time deadline);
  Wake sleep_in_poll(Waiter& waiter, RealMachine& machine, Time deadline, std::span<pollfd> kernel);

  std::atomic<int> stops_{0};
  std::mutex waiters_mutex_;
  Waiter* waiters_ = nullptr;  // under waiters_mutex_
  std::vector<std::unique_ptr<RealMachine>> machines_;
};

}  // namespace limpid
