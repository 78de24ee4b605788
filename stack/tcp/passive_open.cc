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

uint16_t syn_window(const TcpOptions& options, const TcpConfig& config) {  // never scaled (RFC 7323 §2.2)
  return static_cast<uint16_t>(std::min<uint32_t>(receive_buffer(options, config), 65'535));
}

}  // namespace

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
  if (h.has(tcp_flag::ack)) return answer_nobody(d, h, text_length, Rule::tcp_no_connection, now);
  // SYN with FIN is no way to open a connection, but a way to look for holes in filters.
  if (!h.has(tcp_flag::syn) || h.has(tcp_flag::fin)) return refuse(Counter::tcp_drop_bad_flags, Rule::tcp_flags);
  if (listener.accept_queue_full()) return refuse(Counter::tcp_drop_accept_queue_full, Rule::tcp_accept_queue_full);
  const auto path = env_.ip.path(d.source, d.destination);
  if (!path) return refuse(Counter::tcp_drop_bad_address, Rule::tcp_address);
  Opening opening{.listener = handle,
                  .tuple = tuple,
                  .path = *path,
                  .header = h,
                  .tos = d.tos,
                  .isn = isn.value_or(initial_sequence(tuple, now))};
  if (may_open_fast(opening, text_length, now)) return open_fast(opening, std::move(text), now);
  open_half(opening, now);
}

// What the SYN and we have in common.
Negotiated Tcp::agree(const Opening& opening) const {
  const TcpOptions& options = listeners_.get(opening.listener)->options;
  const TcpHeader& h = opening.header;
  Negotiated agreed;
  agreed.receive_shift = shift_for_buffer(receive_buffer(options, config_), config_);
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
  if (listener.half_open_count >= config_.syn_queue) {  // RFC 4987 §3.2: recycle the oldest
    env_.counters.add(Counter::tcp_drop_syn_queue_full);
    drop_half_open(listener.half_open.front());
  }
  const auto id = half_open_.emplace();
  HalfOpen& half = *half_open_.get(id);
  half.demux.tuple = tuple;
  half.demux.kind = DemuxKind::half_open;
  half.demux.index = id.index;
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

  env_.tracer.emit(
      EventKind::tcp_connection_started, Rule::tcp_passive_open, half.number, now,
      {tuple.local.address.v4_bits(), tuple.remote.address.v4_bits(), tuple.local.port, tuple.remote.port});
  env_.tracer.emit(EventKind::tcp_state_updated, Rule::tcp_passive_open, half.number, now,
                   {static_cast<uint32_t>(TcpState::listen), static_cast<uint32_t>(TcpState::syn_received)});
  env_.tracer.emit(EventKind::tcp_options_negotiated, Rule::tcp_options, half.number, now,
                   {half.agreed.peer_mss, half.agreed.receive_shift, half.agreed.send_shift, half.agreed.flags()});
  send_syn_ack(half, opening.fast_open, now);
}

// <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
void Tcp::send_syn_ack(HalfOpen& half, const std::optional<FastOpenOption>& fast_open, Time now) {
  const Listener& listener = *listeners_.get(half.listener);
  Control c{.tuple = half.demux.tuple,
            .connection = half.number,
            .seq = half.iss,
            .ack = Seq{half.irs.value + 1},
            .flags = static_cast<uint8_t>(tcp_flag::syn | tcp_flag::ack | (half.agreed.ecn ? tcp_flag::ece : 0)),
            .window = syn_window(listener.options, config_),
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
  const Duration wait = std::min(config_.initial_rto * (int64_t{1} << std::min(half.sent, 20u)), config_.maximum_rto);
  ++half.sent;
  env_.timers.set(half.timer, now + wait);
  send_control(c, now);
}

std::optional<TcpTimestamps> Tcp::timestamps_of(const HalfOpen& half, Time now) const {
  if (!half.agreed.timestamps) return std::nullopt;
  return TcpTimestamps{.value = TimestampClock::value(env_.timestamps.offset(half.demux.tuple), now),
                       .echo = half.recent.value};
}

void Tcp::on_half_open_timer(uint32_t index, Time now) {
  HalfOpen& half = *half_open_.at(index);
  if (half.sent > config_.syn_ack_retries) return drop_half_open(half);  // RFC 4987 §3.3
  send_syn_ack(half, {}, now);
}

void Tcp::drop_half_open(HalfOpen& half) {
  demux_.remove(half.demux);
  env_.timers.remove(half.timer);
  if (Listener* listener = listeners_.get(half.listener)) --listener->half_open_count;
  half.unlink();
  half_open_.erase(half_open_.handle_at(half.demux.index));
}

// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>: where we stand, within the rate for answers to what may be forged.
void Tcp::challenge_half_open(const HalfOpen& half, Rule why, Time now) {
  if (!env_.challenge_acks.allow(now)) return;
  const TcpOptions& options = listeners_.get(half.listener)->options;
  TcpOptionSet stamps;
  stamps.timestamps = timestamps_of(half, now);
  send_control({.tuple = half.demux.tuple,
                .connection = half.number,
                .seq = Seq{half.iss.value + 1},
                .ack = Seq{half.irs.value + 1},
                .flags = tcp_flag::ack,
                .window = static_cast<uint16_t>(syn_window(options, config_) >> half.agreed.receive_shift),  // scaled
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
  if (seq < nxt || seq > nxt + syn_window(listeners_.get(half.listener)->options, config_)) {
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
  // As on Linux: no room in the accept queue means that the ACK did not come; the peer will say something again, or our
  // SYN,ACK will.
  if (listeners_.get(half.listener)->accept_queue_full() || connections_.size() >= config_.max_connections) {
    return refuse(Counter::tcp_drop_accept_queue_full, Rule::tcp_accept_queue_full);
  }
  establish(index, h, tos, std::move(text), now);
}

// The half-open entry becomes a connection, and the segment that made it one goes through all steps of §3.10.7.4 there.
void Tcp::establish(uint32_t index, const TcpHeader& h, uint8_t tos, Slice text, Time now) {
  HalfOpen& half = *half_open_.at(index);
  const Handle<Listener> listener_handle = half.listener;
  Listener& listener = *listeners_.get(listener_handle);
  const Connection::Handshake handshake{.iss = half.iss,
                                        .irs = half.irs,
                                        .agreed = half.agreed,
                                        .peer_window = half.peer_window,
                                        .syn_ack_was_lost = half.sent > 1,
                                        .rtt = half.sent == 1 ? now - half.first_sent : Duration{},
                                        .recent = half.recent};
  const auto handle = connections_.emplace(env_, half.number, half.demux.tuple, half.path, listener.options);
  drop_half_open(half);

  Connection& c = adopt(handle, listener_handle);
  c.open_passively(handshake, now);

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
  c.demux_.index = handle.index;
  c.timer_.owner = handle.index;
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
