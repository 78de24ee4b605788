#include "stack/net/ip_layer.h"

#include <algorithm>

#include "stack/net/ip_state.h"

namespace limpid {

Ip::State::State(const IpConfig& config_in, Rng rng, FramePool& pool_in, Counters& counters_in, Tracer& tracer_in)
    : config(config_in),
      pool(pool_in),
      counters(counters_in),
      tracer(tracer_in),
      neighbors(config_in.neighbor_entries, rng.split("neighbors").key()),
      icmp_limiter(config_in, rng.split("icmp limit").key()),
      path_mtus(config_in, rng.split("path mtu").key()),
      identification_key(rng.split("ip identification").key()) {}

Ip::Ip(const IpConfig& config, Rng rng, FramePool& pool, Counters& counters, Tracer& tracer)
    : state_(std::make_unique<State>(config, rng, pool, counters, tracer)) {
  state_->interfaces.push_back(
      {.id = kLoopback, .config = {.name = "lo", .kind = LinkKind::loopback, .mtu = kLoopbackMtu, .mac = {}}});
  add_address(kLoopback, IpAddress::v4(127, 0, 0, 1), 8);
}

Ip::~Ip() = default;

// --- configuration
// -----------------------------------------------------------------------------------------------------

InterfaceId Ip::add_interface(const InterfaceConfig& config, LinkPort& port) {
  const auto id = static_cast<InterfaceId>(state_->interfaces.size());
  state_->interfaces.push_back({.id = id, .config = config, .port = &port});
  return id;
}

void Ip::add_address(InterfaceId interface, const IpAddress& address, int prefix) {
  state_->interfaces[interface].addresses.emplace_back(address, prefix);
  state_->row = {};
  add_route(address, prefix, interface, {});  // RFC 1122 §3.3.1.1: the mask says who is on the link
}

void Ip::add_route(const IpAddress& destination, int prefix, InterfaceId interface, const IpAddress& gateway) {
  state_->routes.add({.network = destination, .prefix = prefix, .interface = interface, .gateway = gateway});
}

// --- questions
// ---------------------------------------------------------------------------------------------------------

bool Ip::is_local(const IpAddress& address) const { return state_->is_local(address); }
bool Ip::is_broadcast(const IpAddress& address) const { return state_->is_broadcast(address); }
uint32_t Ip::interface_mtu(InterfaceId interface) const { return state_->interfaces[interface].config.mtu; }
Result<Path> Ip::path(const IpAddress& destination, const IpAddress& source) const {
  return state_->path(destination, source);
}

std::optional<InterfaceId> Ip::multicast_interface(const IpAddress& group, const IpAddress& own) const {
  return state_->multicast_interface(group, own);
}
void Ip::join(InterfaceId interface, const IpAddress& group) { state_->interfaces[interface].join(group); }
void Ip::leave(InterfaceId interface, const IpAddress& group) { state_->interfaces[interface].leave(group); }

Result<Path> Ip::State::path(const IpAddress& destination, const IpAddress& source) const {
  const bool source_given = !source.is_any();
  if (source_given && !is_local(source)) return std::unexpected(Error::address_not_available);
  if (!destination.is_v4() || destination.is_this_network()) return std::unexpected(Error::network_unreachable);

  const Result<Path> found = is_local(destination)        ? local_path(destination, source)
                             : is_broadcast(destination)  ? broadcast_path(destination, source)
                             : destination.is_multicast() ? multicast_path(destination, source)
                                                          : routed_path(destination, source);
  // RFC 1122 §3.2.1.3 (g): a loopback address must not appear outside of the host.
  if (found && found->source.is_loopback() && found->interface != kLoopback)
    return std::unexpected(Error::invalid_argument);
  return found;
}

Result<Path> Ip::State::local_path(const IpAddress& destination, const IpAddress& source) const {
  IpAddress from = source;
  if (source.is_any()) from = destination.is_loopback() ? interfaces[kLoopback].addresses.front().address : destination;
  return Path{.interface = kLoopback, .source = from, .next_hop = destination, .mtu = kLoopbackMtu, .broadcast = false};
}

// RFC 1122 §3.3.6. The limited broadcast goes out where the source address lives, else on the first real interface.
Result<Path> Ip::State::broadcast_path(const IpAddress& destination, const IpAddress& source) const {
  for (const Interface& i : interfaces) {
    if (i.id == kLoopback || i.addresses.empty()) continue;
    const bool leads_there =
        destination.is_limited_broadcast() ? source.is_any() || i.owns(source) : i.is_directed_broadcast(destination);
    if (!leads_there) continue;
    const IpAddress from = source.is_any() ? *i.source_for(destination) : source;
    return Path{.interface = i.id, .source = from, .next_hop = destination, .mtu = i.config.mtu, .broadcast = true};
  }
  return std::unexpected(Error::network_unreachable);
}

std::optional<InterfaceId> Ip::State::multicast_interface(const IpAddress& group, const IpAddress& own) const {
  if (own.is_loopback()) return kLoopback;
  if (own.is_any()) {
    const Route* route = routes.lookup(group);
    return route == nullptr ? std::nullopt : std::optional(route->interface);
  }
  const auto owner = std::ranges::find_if(interfaces, [&](const Interface& i) { return i.owns(own); });
  return owner == interfaces.end() ? std::nullopt : std::optional(owner->id);
}

// RFC 1112 §6.1. No gateway has a part in it: a group is on the link.
Result<Path> Ip::State::multicast_path(const IpAddress& destination, const IpAddress& source) const {
  const std::optional<InterfaceId> id = multicast_interface(destination, source);
  if (!id) return std::unexpected(Error::network_unreachable);
  const Interface& out = interfaces[*id];
  const std::optional<IpAddress> from = source.is_any() ? out.source_for(destination) : std::optional(source);
  if (!from) return std::unexpected(Error::address_not_available);
  return Path{.interface = out.id, .source = *from, .next_hop = destination, .mtu = out.config.mtu};
}

Result<Path> Ip::State::routed_path(const IpAddress& destination, const IpAddress& source) const {
  const Route* route = routes.lookup(destination);
  if (route == nullptr) return std::unexpected(Error::network_unreachable);
  const Interface& out = interfaces[route->interface];
  const IpAddress next_hop = route->gateway.is_set() ? route->gateway : destination;

  IpAddress from = source;
  if (source.is_any()) {
    const std::optional<IpAddress> own = out.source_for(next_hop);
    if (!own) return std::unexpected(Error::address_not_available);
    from = *own;
  }
  return Path{.interface = out.id,
              .source = from,
              .next_hop = next_hop,
              .mtu = out.config.mtu,
              .broadcast = false,
              .offloads = out.config.offloads,
              .open_checksums = out.config.offloads || out.config.open_checksums,
              .in_one_piece = out.config.offloads || config.cut_bursts};
}

PathMtu Ip::path_mtu(const IpAddress& destination, Time now) const { return state_->path_mtus.find(destination, now); }

uint32_t Ip::path_mtu_version() const { return state_->path_mtus.version(); }

uint32_t Ip::least_path_mtu() const { return state_->config.least_path_mtu; }

bool Ip::learn_path_mtu(const IpAddress& destination, InterfaceId interface, uint32_t mtu, Time now) {
  return state_->path_mtus.learn(destination, mtu, interface_mtu(interface), now);
}

// --- packets, time: handed to the files that know
// -------------------------------------------------------------------------

Delivery Ip::receive(InterfaceId interface, FrameRef frame, Time now) {
  return state_->frame_input(state_->interfaces[interface], std::move(frame), now);
}

bool Ip::append_to_row(Merger& row, InterfaceId interface, FrameRef& frame, Time now) {
  const uint32_t size = frame->length;
  const uint32_t hash = state_->tracer.on() ? frame_hash(frame->bytes(), {}) : 0;
  if (!row.append(interface, frame)) return false;
  state_->note_frame_in(interface, size, hash, now);
  state_->counters.add(Counter::ip4_in);
  state_->counters.add(Counter::ip4_delivered);
  return true;
}

bool Ip::has_loopback() const { return !state_->loopback.empty(); }

Delivery Ip::receive_loopback(Time now) {
  if (state_->loopback.empty()) return {};
  FrameRef frame = std::move(state_->loopback.front().frame);
  state_->loopback.pop_front();
  return state_->frame_input(state_->interfaces[kLoopback], std::move(frame), now);
}

SendOutcome Ip::send(const IpSend& what, HeaderBuffer& head, std::span<const ByteSpan> body, Time now) {
  const Result<Path> path = state_->path(what.destination, what.source);
  if (path) return state_->send(what, *path, head, body, now);
  const Ipv4Header ip{.protocol = what.protocol, .source = what.source, .destination = what.destination, .options = {}};
  return state_->refuse_to_send(ip, Counter::ip4_drop_no_route, SendOutcome::no_route, now);
}

SendOutcome Ip::send(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                     Time now) {
  return state_->send(what, path, head, body, now);
}

uint32_t Ip::packets_taken() const { return state_->packets_taken; }

SendOutcome Ip::send_next(const IpSend& what, const Path& path, HeaderBuffer& head, std::span<const ByteSpan> body,
                          Time now) {
  return state_->send_next(what, path, head, body, now);
}

SendOutcome Ip::send_raw(ByteSpan packet, Time now) { return state_->send_raw(packet, now); }

void Ip::send_unreachable(const Delivery& offender, uint8_t code, Time now) {
  state_->send_unreachable(offender, code, now);
}

Time Ip::next_deadline() const { return state_->neighbors.next_deadline(); }

void Ip::advance(Time now) {
  while (Neighbor* neighbor = state_->neighbors.pop_due(now)) state_->neighbor_timer(*neighbor, now);
}

void Ip::link_writable(InterfaceId interface, Time now) {
  Interface& out = state_->interfaces[interface];
  if (!out.frames_wait) return;
  out.frames_wait = false;
  for (uint32_t i = 0; i < state_->neighbors.index_end() && !out.frames_wait; ++i) {
    Neighbor* neighbor = state_->neighbors.at(i);
    if (neighbor != nullptr && neighbor->key.interface == interface && neighbor->usable())
      state_->send_waiting(out, *neighbor, now);
  }
}

}  // namespace limpid
