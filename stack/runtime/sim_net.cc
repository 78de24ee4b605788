#include "stack/runtime/sim_net.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace limpid {

namespace {

constexpr size_t kBatch = 16;             // frames given to a stack before it flushes
constexpr uint32_t kLinkHeaderRoom = 14;  // Ethernet
constexpr uint64_t kFrameMark = 0xf7a3e;  // tells frames from events in the hash

}  // namespace

void RollingHash::add(ByteSpan bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) add(load_be<uint64_t>(bytes, i));
  uint64_t tail = bytes.size();
  for (; i < bytes.size(); ++i) tail = tail << 8 | load8(bytes, i);
  add(tail);
}

// A host and what hangs on it. Its events are hashed on their way to whoever listens.
struct SimNet::Host final : TraceSink {
  Host(SimNet& network, std::string host_name) : net(network), name(std::move(host_name)) {}

  void event(const Event& e) override {
    if (net.mode_ == SimHash::frames_and_events) {
      std::array<std::byte, sizeof(Event)> bytes{};
      std::memcpy(bytes.data(), &e, sizeof(Event));
      for (size_t i = 0; i < bytes.size(); i += 8) {
        uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i, 8);
        net.hash_.add(word);
      }
    }
    if (listener != nullptr) listener->event(e);
  }

  void listen() {
    stack->set_trace_sink(listener != nullptr || net.mode_ == SimHash::frames_and_events ? this : nullptr);
  }

  SimNet& net;
  std::string name;
  TraceSink* listener = nullptr;
  std::vector<Interface> interfaces;
  std::unique_ptr<Stack> stack;
};

// Hashes what a link delivers.
class SimNet::LinkHash final : public SimLinkObserver {
 public:
  LinkHash(SimNet& net, LinkId link) : net_(net), link_(link) {}
  void delivered(uint32_t direction, ByteSpan frame, Time now) override {
    ++net_.frames_delivered_;
    if (net_.mode_ == SimHash::none) return;
    net_.hash_.add(kFrameMark + link_ * 2 + direction);
    net_.hash_.add(static_cast<uint64_t>(now.time_since_epoch().count()));
    net_.hash_.add(frame);
  }
  void incident(const SimIncident&, Time) override {}

 private:
  SimNet& net_;
  LinkId link_;
};

SimNet::SimNet(uint64_t seed, SimHash hash) : rng_(seed), mode_(hash) {}
SimNet::~SimNet() = default;

Stack& SimNet::stack(HostId host) { return *hosts_[host]->stack; }

const std::string& SimNet::name(HostId host) const { return hosts_[host]->name; }

SimNet::HostId SimNet::add_host(const std::string& name, const Config& config, ReadySink& ready) {
  auto host = std::make_unique<Host>(*this, name);
  Rng seed = rng_.split("host " + std::to_string(hosts_.size()));
  host->stack = std::make_unique<Stack>(config, seed.next(), ready);
  host->listen();
  hosts_.push_back(std::move(host));
  return hosts_.size() - 1;
}

SimNet::LinkId SimNet::connect(HostId a, const IpAddress& address_a, HostId b, const IpAddress& address_b,
                               const SimLinkConfig& config, int prefix, const Decorate& decorate) {
  const LinkId id = links_.size();
  links_.push_back(std::make_unique<SimLink>(config, rng_.split("link " + std::to_string(id))));
  SimLink& link = *links_.back();
  link_hashes_.push_back(std::make_unique<LinkHash>(*this, id));
  link.add_observer(link_hashes_.back().get());

  const HostId host_ids[2] = {a, b};
  const IpAddress addresses[2] = {address_a, address_b};
  for (size_t end = 0; end < 2; ++end) {
    Host& host = *hosts_[host_ids[end]];
    Device& device = decorate ? decorate(host_ids[end], link.end(end)) : link.end(end);
    const Capabilities has = device.capabilities();
    const InterfaceConfig interface{.name = has.name,
                                    .kind = has.ethernet ? LinkKind::ethernet : LinkKind::ip,
                                    .mtu = has.mtu,
                                    .mac = has.mac,
                                    .offloads = has.offloads};
    const InterfaceId interface_id = host.stack->add_interface(interface, device);
    host.stack->add_address(interface_id, addresses[end], prefix);
    const uint32_t room = has.offloads ? FramePool::kLarge - FramePool::kHeadroom : has.mtu + kLinkHeaderRoom;
    host.interfaces.push_back({interface_id, &device, room, has.offloads});
  }
  return id;
}

void SimNet::set_trace_sink(HostId host, TraceSink* sink) {
  hosts_[host]->listener = sink;
  hosts_[host]->listen();
}

Time SimNet::next_event_of(const Host& host) const {
  Time next = host.stack->next_deadline();
  for (const Interface& interface : host.interfaces) next = std::min(next, interface.device->next_deadline());
  return next;
}

Time SimNet::next_event() const {
  Time next = kNever;
  for (const auto& host : hosts_) next = std::min(next, next_event_of(*host));
  return std::max(next, now_);
}

bool SimNet::step(Time until) {
  // Calls since the last step may have left something for the end of a step (datagrams to the host itself).
  for (const auto& host : hosts_) host->stack->flush(now_);
  const Time next = next_event();
  if (next == kNever || next > until) {
    if (until != kNever) now_ = std::max(now_, until);
    return false;
  }
  now_ = next;
  ++steps_;
  for (HostId id = 0; id < hosts_.size(); ++id) {
    if (next_event_of(*hosts_[id]) <= now_) take_turn(*hosts_[id], id);
  }
  return true;
}

// Frames first, then timers: an ACK that arrives at the moment of a timeout still counts.
void SimNet::take_turn(Host& host, HostId id) {
  for (const Interface& interface : host.interfaces) {
    const bool waited = interface.device->wants_writable();
    interface.device->advance(now_);
    if (waited && !interface.device->wants_writable()) host.stack->link_writable(interface.id, now_);
    while (receive_frames(host, interface)) {
    }
    host.stack->release_held(now_, {.tails = false});  // ACKs that waited for further frames
  }
  if (host.stack->next_deadline() <= now_) host.stack->advance(now_);
  host.stack->flush(now_);
  if (after_turn_) after_turn_(id);
}

// One batch; true when there may be more.
bool SimNet::receive_frames(Host& host, const Interface& interface) {
  if (interface.device->next_deadline() > now_) return false;
  std::array<FrameRef, kBatch> frames;
  size_t room = 0;
  const size_t most = interface.offloads ? 1 + steps_ % 4 : kBatch;
  while (room < most && (frames[room] = host.stack->frames().make(interface.frame_room))) ++room;
  FramePool elsewhere(uint64_t{1} << 20);  // an exhausted pool loses the frame, as a device's ring would
  const bool exhausted = room == 0;
  if (exhausted) frames[room++] = elsewhere.make(interface.frame_room);
  const size_t got = interface.device->receive_batch({frames.data(), room}, now_);
  if (exhausted) return (frames[0].reset(), got > 0);
  for (size_t i = 0; i < got; ++i) host.stack->receive(interface.id, std::move(frames[i]), now_);
  host.stack->flush(now_, {.for_frames = got == room});
  return got == room;
}

bool SimNet::run_until(const std::function<bool()>& done, Time until) {
  while (!done()) {
    if (!step(until)) return done();
  }
  return true;
}

void SimNet::run_for(Duration duration) {
  const Time end = now_ + duration;
  while (step(end)) {
  }
}

}  // namespace limpid
