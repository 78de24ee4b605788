#include "stack/tcp/rack.h"

namespace limpid {

void Rack::on_ack(const AckNews& news) {
  if (news.rack_rtt) rtt_ = news.now - news.rack_rtt->sent;
  if (news.rack) {
    if (sent_after(news.rack->sent, news.rack->end, sent_, end_)) {
      sent_ = news.rack->sent;
      end_ = news.rack->end;
    }
  }
  if (news.newest) fack_ = std::max(fack_, news.highest);
  if (news.reordered) reordering_seen_ = true;
}

void Rack::on_dsack(SeqPos una, SeqPos nxt) {
  if (una < dsack_round_) return;  // of the same round
  dsack_round_ = nxt;
  multiplier_ = static_cast<uint8_t>(std::min<uint32_t>(multiplier_ + 1u, UINT8_MAX));
  persist_ = kPersist;
}

void Rack::on_recovered() {
  if (persist_ > 0) --persist_;
  if (persist_ == 0) multiplier_ = 1;
}

Duration Rack::reordering_window(const Situation& s, const RttEstimator& rtt) const {
  if (!reordering_seen_ && (s.repairing || s.dup_thresh_met)) return {};
  return std::min(multiplier_ * rtt.min_rtt() / 4, rtt.srtt());
}

}  // namespace limpid
