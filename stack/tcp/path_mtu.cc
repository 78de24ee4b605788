// How large a segment may be: what the path's routers say (RFC 1191), what of it is believed (RFC 5927 §7.2), and what
// is done where they say nothing and large segments vanish (RFC 4821 §7.7).
//
//   ICMP "fragmentation needed" ── quotes what is in flight? ── nothing as large was ever delivered ──> believed
//                                                          └── it was: kept until the retransmission timer expires
//   believed: the host's estimate for that destination comes down, all connections to it follow with their next output,
//   and what this one has in flight in larger pieces is sent again, once
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {
namespace {

constexpr uint32_t kHeaders = 40;  // IPv4 and TCP without options

}  // namespace

PathMtuDoubts& Connection::mtu_doubts() {
  if (!mtu_doubts_) mtu_doubts_ = std::make_unique<PathMtuDoubts>();
  return *mtu_doubts_;
}

// RFC 1191 §6.3: the estimate belongs to the host, and to time. Before each output this costs two comparisons.
void Connection::follow_path_mtu(Time now) {
  if (mtu_version_ == env_.ip.path_mtu_version() && now < mtu_until_) return;
  const PathMtu known = env_.ip.path_mtu(tuple().remote.address, now);
  mtu_version_ = env_.ip.path_mtu_version();
  mtu_until_ = known.until;
  path_.mtu = std::min(env_.ip.interface_mtu(path_.interface), known.mtu);
  if (state_ != TcpState::syn_sent) set_send_mss(Rule::tcp_path_mtu, now);  // else the SYN,ACK decides it
}

void Connection::set_send_mss(Rule why, Time now) {
  uint32_t mss = agreed_.send_mss(path_.mtu, kHeaders, options_.max_segment);
  const uint32_t options = agreed_.timestamps ? Negotiated::kTimestampBytes : 0;
  if (mtu_doubts_ && mtu_doubts_->probe_mss > 0) mss = std::min(mss, mtu_doubts_->probe_mss - options);
  if (mss == mss_) return;
  env_.tracer.emit(EventKind::tcp_mss_updated, why, number_, now, {mss_, mss, path_.mtu});
  if (mss > mss_) mtu_doubts().raised_at = snd_.nxt;
  mss_ = mss;
  delivered_mss_ = std::min(delivered_mss_, mss);
  congestion_.set_mss(mss);
}

// RFC 5927 §7.2, maxsizeacked: an ACK of a full segment's worth shows that such ones get through.
void Connection::note_delivered(SeqPos before, SeqPos ack) {
  if (mtu_doubts_) {
    before = std::max(before, mtu_doubts_->raised_at);
    if (ack > mtu_doubts_->claimed_about) mtu_doubts_->claimed = 0;  // what it was said about came through after all
  }
  if (ack - before >= int64_t{mss_}) delivered_mss_ = mss_;
}

// RFC 1191 §3. `quoted` is in flight, which a blind attacker has to guess (RFC 5927 §4.1).
void Connection::on_fragmentation_needed(uint32_t mtu, SeqPos quoted, Time now) {
  const bool by_syn = state_ == TcpState::syn_sent && fast_open_ && fast_open_->text > 0 && !fast_open_->bare;
  if (by_syn && options_.dont_fragment && mtu < path_.mtu) return resend_syn_bare(mtu, now);
  if (!options_.dont_fragment || !synchronized(state_) || mtu >= path_.mtu) {
    env_.counters.add(Counter::tcp_path_mtu_ignored);
    return;
  }
  const uint32_t options = agreed_.timestamps ? Negotiated::kTimestampBytes : 0;
  const bool larger_were_delivered = delivered_mss_ + options + kHeaders > std::max(mtu, env_.ip.least_path_mtu());
  if (larger_were_delivered && timeouts_ == 0) {
    PathMtuDoubts& doubts = mtu_doubts();
    doubts.claimed = mtu;
    doubts.claimed_about = quoted;
    env_.tracer.emit(EventKind::icmp_received, Rule::tcp_path_mtu_doubted, number_, now,
                     {3, 4, tuple().remote.address.v4_bits(), mtu});
    return;
  }
  believe_path_mtu(mtu, now);
}

// RFC 1191 §6.4, of a SYN: its text made it too large, so it goes again at once without, as after a timeout (RFC 7413
// §4.2.1), and tells the peer what this path takes.
void Connection::resend_syn_bare(uint32_t mtu, Time now) {
  if (!env_.ip.learn_path_mtu(tuple().remote.address, path_.interface, mtu, now)) return;
  env_.counters.add(Counter::tcp_path_mtu_lowered);
  follow_path_mtu(now);
  agreed_.advertised_mss = static_cast<uint16_t>(std::min<uint32_t>(agreed_.advertised_mss, path_.mtu - kHeaders));
  fast_open_->bare = true;
  syn_due_ = true;
  mark_dirty();
}

// RFC 1191 §6.4: what is too large for the path is gone, and says nothing of congestion. Of a burst of messages the
// first has done it all.
void Connection::believe_path_mtu(uint32_t mtu, Time now) {
  if (mtu_doubts_) mtu_doubts_->claimed = 0;
  if (!env_.ip.learn_path_mtu(tuple().remote.address, path_.interface, mtu, now)) return;
  env_.counters.add(Counter::tcp_path_mtu_lowered);
  follow_path_mtu(now);
  const CaState before = recovery_.state();
  const uint32_t lost = recovery_.on_smaller_path(snd_.nxt, mss_);
  if (lost > 0)
    env_.tracer.emit(EventKind::recovery_packet_lost, Rule::tcp_path_mtu, number_, now, {snd_.una.low(), lost});
  if (env_.tracer.on() && recovery_.state() != before)
    env_.tracer.emit(EventKind::recovery_congestion_state_updated, Rule::tcp_path_mtu, number_, now,
                     {static_cast<uint32_t>(before), static_cast<uint32_t>(recovery_.state())});
  mark_dirty();
}

// The retransmission timer: nothing advances, so a doubted message is believed now; and where there was none, and if so
// configured, smaller segments are tried from the fourth expiry on (RFC 4821 §7.7, with Linux's sizes): 1024, then half
// of that each time.
void Connection::suspect_path(Time now) {
  if (mtu_doubts_ && mtu_doubts_->claimed > 0) return believe_path_mtu(mtu_doubts_->claimed, now);
  const TcpConfig& config = env_.config;
  if (!config.find_black_holes || timeouts_ <= config.black_hole_timeouts) return;
  PathMtuDoubts& doubts = mtu_doubts();
  doubts.probe_mss = doubts.probe_mss == 0 ? config.base_mss
                                           : std::max({std::min<uint32_t>(config.base_mss, doubts.probe_mss / 2),
                                                       uint32_t{config.least_probe_mss}, uint32_t{config.minimum_mss}});
  set_send_mss(Rule::tcp_black_hole, now);
}

}  // namespace limpid
