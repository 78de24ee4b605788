// The client's side of Fast Open (RFC 7413 §4.1.3 and §4.2.1): which SYN carries a cookie and text, and what the
// SYN,ACK says of both.
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {
namespace {

// Left free in a SYN with text for options that middleboxes may add (as on Linux).
constexpr uint32_t kRoomForOptions = TcpOptionSet::kMaxSize;
constexpr uint32_t kIpAndTcp = 40;

}  // namespace

// RFC 7413 §4.2.1, step 1.
void Connection::attempt_fast_open() {
  fast_open_ = std::make_unique<FastOpenAttempt>();
  FastOpenAttempt& attempt = *fast_open_;
  const FastOpenMemory* known = env_.fast_open.find(tuple().local.address, tuple().remote.address);
  const bool needs_cookie =
      (env_.config.fast_open & fast_open_bit::client_without_cookie) == 0 && !options_.fast_open_no_cookie;
  if (needs_cookie && known != nullptr && known->cookie) {
    attempt.option = known->cookie;
  } else if (needs_cookie) {
    attempt.option = FastOpenOption{};
    attempt.option->experimental = known != nullptr && known->experimental == 1;
  }
  attempt.held = !needs_cookie || attempt.option->length > 0;

  // §4.2.1: as much as the server's MSS and the path take; the MSS that it announced last is remembered.
  uint32_t mss = std::min<uint32_t>(agreed_.advertised_mss, path_.mtu - kIpAndTcp);
  if (known != nullptr && known->mss > 0) mss = std::min<uint32_t>(mss, known->mss);
  attempt.most_text = mss > kRoomForOptions ? mss - kRoomForOptions : 0;
}

std::optional<uint32_t> Connection::syn_text_room() const {
  if (!syn_held()) return std::nullopt;
  return fast_open_->most_text;
}

// The first SEND has come: the SYN goes, with as much of its text as it takes.
void Connection::release_syn(Time now) {
  fast_open_->held = false;
  fast_open_->text = static_cast<uint32_t>(std::min<size_t>(queue_.size(), fast_open_->most_text));
  last_received_ = now;
  syn_due_ = true;
}

// Of SYNs only the first: one that is sent again carries neither text nor option, since some paths drop them
// (RFC 7413 §4.2.1). Of SYN,ACKs likewise.
bool Connection::carries_fast_open(const SegmentPlan& plan) const {
  const bool ours = state_ == TcpState::syn_sent || opened_fast_;
  return fast_open_ && ours && plan.kind == SegmentPlan::Kind::syn && timeouts_ == 0 && !fast_open_->bare;
}

// RFC 7413 §4.1.3: the cookie of the SYN,ACK, and its MSS.
void Connection::remember_server(const Segment& syn_ack) {
  FastOpenMemory& known =
      env_.fast_open.at(tuple().local.address, tuple().remote.address, env_.config.fast_open_cookies);
  known.mss = syn_ack.options.mss.value_or(env_.config.default_mss);
  const auto& asked = fast_open_->option;
  if (!asked) return;  // one that nobody asked for is not believed
  if (const auto& given = syn_ack.options.fast_open; given && given->length > 0) {
    known.cookie = given;
  } else if (asked->length == 0 && timeouts_ == 0 && !known.cookie) {
    // The server may know the experimental kind only; it is tried once, as on Linux.
    known.experimental = std::max<uint8_t>(known.experimental, asked->experimental ? 2 : 1);
  }
}

// RFC 7413 §4.2.1, step 3: what of the SYN's text was not acknowledged is sent again at once; the path lost nothing.
void Connection::conclude_fast_open(Time now) {
  FastOpenAttempt& attempt = *fast_open_;
  if (opened_fast_ || attempt.text == 0) return fast_open_.reset();
  if (snd_.una > SeqPos{attempt.text}) {
    syn_text_acked_ = !attempt.refused;
    return fast_open_.reset();
  }
  if (std::exchange(attempt.refused, true)) return;
  env_.counters.add(Counter::tcp_fast_open_refused);
  recovery_.on_syn_text_refused();
  trace_metrics(Rule::tcp_fast_open_refused, now);
}

// RFC 7323 §3.2 lets TSecr tell which SYN was answered: none of ours if it is not of our clock since then. As Linux,
// this is an ACK of what was never sent.
bool Connection::syn_ack_is_old(const Segment& s, Time now) const {
  if (!agreed_.timestamps || !s.stamped() || s.ts_echo() == 0) return false;
  return !echoed_at(s.ts_echo(), now).has_value();
}

}  // namespace limpid
