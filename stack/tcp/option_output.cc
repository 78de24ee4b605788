// Which options the segments of a connection carry (RFC 7323 §3.2, 2018 §2).
#include "stack/tcp/connection.h"

namespace limpid {

// A SYN offers what we are configured for; a SYN,ACK answers what the peer's SYN offered, and no more.
TcpOptionSet Connection::syn_options(Time now) const {
  const TcpConfig& config = env_.config;
  const bool answering = state_ != TcpState::syn_sent;
  TcpOptionSet o;
  o.mss = agreed_.advertised_mss;
  if (answering ? agreed_.window_scaling : config.offer_window_scale) o.window_scale = rcv_.shift();
  o.sack_permitted = answering ? agreed_.sack : config.offer_sack;
  if (answering ? agreed_.timestamps : config.offer_timestamps) o.timestamps = our_timestamps(now);
  return o;
}

TcpOptionSet Connection::options_of(const SegmentPlan& plan, Time now) const {
  if (plan.kind == SegmentPlan::Kind::syn) return syn_options(now);
  TcpOptionSet o;
  if (agreed_.timestamps) o.timestamps = our_timestamps(now);
  return o;
}

// TSecr is 0 as long as there is nothing to echo: in the first SYN.
TcpTimestamps Connection::our_timestamps(Time now) const {
  return {.value = TimestampClock::value(timestamp_offset_, now), .echo = recent_.value};
}

}  // namespace limpid
