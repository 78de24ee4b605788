// A simulated link: a virtual wire between two devices, with every harm that a real path can do.
//
//   end(0) ──transmit──> [ queue ──rate──> ] ──delay, jitter, loss, …──> receive_batch ── end(1)      direction 0
//   end(0) <──────────── the same, with impairments of its own ──────────────────────── end(1)      direction 1
//
// Everything that befalls a frame is decided when it enters, from a labelled split of one seed: the same seed and the
// same frames give the same fate. Time is virtual: a frame arrives when receive_batch() is called with a `now` late
// enough.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "drivers/device.h"
#include "stack/base/event_kinds.h"
#include "stack/base/rng.h"
#include "stack/base/time.h"
#include "stack/base/trace.h"

namespace limpid {

struct SimCut {
  Time from{};
  Time to = kNever;  // frames that enter or would arrive in [from, to) are lost
};

// One direction. Probabilities are in parts per million of the frames.
struct SimImpairments {
  Duration delay{};               // propagation
  Duration jitter{};              // 0 to this much more for each frame; the order is kept
  uint64_t rate = 0;              // bit/s; 0: no limit
  uint32_t queue_bytes = 0;       // what may wait for the rate; 0: no limit
  uint32_t queue_frames = 0;      // the same, counted in frames
  bool refuse_when_full = false;  // answer Transmit::refused (back-pressure) rather than drop at the tail
  uint32_t loss_ppm = 0;
  std::vector<uint64_t> lose{};  // exactly these frames of the direction, counted from 1
  uint32_t reorder_ppm = 0;      // held back by reorder_delay, so that later frames overtake
  Duration reorder_delay = 5ms;
  uint32_t duplicate_ppm = 0;
  uint32_t corrupt_ppm = 0;  // one bit flips, behind the link header
  std::vector<SimCut> cuts{};
};

struct SimLinkConfig {
  std::string name = "sim";
  uint32_t mtu = 1500;    // largest IP datagram; longer frames are lost
  bool ethernet = false;  // frames carry Ethernet headers
  // Its ends take super-segments (frame_offload.h), which are cut before anything befalls them, and give what has
  // arrived in a row as one.
  bool offloads = false;
  std::array<SimImpairments, 2> direction{};

  static SimLinkConfig symmetric(const SimImpairments& both) { return of(both, both); }
  static SimLinkConfig of(const SimImpairments& from_0_to_1, const SimImpairments& from_1_to_0) {
    SimLinkConfig config;
    config.direction[0] = from_0_to_1;
    config.direction[1] = from_1_to_0;
    return config;
  }
};

// What a link did to a frame.
struct SimIncident {
  EventKind kind{};  // sim_lost, sim_delayed, sim_reordered, sim_duplicated, sim_corrupted, sim_queue_full
  uint32_t direction = 0;
  uint64_t index = 0;     // the frame's number in its direction, from 1
  uint32_t length = 0;    // bytes
  EventNumber event = 0;  // the sender's event that says why the frame exists
  uint32_t detail =
      0;  // of sim_delayed, sim_reordered: microseconds; sim_corrupted: offset; sim_queue_full: bytes queued
};

// Who watches a link: the trace below, and the hash of a simulated network (stack/runtime/sim_net).
class SimLinkObserver {
 public:
  virtual ~SimLinkObserver() = default;
  // A frame goes to the device at the far end of the direction.
  virtual void delivered(uint32_t direction, ByteSpan frame, Time now) = 0;
  virtual void incident(const SimIncident& incident, Time now) = 0;
};

// Turns incidents into sim:* events. Their `cause` is the event of the sender that the frame belongs to.
class SimLinkTrace final : public SimLinkObserver {
 public:
  explicit SimLinkTrace(TraceSink& sink) { tracer_.set_sink(&sink); }
  void delivered(uint32_t, ByteSpan, Time) override {}
  void incident(const SimIncident& incident, Time now) override;

 private:
  Tracer tracer_;
};

struct SimLinkCounters {
  uint64_t entered = 0;    // frames given to transmit(), refused ones not counted
  uint64_t bytes = 0;      // of these
  uint64_t delivered = 0;  // duplicates included
  uint64_t lost = 0;       // by loss, list or cut
  uint64_t too_long = 0;   // above the MTU
  uint64_t queue_full = 0;
  uint64_t refused = 0;
  uint64_t reordered = 0;
  uint64_t duplicated = 0;
  uint64_t corrupted = 0;
  uint64_t most_queued = 0;  // bytes that waited for the rate at once
};

class SimLink {
 public:
  SimLink(const SimLinkConfig& config, Rng rng);
  SimLink(const SimLink&) = delete;
  SimLink& operator=(const SimLink&) = delete;
  ~SimLink();

  Device& end(size_t which);  // 0 or 1
  void add_observer(SimLinkObserver* observer) { observers_.push_back(observer); }
  const SimLinkCounters& counters(size_t direction) const;
  const SimLinkConfig& config() const { return config_; }
  // Frames under way in both directions.
  size_t in_flight() const;

 private:
  class Wire;  // one direction
  class End;   // a Device: sends into one wire, receives from the other

  void report(const SimIncident& incident, Time now) const;
  void report_delivery(uint32_t direction, ByteSpan frame, Time now) const;

  SimLinkConfig config_;
  std::vector<SimLinkObserver*> observers_;
  std::unique_ptr<Wire> wires_[2];
  std::unique_ptr<End> ends_[2];
};

}  // namespace limpid
