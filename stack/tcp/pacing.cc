// When text may leave, and how fast the network takes it (draft-ietf-ccwg-bbr §4.1 and §5.6.2).
//
// BBR is always paced; other algorithms are where the user bounds the rate (SO_MAX_PACING_RATE, as on Linux) or the
// configuration says so. How fast the network delivers is measured for all.
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {

// Bytes a second; 0: not known.
uint64_t Connection::pacing_rate() const {
  const uint64_t rate = congestion_.pacing_rate(rtt_.srtt());
  if (options_.max_pacing_rate == UINT64_MAX) return rate;
  return rate == 0 ? options_.max_pacing_rate : std::min(rate, options_.max_pacing_rate);
}

// Before text goes out. Neither the SYN nor what follows it in the handshake says anything about the path's rate.
DeliveryStamp Connection::stamp_text(const SegmentPlan& plan, Time now) {
  if (plan.length == 0 && !pace_) return {};
  if (!pace_) pace_ = std::make_unique<SendPace>();
  return pace_->rate.on_send(in_flight() == 0, now);
}

// Text went out. The initial window of those that do not model the path goes at once, as on Linux.
void Connection::pace(uint32_t length, Time now) {
  if (length == 0) return;
  if (congestion_.bbr() == nullptr && pace_->rate.delivered() == 0 && options_.max_pacing_rate == UINT64_MAX) return;
  const Duration wait = pace_->pacer.on_sent(length, pacing_rate(), mss_, now);
  if (wait > Duration{}) set_timer(TcpTimer::pacing, wait, now);
}

// After output (draft §4.1.2.4): there is nothing to send, and the windows would take something.
void Connection::note_app_limit() {
  if (!pace_ || timers_.running(TcpTimer::pacing)) return;
  const uint32_t flying = in_flight();
  const bool resends_wait = recovery_.lost().bytes > recovery_.retransmitted().bytes;
  if ((unsent() < mss_ || tail_waits()) && flying < congestion_.cwnd() && !resends_wait)
    pace_->rate.on_app_limited(flying);
}

RateSample Connection::sample_rate(const AckNews& news, Time now) {
  if (!pace_ || news.delivered == 0) return {};
  const bool with_syn = news.advanced() && snd_.una == SeqPos{news.acked};  // of a connection that was opened fast
  pace_->delivered_segments += news.delivered_segments - (with_syn ? 1 : 0);
  if (news.newest) return pace_->rate.on_ack(news.delivered, *news.newest, rtt_.min_rtt(), now);
  pace_->rate.on_delivered(news.delivered, now);
  return {};
}

void Connection::fill_pace(TcpStatus& s) const {
  s.pacing_rate = pacing_rate();
  s.paced = paced();
  s.pacing_holds = timers_.running(TcpTimer::pacing) && pace_->held_back;
  if (synchronized(state_)) s.delivered_segments = 1;  // our SYN
  if (pace_) {
    s.delivery_rate = pace_->rate.rate();
    s.app_limited = pace_->rate.sample_app_limited();
    s.delivered = pace_->rate.delivered();
    s.delivered_segments += pace_->delivered_segments;
  }
  if (const BbrModel* bbr = congestion_.bbr()) {
    s.bbr = {.bandwidth = bbr->bandwidth(),
             .min_rtt = bbr->min_rtt(),
             .pacing_percent = bbr->pacing_percent(),
             .window_percent = bbr->window_percent()};
  }
}

}  // namespace limpid
