// The receive queue: in-order bytes for the reader, and what arrived beyond a gap, as slices of the frames they came
// in.
//
//    read_position()        next()          gaps
//        |   readable         |  . . . [ held ] . . [ held ] .
//
// Positions count from the first byte of the stream (0). The first copy of a byte wins: later text that overlaps what
// is held is trimmed (RFC 9293 §3.10.7.4), so nothing is counted or delivered twice.
//
// A slice that would pin a frame much larger than itself is copied out, behind whatever was copied out before it, so
// that tiny segments cost tiny memory in whatever order they come:
//
//    copies_ |  headroom  | tiny | tiny | tiny | <- the next one goes here   |     a small frame that only this queue
//    knows
//
// Every operation costs O(log n) in what is held, per segment that ever came: neither reversed one-byte segments nor
// repeated large ones over them cost more (the attacks known as SegmentSmack).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "stack/base/members.h"
#include "stack/base/ring.h"
#include "stack/buffer/slice.h"

namespace limpid {

class ReassemblyQueue {
 public:
  static constexpr size_t kPieceCost = 96;  // bookkeeping of one slice, in bytes: the nodes of two maps

  uint64_t next() const { return next_; }                    // RCV.NXT as a stream position: all before it has arrived
  uint64_t read_position() const { return read_position_; }  // all before it was read
  size_t readable() const { return static_cast<size_t>(next_ - read_position_); }
  size_t out_of_order_bytes() const { return out_of_order_bytes_; }
  size_t out_of_order_ranges() const { return held_.size(); }  // slices held beyond gaps
  // Memory pinned by all slices, and kPieceCost for each: what the socket is charged for. A frame of copies counts
  // once; a received frame counts for each slice of it (more than one only where it was cut by what was held already).
  size_t charge() const { return charge_; }
  bool owns_nothing() const { return in_order_.empty() && held_.empty() && !copies_ && charge_ == 0; }

  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
    bool empty() const { return begin == end; }
  };

  struct Inserted {
    uint32_t advanced = 0;    // by how much next() moved
    uint32_t held = 0;        // bytes newly held beyond a gap
    uint32_t duplicate = 0;   // bytes that were there already
    Range duplicates;         // the first contiguous run of them
    bool filled_gap = false;  // next() moved over bytes that were held

    void add(const Inserted& next);  // of the text that follows
  };
  // Takes the text at `position`; the caller has trimmed it to the window.
  Inserted insert(uint64_t position, Slice text);

  // Copies readable bytes from read_position() on; read() also consumes them.
  size_t read(MutableByteSpan into);
  size_t peek(MutableByteSpan into) const;
  size_t discard(size_t bytes);  // consumes without copying (MSG_TRUNC, a skipped urgent byte)

  // What waits here, and what a reader has on loan: it lies where it came, and is charged until it is given back.
  struct Piece {
    Slice text;
    bool copied = false;  // lies in a frame of ours, made by settle()
  };
  // Consumes at most so many readable bytes, in at most so many pieces, but leaves them where they are: `into` holds
  // them. How many they are.
  size_t lend(size_t bytes, size_t most_pieces, std::vector<Piece>& into);
  void give_back(Piece& piece) { release(piece); }  // of this queue; that of one that is gone is just dropped

  void drop_out_of_order();  // under memory pressure; the peer still has them
  void clear();

  // For SACK.
  std::optional<Range> range_after(uint64_t position) const;  // held beyond next(), that ends after position

 private:
  static bool continues(const Piece& before, const Piece& piece);
  uint64_t known_until(uint64_t position) const;
  uint64_t next_range_after(uint64_t position) const;
  inline void append_in_order(Slice&& text);
  inline void keep(Piece&& piece);
  void hold(uint64_t position, Slice text);
  void add_range(uint64_t begin, uint64_t end);
  bool absorb_held();

  inline bool pins_too_much(const Slice& text) const;
  Piece settle(Slice& text, bool copy);  // takes from the front of `text` what is to be kept as one piece
  bool room_for_copies(FramePool& pool);
  inline void charge_for(const Piece& piece);
  void release(Piece& piece);
  void release_copies();
  size_t consume(size_t bytes);

  Ring<Piece> in_order_;
  std::map<uint64_t, Piece> held_;       // by position; disjoint, all beyond next_
  std::map<uint64_t, uint64_t> ranges_;  // begin -> end of each contiguous run of held_
  FrameRef copies_;                      // the frame that the next copy goes to; null when there is nothing to share it
  uint64_t next_ = 0;
  uint64_t read_position_ = 0;
  size_t out_of_order_bytes_ = 0;
  size_t charge_ = 0;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(Elsewhere<Ring<Piece>>{}, Elsewhere<std::map<uint64_t, Piece>>{},
             Elsewhere<std::map<uint64_t, uint64_t>>{}, Elsewhere<FrameRef>{}, &ReassemblyQueue::next_,
             &ReassemblyQueue::read_position_, &ReassemblyQueue::out_of_order_bytes_, &ReassemblyQueue::charge_);
  }
};

}  // namespace limpid
