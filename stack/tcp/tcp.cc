#include "stack/tcp/tcp.h"

#include <utility>

#include "stack/wire/tcp.h"

namespace limpid {

Tcp::Tcp(const TcpConfig& config, Rng rng, Ip& ip, Counters& counters, Tracer& tracer, ReadySink& ready)
    : config_(config),
      env_{.config = config_,
           .ip = ip,
           .counters = counters,
           .tracer = tracer,
           .ready = ready,
           .timers = {},
           .challenge_acks = SecretPerSecondLimit(config.challenge_acks_per_second, rng.split("challenge acks")),
           .resets = {.per_second = config.resets_per_second},
           .timestamps = TimestampClock(rng.split("timestamps").key()),
           .dirty = {},
           .blocked = {},
           .held = {},
           .fast_open = {},
           .chunks = {}},
      ports_({config.ephemeral_first, config.ephemeral_last}, rng.split("ports")),
      demux_(rng.split("demux").key()),
      isn_(rng.split("isn").key()),
      syn_cookie_(rng.split("syn cookies").key()),
      fast_open_keys_{.primary = rng.split("fast open").key()},
      share_(rng.split("reuseport").key()),
      connections_(env_, demux_) {}

Tcp::~Tcp() = default;

Seq Tcp::initial_sequence(const FourTuple& tuple, Time now) const {
  return config_.isn_for_tests ? Seq{*config_.isn_for_tests} : isn_.next(tuple, now);
}

// --- RFC 9293 §3.10.7: SEGMENT ARRIVES, up to the connection that it belongs to
// -----------------------------------------------

void Tcp::receive(Delivery& d, Time now) {
  if (!d.more.empty()) return receive_row(d, now);
  env_.counters.add(Counter::tcp_in);
  const auto parsed = d.offload.checksum_vouched() ? parse_tcp_unverified(d.payload.bytes())
                                                   : parse_tcp(d.payload.bytes(), d.source, d.destination);
  if (!parsed) {
    env_.counters.add(parsed.error());
    env_.tracer.emit(
        EventKind::ip_dropped, Rule::tcp_validate, 0, now,
        {d.source.v4_bits(), d.destination.v4_bits(), 6, d.payload.length, static_cast<uint32_t>(parsed.error())});
    return;
  }
  const TcpHeader& h = parsed->header;
  const FourTuple tuple{{d.destination, h.destination_port}, {d.source, h.source_port}};
  Slice text = std::move(d.payload);
  text.drop_front(parsed->header_size);

  // RFC 9293 §3.9.2.3 (MUST-57, MUST-63): only between unicast addresses, silently. IP let no other source pass.
  if (d.broadcast) {
    drop(tuple, h, text.length, 0, Counter::tcp_drop_bad_address, Rule::tcp_address, TcpState::closed, now);
    return;
  }
  if (const DemuxOwner found = demux_.find(tuple)) {
    switch (found.kind) {
      case DemuxKind::connection:
        return deliver_to_connection(found.index, h, d, std::move(text), now);
      case DemuxKind::half_open:
        return arrives_at_half_open(found.index, h, d.tos, std::move(text), now);
      case DemuxKind::time_wait:
        return arrives_in_time_wait(found.index, d, h, std::move(text), now);
      case DemuxKind::none:
        break;
    }
  }
  if (const auto listener = listener_table_.find(tuple, share_)) {
    return arrives_at_listener(listener, d, h, std::move(text), now);
  }
  trace_arrival(tuple, h, text.length, 0, TcpState::closed, Seq{h.sequence}, Seq{h.acknowledgment}, 0, now);
  answer_nobody(d, h, text.length, Rule::tcp_no_connection, now);
}

// Segments that were merged. A connection takes them as one; whoever else is meant sees each of them.
void Tcp::receive_row(Delivery& d, Time now) {
  const std::span<Slice> more = std::exchange(d.more, {});
  auto first = parse_tcp_unverified(d.payload.bytes());  // who merged them has looked at both
  TcpHeader& h = first->header;
  const DemuxOwner found = demux_.find({{d.destination, h.destination_port}, {d.source, h.source_port}});
  if (found && found.kind == DemuxKind::connection) {
    env_.counters.add(Counter::tcp_in);
    h.flags |= d.last_flags;
    d.payload.drop_front(first->header_size);
    for (Slice& segment : more) segment.drop_front(first->header_size);
    return deliver_to_connection(found.index, h, d, {std::move(d.payload), more}, now);
  }
  d.offload.segment_text = 0;
  Delivery one = d;
  receive(one, now);
  for (Slice& segment : more) {
    one = d;
    one.payload = std::move(segment);
    receive(one, now);
  }
}

void Tcp::deliver_to_connection(uint32_t index, const TcpHeader& h, const Delivery& d, SliceChain text, Time now) {
  Connection& c = *connections_.at(index);
  Segment segment = c.unwrap_segment(h, std::move(text));
  if (const uint32_t packets = d.offload.packets(segment.text.length); packets > 1) {
    segment.packets = packets;
    segment.packet_text = d.offload.segment_text;
    env_.counters.add(Counter::tcp_in, packets - 1);
  }
  segment.marked = (d.tos & ecn_bits::mask) == ecn_bits::ce;
  const Verdict verdict = c.on_segment(segment, now);
  if (verdict == Verdict::bad_ack) refuse(c, h, Rule::tcp_bad_ack_reset, now);  // and the state stays
  if (verdict == Verdict::refused_text) refuse(c, h, Rule::tcp_text_refused, now);
  if (c.fast_open_pending_ && c.state() != TcpState::syn_received) leave_fast_open(c, now);
  if (c.released()) settle(c, now);
}

// RFC 9293 §3.5.2, group 2: <SEQ=SEG.ACK><CTL=RST>. That is where the peer expects us to go on, so it believes it
// (RFC 5961 §3.2), even if it has not seen our FIN.
void Tcp::refuse(const Connection& c, const TcpHeader& h, Rule why, Time now) {
  env_.counters.add(Counter::tcp_resets_sent);
  send_control({.tuple = c.tuple(),
                .connection = c.number(),
                .seq = Seq{h.acknowledgment},
                .flags = tcp_flag::rst,
                .why = why,
                .state = c.state(),
                .seq_base = Seq{h.acknowledgment}},
               now);
}

// RFC 9293 §3.10.7.1, and §3.5.2 group 1: whatever arrives for nobody draws a RST that its sender will believe, but a
// RST never does.
void Tcp::answer_nobody(const Delivery& d, const TcpHeader& h, uint32_t text_length, Rule why, Time now) {
  const FourTuple tuple{{d.destination, h.destination_port}, {d.source, h.source_port}};
  drop(tuple, h, text_length, 0, Counter::tcp_drop_no_connection, why, TcpState::closed, now);
  if (h.has(tcp_flag::rst)) return;
  if (!env_.resets.allow(now)) return env_.counters.add(Counter::tcp_resets_limited);
  Control reset{.tuple = tuple, .flags = tcp_flag::rst, .why = why};
  if (h.has(tcp_flag::ack)) {
    reset.seq = Seq{h.acknowledgment};
    reset.seq_base = reset.seq;
  } else {
    const uint32_t length = text_length + (h.has(tcp_flag::syn) ? 1u : 0u) + (h.has(tcp_flag::fin) ? 1u : 0u);
    reset.flags = tcp_flag::rst | tcp_flag::ack;
    reset.ack = Seq{h.sequence + length};
    reset.ack_base = Seq{h.sequence};
  }
  env_.counters.add(Counter::tcp_resets_sent);
  send_control(reset, now);
}

void Tcp::send_control(const Control& c, Time now) {
  TcpHeader h;
  h.source_port = c.tuple.local.port;
  h.destination_port = c.tuple.remote.port;
  h.sequence = c.seq.value;
  h.acknowledgment = c.ack.value;
  h.flags = c.flags;
  h.window = c.window;
  h.options = c.options;
  HeaderBuffer head;
  h.write(head.prepend(h.size()), c.tuple.local.address, c.tuple.remote.address, {});
  EventNumber event = 0;
  if (env_.tracer.on()) {
    event = env_.tracer.emit(
        EventKind::tcp_packet_sent, c.why, c.connection, now,
        {c.seq.value - c.seq_base.value, h.has(tcp_flag::ack) ? c.ack.value - c.ack_base.value : 0, 0, c.flags,
         c.window, static_cast<uint32_t>(c.state), c.again ? 1u : 0u, c.tuple.local.port, c.tuple.remote.port});
  }
  env_.counters.add(Counter::tcp_out);
  const uint8_t ttl = c.ttl > 0 ? c.ttl : uint8_t{0};
  // Refused or without a route it is lost, as it may be on the way: whoever needs it again will ask again.
  env_.ip.send({.source = c.tuple.local.address,
                .destination = c.tuple.remote.address,
                .protocol = IpProtocol::tcp,
                .ttl = ttl,
                .event = event},
               head, {}, now);
}

// --- ICMP (RFC 9293 §3.9.2.2, RFC 5927)
// -----------------------------------------------------------------------------------------

void Tcp::icmp_error(const Delivery& e, Time now) {
  const ByteSpan quoted = e.payload.bytes();
  if (quoted.size() < 8) return;
  const FourTuple tuple{{e.source, load16(quoted, 0)}, {e.destination, load16(quoted, 2)}};
  const DemuxOwner found = demux_.find(tuple);
  if (found.kind == DemuxKind::half_open) {
    // Who never sent that SYN is spared further SYN,ACKs (as SYN-SENT: hard before synchronization).
    HalfOpen& half = *half_open_.at(found.index);
    if (e.icmp_type == 3 && e.icmp_code != 4 && load32(quoted, 4) == half.iss.value) drop_half_open(half);
    return;
  }
  if (found.kind != DemuxKind::connection) {
    env_.counters.add(Counter::icmp_drop_no_socket);
    return;
  }
  Connection& c = *connections_.at(found.index);
  c.on_icmp_error(e.icmp_type, e.icmp_code, e.icmp_mtu, c.unwrap_own(Seq{load32(quoted, 4)}), now);
  if (c.released()) settle(c, now);
}

// --- time, flush, back-pressure
// --------------------------------------------------------------------------------------------------

bool Tcp::has_work() const { return !env_.dirty.empty(); }

void Tcp::flush(Time now, AcksWait acks) {
  while (!env_.dirty.empty()) {
    Connection& c = env_.dirty.pop_front();
    if (c.holds_ack(acks, now)) {
      if (!c.ListHook<HeldTag>::linked()) env_.held.push_back(c);
      env_.acks_held_since = std::min(env_.acks_held_since, now);
      continue;
    }
    c.output(now);
    if (c.released()) settle(c, now);
  }
}

void Tcp::release_held(Release what, Time now) {
  if (env_.acks_held_since <= now - kHeldForLong) what.bulk_acks = true;
  if (what.bulk_acks) env_.acks_held_since = kNever;
  Connection* c = env_.held.empty() ? nullptr : &env_.held.front();
  while (c != nullptr) {
    Connection* next = env_.held.next(*c);
    if (c->release_held(what, now)) {
      c->ListHook<HeldTag>::unlink();
      if (!c->ListHook<DirtyTag>::linked()) env_.dirty.push_back(*c);
    }
    c = next;
  }
}

void Tcp::advance(Time now) {
  while (TimerEntry* due = env_.timers.pop_due(now)) {
    switch (static_cast<TimerOwner>(due->owner_kind)) {
      case TimerOwner::connection: {
        Connection& c = *connections_.at(due->owner);
        c.on_timer(now);
        if (c.released()) settle(c, now);
        break;
      }
      case TimerOwner::half_open:
        on_half_open_timer(due->owner, now);
        break;
      case TimerOwner::time_wait:
        end_time_wait(*time_wait_.at(due->owner), Rule::tcp_time_wait_over, now);
        break;
    }
  }
}

void Tcp::link_writable(InterfaceId interface) {
  Connection* c = env_.blocked.empty() ? nullptr : &env_.blocked.front();
  while (c != nullptr) {
    Connection* next = env_.blocked.next(*c);
    if (c->interface() == interface) {
      c->ListHook<BlockedTag>::unlink();
      if (!c->ListHook<DirtyTag>::linked()) env_.dirty.push_back(*c);
      connections_.touch(*c);
    }
    c = next;
  }
}

// --- tracing
// ------------------------------------------------------------------------------------------------------------------------

void Tcp::drop(const FourTuple& tuple, const TcpHeader& h, uint32_t text_length, uint32_t connection, Counter reason,
               Rule why, TcpState state, Time now) {
  env_.counters.add(reason);
  if (!env_.tracer.on()) return;
  env_.tracer.emit(EventKind::tcp_packet_dropped, why, connection, now,
                   {0, 0, text_length, h.flags, static_cast<uint32_t>(reason), static_cast<uint32_t>(state),
                    tuple.remote.port, tuple.local.port});
}

void Tcp::trace_arrival(const FourTuple& tuple, const TcpHeader& h, uint32_t text_length, uint32_t connection,
                        TcpState state, Seq seq_base, Seq ack_base, uint8_t shift, Time now) {
  if (!env_.tracer.on()) return;
  env_.tracer.emit(EventKind::tcp_packet_received, Rule::tcp_arrived, connection, now,
                   {h.sequence - seq_base.value, h.has(tcp_flag::ack) ? h.acknowledgment - ack_base.value : 0,
                    text_length, h.flags, uint32_t{h.window} << (h.has(tcp_flag::syn) ? 0 : shift),
                    static_cast<uint32_t>(state), h.urgent_pointer, tuple.remote.port, tuple.local.port});
}

}  // namespace limpid
