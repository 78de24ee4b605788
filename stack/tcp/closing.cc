// What becomes of a connection that has left the network, and TIME-WAIT (RFC 9293 §3.3.2, §3.10.7.4, RFC 1337).
#include "stack/tcp/tcp.h"

namespace limpid {

// Closed or in TIME-WAIT, it leaves the demux. Its record stays as long as a user holds it: there may be octets to read
// and an error to tell.
void Tcp::settle(Connection& c, Time now) {
  if (!c.released()) return;
  if (c.fast_open_pending_) leave_fast_open(c, now);
  if (c.demux_.linked()) {
    demux_.remove(c.demux_);
    env_.timers.remove(c.timer_);
    c.ListHook<BlockedTag>::unlink();
    c.ListHook<HeldTag>::unlink();
    if (c.state() == TcpState::time_wait) enter_time_wait(c, now);
    give_up_port(c.port_, c.tuple().local);
  }
  if (!c.attached()) forget(c);
}

void Tcp::forget(Connection& c) {
  if (c.orphaned_) --orphan_count_;
  connections_.erase(handle_of(c));
}

// The user has let go of a connection that is not over. Those are bounded in number: the one that lingers longest goes
// first, with a RST.
void Tcp::note_orphan(Connection& c, Time now) {
  c.orphaned_ = true;
  ++orphan_count_;
  orphans_.push_back(handle_of(c));
  while (orphan_count_ > config_.max_orphans) {
    Connection* oldest = connections_.get(orphans_.front());
    orphans_.pop_front();
    if (oldest == nullptr) continue;
    env_.counters.add(Counter::tcp_orphans_shed);
    oldest->abort(Rule::tcp_orphan_shed, now);
    settle(*oldest, now);
  }
  // Most end by themselves: their handles, which find nothing any more, leave now and then.
  if (orphans_.size() > 2 * orphan_count_ + 1024)
    std::erase_if(orphans_, [&](ConnectionHandle h) { return !connections_.contains(h); });
}

void Tcp::give_up_port(PortHold& hold, const Endpoint& local) {
  if (hold.claim) ports_.release(hold.claim);
  if (hold.counted) ports_.remove_connection(local, hold.reuse);
  hold = {};
}

void Tcp::enter_time_wait(Connection& c, Time now) {
  if (time_wait_.size() >= config_.max_time_wait)
    end_time_wait(oldest_time_wait_.front(), Rule::tcp_time_wait_over, now);
  env_.counters.add(Counter::tcp_time_waits);
  const auto handle = time_wait_.emplace();
  TimeWait& t = *time_wait_.get(handle);
  t.demux.tuple = c.tuple();
  t.demux.owner = {handle.index, DemuxKind::time_wait};
  t.timer.owner = handle.index;
  t.timer.owner_kind = static_cast<uint8_t>(TimerOwner::time_wait);
  t.snd_nxt = c.next_wire_seq();
  t.rcv_nxt = c.next_wire_ack();
  t.snd_base = c.initial_sequence();
  t.rcv_base = c.peer_initial_sequence();
  t.window = c.wire_window();
  t.shift = c.receive_shift();
  t.ttl = c.options().ttl;
  t.timestamps = c.agreed().timestamps;
  t.recent = c.recent_timestamp();
  t.number = c.number();
  // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a claim that is held is in the table
  t.reuse = c.port_.claim ? ports_.find(c.port_.claim)->reuse : c.port_.reuse;
  if (c.attached()) t.user = handle_of(c);
  ports_.add_connection(c.tuple().local, t.reuse);
  demux_.insert(t.demux);
  oldest_time_wait_.push_back(t);
  env_.timers.set(t.timer, now + 2 * config_.msl);
  if (c.owes_ack()) acknowledge_in_time_wait(t, Rule::tcp_fin_received, now);
}

void Tcp::acknowledge_in_time_wait(const TimeWait& t, Rule why, Time now) {
  TcpOptionSet options;
  if (t.timestamps) {
    options.timestamps = TcpTimestamps{.value = TimestampClock::value(env_.timestamps.offset(t.demux.tuple), now),
                                       .echo = t.recent.value};
  }
  send_control({.tuple = t.demux.tuple,
                .connection = t.number,
                .seq = t.snd_nxt,
                .ack = t.rcv_nxt,
                .flags = tcp_flag::ack,
                .window = t.window,
                .ttl = t.ttl,
                .options = options,
                .why = why,
                .state = TcpState::time_wait,
                .seq_base = t.snd_base,
                .ack_base = t.rcv_base,
                .shift = t.shift},
               now);
}

void Tcp::arrives_in_time_wait(uint32_t index, const Delivery& d, const TcpHeader& h, Slice text, Time now) {
  TimeWait& t = *time_wait_.at(index);
  const FourTuple tuple = t.demux.tuple;
  trace_arrival(tuple, h, text.length, t.number, TcpState::time_wait, t.rcv_base, t.snd_base, 0, now);
  const auto refuse = [&](Counter reason, Rule why) {
    drop(tuple, h, text.length, t.number, reason, why, TcpState::time_wait, now);
  };
  const SeqPos nxt{0};
  const SeqPos seq = unwrap(Seq{h.sequence}, t.rcv_nxt, nxt);

  // RFC 1337: a RST, perhaps an old one, must not end TIME-WAIT early.
  if (h.has(tcp_flag::rst)) return refuse(Counter::tcp_drop_blind_rst, Rule::tcp_time_wait_rst);

  const bool stamped = t.timestamps && h.options.timestamps.has_value();
  const bool outdated = stamped && t.recent.forbids(h.options.timestamps->value, now);

  // RFC 9293 §3.6.1 (MAY-2), RFC 6191 §2: a SYN beyond all old numbers or timestamps opens anew, and our ISN goes
  // beyond the old ones too. One that may be an old duplicate meets silence, or without timestamps RFC 5961's
  // challenge.
  if (h.has(tcp_flag::syn) && !h.has(tcp_flag::ack | tcp_flag::fin)) {
    const Rule why = may_reopen(t, h, seq >= nxt);
    if (why == Rule::tcp_time_wait_syn && t.timestamps) return refuse(Counter::tcp_drop_unacceptable, why);
    const auto listener = listener_table_.find(tuple, share_);
    if (why != Rule::tcp_time_wait_syn && listener) {
      const Seq beyond{t.snd_nxt.value + 65'537};
      end_time_wait(t, why, now);
      return arrives_at_listener(listener, d, h, std::move(text), now, beyond);
    }
  }
  if (outdated) {
    refuse(Counter::tcp_drop_paws, Rule::tcp_paws);
    return challenge_in_time_wait(t, Rule::tcp_paws, now);
  }
  if (stamped && seq <= nxt && !h.has(tcp_flag::syn)) t.recent.take_if_newer(h.options.timestamps->value, now);
  const bool fin_again = h.has(tcp_flag::fin) && seq + text.length == nxt - 1;
  if (fin_again) {
    env_.timers.set(t.timer, now + 2 * config_.msl);
    t.unlink();
    oldest_time_wait_.push_back(t);
    return acknowledge_in_time_wait(t, Rule::tcp_time_wait_ack, now);
  }
  const uint32_t length = text.length + (h.has(tcp_flag::syn) ? 1u : 0u) + (h.has(tcp_flag::fin) ? 1u : 0u);
  if (seq == nxt && length == 0) return;  // the peer's last ACK, or an echo of it
  refuse(Counter::tcp_drop_unacceptable, h.has(tcp_flag::syn) ? Rule::tcp_syn_challenged : Rule::tcp_sequence);
  challenge_in_time_wait(t, Rule::tcp_ack_out_of_window, now);
}

// RFC 6191 §2: by timestamps, if both connections have them; where they are equal, or the new one has none, by sequence
// numbers. What was stamped with nothing is older than anything stamped.
Rule Tcp::may_reopen(const TimeWait& t, const TcpHeader& syn, bool beyond_old_numbers) const {
  const bool stamped = config_.offer_timestamps && syn.options.timestamps.has_value();
  if (stamped && (!t.timestamps || t.recent.before(syn.options.timestamps->value))) return Rule::tcp_time_wait_stamped;
  const bool not_older = !stamped || syn.options.timestamps->value == t.recent.value;
  return not_older && beyond_old_numbers ? Rule::tcp_time_wait_reopened : Rule::tcp_time_wait_syn;
}

void Tcp::challenge_in_time_wait(const TimeWait& t, Rule why, Time now) {
  if (!env_.challenge_acks.allow(now)) {
    env_.counters.add(Counter::tcp_challenge_acks_limited);
    return;
  }
  env_.counters.add(Counter::tcp_challenge_acks);
  acknowledge_in_time_wait(t, why, now);
}

void Tcp::end_time_wait(TimeWait& t, Rule why, Time now) {
  env_.tracer.emit(EventKind::tcp_state_updated, why, t.number, now,
                   {static_cast<uint32_t>(TcpState::time_wait), static_cast<uint32_t>(TcpState::closed)});
  if (Connection* c = connections_.get(t.user)) c->time_wait_over();
  demux_.remove(t.demux);
  env_.timers.remove(t.timer);
  ports_.remove_connection(t.demux.tuple.local, t.reuse);
  t.unlink();
  time_wait_.erase(time_wait_.handle_at(t.demux.owner.index));
}

}  // namespace limpid
