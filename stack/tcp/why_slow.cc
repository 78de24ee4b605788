// Which limit a connection is in: a pure look at where output() came to a stand, in the order in which it is asked.
//
//   is there a connection?  does the device take frames?  is there anything to send?  why does it not go?
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {
namespace {

Rule rule_of(SendLimit limit) {
  switch (limit) {
    case SendLimit::device:
      return Rule::tcp_device_full;
    case SendLimit::nagle:
      return Rule::tcp_nagle;
    case SendLimit::cork:
      return Rule::tcp_cork;
    case SendLimit::rwnd:
    case SendLimit::zero_window:
      return Rule::tcp_rwnd_limited;
    case SendLimit::sws:
      return Rule::tcp_sws;
    case SendLimit::cwnd:
      return Rule::tcp_cwnd_limited;
    case SendLimit::pacing:
      return Rule::tcp_paced;
    case SendLimit::peer_delayed_ack:
      return Rule::tcp_peer_delays_ack;
    default:
      return Rule::none;
  }
}

}  // namespace

void Connection::account(Time now) {
  if (const SendLimit limit = send_limit(); limit != limits_.sending()) {
    env_.tracer.emit(EventKind::tcp_limit_updated, rule_of(limit), number_, now,
                     {static_cast<uint32_t>(limits_.sending()), static_cast<uint32_t>(limit), 0});
    limits_.send(limit, now);
  }
  limits_.receive(receive_limit(), now);
}

SendLimit Connection::send_limit() const {
  if (released()) return SendLimit::closing;
  if (!synchronized(state_)) return SendLimit::handshake;
  if (ListHook<BlockedTag>::linked()) return SendLimit::device;
  if (unsent() > 0 || (fin_queued_ && !fin_sent())) return what_holds_back();
  if (queue_.size() > 0) return what_is_awaited();
  return fin_queued_ ? SendLimit::closing : SendLimit::app_idle;
}

// Nothing more to send, and not all of it acknowledged.
SendLimit Connection::what_is_awaited() const {
  if (snd_.wnd == 0) return SendLimit::zero_window;
  if (recovery_.repairing()) return repair_limit();
  if (recovery_.probe_outstanding()) return SendLimit::tlp_wait;
  if (!writer_waits_) return SendLimit::tail;
  // With a larger buffer more could have gone, if the congestion window took it.
  return in_flight() + mss_ <= congestion_.cwnd() ? SendLimit::sndbuf : SendLimit::cwnd;
}

// Something waits. The smaller of the two right edges binds, a tie is the congestion window's.
SendLimit Connection::what_holds_back() const {
  if (snd_.wnd == 0) return SendLimit::zero_window;
  if (recovery_.repairing() && recovery_.lost().bytes > 0) return repair_limit();
  const int64_t usable = std::max<int64_t>(0, snd_.una + snd_.wnd - snd_.nxt);
  const int64_t allowed = std::max<int64_t>(0, int64_t{congestion_.cwnd()} - in_flight());
  const auto waits = static_cast<int64_t>(unsent());
  if (waits == 0) return SendLimit::rwnd;     // only the FIN, which asks for no congestion window
  if (tail_waits()) return SendLimit::nagle;  // by a rule of its own, but for the same reason: company

  const int64_t length = std::min({waits, usable, allowed, int64_t{mss_}});
  const bool worth = length > 0 && worth_sending(static_cast<uint32_t>(length), static_cast<uint32_t>(waits),
                                                 static_cast<uint32_t>(std::min<int64_t>(usable, UINT32_MAX)));
  if (worth && !deferred_) return SendLimit::pacing;
  if (length == waits) return options_.cork || more_coming_ ? SendLimit::cork : SendLimit::nagle;
  if (allowed <= usable) {
    if (recovery_.repairing()) return repair_limit();
    return recovery_.probe_outstanding() ? SendLimit::tlp_wait : SendLimit::cwnd;
  }
  return usable == 0 ? SendLimit::rwnd : SendLimit::sws;
}

SendLimit Connection::repair_limit() const {
  return recovery_.state() == CaState::loss ? SendLimit::rto_wait : SendLimit::recovery_fast;
}

ReceiveLimit Connection::receive_limit() const {
  if (rcv_.queue().readable() > 0 || rcv_.lent() > 0) return ReceiveLimit::app;
  return rcv_.queue().out_of_order_bytes() > 0 ? ReceiveLimit::hole : ReceiveLimit::wait;
}

// Only afterwards is it known what the last wait was for: never one for the user, the device or an open window.
void Connection::charge_late(SendLimit to, Time expected, Time now) {
  switch (limits_.sending()) {
    case SendLimit::handshake:
    case SendLimit::device:
    case SendLimit::app_idle:
    case SendLimit::zero_window:
    case SendLimit::pacing:
    case SendLimit::closing:
      return;
    default:
      break;
  }
  const Duration late = limits_.charge_late(to, now - expected, now);
  if (late == Duration{}) return;
  env_.tracer.emit(EventKind::tcp_limit_updated, rule_of(to), number_, now,
                   {static_cast<uint32_t>(limits_.sending()), static_cast<uint32_t>(to),
                    static_cast<uint32_t>(std::min<int64_t>(to_us(late), UINT32_MAX))});
}

// One segment was out, sent once, and its ACK took longer than the path does: the peer was waiting for company for it.
void Connection::note_delayed_ack(const AckNews& news, Time now) {
  if (rtt_.min_rtt() == Duration{} || news.resent_acked || recovery_.repairing()) return;
  charge_late(SendLimit::peer_delayed_ack, last_sent_ + rtt_.min_rtt() + std::max<Duration>(10ms, rtt_.min_rtt() / 2),
              now);
}

// A timer of loss detection expired: since the answer was due, it was the timer that was waited for.
void Connection::note_timer_wait(SendLimit to, Time now) { charge_late(to, last_sent_ + rtt_.srtt(), now); }

}  // namespace limpid
