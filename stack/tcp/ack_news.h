// What one ACK told of the ranges that we have sent: gathered while the scoreboard takes it in, read by whoever draws
// conclusions (RACK, the RTT estimator, F-RTO, the samples of the delivery rate).
#pragma once

#include <cstdint>
#include <optional>

#include "stack/tcp/send_record.h"

namespace limpid {

struct AckNews {
  // --- what is known before ---
  Time now{};
  Duration min_rtt{};
  std::optional<int64_t> echo_ms{};  // when the stamp that TSecr echoes was made; none without timestamps
  SeqPos fack{};                     // the highest octet delivered before this ACK, plus one
  SeqPos high_seq{};                 // SND.NXT when the current recovery began

  // --- what it told ---
  uint32_t acked = 0;               // bytes that SND.UNA moved on
  uint32_t delivered = 0;           // bytes delivered by this ACK, cumulatively or selectively, and not known before
  uint32_t sacked = 0;              // of these, by SACK
  uint32_t delivered_segments = 0;  // likewise delivered
  uint32_t acked_segments = 0;      // that left the scoreboard
  bool resent_acked = false;        // SND.UNA moved over something that was sent twice
  bool original_delivered = false;  // something below high_seq that was sent once only
  bool dsack = false;
  std::optional<SeqPos> reordered{};  // the lowest octet that overtook others: sent once, and delivered below fack

  std::optional<Time> first_sent{};  // oldest and newest first transmission that SND.UNA moved over: what RTTs
  std::optional<Time> last_sent{};   // are measured from
  std::optional<Time> sack_sent{};   // the oldest first transmission that was SACKed

  SeqPos highest{};                    // octet delivered by this ACK, plus one
  std::optional<SendRecord> newest{};  // delivered by this ACK: the most recently sent
  std::optional<SendRecord> rack{};    // the same, of those whose last transmission it was that arrived

  // Of these the one whose round trip RACK takes, as Linux: the last that SND.UNA moved over, or else that was SACKed.
  struct Measured {
    Time sent{};
    bool by_una = false;
  };
  std::optional<Measured> rack_rtt{};

  bool advanced() const { return acked > 0; }
  // The scoreboard delivers this range, by SND.UNA or by a SACK block.
  void deliver(const SendRecord& r, bool cumulatively);
  // RFC 8985 §6.2 step 2: whether the ACK may be one of an earlier transmission.
  bool ambiguous(const SendRecord& r) const;
};

}  // namespace limpid
