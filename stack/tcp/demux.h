// From a segment's four-tuple to what it belongs to: one keyed hash for connections, half-open and TIME-WAIT ones
// alike.
//
// Linear hashing (Litwin 1980): the table grows by one bucket for each entry that joins, so no insertion ever pays for
// all the others, and a look-up costs the same with a million connections as with ten. The key is secret: a flood
// cannot aim at a bucket.
//
//   buckets  | 7 | - | 2 | ...     numbers of nodes; a node has the tuple, and what it leads to: 24 bytes with IPv4
//              v       v
//   nodes    { next, hash, owner, tuple } ...
//
// Segments come in rows: the tuple that was found last is looked at first, before anything is hashed.
#pragma once

#include <cstdint>

#include "stack/base/paged_array.h"
#include "stack/base/siphash.h"
#include "stack/wire/address.h"

namespace limpid {

enum class DemuxKind : uint8_t { none, connection, half_open, time_wait };

// What a tuple leads to.
struct DemuxOwner {
  uint32_t index = 0;  // in the table of its kind
  DemuxKind kind = DemuxKind::none;

  explicit operator bool() const { return kind != DemuxKind::none; }
  friend bool operator==(const DemuxOwner&, const DemuxOwner&) = default;
};

// Lives inside what is found.
struct DemuxEntry {
  static constexpr uint32_t kNowhere = UINT32_MAX;

  FourTuple tuple;
  DemuxOwner owner;
  uint32_t node = kNowhere;  // in the demux

  bool linked() const { return node != kNowhere; }
};

// SipHash of a four-tuple under a secret key. That of the last tuple is remembered: a handshake asks for it again and
// again.
class TupleHash {
 public:
  explicit TupleHash(const SipKey& key) : key_(key) {}
  uint64_t hash(const FourTuple& tuple) const {
    if (!known_ || tuple != latest_) remember(tuple);
    return hash_;
  }

 private:
  void remember(const FourTuple& tuple) const;

  SipKey key_;
  mutable FourTuple latest_;
  mutable uint64_t hash_ = 0;
  mutable bool known_ = false;
};

class Demux {
 public:
  explicit Demux(const SipKey& key);

  DemuxOwner find(const FourTuple& tuple) const {
    return latest_.owner && latest_.tuple == tuple ? latest_.owner : look_up(tuple);
  }
  void insert(DemuxEntry& entry);
  void remove(DemuxEntry& entry);
  FourTuple tuple_of(uint32_t node) const;
  size_t size() const { return size_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Node {
    uint32_t next = kNone;  // in its bucket, or among the free ones
    uint32_t hash = 0;
    uint32_t index : 29 = 0;
    uint32_t wide : 1 = 0;  // not of IPv4: `local` is the number of its addresses in wide_
    uint32_t kind : 2 = 0;
    uint32_t local = 0;
    uint32_t remote = 0;
    uint16_t local_port = 0;
    uint16_t remote_port = 0;
  };
  struct Addresses {
    IpAddress local;
    IpAddress remote;
    uint32_t next = kNone;  // among the free ones
  };
  struct Bucket {
    uint32_t first = kNone;
  };

  DemuxOwner look_up(const FourTuple& tuple) const;
  bool is(const Node& node, const FourTuple& tuple) const;
  void write(Node& node, const FourTuple& tuple);
  void forget(Node& node);
  size_t bucket_of(uint32_t hash) const;
  void add_bucket();

  TupleHash keyed_;
  PagedArray<Bucket, 1024> buckets_;
  PagedArray<Node> nodes_;
  PagedArray<Addresses, 64> wide_;
  size_t round_ = 1;  // a power of two: buckets below size - round_ are split already
  size_t size_ = 0;
  uint32_t free_node_ = kNone;
  uint32_t free_wide_ = kNone;
  mutable DemuxEntry latest_;  // found last
};

}  // namespace limpid
