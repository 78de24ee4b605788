#include "stack/runtime/device_ports.h"

#include <algorithm>

namespace limpid {
namespace {

constexpr uint32_t kLinkRoom = 64;  // Ethernet header, VLAN tag, a device's own header
constexpr size_t kBatch = 64;       // frames read at once …
constexpr size_t kLargeBatch = 4;   // … when each may be 64 KiB: with what they came from they should fit the cache

bool carries_bulk(const FrameRef& frame) { return frame->length > 2048; }

}  // namespace

InterfaceId DevicePorts::add(Stack& stack, std::unique_ptr<Device> device) {
  const Capabilities capabilities = device->capabilities();
  Port port;
  port.interface = stack.add_interface({.name = capabilities.name,
                                        .kind = capabilities.ethernet ? LinkKind::ethernet : LinkKind::ip,
                                        .mtu = capabilities.mtu,
                                        .mac = capabilities.mac,
                                        .offloads = capabilities.offloads},
                                       *device);
  port.device = std::move(device);
  port.frame_room = capabilities.offloads ? FramePool::kLarge - FramePool::kHeadroom : capabilities.mtu + kLinkRoom;
  const bool large = port.frame_room > FramePool::kSmall;
  port.batch = large ? kLargeBatch : kBatch;
  port.frames.resize(large ? kLargeBatch * kMostReaders : kBatch);
  ports_.push_back(std::move(port));
  return ports_.back().interface;
}

void DevicePorts::clear_frames() {
  for (Port& port : ports_) port.frames.clear();
}

Time DevicePorts::next_deadline() {
  Time earliest = kNever;
  for (Port& port : ports_) {
    port.deadline = port.device->next_deadline();
    earliest = std::min(earliest, port.deadline);
  }
  return earliest;
}

bool DevicePorts::wants_writable() const {
  return std::ranges::any_of(ports_, [](const Port& port) { return port.device->wants_writable(); });
}

void DevicePorts::give_to(Stack& stack, Time now) {
  for (Port& port : ports_)
    for (size_t i = 0; i < port.received; ++i) stack.receive(port.interface, std::move(port.frames[i]), now);
  stack.deliver(now);
}

void DevicePorts::advance(Stack& stack, Time now) {
  for (Port& port : ports_) {
    if (port.device->next_deadline() <= now) port.device->advance(now);
    if (port.writable) stack.link_writable(port.interface, now);
  }
}

bool DevicePorts::filled_all() const {
  return std::ranges::any_of(ports_, [](const Port& port) { return port.received != 0 && port.filled; });
}

// When the pool is exhausted fewer lie ready, and the device keeps what it has.
void DevicePorts::refill(FramePool& pool, size_t readers) {
  for (Port& port : ports_) {
    const size_t wanted = port.batch == kBatch ? kBatch : port.batch * std::clamp<size_t>(readers, 1, kMostReaders);
    if (port.received == 0 && port.ready == wanted) continue;
    const auto frames = std::span(port.frames).first(wanted);
    for (FrameRef& frame : frames)
      if (!frame) frame = pool.make(port.frame_room);
    const auto missing = std::ranges::partition(frames, [](const FrameRef& frame) { return static_cast<bool>(frame); });
    port.ready = wanted - missing.size();
  }
}

void DevicePorts::ask(std::span<pollfd> fds, bool wants_writable) const {
  for (size_t i = 0; i < ports_.size(); ++i) {
    int events = wants_writable ? POLLOUT : 0;
    if (ports_[i].ready > 0) events |= POLLIN;
    fds[i] = {.fd = ports_[i].device->descriptor(), .events = static_cast<short>(events), .revents = 0};
  }
}

void DevicePorts::note(std::span<const pollfd> fds) {
  for (size_t i = 0; i < ports_.size(); ++i) {
    ports_[i].readable = (fds[i].revents & (POLLIN | POLLERR)) != 0;
    ports_[i].writable = (fds[i].revents & POLLOUT) != 0;
  }
}

void DevicePorts::note_all_readable() {
  for (Port& port : ports_) {
    port.readable = true;
    port.writable = false;
  }
}

bool DevicePorts::has_read_bulk() const {
  return std::ranges::any_of(ports_, [](const Port& port) { return port.bulk; });
}

bool DevicePorts::has_read() const {
  return std::ranges::any_of(ports_, [](const Port& port) { return port.received != 0; });
}

// A device that holds frames back (fault injection) is asked at its deadline too, whatever its descriptor says.
void DevicePorts::read(Time now) {
  for (Port& port : ports_) {
    port.received = 0;
    if (port.ready == 0 || (!port.readable && port.deadline > now)) continue;
    const size_t whole = std::min(port.ready, port.batch);
    const size_t most = port.singly ? 1 : whole;
    port.received = port.device->receive_batch(std::span(port.frames).first(most), now);
    port.filled = port.received == whole;
    if (port.received == 0) continue;  // a look before there is anything says nothing of how they come
    port.singly = port.received == 1 && (port.singly || most > 1) && !carries_bulk(port.frames[0]);
    while (port.filled && port.ready >= port.received + port.batch && carries_bulk(port.frames[port.received - 1])) {
      const auto next = std::span(port.frames).subspan(port.received, port.batch);
      const size_t more = port.device->receive_batch(next, now);
      port.received += more;
      port.filled = more == next.size();
    }
    port.bulk = std::ranges::any_of(std::span(port.frames).first(port.received), carries_bulk);
  }
}

// A request may lie there by itself when a program comes back; two readings in a row that find something are a row of
// frames.
void DevicePorts::note_arrival(bool at_once) {
  for (Port& port : ports_) {
    if (port.received == 0) continue;
    port.at_once = at_once ? std::min(port.at_once + 1, 2) : 0;
    if (port.at_once == 2) port.singly = false;
  }
}

// A frame that goes elsewhere stays in the row, behind those that were received, as an empty one that lies ready.
void DevicePorts::sort_out(const FlowOwner& flows, uint16_t own, std::vector<Stray>& strays) {
  for (Port& port : ports_) {
    size_t kept = 0;
    for (size_t i = 0; i < port.received; ++i) {
      const uint16_t owner = flows.of_packet(port.frames[i]->bytes());
      if (owner == own) {
        std::swap(port.frames[kept++], port.frames[i]);
      } else {
        strays.push_back({owner, port.interface, port.frames[i].get()});
      }
    }
    port.received = kept;
  }
}

}  // namespace limpid
