// Fault injection: a decorator that harms the frames of any device in both directions, so that a real kernel peer can
// be given 2 % loss. What befalls a frame comes from a seeded generator; the plan is written as text (fault_plan.h).
//
//   stack ──transmit──> [ swallow, loss, corruption, duplication | reordering | rate, delay ] ──> device
//   stack <─────────────[ the same, with a plan of its own ]<──────────────── receive_batch ───── device
//
// Each packet has a fate of its own. A super-segment (frame_offload.h) whose packets all go on is passed on as it is;
// else it is cut around those that are harmed, and what lies between them goes on as smaller super-segments, in order:
//
//   | 1 2 3 4 5 6 7 8 |   4 is lost, 7 held back   ->   | 1 2 3 |  | 5 6 |  | 8 |  …  | 7 |
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <vector>

#include "drivers/device.h"
#include "drivers/fault_plan.h"
#include "stack/base/rng.h"

namespace limpid {

struct FaultCounters {
  uint64_t frames = 0;  // packets that came to the lane
  uint64_t lost = 0;
  uint64_t swallowed = 0;
  uint64_t queue_full = 0;  // did not fit into what may wait
  uint64_t duplicated = 0;
  uint64_t reordered = 0;
  uint64_t corrupted = 0;
  uint64_t delayed = 0;  // by delay or rate
};

// One direction: decides each packet's fate and keeps copies of what has to wait. Not thread-safe: FaultDevice locks
// it.
class FaultLane {
 public:
  FaultLane(const FaultDirection& plan, size_t link_header, Rng rng);

  struct Fate {
    bool swallowed = false;
    bool lost = false;
    bool corrupt = false;
    bool duplicate = false;
    bool reorder = false;
    bool slow = false;  // delay or rate: it waits in any case
    bool none() const { return !swallowed && !lost && !corrupt && !duplicate && !reorder && !slow; }
  };
  // One for each packet that the frame stands for.
  void draw(const TxFrame& frame, std::vector<Fate>& fates);
  void undraw(const std::vector<Fate>& fates);  // the frame was refused: it comes again, and its fate is drawn anew

  enum class Verdict : uint8_t {
    pass,     // goes on, now, as it is
    twice,    // goes on, and once more
    gone,     // lost or swallowed
    waiting,  // a copy waits in the lane (corrupted ones too: they go on at once)
  };
  // `packet`: with its checksum.
  Verdict suffer(const TxFrame& packet, const Fate& fate, Time now);
  // So many packets went on: those that let them overtake come nearer.
  void passed(uint32_t packets);

  struct Held {
    std::vector<std::byte> bytes;
    size_t head = 0;  // bytes of its headers
    FrameOffload offload{};
    EventNumber event = 0;
    uint32_t overtaken_by = 0;  // packets that still have to pass
    Time until{};

    uint32_t packets() const { return offload.packets(static_cast<uint32_t>(bytes.size() - head)); }
  };
  bool due(Time now);        // something waits no longer
  Held take();               // the first of these; due() was true
  void put_back(Held held);  // it was refused: it is the first of its time again
  void put_last(Held held);  // it waits for nothing but its turn
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
  bool wants_writable() const override { return refused_ || inner_.wants_writable(); }
  Time next_deadline() const override;
  void advance(Time now) override;
  Capabilities capabilities() const override { return inner_.capabilities(); }

  FaultCounters counters_in() const;
  FaultCounters counters_out() const;

 private:
  size_t receive_held(std::span<FrameRef> frames, Time now);
  size_t receive_fresh(std::span<FrameRef> frames, bool& more, Time now);
  void receive_apart(const TxFrame& frame, Time now);
  Transmit transmit_apart(const TxFrame& frame, Time now);
  void block(Time now);
  void send_due(Time now);
  bool send_held(Time now);

  Device& inner_;
  size_t link_header_;
  // Reads run outside the stack's lock and writes under it, so each lane has a lock of its own.
  mutable std::mutex in_mutex_;
  FaultLane in_;
  std::deque<FaultLane::Held> arrived_;  // what goes on, in order, and had no frame of its own yet
  std::vector<FaultLane::Fate> fates_in_;
  mutable std::mutex out_mutex_;
  FaultLane out_;
  std::vector<FaultLane::Fate> fates_out_;
  bool refused_ = false;  // the last frame of the stack (under whose lock this is)
  bool blocked_ = false;  // the device refused a frame that had waited here …
  Time blocked_until_{};  // … when to try again
};

}  // namespace limpid
