// The scoreboard of RFC 6675 §3: what became of each range between SND.UNA and SND.NXT.
//
//   una                                                        nxt
//    | lost | sacked | lost, resent | sacked | in the network   |
//
// Ranges touch, are cut at the edge of any SACK block and become one again where nothing tells them apart. It knows
// what is the case; recovery.h decides what follows. It is in use while anything is unacknowledged.
//
// The cost of an ACK follows what it changes, never the window: what was SACKed is one range however often it is
// reported, and two cursors pass over what needs no second look.
#pragma once

#include <cstdint>
#include <optional>

#include "stack/base/ring.h"
#include "stack/tcp/ack_news.h"
#include "stack/tcp/record_list.h"

namespace limpid {

struct SentRange {
  SeqPos seq;
  SeqPos end;
  Rule why = Rule::none;
  bool pushed = false;  // it ends with PSH
  SeqPos whole_end{};   // of what is to go again and was sent in one piece with it
};

class SackScoreboard {
 public:
  struct Tally {
    uint32_t bytes = 0;
    uint32_t segments = 0;
    friend bool operator==(const Tally&, const Tally&) = default;
  };

  // --- sending ---
  void sent(SeqPos seq, SeqPos end, uint32_t mss, const DeliveryStamp& stamp, Time now);  // SND.NXT moved
  void burst_ended(bool pushed);                                                          // with what was sent just now
  void resent(SeqPos seq, SeqPos end, uint32_t mss, const DeliveryStamp& stamp, Time now);

  // --- what the peer says ---
  void acked(SeqPos una, uint32_t mss, AckNews& news);
  void sacked(SeqPos left, SeqPos right, uint32_t mss, AckNews& news);  // within what was sent and not acknowledged
  void forget_sacks();  // RFC 2018 §8: the receiver may have dropped what it had reported

  // --- what is lost ---
  struct Overdue {
    uint32_t lost = 0;  // bytes
    bool retransmission_lost = false;
    std::optional<Duration> next;  // until the next range is overdue, unless an ACK comes first
  };
  // RFC 8985 §6.2 step 5: lost is what was sent before the range delivered last (`newest`, `newest_end`), and at least
  // `allowance` ago.
  Overdue mark_overdue(Time newest, SeqPos newest_end, Duration allowance, Rule why, Time now);
  uint32_t mark_lost_until(SeqPos end, Rule why);  // all below that is not SACKed; bytes newly lost
  // After a timeout: the first, and all that was last sent until then (RFC 8985 §6.3); bytes newly lost.
  uint32_t mark_timed_out(Time sent_until, Rule why);
  uint32_t mark_first_lost(uint32_t mss, Rule why);  // a segment at SND.UNA
  // Sent in larger segments than that, and not SACKed; bytes newly lost. A range of segments of one moment is judged by
  // all of them together.
  uint32_t mark_larger_than(uint32_t mss, Rule why);
  void forget_losses();  // they were not
  // RFC 6675 §4, IsLost: below this, three ranges or more than two segments' octets were SACKed above.
  SeqPos lost_boundary(uint32_t dup_thresh, uint32_t mss) const;

  // --- what to send again ---
  std::optional<SentRange> next_to_resend(uint32_t mss);   // lost, not resent yet
  std::optional<SentRange> next_hole(uint32_t mss) const;  // neither lost nor resent, below the highest SACK
  SentRange last_segment(uint32_t mss) const;              // before SND.NXT, or before what is SACKed there

  // --- looking in ---
  bool empty() const { return list_.empty(); }
  size_t records() const { return list_.size(); }
  const SendRecord& first() const { return list_.front(); }
  const SendRecord* find(SeqPos at) const;
  Tally outstanding() const { return all_; }
  Tally sacked() const { return sacked_; }
  Tally lost() const { return lost_; }
  Tally retransmitted() const { return resent_; }  // and in the network
  SeqPos highest_sacked() const { return highest_sacked_; }
  // RFC 6675 §4, SetPipe.
  uint32_t in_flight() const { return all_.bytes - sacked_.bytes - lost_.bytes + resent_.bytes; }
  const char* broken_invariant(SeqPos una, SeqPos nxt) const;

 private:
  using Pos = RecordList::Pos;
  struct Retransmission {
    SeqPos seq;
    SeqPos end;
    Time at{};
  };

  size_t most_records(uint32_t mss) const { return 1024 + 4 * (all_.bytes / mss); }
  void count(const SendRecord& r, bool in);
  void store(Pos p, const SendRecord& r);
  bool cut(SeqPos at, uint32_t mss);
  Pos join(Pos p, uint32_t mss);
  void mark_lost(Pos p, Rule why);
  void overdue_first_transmissions(Time newest, SeqPos newest_end, Duration allowance, Rule why, Time now, Overdue& o);
  void overdue_retransmissions(Time newest, SeqPos newest_end, Duration allowance, Rule why, Time now, Overdue& o);
  bool overdue_retransmission(const Retransmission& again, Time newest, SeqPos newest_end, Duration remaining, Rule why,
                              Overdue& o);

  RecordList list_;
  Ring<Retransmission> resent_order_;  // in the order in which they were sent, some of them long delivered
  Tally all_;
  Tally sacked_;
  Tally lost_;
  Tally resent_;
  SeqPos highest_sacked_;  // one past
  SeqPos undecided_;       // below, no first transmission can become overdue any more
  SeqPos resend_from_;     // below, nothing waits to be sent again
};

}  // namespace limpid
