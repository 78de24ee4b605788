#include "stack/tcp/demux.h"

#include <array>

#include "stack/base/bytes.h"

namespace limpid {

Demux::Demux(const SipKey& key) : keyed_(key) {
  segments_.push_back(std::make_unique<DemuxEntry*[]>(kSegment));
  buckets_ = 1;
}

uint64_t TupleHash::hash(const FourTuple& tuple) const {
  std::array<std::byte, 36> message;
  const MutableByteSpan m(message);
  std::memcpy(message.data(), tuple.local.address.bytes().data(), 16);
  std::memcpy(message.data() + 16, tuple.remote.address.bytes().data(), 16);
  store16(m, 32, tuple.local.port);
  store16(m, 34, tuple.remote.port);
  if (tuple.local.address.is_v4()) {  // the other bytes are zero: hash what differs, 12 bytes
    std::memcpy(message.data() + 4, message.data() + 16, 4);
    std::memcpy(message.data() + 8, message.data() + 32, 4);
    return siphash(key_, ByteSpan(message).first(12));
  }
  return siphash(key_, message);
}

// The bucket of a hash: by the larger modulus if that bucket exists already, else by the smaller.
size_t Demux::bucket_of(uint64_t hash) const {
  const size_t wide = hash & (2 * round_ - 1);
  return wide < buckets_ ? wide : hash & (round_ - 1);
}

DemuxEntry* Demux::look_up(const FourTuple& tuple) const {
  const uint64_t h = keyed_.hash(tuple);
  for (DemuxEntry* e = bucket(bucket_of(h)); e != nullptr; e = e->next) {
    if (e->hash == h && e->tuple == tuple) return latest_ = e;
  }
  return nullptr;
}

void Demux::insert(DemuxEntry& entry) {
  if (size_ >= buckets_) add_bucket();
  entry.hash = keyed_.hash(entry.tuple);
  DemuxEntry*& head = bucket(bucket_of(entry.hash));
  entry.next = head;
  head = &entry;
  entry.linked = true;
  ++size_;
}

void Demux::remove(DemuxEntry& entry) {
  if (!entry.linked) return;
  DemuxEntry** at = &bucket(bucket_of(entry.hash));
  while (*at != &entry) at = &(*at)->next;
  *at = entry.next;
  entry.linked = false;
  if (latest_ == &entry) latest_ = nullptr;
  --size_;
}

// Splits one bucket into itself and the new last one.
void Demux::add_bucket() {
  if (buckets_ == 2 * round_) round_ *= 2;
  const size_t old_index = buckets_ - round_;
  const size_t new_index = buckets_;
  if (new_index / kSegment == segments_.size()) segments_.push_back(std::make_unique<DemuxEntry*[]>(kSegment));
  ++buckets_;
  DemuxEntry* e = bucket(old_index);
  bucket(old_index) = nullptr;
  while (e != nullptr) {
    DemuxEntry* next = e->next;
    DemuxEntry*& head = bucket(bucket_of(e->hash));
    e->next = head;
    head = e;
    e = next;
  }
}

}  // namespace limpid
