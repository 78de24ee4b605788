// The passive side of the handshake: LISTEN (RFC 9293 §3.10.7.2) and SYN-RECEIVED (§3.10.7.4) as small half-open
// entries, until the peer's ACK makes a connection of one.
#include <algorithm>

#include "stack/tcp/tcp.h"

namespace limpid {
namespace {

constexpr uint32_t kHeaders = 40;

uint32_t receive_buffer(const TcpOptions& options, const TcpConfig& config) {
  return options.receive_buffer > 0 ? options.receive_buffer : config.receive_buffer;
}

}  // namespace

uint16_t Tcp::syn_window(const TcpOptions& options) const {  // never scaled (RFC 7323 §2.2)
  return static_cast<uint16_t>(std::min<uint32_t>(receive_buffer(options, config_), 65'535));
}

uint8_t Tcp::shift_to_offer(const TcpOptions& options) const {
  return shift_for_buffer(receive_buffer(options, config_), config_);
}

// RFC 9293 §3.10.7.2: first RST, second ACK, third SYN, fourth anything else.
void Tcp::arrives_at_listener(Handle<Listener> handle, const Delivery& d, const TcpHeader& h, Slice text, Time now,
                              std::optional<Seq> isn) {
  const uint32_t text_length = text.length;
  const Listener& listener = *listeners_.get(handle);
  const FourTuple tuple{{d.destination, h.destination_port}, {d.source, h.source_port}};
  trace_arrival(tuple, h, text_length, 0, TcpState::listen, Seq{h.sequence}, Seq{h.acknowledgment}, 0, now);
  const auto refuse = [&](Counter reason, Rule why) {
    drop(tuple, h, text_length, 0, reason, why, TcpState::listen, now);
  };

  if (h.has(tcp_flag::rst)) return refuse(Counter::tcp_drop_no_connection, Rule::tcp_flags);
  const auto path = env_.ip.path(d.source, d.destination);
  if (!path) return refuse(Counter::tcp_drop_bad_address, Rule::tcp_address);
  Opening opening{.listener = handle, .tuple = tuple, .path = *path, .header = h, .tos = d.tos, .isn = {}};
  if (h.has(tcp_flag::ack)) {
    if (take_cookie(opening, text, now)) return;
    return answer_nobody(d, h, text_length, Rule::tcp_no_connection, now);
  }
  // SYN with FIN is no way to open a connection, but a way to look for holes in filters.
  if (!h.has(tcp_flag::syn) || h.has(tcp_flag::fin)) return refuse(Counter::tcp_drop_bad_flags, Rule::tcp_flags);
  if (listener.accept_queue_full()) return refuse(Counter::tcp_drop_accept_queue_full, Rule::tcp_accept_queue_full);
  // (An old connection in TIME-WAIT wants a number beyond its own: no cookie is.)
  if (!isn && wants_cookie(listener)) return answer_with_cookie(opening, now);
  opening.isn = isn.value_or(initial_sequence(tuple, now));
  if (may_open_fast(opening, text_length, now)) return open_fast(opening, std::move(text), now);
  open_half(opening, now);
}

// What the SYN and we have in common.
Negotiated Tcp::agree(const Opening& opening) const {
  const TcpOptions& options = listeners_.get(opening.listener)->options;
  const TcpHeader& h = opening.header;
  Negotiated agreed;
  agreed.receive_shift = shift_to_offer(options);
  agreed.advertised_mss = Negotiated::mss_to_advertise(opening.path.mtu, kHeaders, options.max_segment);
  agreed.offer(config_);
  agreed.read_peer_syn(h.options, config_);
  // RFC 3168 §6.1.1; a SYN that is itself ECN-capable is none that the RFC knows of.
  agreed.ecn = config_.ecn != EcnMode::off && Ecn::offered(h.flags) && (opening.tos & ecn_bits::mask) == 0;
  return agreed;
}

void Tcp::open_half(const Opening& opening, Time now) {
  const FourTuple& tuple = opening.tuple;
  const TcpHeader& h = opening.header;
  Listener& listener = *listeners_.get(opening.listener);
  if (listener.half_open_count >= config_.syn_queue) {  // RFC 4987 §3.4: recycle the oldest
    env_.counters.add(Counter::tcp_drop_syn_queue_full);
    drop_half_open(listener.half_open.front());
  }
  const auto id = half_open_.emplace();
  HalfOpen& half = *half_open_.get(id);
  half.demux.tuple = tuple;
  half.demux.owner = {id.index, DemuxKind::half_open};
  half.timer.owner = id.index;
  half.timer.owner_kind = static_cast<uint8_t>(TimerOwner::half_open);
  half.listener = opening.listener;
  half.path = opening.path;
  half.iss = opening.isn;
  half.irs = Seq{h.sequence};
  half.number = env_.next_connection_number++;
  half.peer_window = h.window;
  half.first_sent = now;
  half.agreed = agree(opening);
  if (half.agreed.timestamps) half.recent.take(h.options.timestamps->value, now);
  demux_.insert(half.demux);
  listener.half_open.push_back(half);
  ++listener.half_open_count;

  trace_opening(half.number, tuple, half.agreed, Rule::tcp_passive_open, now);
  send_syn_ack(half, opening.fast_open, now);
}

void Tcp::trace_opening(uint32_t number, const FourTuple& tuple, const Negotiated& agreed, Rule why, Time now) {
  if (!env_.tracer.on()) return;
  env_.tracer.emit(
      EventKind::tcp_connection_started, why, number, now,
      {tuple.local.address.v4_bits(), tuple.remote.address.v4_bits(), tuple.local.port, tuple.remote.port});
  env_.tracer.emit(EventKind::tcp_state_updated, why, number, now,
                   {static_cast<uint32_t>(TcpState::listen), static_cast<uint32_t>(TcpState::syn_received)});
  env_.tracer.emit(EventKind::tcp_options_negotiated, Rule::tcp_options, number, now,
                   {agreed.peer_mss, agreed.receive_shift, agreed.send_shift, agreed.flags()});
}

// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
void Tcp::send_syn_ack(HalfOpen& half, const std::optional<FastOpenOption>& fast_open, Time now) {
  const Listener& listener = *listeners_.get(half.listener);
  Control c{.tuple = half.demux.tuple,
            .connection = half.number,
            .seq = half.iss,
            .ack = Seq{half.irs.value + 1},
            .flags = static_cast<uint8_t>(tcp_flag::syn | tcp_flag::ack | (half.agreed.ecn ? tcp_flag::ece : 0)),
            .window = syn_window(listener.options),
            .ttl = listener.options.ttl,
            .why = half.sent == 0 ? Rule::tcp_syn_ack : Rule::tcp_retransmit_syn,
            .state = TcpState::syn_received,
            .again = half.sent > 0,
            .seq_base = half.iss,
            .ack_base = half.irs};
  c.options.mss = half.agreed.advertised_mss;
  if (half.agreed.window_scaling) c.options.window_scale = half.agreed.receive_shift;
  c.options.sack_permitted = half.agreed.sack;
  c.options.timestamps = timestamps_of(half, now);
  c.options.fast_open = fast_open;
  if (half.sent > 0) env_.counters.add(Counter::tcp_retransmits);
  ++half.sent;
  set_half_open_timer(half, now);
  send_control(c, now);
}

void Tcp::set_half_open_timer(HalfOpen& half, Time now) {
  const int64_t factor = int64_t{1} << std::min<unsigned>(half.timeouts, 20);
  env_.timers.set(half.timer, now + std::min(config_.initial_rto * factor, config_.maximum_rto));
}

std::optional<TcpTimestamps> Tcp::timestamps_of(const HalfOpen& half, Time now) const {
  if (!half.agreed.timestamps) return std::nullopt;
  return TcpTimestamps{.value = TimestampClock::value(env_.timestamps.offset(half.demux.tuple), now),
                       .echo = half.recent.value};
}

// RFC 4987 §3.3: the tries end. With TCP_DEFER_ACCEPT, and the handshake through, nothing is sent while text is waited
// for; when that time is over the SYN,ACK goes once more, so that the peer's ACK can make a connection of it (as
// Linux).
void Tcp::on_half_open_timer(uint32_t index, Time now) {
  HalfOpen& half = *half_open_.at(index);
  const uint32_t deferred = listeners_.get(half.listener)->options.defer_accept;
  const bool waits_for_text = deferred > 0 && half.acked;
  if (half.timeouts >= config_.syn_ack_retries && (!waits_for_text || half.timeouts >= deferred))
    return drop_half_open(half);
  const bool silent = waits_for_text && half.timeouts + 1u < deferred;
  ++half.timeouts;
  if (silent) return set_half_open_timer(half, now);
  send_syn_ack(half, {}, now);
}

void Tcp::drop_half_open(HalfOpen& half) {
  demux_.remove(half.demux);
  env_.timers.remove(half.timer);
  if (Listener* listener = listeners_.get(half.listener)) --listener->half_open_count;
  half.unlink();
  half_open_.erase(half_open_.handle_at(half.demux.owner.index));
}

// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>: where we stand, within the rate for answers to what may be forged.
void Tcp::challenge_half_open(const HalfOpen& half, Rule why, Time now) {
  if (!env_.challenge_acks.allow(now)) {
    env_.counters.add(Counter::tcp_challenge_acks_limited);
    return;
  }
  env_.counters.add(Counter::tcp_challenge_acks);
  const TcpOptions& options = listeners_.get(half.listener)->options;
  TcpOptionSet stamps;
  stamps.timestamps = timestamps_of(half, now);
  send_control({.tuple = half.demux.tuple,
                .connection = half.number,
                .seq = Seq{half.iss.value + 1},
                .ack = Seq{half.irs.value + 1},
                .flags = tcp_flag::ack,
                .window = static_cast<uint16_t>(syn_window(options) >> half.agreed.receive_shift),  // scaled
                .ttl = options.ttl,
                .options = stamps,
                .why = why,
                .state = TcpState::syn_received,
                .seq_base = half.iss,
                .ack_base = half.irs},
               now);
}

void Tcp::reset_half_open(HalfOpen& half, Time now) {
  env_.counters.add(Counter::tcp_resets_received);
  env_.tracer.emit(EventKind::tcp_state_updated, Rule::tcp_reset_taken, half.number, now,
                   {static_cast<uint32_t>(TcpState::syn_received), static_cast<uint32_t>(TcpState::listen)});
  drop_half_open(half);
}

// SYN-RECEIVED, in the order of RFC 9293 §3.10.7.4.
void Tcp::arrives_at_half_open(uint32_t index, const TcpHeader& h, uint8_t tos, Slice text, Time now) {
  HalfOpen& half = *half_open_.at(index);
  const FourTuple tuple = half.demux.tuple;
  trace_arrival(tuple, h, text.length, half.number, TcpState::syn_received, half.irs, half.iss, half.agreed.send_shift,
                now);
  const SeqPos nxt{1};
  const SeqPos seq = unwrap(Seq{h.sequence}, half.irs, nxt);
  const bool reset = h.has(tcp_flag::rst);
  const auto refuse = [&](Counter reason, Rule why) {
    drop(tuple, h, text.length, half.number, reason, why, TcpState::syn_received, now);
  };

  // RFC 7323 §5.3.
  const bool stamped = half.agreed.timestamps && h.options.timestamps.has_value();
  if (stamped && !reset && half.recent.forbids(h.options.timestamps->value, now)) {
    refuse(Counter::tcp_drop_paws, Rule::tcp_paws);
    return challenge_half_open(half, Rule::tcp_paws, now);
  }
  if (half.agreed.timestamps && !stamped && config_.require_timestamps && !reset)
    return refuse(Counter::tcp_drop_unstamped, Rule::tcp_unstamped);
  // First, the sequence number. The SYN itself, come again, means that our SYN,ACK was lost.
  if (seq == SeqPos{0} && h.has(tcp_flag::syn) && !h.has(tcp_flag::ack | tcp_flag::rst | tcp_flag::fin)) {
    refuse(Counter::tcp_drop_unacceptable, Rule::tcp_sequence);
    if (stamped) half.recent.take_if_newer(h.options.timestamps->value, now);
    return send_syn_ack(half, {}, now);
  }
  const SeqPos end = seq + int64_t{text.length} + (h.has(tcp_flag::fin) ? 1 : 0);
  const bool old = seq < nxt && end <= nxt;  // what only begins before the window is cut by the connection
  if (old || seq > nxt + syn_window(listeners_.get(half.listener)->options)) {
    refuse(Counter::tcp_drop_unacceptable, Rule::tcp_sequence);
    if (!reset) challenge_half_open(half, Rule::tcp_ack_out_of_window, now);
    return;
  }
  // Second, RST (RFC 5961 §3.2): back to LISTEN.
  if (reset) {
    if (seq == nxt) return reset_half_open(half, now);
    refuse(Counter::tcp_drop_blind_rst, Rule::tcp_reset_challenged);
    return challenge_half_open(half, Rule::tcp_reset_challenged, now);
  }
  // Fourth, SYN (RFC 5961 §4.2).
  if (h.has(tcp_flag::syn)) {
    refuse(Counter::tcp_drop_syn_in_window, Rule::tcp_syn_challenged);
    return challenge_half_open(half, Rule::tcp_syn_challenged, now);
  }
  // Fifth, ACK: it must acknowledge our SYN, or it draws <SEQ=SEG.ACK><CTL=RST>.
  if (!h.has(tcp_flag::ack)) return refuse(Counter::tcp_drop_no_ack, Rule::tcp_no_ack);
  if (h.acknowledgment != half.iss.value + 1) {
    refuse(Counter::tcp_drop_bad_ack, Rule::tcp_bad_ack_reset);
    env_.counters.add(Counter::tcp_resets_sent);
    return send_control({.tuple = tuple,
                         .connection = half.number,
                         .seq = Seq{h.acknowledgment},
                         .flags = tcp_flag::rst,
                         .ttl = listeners_.get(half.listener)->options.ttl,
                         .why = Rule::tcp_bad_ack_reset,
                         .state = TcpState::syn_received,
                         .seq_base = half.iss},
                        now);
  }
  // TCP_DEFER_ACCEPT: an ACK alone tells the user nothing.
  if (half.timeouts < listeners_.get(half.listener)->options.defer_accept && text.length == 0 &&
      !h.has(tcp_flag::fin)) {
    half.acked = true;
    return refuse(Counter::tcp_drop_deferred, Rule::tcp_deferred);
  }
  // As on Linux: no room in the accept queue means that the ACK did not come; the peer will say something again, or our
  // SYN,ACK will.
  if (listeners_.get(half.listener)->accept_queue_full() || connections_.size() >= config_.max_connections) {
    return refuse(Counter::tcp_drop_accept_queue_full, Rule::tcp_accept_queue_full);
  }
  const Ready ready = ready_of(half, now);
  drop_half_open(half);
  establish(ready, h, tos, std::move(text), now);
}

Tcp::Ready Tcp::ready_of(const HalfOpen& half, Time now) const {
  return {.handshake = {.iss = half.iss,
                        .irs = half.irs,
                        .agreed = half.agreed,
                        .peer_window = half.peer_window,
                        .syn_ack_was_lost = half.sent > 1,
                        .rtt = half.sent == 1 ? now - half.first_sent : Duration{},
                        .recent = half.recent},
          .number = half.number,
          .tuple = half.demux.tuple,
          .path = half.path,
          .listener = half.listener};
}

// The handshake becomes a connection, and the segment that made it one goes through all steps of §3.10.7.4 there.
void Tcp::establish(const Ready& ready, const TcpHeader& h, uint8_t tos, Slice text, Time now) {
  const Listener& listener = *listeners_.get(ready.listener);
  const auto handle = connections_.emplace(ready.number, ready.tuple, ready.path, listener.options);
  Connection& c = adopt(handle, ready.listener);
  c.open_passively(ready.handshake, now);

  Segment segment = c.unwrap_segment(h, std::move(text));
  segment.marked = (tos & ecn_bits::mask) == ecn_bits::ce;
  c.on_segment(segment, now);
  env_.ready.raise(listener.id, kAcceptable | kReadable);
  if (c.released()) settle(c, now);
}

// A new connection joins the listener's accept queue.
Connection& Tcp::adopt(Handle<Connection> handle, Handle<Listener> listener_handle) {
  Listener& listener = *listeners_.get(listener_handle);
  Connection& c = *connections_.get(handle);
  c.port_ = {.claim = {}, .counted = true, .reuse = listener.options.reuse};
  ports_.add_connection(c.tuple().local, listener.options.reuse);
  demux_.insert(c.demux_);
  c.attach(id_of(handle));
  c.waits_for_accept_ = true;
  c.listener_ = listener_handle;
  env_.counters.add(Counter::tcp_passive_opens);
  listener.accept_queue.push_back(handle);
  return c;
}

// RFC 9293 §3.10.4: the listener goes; half-open ones are forgotten, unaccepted ones reset.
void Tcp::close_listener(Handle<Listener> handle, Time now) {
  Listener& listener = *listeners_.get(handle);
  while (!listener.half_open.empty()) drop_half_open(listener.half_open.front());
  while (!listener.accept_queue.empty()) {
    Connection* c = connections_.get(listener.accept_queue.front());
    listener.accept_queue.pop_front();
    if (c == nullptr) continue;
    c->waits_for_accept_ = false;
    c->detach();
    if (!c->released()) c->abort(Rule::tcp_listener_closed, now);
    settle(*c, now);
  }
  listener_table_.remove(listener.local, handle);
  ports_.release(listener.bind);
  listeners_.erase(handle);
}

}  // namespace limpid
