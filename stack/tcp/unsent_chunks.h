// What was written and not yet sent, in chunks: where PSH is due, and how far a burst may reach.
//
//   SND.NXT                                      end of what was written
//      | rest of a chunk |  chunk P |  chunk  | filling P |
//
// A chunk is filled until it is `goal` long, across SENDs; then the next one begins. What is sent leaves at the front,
// also out of the chunk that is still being filled, which then takes so much more. PSH is due at the end of a chunk:
// where a SEND ended (RFC 9293 §3.9.1.2), and within a long one whenever half of the peer's largest window was written
// since the last PSH, so that its receiver is not left without one for longer than its buffer lasts. All as Linux,
// whose receivers' peers know no other bursts.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/members.h"
#include "stack/base/ring.h"
#include "stack/tcp/seq.h"

namespace limpid {

class UnsentChunks {
 public:
  // --- SEND ---
  // How long the chunk is that is being filled; 0 or `goal`: what is written next begins another.
  uint32_t filled(SeqPos nxt, SeqPos end) const { return static_cast<uint32_t>(end - std::max(filling_, nxt)); }
  // Text is about to be written at `end`: `begins` if it is the first of its SEND, behind whose predecessor no PSH is
  // due any more, if they share a chunk.
  void write(SeqPos nxt, SeqPos end, uint32_t goal, bool begins) {
    if (const uint32_t length = filled(nxt, end); length == 0 || length >= goal) {
      if (length > 0) closed_.push_back({end, pushed_});
      filling_ = end;
      pushed_ = false;
    }
    if (begins) pushed_ = false;
  }
  void push(SeqPos end) {
    pushed_ = true;
    pushed_to_ = end;
  }
  bool push_overdue(SeqPos end, uint32_t max_window) const { return end > pushed_to_ + max_window / 2; }
  bool filling_first() const { return closed_.empty(); }  // nothing waits before the chunk that is being filled

  // --- output ---
  // The end of the chunk that SND.NXT is in.
  SeqPos first_end(SeqPos end) const { return closed_.empty() ? end : closed_.front().end; }
  // Whether PSH is due on a segment that ends at `to`.
  bool pushes(SeqPos to, SeqPos end) const {
    for (size_t i = 0; i < closed_.size() && closed_[i].end <= to; ++i) {
      if (closed_[i].pushed) return true;
    }
    return to == end && pushed_;
  }
  void sent(SeqPos nxt) {
    while (!closed_.empty() && closed_.front().end <= nxt) closed_.pop_front();
  }

 private:
  struct Chunk {
    SeqPos end;
    bool pushed = false;
  };
  Ring<Chunk> closed_;
  SeqPos filling_;       // where the last chunk begins, or began before a part of it was sent
  SeqPos pushed_to_{1};  // what was written when PSH became due last
  bool pushed_ = false;  // it is due at the end of the last chunk

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(Elsewhere<Ring<Chunk>>{}, &UnsentChunks::filling_, &UnsentChunks::pushed_to_, &UnsentChunks::pushed_);
  }
};

}  // namespace limpid
