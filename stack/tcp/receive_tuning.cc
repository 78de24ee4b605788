#include "stack/tcp/receive_tuning.h"

namespace limpid {

void ReceiveTuning::on_text(SeqPos nxt, uint32_t wnd, std::optional<int64_t> echo_ms, Time now) {
  if (echo_ms && *echo_ms != last_echo_ms_) {
    last_echo_ms_ = *echo_ms;
    const Duration echo = std::chrono::milliseconds(to_ms(now.time_since_epoch()) - *echo_ms);
    if (echo >= kCoarse) by_echo_ = by_echo_ == Duration{} ? echo : by_echo_ + (echo - by_echo_) / 8;
  }
  if (!begun_) {
    begun_ = true;
    round_since_ = now;
  } else if (nxt < window_end_) {
    return;
  } else if (now > window_since_) {
    const Duration filled = now - window_since_;
    by_window_ = by_window_ == Duration{} ? filled : std::min(by_window_, filled);
  }
  window_end_ = nxt + std::max<uint32_t>(wnd, 1);
  window_since_ = now;
}

Duration ReceiveTuning::rtt(Duration handshake_rtt) const {
  const Duration path = by_echo_ > Duration{} ? by_echo_ : handshake_rtt >= kCoarse ? handshake_rtt : Duration{};
  if (by_window_ == Duration{} || path == Duration{}) return std::max(path, by_window_);
  return std::min(path, by_window_);
}

uint32_t ReceiveTuning::on_copied(uint64_t position, uint32_t mss, Duration handshake_rtt, Time now) {
  const Duration round = rtt(handshake_rtt);
  if (!begun_ || round == Duration{} || now - round_since_ < round) return 0;
  const auto copied = static_cast<uint32_t>(std::min<uint64_t>(position - round_from_, UINT32_MAX / 8));
  round_from_ = position;
  round_since_ = now;
  const uint32_t before = std::max(space_, 10 * mss);  // what an initial window brings
  if (copied <= before) return 0;
  space_ = copied;
  // Twice of it, and a margin for what is cut unevenly; a rate that is still growing will have grown on by the time
  // that the larger window is filled.
  const uint64_t wanted = uint64_t{2} * copied + uint64_t{16} * mss;
  const uint64_t growth = 2 * wanted * (copied - before) / before;
  return static_cast<uint32_t>(std::min<uint64_t>(wanted + growth, UINT32_MAX / 4));
}

uint32_t ReceiveTuning::on_held(uint64_t beyond, uint32_t mss) const {
  const uint64_t copied = std::max(space_, 10 * mss);
  return static_cast<uint32_t>(std::min<uint64_t>(2 * copied + uint64_t{16} * mss + beyond, UINT32_MAX / 4));
}

}  // namespace limpid
