// ICMP (RFC 792, RFC 1122 §3.2.2): echo, errors in, errors out.
#include "stack/net/icmp.h"

#include <algorithm>

#include "stack/net/ip_state.h"

namespace limpid {

// --- what errors mean
// -----------------------------------------------------------------------------------------------------

IcmpMeaning icmp_meaning(uint8_t type, uint8_t code) {
  if (type == icmp4_type::time_exceeded) return {Error::host_unreachable, false};
  if (type == icmp4_type::parameter_problem) return {Error::protocol_unreachable, true};
  if (type != icmp4_type::unreachable) return {};
  switch (code) {
    case icmp4_unreachable::net:
    case 11:  // for this type of service
      return {Error::network_unreachable, false};
    case icmp4_unreachable::protocol:
      return {Error::protocol_unreachable, true};
    case icmp4_unreachable::port:
      return {Error::refused, true};
    case icmp4_unreachable::fragmentation_needed:
      return {Error::message_too_long, false};
    case 6:  // network unknown
    case 9:  // network prohibited
      return {Error::network_unreachable, true};
    case 7:   // host unknown
    case 8:   // host isolated
    case 10:  // host prohibited
    case icmp4_unreachable::admin_prohibited:
    case 14:
    case 15:
      return {Error::host_unreachable, true};
    default:  // host, source route failed, host for this type of service, and what is not assigned
      return {Error::host_unreachable, false};
  }
}

// --- how many we send
// -------------------------------------------------------------------------------------------------------

void TokenBucket::refill(Duration cost, uint32_t burst, Time now) {
  const Duration full = cost * burst;
  credit = fresh ? full : std::min(full, credit + (now - last));
  last = now;
  fresh = false;
}

bool IcmpLimiter::allow(const IpAddress& peer, Time now) {
  const uint64_t hash = siphash(key_, std::as_bytes(std::span(peer.bytes())));
  TokenBucket& own = peers_[hash % peers_.size()];
  const Duration per_peer = config_.icmp_per_peer_interval;
  const Duration per_message = Duration(1s) / std::max<uint32_t>(config_.icmp_errors_per_second, 1);
  own.refill(per_peer, config_.icmp_per_peer_burst, now);
  all_.refill(per_message, config_.icmp_burst, now);
  if (!own.affords(per_peer) || !all_.affords(per_message)) return false;
  own.pay(per_peer);
  all_.pay(per_message);
  return true;
}

// --- in
// -------------------------------------------------------------------------------------------------------------------

// Every valid message is returned, for the raw sockets that wait for it; errors that quote a packet of ours as
// icmp_error.
Delivery Ip::State::icmp_input(const Delivery& datagram, Time now) {
  counters.add(Counter::icmp_in);
  const auto message = parse_icmp4(datagram.payload.bytes());
  if (!message) {
    drop_icmp({}, datagram.source, message.error(), now);
    return {};
  }
  const Icmp4Header& header = message->header;
  tracer.emit(EventKind::icmp_received, Rule::none, 0, now,
              {header.type, header.code, datagram.source.v4_bits(), datagram.payload.length});
  switch (header.type) {
    case icmp4_type::echo_request:
      answer_echo(datagram, *message, now);
      return datagram;
    case icmp4_type::echo_reply:
      return datagram;
    case icmp4_type::unreachable:
    case icmp4_type::time_exceeded:
    case icmp4_type::parameter_problem:
      return icmp_error_input(datagram, *message, now);
    case icmp4_type::source_quench:  // RFC 6633 §3
    case icmp4_type::redirect:       // we keep to the routes that we were given
      drop_icmp(header, datagram.source, Counter::icmp_drop_ignored, now);
      return datagram;
    default:  // RFC 1122 §3.2.2: silently discarded
      drop_icmp(header, datagram.source, Counter::icmp_drop_unknown_type, now);
      return datagram;
  }
}

// RFC 1122 §3.2.2: the quoted protocol says whose error it is. It must quote a packet of ours, from its transport
// header on.
Delivery Ip::State::icmp_error_input(const Delivery& datagram, const ParsedIcmp4& message, Time now) {
  const auto quoted = parse_quoted_ipv4(message.body);
  if (!quoted) {
    drop_icmp(message.header, datagram.source, quoted.error(), now);
    return {};
  }
  if (!is_local(quoted->header.source) || quoted->header.fragment_offset != 0) {
    drop_icmp(message.header, datagram.source, Counter::icmp_drop_no_socket, now);
    return datagram;
  }
  Delivery error = datagram;
  error.kind = Delivery::Kind::icmp_error;
  error.source = quoted->header.source;
  error.destination = quoted->header.destination;
  error.protocol = quoted->header.protocol;
  const auto quote_at = static_cast<uint32_t>(quoted->payload.data() - datagram.payload.bytes().data());
  error.payload.drop_front(quote_at);
  error.payload.length = static_cast<uint32_t>(quoted->payload.size());
  error.icmp_type = message.header.type;
  error.icmp_code = message.header.code;
  error.icmp_from = datagram.source;
  if (message.header.type == icmp4_type::unreachable &&
      message.header.code == icmp4_unreachable::fragmentation_needed) {
    const uint16_t named = message.header.next_hop_mtu();  // RFC 1191 §5: 0 from a router older than that
    error.icmp_mtu = named != 0 ? named : plateau_below(quoted->header.total_length);
  }
  counters.add(Counter::icmp_errors_delivered);
  return error;
}

void Ip::State::drop_icmp(const Icmp4Header& header, const IpAddress& source, Counter reason, Time now) {
  counters.add(reason);
  tracer.emit(EventKind::icmp_dropped, Rule::icmp_ignored, 0, now,
              {header.type, header.code, source.v4_bits(), static_cast<uint32_t>(reason)});
}

// --- out
// ------------------------------------------------------------------------------------------------------------------

// RFC 1122 §3.2.2.6: from the address that was asked, with the data as it came. Broadcasts are not answered (smurf).
void Ip::State::answer_echo(const Delivery& request, const ParsedIcmp4& message, Time now) {
  if (request.broadcast) {
    drop_icmp(message.header, request.source, Counter::icmp_drop_broadcast_echo, now);
    return;
  }
  if (!config.answer_echo) return;
  counters.add(Counter::icmp_echo_replies);
  const Icmp4Header reply{.type = icmp4_type::echo_reply, .code = 0, .rest = message.header.rest};
  const IpSend what{.source = request.destination, .destination = request.source, .tos = request.tos};
  send_icmp(what, reply, message.body, Rule::icmp_echo_reply, now);
}

// RFC 1122 §3.2.2: what must not be answered with an error.
bool Ip::State::answer_forbidden(const Delivery& offender) const {
  if (offender.broadcast || offender.destination.is_multicast()) return true;
  const IpAddress& source = offender.source;
  if (source.is_this_network() || source.is_multicast() || source.is_class_e() || is_broadcast(source)) return true;
  if (source.is_loopback() && offender.interface != kLoopback) return true;
  return offender.protocol == IpProtocol::icmp && !offender.payload.empty() &&
         icmp4_is_error(load8(offender.payload.bytes(), 0));
}

void Ip::State::send_unreachable(const Delivery& offender, uint8_t code, Time now) {
  if (code == icmp4_unreachable::protocol) counters.add(Counter::ip4_drop_unknown_protocol);
  const Icmp4Header header{.type = icmp4_type::unreachable, .code = code, .rest = 0};
  if (answer_forbidden(offender)) {
    counters.add(Counter::icmp_forbidden);
    tracer.emit(EventKind::icmp_dropped, Rule::icmp_silent, 0, now,
                {header.type, code, offender.source.v4_bits(), static_cast<uint32_t>(Counter::icmp_forbidden)});
    return;
  }
  if (!is_local(offender.source) && !icmp_limiter.allow(offender.source, now)) {
    counters.add(Counter::icmp_limited);
    tracer.emit(EventKind::icmp_dropped, Rule::icmp_rate_limit, 0, now,
                {header.type, code, offender.source.v4_bits(), static_cast<uint32_t>(Counter::icmp_limited)});
    return;
  }
  const ByteSpan packet = offender.packet.bytes();
  // From the address that was spoken to; if that is a host we could not reach, from our own end.
  const IpAddress from = is_local(offender.destination) ? offender.destination : offender.source;
  const IpSend what{.source = from, .destination = offender.source, .tos = 0xc0};  // RFC 1812 §4.3.2.5
  send_icmp(what, header, packet.first(std::min(packet.size(), kMaxQuote)), Rule::icmp_unreachable, now);
}

void Ip::State::send_icmp(IpSend what, const Icmp4Header& header, ByteSpan body, Rule rule, Time now) {
  const Result<Path> way = path(what.destination, what.source);
  if (!way) {
    counters.add(Counter::ip4_drop_no_route);
    return;
  }
  what.protocol = IpProtocol::icmp;
  what.ttl = config.ttl;
  what.dont_fragment = false;
  const std::span<const ByteSpan> pieces(&body, body.empty() ? 0 : 1);
  what.event = tracer.emit(
      EventKind::icmp_sent, rule, 0, now,
      {header.type, header.code, what.destination.v4_bits(), static_cast<uint32_t>(Icmp4Header::kSize + body.size())});
  HeaderBuffer head;
  header.write(head.prepend(Icmp4Header::kSize), pieces);
  const SendOutcome outcome = send(what, *way, head, pieces, now);
  if (outcome == SendOutcome::sent) counters.add(Counter::icmp_out);
  if (outcome == SendOutcome::refused) counters.add(Counter::link_drop_refused);
}

}  // namespace limpid
