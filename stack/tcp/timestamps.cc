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

// The time on our clock at which the stamp was made that TSecr echoes; none if it cannot be one of this connection.
std::optional<int64_t> Connection::echoed_at(uint32_t echo, Time now) const {
  const uint32_t age = TimestampClock::value(timestamp_offset_, now) - echo;
  const int64_t at = to_ms(now.time_since_epoch()) - int64_t{age};
  if (at < to_ms(opened_.time_since_epoch())) return {};
  return at;
}

}  // namespace limpid
