// What a connection does with the peer's timestamps (RFC 7323 §3.2, §4 and §5).
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {

// PAWS (§5.3, R1), before the window is looked at: an older timestamp than the last one is of a segment that was long
// on the way, whatever its sequence number seems to say. A RST is exempt (§5.2). Text that waits beyond a gap was
// checked when it came.
Verdict Connection::check_timestamp(const Segment& s, Time now) {
  if (!agreed_.timestamps || s.has(tcp_flag::rst)) return Verdict::next;
  if (!s.stamped()) {
    if (!env_.config.require_timestamps) return Verdict::next;
    drop(s, Counter::tcp_drop_unstamped, Rule::tcp_unstamped, now);  // §3.2: silently
    return Verdict::ignored;
  }
  if (!recent_.forbids(s.ts_value(), now)) return Verdict::next;
  drop(s, Counter::tcp_drop_paws, Rule::tcp_paws, now);
  answer_with_ack(s, Rule::tcp_paws, now);
  return Verdict::unacceptable;
}

// TS.Recent moves forward only, and only with a segment that our next ACK answers (§4.3): so the peer's round trip
// includes our delay of ACKs, and a gap is measured from the segment before it. After the check of the ACK, so that a
// forged segment must know more than the window.
void Connection::note_timestamp(const Segment& s, Time now) {
  if (s.stamped() && s.may_be_echoed) recent_.take_if_newer(s.ts_value(), now);
}

// At most one sample a round trip, as the weights of RFC 6298 want it (§4.2): of the segment that is being timed, and
// where Karn forbids that, because something was sent twice, of the transmission that the peer echoes (§4.1). Only for
// an ACK of something new; never of the handshake, whose own rule is RFC 6298 §5.7.
bool Connection::sample_rtt(const Segment& s, Time now) {
  if (rtt_.on_ack(s.ack, now)) {
    echo_sampled_to_ = snd_.nxt;
    return true;
  }
  if (rtt_.timing() || !s.stamped() || s.ack <= echo_sampled_to_) return false;
  const Duration echoed = 1ms * (TimestampClock::value(timestamp_offset_, now) - s.ts_echo());
  if (echoed > now - opened_ + 1ms) return false;  // no timestamp of ours
  rtt_.sample(std::max<Duration>(echoed, 1ms));
  echo_sampled_to_ = snd_.nxt;
  trace_metrics(Rule::tcp_rtt_echo, now);
  return true;
}

}  // namespace limpid
