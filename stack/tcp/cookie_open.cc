// LISTEN without room: SYNs that are answered and not remembered (RFC 4987 §3.6), and the ACKs that bring their cookies
// back.
#include <algorithm>

#include "stack/tcp/tcp.h"

namespace limpid {

bool Tcp::wants_cookie(const Listener& listener) const {
  if (config_.syn_cookies == SynCookies::always) return true;
  return config_.syn_cookies == SynCookies::when_full && listener.half_open_count >= config_.syn_queue;
}

// <SEQ=cookie><ACK=RCV.NXT><CTL=SYN,ACK>. It is not sent again: that the peer's SYN comes again does this work.
void Tcp::answer_with_cookie(const Opening& opening, Time now) {
  Listener& listener = *listeners_.get(opening.listener);
  const TcpHeader& h = opening.header;
  Negotiated agreed = agree(opening);
  if (!agreed.timestamps) agreed.window_scaling = agreed.sack = agreed.ecn = false;
  const Seq irs{h.sequence};
  const Seq iss = syn_cookie_.make(opening.tuple, irs, agreed.peer_mss, now);
  listener.cookies_until = now + SynCookie::kLifetime;
  env_.counters.add(Counter::tcp_syn_cookies_sent);

  Control c{.tuple = opening.tuple,
            .seq = iss,
            .ack = Seq{irs.value + 1},
            .flags = static_cast<uint8_t>(tcp_flag::syn | tcp_flag::ack | (agreed.ecn ? tcp_flag::ece : 0)),
            .window = syn_window(listener.options),
            .ttl = listener.options.ttl,
            .why = Rule::tcp_syn_cookie,
            .state = TcpState::listen,
            .seq_base = iss,
            .ack_base = irs};
  c.options.mss = agreed.advertised_mss;
  if (agreed.window_scaling) c.options.window_scale = agreed.receive_shift;
  c.options.sack_permitted = agreed.sack;
  if (agreed.timestamps) {
    const uint32_t clock = TimestampClock::value(env_.timestamps.offset(opening.tuple), now);
    c.options.timestamps = TcpTimestamps{.value = SynCookie::stamp(clock, agreed), .echo = h.options.timestamps->value};
  }
  send_control(c, now);
}

// What the SYN offered and we answered, as far as the cookie and the timestamp tell.
std::optional<Negotiated> Tcp::read_cookie(const Opening& opening, Time now) const {
  const TcpHeader& h = opening.header;
  const auto mss = syn_cookie_.check(opening.tuple, Seq{h.sequence - 1}, Seq{h.acknowledgment - 1}, now);
  if (!mss) return std::nullopt;
  Negotiated agreed = agree(opening);
  const uint8_t receive_shift = shift_to_offer(listeners_.get(opening.listener)->options);
  agreed.peer_mss = *mss;
  agreed.window_scaling = agreed.sack = agreed.ecn = false;
  agreed.timestamps = config_.offer_timestamps && h.options.timestamps.has_value();
  if (agreed.timestamps) SynCookie::read_stamp(h.options.timestamps->echo, agreed);
  agreed.receive_shift = agreed.window_scaling ? receive_shift : uint8_t{0};
  return agreed;
}

// An ACK at a listener that has sent cookies lately. False: it brings none of ours, and draws its RST.
bool Tcp::take_cookie(const Opening& opening, Slice& text, Time now) {
  const Listener& listener = *listeners_.get(opening.listener);
  const TcpHeader& h = opening.header;
  if (now >= listener.cookies_until || h.has(tcp_flag::syn)) return false;
  const auto agreed = read_cookie(opening, now);
  if (!agreed) {
    env_.counters.add(Counter::tcp_drop_bad_syn_cookie);
    return false;
  }
  if (listener.accept_queue_full() || connections_.size() >= config_.max_connections) {
    drop(opening.tuple, h, text.length, 0, Counter::tcp_drop_accept_queue_full, Rule::tcp_accept_queue_full,
         TcpState::listen, now);
    return true;
  }
  env_.counters.add(Counter::tcp_syn_cookies_taken);
  Ready ready{.handshake = {.iss = Seq{h.acknowledgment - 1},
                            .irs = Seq{h.sequence - 1},
                            .agreed = *agreed,
                            .peer_window = h.window,
                            .syn_ack_was_lost = false,
                            .rtt = {},
                            .recent = {}},
              .number = env_.next_connection_number++,
              .tuple = opening.tuple,
              .path = opening.path,
              .listener = opening.listener};
  if (agreed->timestamps) ready.handshake.recent.take(h.options.timestamps->value, now);
  trace_opening(ready.number, opening.tuple, *agreed, Rule::tcp_syn_cookie_good, now);
  establish(ready, h, opening.tos, std::move(text), now);
  return true;
}

}  // namespace limpid
