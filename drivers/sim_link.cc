#include "drivers/sim_link.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stack/wire/segment_row.h"
#include "stack/wire/super_segment.h"

namespace limpid {

namespace {

constexpr uint32_t kEthernetHeader = 14;

bool is_cut(const std::vector<SimCut>& cuts, Time at) {
  return std::ranges::any_of(cuts, [at](const SimCut& cut) { return at >= cut.from && at < cut.to; });
}

// The locally administered address of one end. Fixed: two links never share a segment.
MacAddress mac_of(size_t end) { return {{0x02, 0x4c, 0x50, 0, 0, static_cast<uint8_t>(end + 1)}}; }

}  // namespace

void SimLinkTrace::incident(const SimIncident& incident, Time now) {
  tracer_.begin_input(incident.event);
  const uint32_t second =
      incident.kind == EventKind::sim_lost ? static_cast<uint32_t>(incident.index) : incident.detail;
  tracer_.emit(incident.kind, Rule::sim_impairment, 0, now, {incident.length, second});
}

// One direction: the queue in front of the rate, and the frames on their way.
class SimLink::Wire {
 public:
  Wire(SimLink& link, uint32_t direction, Rng rng)
      : link_(link), direction_(direction), how_(link.config_.direction[direction]), rng_(rng) {
    std::ranges::sort(how_.lose);
  }

  Transmit transmit(const TxFrame& frame, Time now);
  Transmit transmit_packet(const TxFrame& frame, Time now);
  // The next frame that has arrived is copied into `into`; false when none has.
  bool receive(Frame& into, Time now);
  Time next_arrival() const { return under_way_.empty() ? kNever : under_way_.begin()->first; }

  // A sender was refused, and there is no room yet.
  bool refusing() const { return refused_; }
  Time room_at() const {
    if (!refused_) return kNever;
    return queue_.empty() ? Time{} : queue_.front().leaves;  // empty: at once
  }
  void advance(Time now) {
    drain_queue(now);
    if (refused_ && has_room(1)) refused_ = false;
  }

  size_t in_flight() const { return under_way_.size(); }

  SimLinkCounters counters;

 private:
  struct Queued {
    Time leaves{};
    uint32_t size = 0;
  };
  struct Fate {  // drawn at the door
    bool lost = false;
    bool corrupted = false;
    bool duplicated = false;
    bool reordered = false;
    Duration jitter{};
  };

  void merge_into(Frame& into, Time now);
  void has_arrived(ByteSpan frame, Time now);  // the first of those under way
  bool has_room(uint32_t size) const;
  void drain_queue(Time now);
  Time leave_queue(uint32_t size, Time now);
  Fate draw_fate();
  Time arrival_time(const Fate& fate, Time leaves);
  std::vector<std::byte> copy_of(const TxFrame& frame);
  void corrupt(std::vector<std::byte>& bytes, SimIncident incident, Time now);
  void put_on_wire(const TxFrame& frame, const SimIncident& about, const Fate& fate, Time leaves, Time now);

  SimLink& link_;
  uint32_t direction_;
  SimImpairments how_;
  Rng rng_;
  std::deque<Queued> queue_;  // not yet sent out at the rate
  uint64_t queued_bytes_ = 0;
  Time line_free_{};     // when the last bit of the queue has gone
  Time last_arrival_{};  // jitter alone never reorders
  bool refused_ = false;
  // By arrival; equal times keep the order of entering.
  std::multimap<Time, std::vector<std::byte>> under_way_;
  std::vector<std::vector<std::byte>> spare_;  // memory of delivered frames, used again
};

bool SimLink::Wire::has_room(uint32_t size) const {
  if (how_.queue_frames != 0 && queue_.size() >= how_.queue_frames) return false;
  // A frame always fits an empty queue, so that a small bound slows a sender but never blocks it for ever.
  return how_.queue_bytes == 0 || queue_.empty() || queued_bytes_ + size <= how_.queue_bytes;
}

void SimLink::Wire::drain_queue(Time now) {
  while (!queue_.empty() && queue_.front().leaves <= now) {
    queued_bytes_ -= queue_.front().size;
    queue_.pop_front();
  }
}

Time SimLink::Wire::leave_queue(uint32_t size, Time now) {
  if (how_.rate == 0) return now;
  const uint64_t bits = uint64_t{size} * 8;
  line_free_ = std::max(line_free_, now) + Duration(static_cast<int64_t>(bits * 1'000'000'000 / how_.rate));
  queue_.push_back({line_free_, size});
  queued_bytes_ += size;
  counters.most_queued = std::max(counters.most_queued, queued_bytes_);
  return line_free_;
}

// Every draw is made for every frame, so that a change of one impairment does not shift the fate under another.
SimLink::Wire::Fate SimLink::Wire::draw_fate() {
  Fate fate;
  fate.lost = rng_.chance(how_.loss_ppm);
  fate.corrupted = rng_.chance(how_.corrupt_ppm);
  fate.duplicated = rng_.chance(how_.duplicate_ppm);
  fate.reordered = rng_.chance(how_.reorder_ppm);
  fate.jitter = Duration(static_cast<int64_t>(rng_.below(static_cast<uint64_t>(how_.jitter.count()) + 1)));
  if (std::ranges::binary_search(how_.lose, counters.entered)) fate.lost = true;
  return fate;
}

Time SimLink::Wire::arrival_time(const Fate& fate, Time leaves) {
  const Time in_order = std::max(leaves + how_.delay + fate.jitter, last_arrival_);
  if (fate.reordered) return in_order + how_.reorder_delay;
  last_arrival_ = in_order;
  return in_order;
}

std::vector<std::byte> SimLink::Wire::copy_of(const TxFrame& frame) {
  std::vector<std::byte> bytes;
  if (!spare_.empty()) {
    bytes = std::move(spare_.back());
    spare_.pop_back();
  }
  bytes.assign(frame.head.begin(), frame.head.end());
  for (ByteSpan piece : frame.body) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

// Ethernet headers and ARP are spared: on a real wire the frame check sequence guards them, and this wire has none.
void SimLink::Wire::corrupt(std::vector<std::byte>& bytes, SimIncident incident, Time now) {
  const uint32_t spared = link_.config_.ethernet ? kEthernetHeader : 0;
  const uint64_t place = rng_.next();
  if (bytes.size() <= spared) return;
  if (spared != 0 && load16(bytes, 12) != 0x0800) return;
  const uint64_t bit = place % ((bytes.size() - spared) * 8);
  const uint64_t offset = spared + bit / 8;
  bytes[offset] ^= std::byte{static_cast<uint8_t>(1U << (bit % 8))};
  ++counters.corrupted;
  incident.kind = EventKind::sim_corrupted;
  incident.detail = static_cast<uint32_t>(offset);
  link_.report(incident, now);
}

// Of a super-segment each packet has a fate of its own. Once the first is taken the others are, or are lost: the sender
// cannot be told of a part.
Transmit SimLink::Wire::transmit(const TxFrame& frame, Time now) {
  if (!frame.offload.checksum_open) return transmit_packet(frame, now);
  bool any = false;
  const size_t link_header = link_.config_.ethernet ? kEthernetHeader : 0;
  for (SuperSegment s(frame.head, link_header, frame.body, frame.offload); s.next(); any = true) {
    const TxFrame packet{.head = s.head(), .body = s.body(), .event = frame.event};
    if (transmit_packet(packet, now) == Transmit::refused) return any ? Transmit::taken : Transmit::refused;
  }
  return Transmit::taken;
}

Transmit SimLink::Wire::transmit_packet(const TxFrame& frame, Time now) {
  drain_queue(now);
  const uint32_t size = static_cast<uint32_t>(frame.size());
  const bool room = has_room(size);
  if (!room && how_.refuse_when_full) {
    ++counters.refused;
    refused_ = true;
    return Transmit::refused;
  }
  ++counters.entered;
  counters.bytes += size;
  SimIncident about{.direction = direction_, .index = counters.entered, .length = size, .event = frame.event};
  const Fate fate = draw_fate();
  if (size > link_.config_.mtu + (link_.config_.ethernet ? kEthernetHeader : 0)) {
    ++counters.too_long;
    about.kind = EventKind::sim_lost;
    link_.report(about, now);
  } else if (!room) {
    ++counters.queue_full;
    about.kind = EventKind::sim_queue_full;
    about.detail = static_cast<uint32_t>(queued_bytes_);
    link_.report(about, now);
  } else {
    put_on_wire(frame, about, fate, leave_queue(size, now), now);
  }
  return Transmit::taken;
}

// What is lost, is lost behind the queue: it has used its share of the rate.
void SimLink::Wire::put_on_wire(const TxFrame& frame, const SimIncident& about, const Fate& fate, Time leaves,
                                Time now) {
  const Time arrives = arrival_time(fate, leaves);
  SimIncident incident = about;
  if (fate.lost || is_cut(how_.cuts, now) || is_cut(how_.cuts, arrives)) {
    ++counters.lost;
    incident.kind = EventKind::sim_lost;
    link_.report(incident, now);
    return;
  }
  if (fate.reordered) {
    ++counters.reordered;
    incident.kind = EventKind::sim_reordered;
    incident.detail = static_cast<uint32_t>(to_us(how_.reorder_delay));
    link_.report(incident, now);
  } else if (leaves > now) {  // it waits for the frames before it
    incident.kind = EventKind::sim_delayed;
    incident.detail = static_cast<uint32_t>(to_us(arrives - now));
    link_.report(incident, now);
  }
  std::vector<std::byte> bytes = copy_of(frame);
  if (fate.duplicated) {
    ++counters.duplicated;
    incident.kind = EventKind::sim_duplicated;
    incident.detail = 0;
    link_.report(incident, now);
    under_way_.emplace(arrives, bytes);
  }
  if (fate.corrupted) corrupt(bytes, incident, now);
  under_way_.emplace(arrives, std::move(bytes));
}

bool SimLink::Wire::receive(Frame& into, Time now) {
  if (next_arrival() > now) return false;
  const ByteSpan first = under_way_.begin()->second;
  const size_t length = std::min(first.size(), into.writable().size());
  std::memcpy(into.data(), first.data(), length);
  into.length = static_cast<uint32_t>(length);
  into.offload = {};
  has_arrived(into.bytes(), now);
  if (link_.config_.offloads) merge_into(into, now);
  return true;
}

// As a network card that gathers segments: what has arrived behind this one, and goes on where it ends.
void SimLink::Wire::merge_into(Frame& into, Time now) {
  SegmentRow row;
  if (!row.begin(into.bytes(), link_.config_.ethernet ? kEthernetHeader : 0, false)) return;
  while (next_arrival() <= now) {
    const ByteSpan next = under_way_.begin()->second;
    if (into.length + next.size() > into.writable().size()) break;
    const uint32_t text = row.append(next, false);
    if (text == 0) break;
    std::memcpy(into.data() + into.length, next.data() + row.text_at(), text);
    into.length += text;
    has_arrived(next, now);
  }
  if (row.packets() > 1) into.offload = row.describe({into.data(), into.length});
}

void SimLink::Wire::has_arrived(ByteSpan frame, Time now) {
  ++counters.delivered;
  link_.report_delivery(direction_, frame, now);
  const auto first = under_way_.begin();
  spare_.push_back(std::move(first->second));
  under_way_.erase(first);
}

// One end of the link: sends into one wire, receives from the other.
class SimLink::End final : public Device {
 public:
  End(const SimLink& link, size_t which) : link_(link), which_(which) {}

  Transmit transmit(const TxFrame& frame, Time now) override { return out().transmit(frame, now); }
  int descriptor() const override { return -1; }
  size_t receive_batch(std::span<FrameRef> frames, Time now) override {
    size_t n = 0;
    while (n < frames.size() && in().receive(*frames[n], now)) ++n;
    return n;
  }
  bool wants_writable() const override { return out().refusing(); }
  Time next_deadline() const override { return std::min(in().next_arrival(), out().room_at()); }
  void advance(Time now) override { out().advance(now); }
  Capabilities capabilities() const override {
    return {.name = link_.config_.name,
            .ethernet = link_.config_.ethernet,
            .mtu = link_.config_.mtu,
            .mac = mac_of(which_),
            .offloads = link_.config_.offloads};
  }

 private:
  Wire& out() const { return *link_.wires_[which_]; }
  Wire& in() const { return *link_.wires_[1 - which_]; }

  const SimLink& link_;
  size_t which_;
};

SimLink::SimLink(const SimLinkConfig& config, Rng rng) : config_(config) {
  for (uint32_t d = 0; d < 2; ++d) {
    wires_[d] = std::make_unique<Wire>(*this, d, rng.split(d == 0 ? "0->1" : "1->0"));
    ends_[d] = std::make_unique<End>(*this, d);
  }
}

SimLink::~SimLink() = default;

Device& SimLink::end(size_t which) { return *ends_[which]; }

const SimLinkCounters& SimLink::counters(size_t direction) const { return wires_[direction]->counters; }

size_t SimLink::in_flight() const { return wires_[0]->in_flight() + wires_[1]->in_flight(); }

void SimLink::report(const SimIncident& incident, Time now) const {
  for (SimLinkObserver* observer : observers_) observer->incident(incident, now);
}

void SimLink::report_delivery(uint32_t direction, ByteSpan frame, Time now) const {
  for (SimLinkObserver* observer : observers_) observer->delivered(direction, frame, now);
}

}  // namespace limpid
