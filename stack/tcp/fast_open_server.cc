// The server's side of Fast Open (RFC 7413 §4.1.2, §4.2.2 and §5.1): whose text is taken before the handshake ends, and
// how many such connections may be pending.
#include "stack/tcp/tcp.h"

namespace limpid {
namespace {

constexpr Duration kResetHolds = 60s;  // as on Linux

}  // namespace

bool Tcp::may_open_fast(Opening& opening, uint32_t text_length, Time now) {
  Listener& listener = *listeners_.get(opening.listener);
  const auto& option = opening.header.options.fast_open;
  if ((config_.fast_open & fast_open_bit::server) == 0 || listener.options.fast_open_queue == 0) return false;
  if (text_length == 0 && !option) return false;
  if (!fast_open_has_room(listener, now) || connections_.size() >= config_.max_connections) {
    env_.counters.add(Counter::tcp_fast_open_fallbacks);
    return false;
  }
  if ((config_.fast_open & fast_open_bit::server_without_cookie) != 0 || listener.options.fast_open_no_cookie)
    return true;
  return check_cookie(listener, opening);
}

// RFC 7413 §4.1.2: without a good cookie the SYN is an ordinary one, and the SYN,ACK brings one. A cookie of the backup
// key is good, and is replaced.
bool Tcp::check_cookie(const Listener& listener, Opening& opening) {
  const auto& brought = opening.header.options.fast_open;
  if (!brought) return false;
  const FastOpenKeys keys = fast_open_keys(listener.id);
  const auto cookie_of = [&](const SipKey& key) {
    return fast_open_cookie(key, opening.tuple.remote.address, opening.tuple.local.address);
  };
  FastOpenOption good = cookie_of(keys.primary);
  if (brought->length > 0 && brought->same_cookie(good)) return true;
  good.experimental = brought->experimental;
  opening.fast_open = good;
  if (brought->length == 0) return false;
  if (keys.backup && brought->same_cookie(cookie_of(*keys.backup))) return true;
  env_.counters.add(Counter::tcp_fast_open_fallbacks);
  return false;
}

// RFC 7413 §5.1.
bool Tcp::fast_open_has_room(Listener& listener, Time now) {
  FastOpenQueue& queue = listener.fast_open;
  while (!queue.reset_until.empty() && queue.reset_until.front() <= now) queue.reset_until.pop_front();
  return queue.pending + queue.reset_until.size() < listener.options.fast_open_queue;
}

// RFC 7413 §4.2.2: the connection exists with its SYN, and its user may read the text and answer it.
void Tcp::open_fast(const Opening& opening, Slice text, Time now) {
  Listener& listener = *listeners_.get(opening.listener);
  const TcpHeader& h = opening.header;
  const uint32_t number = env_.next_connection_number++;
  Connection::Handshake handshake{.iss = opening.isn,
                                  .irs = Seq{h.sequence},
                                  .agreed = agree(opening),
                                  .peer_window = h.window,
                                  .syn_ack_was_lost = false,
                                  .rtt = {},
                                  .recent = {}};
  if (handshake.agreed.timestamps) handshake.recent.take(h.options.timestamps->value, now);
  env_.counters.add(Counter::tcp_fast_opens);
  trace_opening(number, opening.tuple, handshake.agreed, Rule::tcp_fast_open, now);

  const auto handle = connections_.emplace(number, opening.tuple, opening.path, listener.options);
  Connection& c = adopt(handle, opening.listener);
  c.fast_open_pending_ = true;
  ++listener.fast_open.pending;
  Segment syn;
  syn.wire_seq = Seq{h.sequence};
  syn.flags = h.flags;
  syn.options = h.options;
  syn.text = std::move(text);
  c.open_fast(handshake, syn, opening.fast_open, now);
  env_.ready.raise(listener.id, kAcceptable | kReadable);
}

// The handshake came to its end, good or bad.
void Tcp::leave_fast_open(Connection& c, Time now) {
  c.fast_open_pending_ = false;
  Listener* listener = listeners_.get(c.listener_);
  if (listener == nullptr) return;
  --listener->fast_open.pending;
  if (c.error() == Error::reset) listener->fast_open.reset_until.push_back(now + kResetHolds);
}

}  // namespace limpid
