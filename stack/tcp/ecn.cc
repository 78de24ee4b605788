// What a connection does with explicit congestion notification (RFC 3168 §6.1): ecn.h knows the protocol.
#include "stack/tcp/ecn.h"

#include "stack/tcp/connection.h"

namespace limpid {

// RFC 3168 §6.1.2: as a loss, but once a window of data at most, and not while an earlier loss is being repaired.
void Connection::check_echo(const Segment& s, uint32_t flight_before, Time now) {
  if (!ecn_.echoed() || flight_before == 0) return;
  if (!ecn_.on_echo(s.ack) || !recovery_.enter_cwr(snd_.nxt)) return;
  congestion_.on_loss({.kind = LossKind::ecn, .flight_size = flight_before, .now = now});
  ecn_.on_reduced(snd_.nxt);
  trace_metrics(Rule::tcp_ecn_echo, now);
}

// RFC 3168 §6.1.1: a SYN offers, and not again if it was lost: some paths drop it for that (§6.1.1.1). §6.1.2, §6.1.3.
uint8_t Connection::ecn_flags(const SegmentPlan& plan) const {
  if (plan.kind == SegmentPlan::Kind::syn)
    return state_ == TcpState::syn_sent && env_.config.ecn == EcnMode::on && timeouts_ == 0 ? Ecn::kBoth : uint8_t{0};
  if (!agreed_.ecn || plan.kind == SegmentPlan::Kind::reset) return 0;
  const uint8_t echo = ecn_.echoes() ? tcp_flag::ece : uint8_t{0};
  return ecn_capable(plan) && ecn_.tells_reduction() ? static_cast<uint8_t>(echo | tcp_flag::cwr) : echo;
}

// New text only: neither SYNs, ACKs and probes, nor what is sent again (RFC 3168 §6.1.1, §6.1.4 to §6.1.6).
bool Connection::ecn_capable(const SegmentPlan& plan) const {
  return agreed_.ecn && plan.kind == SegmentPlan::Kind::data && plan.length > 0;
}

}  // namespace limpid
