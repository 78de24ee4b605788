#include "stack/net/port_table.h"

#include <utility>

#include "stack/base/bytes.h"

namespace limpid {

PortTable::PortTable(PortRange ephemeral, Rng rng) : range_(ephemeral), rng_(rng) {
  key_ = rng_.key();
  for (uint32_t& counter : counters_) counter = static_cast<uint32_t>(rng_.next());
}

bool PortTable::overlap(const IpAddress& a, const IpAddress& b) { return a.is_any() || b.is_any() || a == b; }

bool PortTable::both_allow(ReusePolicy wanted, const Group& held) {
  if (wanted.address && held.reuse.address && !held.listening) return true;
  return wanted.port && held.reuse.port;
}

// `already_counted`: the claim is in its group, which must not be taken for a rival.
bool PortTable::conflicts(const PortClaim& wanted, bool already_counted) const {
  return any_of(wanted.local.port, [&](const Group& g) {
    const bool own = already_counted && g.address == wanted.local.address && g.reuse == wanted.reuse &&
                     g.listening == wanted.listening && g.claims + g.connections == 1;
    return !own && overlap(g.address, wanted.local.address) && !both_allow(wanted.reuse, g);
  });
}

bool PortTable::untouched(uint16_t port, const IpAddress& address) const {
  return !any_of(port, [&](const Group& g) { return overlap(g.address, address); });
}

// RFC 6056 §3.3.1: a random start, then the next free one.
Result<uint16_t> PortTable::pick_free(const IpAddress& address) {
  const auto start = static_cast<uint32_t>(rng_.below(range_.size()));
  for (uint32_t i = 0; i < range_.size(); ++i) {
    const auto port = static_cast<uint16_t>(range_.first + (start + i) % range_.size());
    if (untouched(port, address)) return port;
  }
  return std::unexpected(Error::address_in_use);  // bind(2) says so for an exhausted range
}

Result<BindId> PortTable::claim(const Endpoint& local, ReusePolicy reuse) {
  PortClaim wanted{.local = local, .reuse = reuse};
  if (local.port == 0) {
    const Result<uint16_t> port = pick_free(local.address);
    if (!port) return std::unexpected(port.error());
    wanted.local.port = *port;
  } else if (conflicts(wanted, false)) {
    return std::unexpected(Error::address_in_use);
  }
  count(wanted);
  return claims_.emplace(wanted);
}

void PortTable::release(BindId id) {
  const PortClaim* claim = claims_.get(id);
  if (claim == nullptr) return;
  uncount(*claim);
  claims_.erase(id);
}

Endpoint PortTable::endpoint(BindId id) const {
  const PortClaim* claim = claims_.get(id);
  return claim == nullptr ? Endpoint{} : claim->local;
}

void PortTable::set_reuse(BindId id, ReusePolicy reuse) {
  PortClaim* claim = claims_.get(id);
  if (claim == nullptr || claim->reuse == reuse) return;
  uncount(*claim);
  claim->reuse = reuse;
  count(*claim);
}

void PortTable::set_address(BindId id, const IpAddress& address) {
  PortClaim* claim = claims_.get(id);
  if (claim == nullptr || claim->local.address == address) return;
  uncount(*claim);
  claim->local.address = address;
  count(*claim);
}

Result<void> PortTable::mark_listening(BindId id) {
  PortClaim* claim = claims_.get(id);
  if (claim == nullptr) return std::unexpected(Error::stale_handle);
  if (claim->listening) return {};
  if (conflicts(*claim, true)) return std::unexpected(Error::address_in_use);
  uncount(*claim);
  claim->listening = true;
  count(*claim);
  return {};
}

void PortTable::unmark_listening(BindId id) {
  PortClaim* claim = claims_.get(id);
  if (claim == nullptr || !claim->listening) return;
  uncount(*claim);
  claim->listening = false;
  count(*claim);
}

void PortTable::add_connection(const Endpoint& local, ReusePolicy reuse) {
  ++group(local.port, local.address, reuse, false).connections;
}

void PortTable::remove_connection(const Endpoint& local, ReusePolicy reuse) {
  Group& g = group(local.port, local.address, reuse, false);
  if (g.connections > 0) --g.connections;
  drop_if_empty(local.port, g);
}

PortTable::Group& PortTable::group(uint16_t port, const IpAddress& address, ReusePolicy reuse, bool listening) {
  for (uint32_t i = first(port); i != kNone; i = groups_[i].next) {
    Group& g = groups_[i];
    if (g.address == address && g.reuse == reuse && g.listening == listening) return g;
  }
  Group& added = groups_[add_group(port)];
  added.address = address;
  added.reuse = reuse;
  added.listening = listening;
  return added;
}

// Behind the others of its port.
uint32_t PortTable::add_group(uint16_t port) {
  if (free_group_ == kNone) {
    free_group_ = static_cast<uint32_t>(groups_.size());
    groups_.push_back();
  }
  auto& page = pages_[port / kPage];
  if (!page) {
    page = std::make_unique<Page>();
    page->fill(kNone);
  }
  uint32_t* at = &(*page)[port % kPage];
  while (*at != kNone) at = &groups_[*at].next;
  *at = free_group_;
  free_group_ = std::exchange(groups_[*at].next, kNone);
  return *at;
}

void PortTable::uncount(const PortClaim& claim) {
  Group& g = group(claim.local.port, claim.local.address, claim.reuse, claim.listening);
  --g.claims;
  drop_if_empty(claim.local.port, g);
}

void PortTable::drop_if_empty(uint16_t port, const Group& g) {
  if (g.claims + g.connections > 0) return;
  uint32_t* at = &(*pages_[port / kPage])[port % kPage];
  while (&groups_[*at] != &g) at = &groups_[*at].next;
  const uint32_t freed = std::exchange(*at, g.next);
  groups_[freed].next = std::exchange(free_group_, freed);
}

bool PortTable::is_claimed(uint16_t port) const {
  return any_of(port, [](const Group& g) { return g.claims > 0; });
}

size_t PortTable::group_count(uint16_t port) const {
  size_t count = 0;
  for (uint32_t g = first(port); g != kNone; g = groups_[g].next) ++count;
  return count;
}

// F and G of RFC 6056 §3.3.4 are two halves of one keyed hash.
PortTable::Walk PortTable::begin_walk(const IpAddress& local, const Endpoint& remote) const {
  std::array<std::byte, 34> triple;
  std::memcpy(triple.data(), local.bytes().data(), 16);
  std::memcpy(triple.data() + 16, remote.address.bytes().data(), 16);
  store16(triple, 32, remote.port);
  const uint64_t hash = siphash(key_, triple);
  return {.offset = static_cast<uint32_t>(hash),
          .counter = static_cast<uint32_t>(hash >> 32) % static_cast<uint32_t>(counters_.size())};
}

uint16_t PortTable::step(const Walk& walk) {
  const uint32_t place = walk.offset + counters_[walk.counter]++;
  return static_cast<uint16_t>(range_.first + place % range_.size());
}

}  // namespace limpid
