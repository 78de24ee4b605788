#include "stack/tcp/ack_news.h"

#include <algorithm>

namespace limpid {
namespace {

void take_latest(std::optional<SendRecord>& kept, const SendRecord& r) {
  if (!kept || sent_after(r.sent, r.end, kept->sent, kept->end)) kept = r;
}
void take_earlier(std::optional<Time>& kept, Time t) { kept = std::min(kept.value_or(t), t); }

}  // namespace

bool AckNews::ambiguous(const SendRecord& r) const {
  if (!r.retransmitted()) return false;
  if (echo_ms && *echo_ms < to_ms(r.sent.time_since_epoch())) return true;
  return now - r.sent < min_rtt;
}

void AckNews::deliver(const SendRecord& r, bool cumulatively) {
  if (cumulatively) {
    acked += r.length();
    acked_segments += r.segments;
    resent_acked = resent_acked || r.retransmitted();
    if (r.sacked) return;  // was delivered long ago
  } else {
    sacked += r.length();
  }
  delivered += r.length();
  delivered_segments += r.segments;
  if (!r.retransmitted()) {
    if (r.end <= high_seq) original_delivered = true;
    if (r.end < fack) reordered = std::min(reordered.value_or(r.seq), r.seq);
    if (cumulatively) {
      take_earlier(first_sent, r.sent);
      last_sent = std::max(last_sent.value_or(r.sent), r.sent);
    } else {
      take_earlier(sack_sent, r.sent);
    }
  }
  highest = std::max(highest, r.end);
  take_latest(newest, r);
  if (ambiguous(r)) return;
  take_latest(rack, r);
  if (cumulatively || !rack_rtt || !rack_rtt->by_una) rack_rtt = {.sent = r.sent, .by_una = cumulatively};
}

}  // namespace limpid
