// Who waits at the devices: which thread reads them, in a real machine around a device that notes it.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "drivers/device.h"
#include "stack/runtime/real_world.h"

namespace limpid {
namespace {

// A thread that waits, and waits again whenever it is woken.
class Call {
 public:
  Call(RealWorld& world, RealMachine& machine) : machine_(machine) {
    thread_ = std::thread([this, &world] {
      for (;;) {
        waiter_.raised = 0;
        if (done_) return;
        world.wait(waiter_, machine_, kNever, {});
      }
    });
  }
  ~Call() {
    done_ = true;
    {
      const Hold hold(machine_);
      wake_locked();
    }
    thread_.join();
  }
  std::thread::id id() const { return thread_.get_id(); }
  void wake_locked() { machine_.wake(waiter_); }

 private:
  RealMachine& machine_;
  Waiter waiter_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

// Turns readable when it is told to, and remembers which thread came to read. What it has is no packet at all, but news
// for a call.
class NotingDevice final : public Device {
 public:
  ~NotingDevice() override { close(fd_); }
  int descriptor() const override { return fd_; }
  size_t receive_batch(std::span<FrameRef>, Time) override {
    uint64_t count = 0;
    if (read(fd_, &count, sizeof count) != sizeof count) return 0;
    news_ = true;
    reader = std::this_thread::get_id();
    return 0;
  }
  Transmit transmit(const TxFrame&, Time) override { return Transmit::taken; }
  Time next_deadline() const override { return news_ ? Time{} : kNever; }
  void advance(Time) override {
    news_ = false;
    if (Call* call = addressee) call->wake_locked();
  }
  Capabilities capabilities() const override { return {.name = "noting", .mac = {}}; }

  void become_readable() const {
    const uint64_t one = 1;
    ASSERT_EQ(write(fd_, &one, sizeof one), ssize_t{sizeof one});
  }

  std::atomic<std::thread::id> reader{};
  std::atomic<Call*> addressee{nullptr};

 private:
  int fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::atomic<bool> news_{false};
};

class LeadTest : public testing::Test {
 protected:
  LeadTest() {
    auto owned = std::make_unique<NotingDevice>();
    device = owned.get();
    machine.add_device(std::move(owned));
    machine.start();
  }
  ~LeadTest() override { machine.stop_io(); }

  std::thread::id who_reads_within(Duration patience) {
    device->reader = std::thread::id();
    device->become_readable();
    const Time end = machine.lock() + patience;
    machine.unlock();
    for (;;) {
      if (device->reader.load() != std::thread::id()) return device->reader;
      const Time now = machine.lock();
      machine.unlock();
      if (now >= end) return {};
      std::this_thread::yield();
    }
  }

  // Whether the call comes to read its own news, sooner or later.
  bool comes_to_lead(Call& call) {
    device->addressee = &call;
    bool leads = false;
    for (int i = 0; i < 10'000 && !leads; ++i) leads = who_reads_within(kLong) == call.id();
    device->addressee = nullptr;
    return leads;
  }

  static constexpr Duration kLong = std::chrono::seconds(20);
  RealWorld world;
  RealMachine& machine = world.add_machine({}, 1);
  NotingDevice* device = nullptr;
};

// The I/O thread may have been there first: it gives way when it has had news for the call.
TEST_F(LeadTest, ACallThatWaitsReadsTheDevice) {
  Call call(world, machine);
  EXPECT_TRUE(comes_to_lead(call));
}

// A server's accept() waits first, and for long; then a connection's thread comes to wait again and again.
TEST_F(LeadTest, AQuietCallGivesTheLeadToOneThatComesToWait) {
  Call accepting(world, machine);
  EXPECT_TRUE(comes_to_lead(accepting));
  Call busy(world, machine);
  EXPECT_TRUE(comes_to_lead(busy));
}

// Nobody waits: the thread that is busy elsewhere with the stack reads in passing, or the I/O thread does.
TEST_F(LeadTest, WhatComesWhileNobodyWaitsIsRead) {
  for (int i = 0; i < 100; ++i) EXPECT_NE(who_reads_within(kLong), std::thread::id());
}

}  // namespace
}  // namespace limpid
