// A network in one process: hosts (each a Stack) joined by simulated links, a virtual clock, and the loop that moves
// them.
//
//   host "a": Stack ──interface──> SimLink <──interface── Stack :host "b"        2 to 4 hosts, any links between them
//
//   SimNet net(seed);
//   auto a = net.add_host("a", {}, sink_a), b = net.add_host("b", {}, sink_b);
//   net.connect(a, {10,0,0,1}, b, {10,0,0,2}, link);
//   net.stack(a).tcp_connect(…, net.now());       // calls are made between steps, with now() as their time
//   while (net.step()) …                          // jumps from event to event; a year of silence costs nothing
//
// No threads, no real clock: the same seed and the same calls give the same frames and the same events, which hash()
// shows. Wake-ups reach each host's ReadySink during a step; it must only take note of them (see ReadySink).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "drivers/sim_link.h"
#include "stack/base/rng.h"
#include "stack/base/time.h"
#include "stack/base/trace.h"
#include "stack/stack.h"

namespace limpid {

// A rolling 64-bit hash of all that was seen, in order.
class RollingHash {
 public:
  void add(uint64_t word) { hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15 ^ (hash_ >> 29); }
  void add(ByteSpan bytes);
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0x6c696d706964;
};

enum class SimHash : uint8_t {
  none,
  frames,             // what every link delivers, and when: cheap
  frames_and_events,  // and every trace event of every stack
};

class SimNet {
 public:
  using HostId = size_t;
  using LinkId = size_t;

  explicit SimNet(uint64_t seed, SimHash hash = SimHash::frames);
  SimNet(const SimNet&) = delete;
  SimNet& operator=(const SimNet&) = delete;
  ~SimNet();

  // --- the topology ---
  HostId add_host(const std::string& name, const Config& config, ReadySink& ready);
  // Two hosts, an address of each, a link between them. Gives each host an interface and the route of its prefix.
  // `decorate`, if set, is asked for the device to use in place of each end (pcapng, trace): it wraps, the caller owns.
  using Decorate = std::function<Device&(HostId host, Device& end)>;
  LinkId connect(HostId a, const IpAddress& address_a, HostId b, const IpAddress& address_b,
                 const SimLinkConfig& config, int prefix = 24, const Decorate& decorate = {});

  size_t hosts() const { return hosts_.size(); }
  size_t links() const { return links_.size(); }
  Stack& stack(HostId host);
  const std::string& name(HostId host) const;
  SimLink& link(LinkId link) { return *links_[link]; }
  // Every event of this host goes to `sink` as well; null: to nobody.
  void set_trace_sink(HostId host, TraceSink* sink);

  // --- time ---
  Time now() const { return now_; }
  // When something will happen by itself; kNever: not without a call from outside. Never before now().
  Time next_event() const;
  // Jumps to the next event, if it is not after `until`, and does all that is due at that moment: frames arrive, timers
  // fire, each host flushes. Else moves the clock to `until` (unless that is kNever) and answers false.
  bool step(Time until = kNever);
  // Steps until `done` answers true (then true), or until nothing more happens or `until` has come (then done()).
  bool run_until(const std::function<bool()>& done, Time until = kNever);
  void run_for(Duration duration);

  // Called after each host's turn of a step, when it has flushed: the place to check invariants.
  void set_after_turn(std::function<void(HostId)> after_turn) { after_turn_ = std::move(after_turn); }

  // --- what happened ---
  uint64_t hash() const { return hash_.value(); }
  uint64_t steps() const { return steps_; }
  uint64_t frames_delivered() const { return frames_delivered_; }

 private:
  struct Interface {
    InterfaceId id = 0;
    Device* device = nullptr;
    uint32_t frame_room = 0;  // bytes that the longest frame needs
    bool offloads = false;
  };
  struct Host;
  class LinkHash;

  void take_turn(Host& host, HostId id);
  bool receive_frames(Host& host, const Interface& interface);
  Time next_event_of(const Host& host) const;

  Rng rng_;
  SimHash mode_;
  Time now_{};
  std::vector<std::unique_ptr<SimLink>> links_;  // before the hosts: these let go of their ports last
  std::vector<std::unique_ptr<LinkHash>> link_hashes_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::function<void(HostId)> after_turn_;
  RollingHash hash_;
  uint64_t steps_ = 0;
  uint64_t frames_delivered_ = 0;
};

}  // namespace limpid
