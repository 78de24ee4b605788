// Send records in the order of their sequence numbers, without gaps between them.
//
//   chunks_  [ r r r r ] [ r r r r r r ] [ r r ]      each chunk: up to kChunk records, sorted; chunks sorted too
//
// What is sent joins at the end and what is acknowledged leaves at the front, as in a queue; but a SACK block also cuts
// a record in two, or lets neighbors become one, anywhere. To find a place costs a binary search, to change one moves
// at most a chunk: never the whole window. The last chunk stays when it has become empty.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "stack/tcp/send_record.h"

namespace limpid {

class RecordList {
 public:
  struct Pos {  // good until the list changes otherwise than by the call that returned it
    size_t chunk = 0;
    size_t slot = 0;
    friend bool operator==(Pos, Pos) = default;
  };

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  Pos first() const { return empty() ? Pos{chunks_.size(), 0} : Pos{0, chunks_[0]->begin}; }
  Pos last() const { return {chunks_.size() - 1, chunks_.back()->end - 1}; }
  bool valid(Pos p) const { return p.chunk < chunks_.size(); }  // not past the last
  SendRecord& operator[](Pos p) { return chunks_[p.chunk]->records[p.slot]; }
  const SendRecord& operator[](Pos p) const { return chunks_[p.chunk]->records[p.slot]; }
  const SendRecord& front() const { return (*this)[first()]; }
  SendRecord& back() { return chunks_.back()->records[chunks_.back()->end - 1]; }
  const SendRecord& back() const { return chunks_.back()->records[chunks_.back()->end - 1]; }
  Pos next(Pos p) const;
  Pos prev(Pos p) const;  // of one that is not the first
  bool is_first(Pos p) const { return p == first(); }

  // The record that holds `at`; not valid() when none does.
  Pos find(SeqPos at) const;

  void push_back(const SendRecord& record);
  void pop_front();
  Pos insert_after(Pos p, const SendRecord& record);  // where it is now; p's record is the one before it
  void erase(Pos p);

 private:
  static constexpr size_t kChunk = 13;  // a chunk stays below the kilobyte that malloc serves from its cache
  struct Chunk {
    std::array<SendRecord, kChunk> records;
    size_t begin = 0;
    size_t end = 0;
    size_t count() const { return end - begin; }
  };
  void make_room(Pos& p);
  void release(size_t chunk);

  std::vector<std::unique_ptr<Chunk>> chunks_;
  size_t size_ = 0;
};

}  // namespace limpid
