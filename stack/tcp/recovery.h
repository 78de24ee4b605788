// Which bytes are lost, and what follows: the states of Linux's sender, over the scoreboard.
//
//             SACK, or a duplicate ACK            something is lost
//     Open ------------------------> Disorder ----------------------> Recovery      high_seq = SND.NXT
//      ^  \                             |                                |
//      |   \ ECN, or a probe that       |        the timer expires       |
//      |    \ repaired a loss: CWR      +---------------> Loss <---------+
//      |                                                   |
//      +--------------- SND.UNA reaches high_seq, or it was all for nothing (undo) ---------------
//
//   read()      what an ACK tells the scoreboard         conclude()  what follows from it, one step of the RFCs a
//   function of recovery_steps.cc; undo (RFC 4015, DSACK) and F-RTO (RFC 5682) in recovery_undo.cc and
//   recovery_timeout.cc
//
// How much may go is not decided here: conclusions are told to Congestion by the connection.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "stack/base/members.h"
#include "stack/config.h"
#include "stack/tcp/ca_state.h"
#include "stack/tcp/rack.h"
#include "stack/tcp/rtt.h"
#include "stack/tcp/sack_scoreboard.h"
#include "stack/tcp/tail_loss_probe.h"

namespace limpid {

struct SackRange {
  SeqPos left;
  SeqPos right;
};

// What recovery has to know of a segment, and of the sender.
struct AckInput {
  SeqPos ack;
  SeqPos nxt;
  uint32_t mss = 0;
  uint32_t max_window = 0;           // the largest that the peer ever offered
  bool duplicate = false;            // in the sense of RFC 5681 §2
  bool stale = false;                // the segment acknowledges less than SND.UNA, which `ack` says in its place
  bool new_data_may_go = false;      // there is some, and the peer's window takes it
  std::optional<int64_t> echo_ms{};  // when the stamp that TSecr echoes was made, on our clock
  std::array<SackRange, 4> sack{};
  size_t sack_count = 0;
  Time now{};
};

// What follows from an ACK or a timer, in the order in which congestion control is to be told.
struct Conclusions {
  std::optional<Rule> undone;   // the last reduction was for nothing
  bool recovered = false;       // SND.UNA reached high_seq
  bool probe_repaired = false;  // a loss that the probe repaired before anybody noticed
  std::optional<Rule> entered;  // fast recovery begins
  bool reduce = false;          // and it is the first to reduce the window
  uint32_t lost = 0;            // bytes newly marked lost
  SeqPos lost_from;
  bool retransmission_lost = false;
  std::optional<Duration> reordering_timer;
};

class Recovery {
 public:
  // --- sending ---
  void sent(SeqPos seq, SeqPos end, uint32_t mss, const DeliveryStamp& stamp, Time now) {
    if (!board_) board_ = spare_board_ ? std::move(spare_board_) : std::make_unique<SackScoreboard>();
    board_->sent(seq, end, mss, stamp, now);
  }
  void burst_ended(bool pushed) { board_->burst_ended(pushed); }  // with what was sent just now
  void resent(SeqPos seq, SeqPos end, uint32_t mss, const DeliveryStamp& stamp, Time now);
  void probe_sent(SeqPos nxt, bool retransmission) { probe_.on_sent(nxt, retransmission); }

  // --- an ACK ---
  void use_sack(bool agreed, const TcpConfig& config) {
    sack_ = agreed;
    use_rack_ = agreed && config.rack;
    reordering_ = config.reordering;
  }
  AckNews read(const AckInput& in, Duration min_rtt);
  Conclusions conclude(const AckInput& in, const AckNews& news, const RttEstimator& rtt);
  void on_rtt_sample() { probe_.on_rtt_sample(); }

  // --- timers ---
  Conclusions on_reordering_timeout(SeqPos una, SeqPos nxt, uint32_t mss, const RttEstimator& rtt, Time now);
  // `first`: the first expiry for this SND.UNA.
  Conclusions on_timeout(SeqPos una, SeqPos nxt, bool first, bool frto, const RttEstimator& rtt, Time now);
  bool probe_worthwhile() const {  // RFC 8985 §7.2: a tail loss probe may be scheduled
    return use_rack_ && board_ && probe_.allowed() && (state_ == CaState::open || state_ == CaState::cwr) &&
           board_->sacked().bytes == 0;
  }
  // The peer's zero window refused what lies between una and nxt: it is to be sent again, though nothing was lost.
  void on_window_opened();
  // The path takes segments of `mss` only: what is in flight in larger ones is to be sent again, and the window stays.
  // How many bytes.
  uint32_t on_smaller_path(SeqPos nxt, uint32_t mss);
  // The same of the text of our SYN: the server did not take it (RFC 7413 §4.2.1).
  void on_syn_text_refused();
  // ECN: the window comes down, nothing is lost. False if it already does.
  bool enter_cwr(SeqPos nxt);

  // --- what to send again ---
  std::optional<SentRange> next_to_resend(uint32_t mss) {
    if (!board_ || board_->lost().bytes == 0 || frto_ == Frto::second_ack)
      return {};  // RFC 5682: new data is what tells
    return board_->next_to_resend(mss);
  }
  SentRange last_segment(uint32_t mss) const { return board_->last_segment(mss); }
  // RFC 6675 §4, NextSeg (3) and (4), without RACK: nothing is known to be lost, and nothing new may go.
  bool may_risk() const { return state_ == CaState::recovery && sack_ && !use_rack_ && board_; }
  std::optional<SentRange> next_to_risk(uint32_t mss) const;
  void rescue_sent() { rescued_ = true; }
  bool urgent() const { return urgent_; }  // the next retransmission goes whatever the window says

  // --- looking in ---
  CaState state() const { return state_; }
  bool by_sack() const { return sack_; }
  bool repairing() const { return state_ == CaState::recovery || state_ == CaState::loss; }
  SeqPos high_seq() const { return high_seq_; }
  const SackScoreboard* board() const { return board_.get(); }
  const Rack& rack() const { return rack_; }
  bool probe_outstanding() const { return probe_.outstanding(); }
  uint32_t duplicate_acks() const { return duplicates_; }
  uint32_t reordering() const { return reordering_; }  // segments
  uint32_t in_flight(uint32_t mss) const {             // RFC 6675 §4, SetPipe
    if (!board_) return 0;
    return board_->in_flight() - (duplicates_ > 0 ? duplicates_in_flight(mss) : 0);
  }
  // Nothing is unacknowledged, under repair or to be undone.
  bool at_rest() const { return !board_ && state_ == CaState::open && undo_from_ == kNone && !probe_.outstanding(); }
  SackScoreboard::Tally outstanding() const { return board_ ? board_->outstanding() : SackScoreboard::Tally{}; }
  SackScoreboard::Tally sacked() const { return board_ ? board_->sacked() : SackScoreboard::Tally{}; }
  SackScoreboard::Tally lost() const { return board_ ? board_->lost() : SackScoreboard::Tally{}; }
  SackScoreboard::Tally retransmitted() const { return board_ ? board_->retransmitted() : SackScoreboard::Tally{}; }

 private:
  // RFC 5682: what the ACKs after a timeout are waited for.
  enum class Frto : uint8_t { off, first_ack, second_ack };

  // read
  void read_blocks(const AckInput& in, AckNews& news);
  bool is_dsack(const AckInput& in) const;
  void note_dsack(const AckInput& in, SeqPos una_before);
  void count_duplicates(const AckInput& in, AckNews& news);
  uint32_t duplicates_in_flight(uint32_t mss) const;

  // conclude: recovery_steps.cc
  void heed_probe(const AckInput& in, const AckNews& news, Conclusions& c);
  bool leave(const AckInput& in, const AckNews& news, Conclusions& c);
  bool in_recovery(const AckInput& in, const AckNews& news, Conclusions& c);
  bool in_loss(const AckInput& in, const AckNews& news, Conclusions& c);
  void find_losses(const AckInput& in, const AckNews& news, const RttEstimator& rtt, Conclusions& c);
  void find_losses_by_time(const RttEstimator& rtt, Time now, Conclusions& c);
  void find_losses_by_count(const AckInput& in, Conclusions& c);
  void find_losses_without_sack(const AckInput& in, const AckNews& news, Conclusions& c);
  void enter(const AckInput& in, Rule why, Conclusions& c);
  void keep_open();
  Rule why_lost() const;

  // recovery_undo.cc
  void begin_undo(SeqPos una);
  bool retransmissions_were_spurious(const AckInput& in) const;
  bool original_came_late(const AckInput& in) const;
  void undo(Rule why, Conclusions& c);
  bool undo_by_dsack(Conclusions& c);
  bool undo_partial(const AckInput& in, Conclusions& c);

  // recovery_timeout.cc
  bool frto_step(const AckInput& in, const AckNews& news, Conclusions& c);

  static constexpr SeqPos kNone{-1};
  static constexpr uint16_t kDupThresh = 3;         // of RFC 5681, 6675 and 8985
  static constexpr uint16_t kMostReordering = 300;  // Linux tcp_max_reordering

  std::unique_ptr<SackScoreboard> board_;        // while something is unacknowledged
  std::unique_ptr<SackScoreboard> spare_board_;  // the same, empty, while nothing is
  SeqPos high_seq_ = kNone;                      // RecoveryPoint of RFC 6675, recover of RFC 6582
  SeqPos undo_from_ = kNone;                     // SND.UNA when the window was reduced; none: nothing to undo
  Time first_resent_ = kNever;                   // RetransmitTS of RFC 4015 §3.2
  Rack rack_;
  TailLossProbe probe_;
  uint32_t unproven_ = 0;         // bytes resent since, that no DSACK has shown to be needless
  uint32_t duplicates_ = 0;       // duplicate ACKs, without SACK
  uint32_t most_duplicates_ = 0;  // that can be genuine: segments that were out at the first one
  uint16_t reordering_ = kDupThresh;
  CaState state_ = CaState::open;
  Frto frto_ = Frto::off;
  bool resent_any_ = false;  // since undo_from_
  bool urgent_ = false;
  bool window_kept_ = false;  // in loss, but because the path takes smaller segments: nothing to come back from
  bool rescued_ = false;      // in this recovery: RescueRxt of RFC 6675 is RecoveryPoint
  bool sack_ = false;
  bool use_rack_ = false;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(Elsewhere<std::unique_ptr<SackScoreboard>>{}, Elsewhere<std::unique_ptr<SackScoreboard>>{},
             &Recovery::high_seq_, &Recovery::undo_from_, &Recovery::first_resent_, &Recovery::rack_, &Recovery::probe_,
             &Recovery::unproven_, &Recovery::duplicates_, &Recovery::most_duplicates_, &Recovery::reordering_,
             &Recovery::state_, &Recovery::frto_, &Recovery::resent_any_, &Recovery::urgent_, &Recovery::window_kept_,
             &Recovery::rescued_, &Recovery::sack_, &Recovery::use_rack_);
  }
};

}  // namespace limpid
