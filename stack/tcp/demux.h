// From a segment's four-tuple to what it belongs to: one keyed hash for connections, half-open and TIME-WAIT ones
// alike.
//
// Linear hashing (Litwin 1980): the table grows by one bucket for each entry that joins, so no insertion ever pays for
// all the others, and a look-up costs the same with a million connections as with ten. The key is secret: a flood
// cannot aim at a bucket.
//
// Segments come in rows: the entry that was found last is looked at first, before anything is hashed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "stack/base/siphash.h"
#include "stack/wire/address.h"

namespace limpid {

enum class DemuxKind : uint8_t { none, connection, half_open, time_wait };

// Lives inside what it finds.
struct DemuxEntry {
  FourTuple tuple;
  DemuxEntry* next = nullptr;
  uint64_t hash = 0;
  uint32_t index = 0;  // in the slab of its kind
  DemuxKind kind = DemuxKind::none;
  bool linked = false;
};

// SipHash of a four-tuple under a secret key.
class TupleHash {
 public:
  explicit TupleHash(const SipKey& key) : key_(key) {}
  uint64_t hash(const FourTuple& tuple) const;

 private:
  SipKey key_;
};

class Demux {
 public:
  explicit Demux(const SipKey& key);

  DemuxEntry* find(const FourTuple& tuple) const {
    return latest_ != nullptr && latest_->tuple == tuple ? latest_ : look_up(tuple);
  }
  void insert(DemuxEntry& entry);
  void remove(DemuxEntry& entry);
  size_t size() const { return size_; }

 private:
  static constexpr size_t kSegment = 1024;  // buckets that are allocated together
  DemuxEntry* look_up(const FourTuple& tuple) const;
  size_t bucket_of(uint64_t hash) const;
  DemuxEntry*& bucket(size_t i) const { return segments_[i / kSegment][i % kSegment]; }
  void add_bucket();

  TupleHash keyed_;
  std::vector<std::unique_ptr<DemuxEntry*[]>> segments_;
  size_t buckets_ = 0;  // in use
  size_t round_ = 1;    // a power of two: buckets below buckets_ - round_ are split already
  size_t size_ = 0;
  mutable DemuxEntry* latest_ = nullptr;  // found last
};

}  // namespace limpid
