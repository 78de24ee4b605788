// The receiving half of a connection: RCV.NXT, the window that we promise, and what waits to be read.
//
//   read          nxt                    edge
//    |  readable   |  window promised     |
//   -+-------------+------[held]----------+----
//
// The right edge never moves left (RFC 9293 §3.8.6, SHLD-14), and moves right only by steps worth a segment
// (§3.8.6.2.2).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "stack/buffer/loan.h"
#include "stack/tcp/segment.h"

namespace limpid {

class Receiver {
 public:
  // RCV.NXT: the next octet expected; the peer's SYN is position 0, its FIN takes one more behind the text.
  SeqPos nxt() const { return SeqPos::from_stream(queue_.next()) + (fin_reached_ ? 1 : 0); }
  SeqPos edge() const { return edge_; }
  // The sender has used no more than an eighth of what it may be promised.
  bool mostly_open() const;
  uint32_t wnd() const { return edge_ > nxt() ? static_cast<uint32_t>(edge_ - nxt()) : 0; }
  bool fin_reached() const { return fin_reached_; }
  size_t readable() const;  // bytes the user can read now: up to an urgent mark
  const ReassemblyQueue& queue() const { return queue_; }

  void set_buffer(uint32_t bytes) { buffer_ = bytes; }
  uint32_t buffer() const { return buffer_; }
  void set_shift(uint8_t shift) { shift_ = shift; }
  uint8_t shift() const { return shift_; }

  // --- arrival ---
  // The four cases of RFC 9293 §3.10.7.4, first check; the right edge itself is let in for segments without length,
  // since a peer that has filled our window sends its ACKs from there (as Linux does).
  bool acceptable(const Segment& s) const {
    if (s.length() == 0) return s.seq >= nxt() && s.seq <= edge_;
    // RFC 9293 §3.10.7.4: with a zero window nothing is acceptable, but valid ACKs, URGs and RSTs are to be let in; the
    // text of such a segment is cut off by trim().
    const bool starts_inside = s.seq < edge_ || (wnd() == 0 && s.seq == nxt());
    return starts_inside && s.end() > nxt();
  }
  // Cuts what lies outside the window; true if anything was cut at the right (and FIN with it).
  bool trim(Segment& s) const { return (s.text_begin() < nxt() || s.end() > edge_) && cut(s); }
  ReassemblyQueue::Inserted take(Segment& s) {
    if (urgent_at_) keep_urgent_octet(s);
    return s.text.single() ? queue_.insert(s.text_begin().stream(), s.text.pop()) : take_chain(s);
  }
  void note_fin(SeqPos at) { fin_at_ = at; }
  // Moves over the FIN once all before it has arrived; true the moment it does.
  bool reach_fin() {
    if (fin_reached_ || !fin_at_ || *fin_at_ != nxt()) return false;
    fin_reached_ = true;
    edge_ = std::max(edge_, nxt());
    return true;
  }
  void drop_out_of_order() { queue_.drop_out_of_order(); }

  // --- the window (RFC 9293 §3.8.6.2.2) ---
  // The value for the wire, and the edge that it promises: promised() makes it true once the segment has gone.
  struct Window {
    uint16_t wire = 0;
    SeqPos edge;
  };
  Window window(bool scaled, uint32_t mss) const;
  void promised(SeqPos edge) { edge_ = edge; }
  // The user has read: is an update of its own due?
  bool update_due(uint32_t mss) const;

  // --- the user ---
  size_t read(MutableByteSpan into, bool peek);
  // In place: what is lent was read, but takes its part of the buffer until it is given back.
  size_t lend(size_t most, LentText& into);
  void give_back(LentText& text);
  uint32_t lent() const { return lent_; }
  void clear() { queue_.clear(); }

  // --- urgent data (RFC 9293 §3.8.5; the pointer as RFC 6093 and Linux read it: one past the urgent octet) ---
  // True when the mark moved on, so that the user is to be told.
  bool note_urgent(SeqPos up);
  bool urgent_ahead() const { return urgent_at_ && urgent_at_->stream() >= queue_.read_position(); }
  bool at_urgent_mark() const;
  void set_urgent_inline(bool on) { urgent_inline_ = on; }
  // The urgent octet, if it has arrived and was not read.
  std::optional<std::byte> urgent_octet(bool peek);

 private:
  uint32_t largest_window() const;

  bool cut(Segment& s) const;
  void keep_urgent_octet(const Segment& s);
  ReassemblyQueue::Inserted take_chain(Segment& s);
  inline uint32_t room() const;
  void skip_urgent_octet();

  ReassemblyQueue queue_;
  SeqPos edge_{1};
  std::optional<SeqPos> fin_at_;
  std::optional<SeqPos> urgent_at_;  // position of the urgent octet itself
  std::optional<std::byte> urgent_octet_;
  uint32_t buffer_ = 0;
  uint32_t lent_ = 0;  // bytes
  uint8_t shift_ = 0;
  bool fin_reached_ = false;
  bool urgent_inline_ = false;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Receiver::queue_, &Receiver::edge_, &Receiver::fin_at_, &Receiver::urgent_at_, &Receiver::urgent_octet_,
             &Receiver::buffer_, &Receiver::lent_, &Receiver::shift_, &Receiver::fin_reached_,
             &Receiver::urgent_inline_);
  }
};

}  // namespace limpid
