// Fault injection: a decorator that harms the frames of any device in both directions, so that a real kernel peer can
// be given 2 % loss. What befalls a frame comes from a seeded generator; the plan is written as text (fault_plan.h).
//
//   stack ──transmit──> [ swallow, loss, corruption, duplication | reordering | rate, delay ] ──> device
//   stack <─────────────[ the same, with a plan of its own ]<──────────────── receive_batch ───── device
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <vector>

#include "drivers/device.h"
#include "drivers/fault_plan.h"
#include "stack/base/rng.h"

namespace limpid {

struct FaultCounters {
  uint64_t frames = 0;  // that came to the lane
  uint64_t lost = 0;
  uint64_t swallowed = 0;
  uint64_t queue_full = 0;  // did not fit into what may wait
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t corrupted = 0;
  uint64_t delayed = 0;  // by delay or rate
};

// One direction: decides each frame's fate and keeps copies of what has to wait. Not thread-safe: FaultDevice locks it.
class FaultLane {
 public:
  FaultLane(const FaultDirection& plan, size_t link_header, Rng rng);

  enum class Verdict : uint8_t {
    pass,     // goes on, now, as it is
    twice,    // goes on, and once more
    gone,     // lost or swallowed
    waiting,  // a copy waits in the lane (corrupted ones too: they go on at once)
  };
  Verdict admit(const TxFrame& frame, Time now);
  // A frame went on: those that let it overtake them come nearer.
  void passed();

  struct Held {
    std::vector<std::byte> bytes;
    EventNumber event = 0;
    uint32_t overtaken_by = 0;  // frames that still have to pass
    Time until{};
  };
  bool due(Time now);        // something waits no longer
  Held take();               // the first of these; due() was true
  void put_back(Held held);  // it was refused: it is the first of its time again
  Time next_deadline() const;

  FaultCounters counters;

 private:
  static constexpr size_t kMaxWaiting = 65'536;  // frames

  bool swallows(const TxFrame& frame) const;
  bool hold(Held held, bool corrupt, bool reorder, Time now);

  FaultDirection plan_;
  size_t link_header_;
  Rng rng_;
  Time rate_free_{};                 // when the last frame has left the rate limiter
  std::multimap<Time, Held> timed_;  // equal times keep their order
  std::list<Held> overtakable_;      // reordered frames
};

class FaultDevice final : public Device {
 public:
  FaultDevice(Device& inner, const FaultPlan& plan, const Rng& rng);  // splits the generator for each direction

  int descriptor() const override { return inner_.descriptor(); }
  size_t receive_batch(std::span<FrameRef> frames, Time now) override;
  Transmit transmit(const TxFrame& frame, Time now) override;
  bool wants_writable() const override { return inner_.wants_writable(); }
  Time next_deadline() const override;
  void advance(Time now) override;
  Capabilities capabilities() const override { return inner_.capabilities(); }

  FaultCounters counters_in() const;
  FaultCounters counters_out() const;

 private:
  size_t receive_held(std::span<FrameRef> frames, Time now);
  size_t receive_fresh(std::span<FrameRef> frames, bool& more, Time now);
  void send_due(Time now);

  Device& inner_;
  // Reads run outside the stack's lock and writes under it, so each lane has a lock of its own.
  mutable std::mutex in_mutex_;
  FaultLane in_;
  mutable std::mutex out_mutex_;
  FaultLane out_;
  Time blocked_until_{};  // the device refused a frame that had waited here: when to try again
};

}  // namespace limpid
