#include "stack/tcp/demux.h"

#include <array>
#include <utility>

#include "stack/base/bytes.h"

namespace limpid {

Demux::Demux(const SipKey& key) : keyed_(key) { buckets_.push_back(); }

void TupleHash::remember(const FourTuple& tuple) const {
  latest_ = tuple;
  known_ = true;
  std::array<std::byte, 36> message;
  const MutableByteSpan m(message);
  std::memcpy(message.data(), tuple.local.address.bytes().data(), 16);
  std::memcpy(message.data() + 16, tuple.remote.address.bytes().data(), 16);
  store16(m, 32, tuple.local.port);
  store16(m, 34, tuple.remote.port);
  if (tuple.local.address.is_v4()) {  // the other bytes are zero: hash what differs, 12 bytes
    std::memcpy(message.data() + 4, message.data() + 16, 4);
    std::memcpy(message.data() + 8, message.data() + 32, 4);
    hash_ = siphash(key_, ByteSpan(message).first(12));
  } else {
    hash_ = siphash(key_, message);
  }
}

// The bucket of a hash: by the larger modulus if that bucket exists already, else by the smaller.
size_t Demux::bucket_of(uint32_t hash) const {
  const size_t wide = hash & (2 * round_ - 1);
  return wide < buckets_.size() ? wide : hash & (round_ - 1);
}

DemuxOwner Demux::look_up(const FourTuple& tuple) const {
  const auto hash = static_cast<uint32_t>(keyed_.hash(tuple));
  for (uint32_t n = buckets_[bucket_of(hash)].first; n != kNone; n = nodes_[n].next) {
    const Node& node = nodes_[n];
    if (node.hash != hash || !is(node, tuple)) continue;
    latest_ = {.tuple = tuple, .owner = {node.index, static_cast<DemuxKind>(node.kind)}, .node = n};
    return latest_.owner;
  }
  return {};
}

void Demux::insert(DemuxEntry& entry) {
  if (size_ >= buckets_.size()) add_bucket();
  if (free_node_ == kNone) {
    free_node_ = static_cast<uint32_t>(nodes_.size());
    nodes_.push_back();
  }
  entry.node = free_node_;
  Node& node = nodes_[entry.node];
  free_node_ = node.next;
  write(node, entry.tuple);
  node.hash = static_cast<uint32_t>(keyed_.hash(entry.tuple));
  node.index = entry.owner.index & 0x1fff'ffff;
  node.kind = static_cast<uint32_t>(entry.owner.kind) & 3;
  node.next = std::exchange(buckets_[bucket_of(node.hash)].first, entry.node);
  ++size_;
}

void Demux::remove(DemuxEntry& entry) {
  if (!entry.linked()) return;
  Node& node = nodes_[entry.node];
  uint32_t* at = &buckets_[bucket_of(node.hash)].first;
  while (*at != entry.node) at = &nodes_[*at].next;
  *at = node.next;
  if (latest_.node == entry.node) latest_ = {};
  forget(node);
  node.next = std::exchange(free_node_, entry.node);
  entry.node = DemuxEntry::kNowhere;
  --size_;
}

// Splits one bucket into itself and the new last one.
void Demux::add_bucket() {
  if (buckets_.size() == 2 * round_) round_ *= 2;
  uint32_t n = std::exchange(buckets_[buckets_.size() - round_].first, kNone);
  buckets_.push_back();
  while (n != kNone) {
    Node& node = nodes_[n];
    const uint32_t next = node.next;
    node.next = std::exchange(buckets_[bucket_of(node.hash)].first, n);
    n = next;
  }
}

// --- tuples, in few bytes -------------------------------------------------------------------------------------------

bool Demux::is(const Node& node, const FourTuple& t) const {
  if (node.local_port != t.local.port || node.remote_port != t.remote.port) return false;
  if (node.wide == 0)
    return t.local.address == IpAddress::v4(node.local) && t.remote.address == IpAddress::v4(node.remote);
  return t.local.address == wide_[node.local].local && t.remote.address == wide_[node.local].remote;
}

FourTuple Demux::tuple_of(uint32_t n) const {
  const Node& node = nodes_[n];
  if (node.wide == 0)
    return {{IpAddress::v4(node.local), node.local_port}, {IpAddress::v4(node.remote), node.remote_port}};
  const Addresses& a = wide_[node.local];
  return {{a.local, node.local_port}, {a.remote, node.remote_port}};
}

void Demux::write(Node& node, const FourTuple& t) {
  node.local_port = t.local.port;
  node.remote_port = t.remote.port;
  node.wide = !t.local.address.is_v4() || !t.remote.address.is_v4();
  if (node.wide == 0) {
    node.local = t.local.address.v4_bits();
    node.remote = t.remote.address.v4_bits();
    return;
  }
  if (free_wide_ == kNone) {
    free_wide_ = static_cast<uint32_t>(wide_.size());
    wide_.push_back();
  }
  node.local = free_wide_;
  Addresses& a = wide_[node.local];
  free_wide_ = a.next;
  a = {.local = t.local.address, .remote = t.remote.address};
}

void Demux::forget(Node& node) {
  if (node.wide != 0) wide_[node.local].next = std::exchange(free_wide_, node.local);
}

}  // namespace limpid
