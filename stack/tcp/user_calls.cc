// The user calls of RFC 9293 §3.10.2 to §3.10.6, on one connection. (OPEN is in tcp.cc: it makes the connection.)
#include <algorithm>

#include "stack/tcp/buffer_bound.h"
#include "stack/tcp/connection.h"

namespace limpid {

// The chunks of what is written: half of the peer's largest window, in full segments, up to 64 KiB.
size_t Connection::chunk_goal() const {
  return std::max<size_t>(std::min<size_t>(snd_.max_wnd / 2, 65'535) / mss_, 1) * mss_;
}

// How much of a SEND is taken at once. As on Linux the bounds, the send buffer and TCP_NOTSENT_LOWAT, are looked at
// only when a chunk begins.
size_t Connection::next_helping() {
  if (!synchronized(state_)) return send_room();
  const size_t goal = chunk_goal();
  const size_t filled = unsent() > 0 ? traffic().chunks.filled(snd_.nxt, data_end()) : 0;
  if (filled > 0 && filled < goal) return goal - filled;
  return unsent() + reserved_ >= unsent_low_water() || send_room() == 0 ? 0 : goal;
}

void Connection::write(ByteSpan bytes, bool begins) {
  traffic().chunks.write(snd_.nxt, data_end(), static_cast<uint32_t>(chunk_goal()), begins);
  queue_.append(bytes, env_.chunks);
}

// RFC 9293 §3.10.2, SEND: queued before the connection stands, sent as the windows allow afterwards. A long one begins
// to go out while it is written: its first burst, and all that may go where PSH becomes due.
Result<size_t> Connection::send(ByteSpan bytes, TcpSendFlags flags, Time now) {
  if (error_ != Error::none) return std::unexpected(take_error());
  if (fin_queued_ || released()) return std::unexpected(Error::closing);
  traffic().streak.on_send(now - last_sent_);
  size_t taken = 0;
  while (taken < bytes.size()) {
    const size_t helping = std::min(bytes.size() - taken, next_helping());
    if (helping == 0) break;
    write(bytes.subspan(taken, helping), taken == 0);
    taken += helping;
    if (taken == bytes.size()) break;
    UnsentChunks& chunks = traffic().chunks;
    if (chunks.push_overdue(data_end(), snd_.max_wnd)) {
      chunks.push(data_end());
      output(now);
    } else if (chunks.filling_first()) {
      output(now, Extent::one_burst);
    }
  }
  const bool whole = taken == bytes.size();
  if (!whole) writer_waits_ = true;
  if (taken == 0 && !bytes.empty()) {
    account(now);
    return std::unexpected(Error::would_block);
  }
  conclude_send(taken, whole, flags, now);
  return taken;
}

void Connection::conclude_send(size_t taken, bool whole, TcpSendFlags flags, Time now) {
  more_coming_ = flags.more;
  tail_may_wait_ = flags.tail_may_wait && whole && path_.offloads && !flags.urgent && traffic().streak.goes_on();
  const bool pushed = !flags.more || !whole || traffic().chunks.push_overdue(data_end(), snd_.max_wnd);
  if (pushed && taken > 0) traffic().chunks.push(data_end());
  if (syn_held() && !flags.gather) release_syn(now);
  if (flags.urgent && taken > 0) snd_.up = data_end();
  output(now);
}

// RFC 9293 §3.10.3, RECEIVE: what is there first; then end of stream, if the peer's FIN was reached; then the error.
Result<size_t> Connection::receive(MutableByteSpan into, TcpReceiveFlags flags, Time now) {
  if (flags.urgent) {
    const auto octet = rcv_.urgent_octet(flags.peek);
    if (!octet)
      return std::unexpected(options_.urgent_inline || !rcv_.urgent_ahead() ? Error::invalid_argument
                                                                            : Error::would_block);
    if (!into.empty()) into[0] = *octet;
    return into.empty() ? 0 : 1;
  }
  const size_t got = rcv_.read(into, flags.peek);
  limits_.receive(receive_limit(), now);
  if (got > 0 && !flags.peek) tune_receive_buffer(now);
  if (got == 0 && !into.empty()) return no_text();
  if (!flags.peek) tell_window(now);
  return got;
}

// The user is done with some of what came: is an update of its own due?
void Connection::tell_window(Time now) {
  if (!may_receive(state_) || !rcv_.update_due(agreed_.advertised_mss)) return;
  if (ListHook<HeldTag>::linked() && unsent() == 0) return;  // the ACK that is held will tell
  want_ack(Rule::tcp_window_opened);
  output(now);
}

// What RECEIVE answers when there is nothing to read.
Result<size_t> Connection::no_text() {
  if (rcv_.fin_reached()) return 0;  // the peer had said all before anything went wrong (as Linux)
  if (error_ != Error::none) return std::unexpected(take_error());
  const bool ended = released() || receive_shut_;
  if (ended) return 0;
  return std::unexpected(Error::would_block);
}

// The buffer follows what the user copies, or gives back, in a round trip; the next ACK, or an update of its own, tells
// the peer.
void Connection::tune_receive_buffer(Time now) {
  if (!tunes_receive_buffer()) return;
  widen_receive_buffer(traffic_->tuning.on_copied(rcv_.queue().read_position() - rcv_.lent(), agreed_.advertised_mss,
                                                  rtt_.min_rtt(), now));
}

void Connection::widen_receive_buffer(uint32_t wanted) {
  const uint32_t largest =
      largest_buffer_for(rtt_.min_rtt(), kLeastLargestReceiveBuffer, env_.config.largest_receive_buffer);
  const uint32_t buffer = std::min(wanted, largest);
  if (buffer > rcv_.buffer()) rcv_.set_buffer(buffer);
}

// RFC 9293 §3.10.4, CLOSE of our direction: a FIN behind what is queued.
Result<void> Connection::shutdown_send(Time now) {
  if (fin_queued_ || released()) return {};
  if (state_ == TcpState::syn_sent) {
    die(TcpEvent::close, Error::none, Rule::tcp_close, now);
    return {};
  }
  fin_queued_ = true;
  more_coming_ = false;
  if (synchronized(state_)) set_state(TcpEvent::close, Rule::tcp_close, now);
  raise(kWritable);
  output(now);
  return {};
}

// Nothing goes on the wire: the peer's text is still acknowledged, reading what is buffered still works, and then it
// ends (as Linux).
void Connection::shutdown_receive(Time) {
  receive_shut_ = true;
  raise(kReadable);
}

// The user lets go. RFC 2525 §2.17: with octets unread, or by wish (linger zero), the peer gets a RST, so that it knows
// that they were lost.
void Connection::close(Time now) {
  const bool unread = rcv_.queue().readable() > 0;
  detach();
  if (released()) return;
  if (unread || options_.linger_reset) {
    abort(unread ? Rule::tcp_unread_data : Rule::tcp_abort, now);
    return;
  }
  shutdown_send(now).value();
  adjust_timers(now);
}

// RFC 9293 §3.10.5, ABORT. In SYN-SENT the peer does not know us; in CLOSING and LAST-ACK both have said all, unless
// our FIN still waits for the peer's window: by the RFC's names that is CLOSE-WAIT.
void Connection::abort(Rule why, Time now) {
  if (released()) return;
  const bool both_closed = state_ == TcpState::closing || state_ == TcpState::last_ack;
  const bool silent = state_ == TcpState::syn_sent || (both_closed && fin_sent() && why != Rule::tcp_unread_data);
  if (!silent) send_reset(why, now);
  die(TcpEvent::abort, Error::none, why, now);
  rcv_.clear();
}

void Connection::set_options(const TcpOptions& options, Time now) {
  const TcpOptions before = options_;
  options_ = options;
  if (options_.send_buffer == 0) options_.send_buffer = before.send_buffer;
  if (options_.receive_buffer == 0) options_.receive_buffer = before.receive_buffer;
  if (options_.receive_buffer > 0) rcv_.set_buffer(options_.receive_buffer);
  if (options_.syn_retries == 0) options_.syn_retries = before.syn_retries;
  congestion_.choose(options_.congestion);
  if (options_.ttl == 0) options_.ttl = before.ttl;
  rcv_.set_urgent_inline(options_.urgent_inline);
  if (!options_.cork && before.cork) more_coming_ = false;
  if (std::exchange(options_.push_pending, false)) {
    more_coming_ = false;
    override_due_ = unsent() > 0;
  }
  const bool keepalive_changed =
      options_.keepalive_time != before.keepalive_time || options_.keepalive != before.keepalive;
  if (keepalive_changed) {
    keepalives_ = 0;
    timers_.cancel(TcpTimer::keepalive);
  }
  if (!std::exchange(options_.quick_ack_set, false)) {
    options_.quick_ack = before.quick_ack;
  } else if (options_.quick_ack && (timers_.running(TcpTimer::delayed_ack) || ListHook<HeldTag>::linked())) {
    want_ack(Rule::tcp_ack_now);
  }
  if (released()) return;
  tail_may_wait_ = false;
  const bool ack_only = ListHook<HeldTag>::linked() && unsent() == 0 && ack_reason_ != Rule::tcp_ack_now;
  if (ack_only) return tell_room();
  output(now);  // Nagle or the cork may have come off
}

ReadyEvents Connection::readiness() const {
  unsigned r = 0;
  const bool ended = rcv_.fin_reached() || receive_shut_;
  if (rcv_.readable() >= options_.receive_low_water || ended || released() || error_ != Error::none) r |= kReadable;
  const bool connecting =
      !may_carry_text() && (state_ == TcpState::syn_sent || state_ == TcpState::syn_received) && !syn_held();
  if (released() || (!connecting && (fin_queued_ || has_room()))) r |= kWritable;
  if (synchronized(state_)) r |= kConnected;
  if (rcv_.fin_reached() || state_ == TcpState::closed) r |= kPeerFin;
  if (error_ != Error::none) r |= kError;
  if (released() || (rcv_.fin_reached() && fin_queued_)) r |= kHangUp;
  if (rcv_.urgent_ahead()) r |= kUrgent;
  return static_cast<ReadyEvents>(r);
}

}  // namespace limpid
