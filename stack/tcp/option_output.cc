// Which options the segments of a connection carry (RFC 7323 §3.2, 2018 §2).
#include <array>
#include <span>

#include "stack/tcp/connection.h"

namespace limpid {

// A SYN offers what we are configured for; a SYN,ACK answers what the peer's SYN offered, and no more.
TcpOptionSet Connection::syn_options(Time now) const {
  TcpOptionSet o;
  o.mss = agreed_.advertised_mss;
  if (agreed_.window_scaling) o.window_scale = rcv_.shift();
  o.sack_permitted = agreed_.sack;
  if (agreed_.timestamps) o.timestamps = our_timestamps(now);
  return o;
}

void Connection::add_options(TcpOptionSet& o, const SegmentPlan& plan, Time now) const {
  if (plan.kind == SegmentPlan::Kind::syn) {
    o = syn_options(now);
    if (carries_fast_open(plan)) o.fast_open = fast_open_->option;
    return;
  }
  if (agreed_.timestamps) o.timestamps = our_timestamps(now);
  if (agreed_.sack && !sack_report_.empty() && plan.kind != SegmentPlan::Kind::reset) add_sack(o);
}

// Every ACK that does not cover all that we hold carries them, on data too (RFC 2018 §4): four, or three beside
// timestamps.
void Connection::add_sack(TcpOptionSet& o) const {
  std::array<SackReport::Block, TcpOptionSet::kMaxSackBlocks> blocks;
  const size_t most = o.timestamps ? blocks.size() - 1 : blocks.size();
  const size_t n = sack_report_.blocks(std::span(blocks).first(most), rcv_.queue());
  for (size_t i = 0; i < n; ++i) o.sack[i] = {wrap(blocks[i].begin, irs_).value, wrap(blocks[i].end, irs_).value};
  o.sack_count = static_cast<uint8_t>(n);
}

// TSecr is 0 as long as there is nothing to echo: in the first SYN.
TcpTimestamps Connection::our_timestamps(Time now) const {
  return {.value = TimestampClock::value(timestamp_offset_, now), .echo = recent_.value};
}

}  // namespace limpid
