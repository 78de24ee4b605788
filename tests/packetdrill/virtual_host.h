// One stack in virtual time under the socket layer: its world, its machine and its only device.
//
//   the driver (packetdrill's main thread)            a second thread, for blocking calls
//   advance(), next_sent(): the clock goes on         wait(): truly sleeps
//   inject(): a packet arrives                        woken by the driver, looks at the clock (tick()), and so
//   settle(): holds until those woken have reported   lets the driver go on
//
// Nothing here moves by itself: the clock goes on only when it is told to, so a script of hours takes milliseconds, and
// what a woken thread does happens at the very moment that woke it. (Until its call begins, the second thread moves the
// clock too, while the driver waits for it.)
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "stack/runtime/world.h"

namespace limpid::packetdrill {

class VirtualHost final : public World, public Machine, private LinkPort, private ReadySink {
 public:
  explicit VirtualHost(const IpAddress& address);  // its maker is the driver

  void add_address(const IpAddress& address);
  void configure(const Config& config);
  Config config();

  // --- the driver's ---
  void inject(ByteSpan packet);
  struct Sent {
    Time at;
    std::vector<std::byte> packet;
  };
  // The next packet that the stack sends; jumps to it. Empty: it will never send one.
  Sent next_sent();
  std::optional<Sent> take_sent();  // what it has sent already, the clock at rest
  void advance(Duration by);
  // Until every thread that was woken has looked at the clock or waits again.
  void settle();

  // --- any thread's ---
  // The time, a little later with every look; a woken thread, whose call is done with this, is told when it was woken.
  Time tick();

  // --- Machine ---
  Time lock() override;
  void unlock() override;
  void wake(Waiter& waiter) override { waiter.raised.store(1, std::memory_order_relaxed); }
  Stack& stack() override { return stack_; }
  void set_ready_sink(ReadySink* sink) override { sink_ = sink; }
  void after_unlock(Errand errand) override { errands_.push_back(errand); }

  // --- World ---
  Wake wait(Waiter& waiter, Machine& machine, Time deadline, std::span<pollfd> kernel) override;
  Wake wait_at(Waiter& waiter, std::span<Machine* const> machines, Time deadline, std::span<pollfd> kernel) override {
    return wait(waiter, *machines.front(), deadline, kernel);
  }
  void prepare_for_descriptors(Waiter&) override {}
  int start_thread(ThreadId&, ThreadFunction, void*) override;
  int join_thread(ThreadId, void**) override;
  int detach_thread(ThreadId) override;
  void stop() override { ++stops_; }
  int stops() const override { return stops_; }

 private:
  using Guard = std::unique_lock<std::mutex>;

  struct Sleeper {
    Waiter* waiter;
    Time deadline;
    bool released = false;  // by the driver: from then on it is `awake_`
  };

  Transmit transmit(const TxFrame& frame, Time now) override;
  void raise(SocketId socket, ReadyEvents events) override;
  bool can_go_on(const Sleeper& sleeper) const;
  Time next_event() const;
  void advance_to(Guard& guard, Time until);
  void settle(Guard& guard);
  Wake wait_as_driver(Guard& guard, Waiter& waiter, Time deadline);
  bool is_driver() const { return std::this_thread::get_id() == driver_; }
  bool note_report();

  const std::thread::id driver_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable changed_;
  Time now_;
  ReadySink* sink_ = nullptr;
  std::vector<Errand> errands_;  // for when the lock is let go
  std::deque<Sent> sent_;
  std::vector<Sleeper*> sleepers_;
  bool released_any_ = false;  // since the driver's last pause
  int awake_ = 0;              // threads that were released and have not reported
  std::atomic<int> stops_{0};
  Stack stack_;
  InterfaceId interface_ = 0;
};

}  // namespace limpid::packetdrill
