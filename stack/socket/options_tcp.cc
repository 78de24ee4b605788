// IPPROTO_TCP (tcp(7)).
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <span>
#include <string_view>

#include "stack/base/siphash.h"
#include "stack/socket/options.h"

namespace limpid {

namespace {

constexpr int kMostKeepaliveSeconds = 32'767;  // Linux MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL
constexpr int kMostKeepaliveProbes = 127;      // Linux MAX_TCP_KEEPCNT
constexpr int kMostSynRetries = 127;           // Linux MAX_TCP_SYNCNT
constexpr int kLeastSegment = 88;              // Linux TCP_MIN_MSS
constexpr int kMostSegment = 32'767;           // Linux MAX_TCP_WINDOW

bool is_between(int value, int low, int high) { return value >= low && value <= high; }

// TCP_DEFER_ACCEPT counts SYN,ACKs, as on Linux: so many whose back-off, from one second on, reaches as many seconds.
constexpr int kFirstTimeout = 1;
constexpr int kLongestTimeout = 120;

uint8_t tries_within(int seconds) {
  uint8_t tries = 0;
  for (int timeout = kFirstTimeout, period = 0; period < seconds && tries < UINT8_MAX; ++tries) {
    period += timeout;
    timeout = std::min(2 * timeout, kLongestTimeout);
  }
  return tries;
}

int seconds_of(uint8_t tries) {
  int period = 0;
  for (int timeout = kFirstTimeout; tries > 0; --tries) {
    period += timeout;
    timeout = std::min(2 * timeout, kLongestTimeout);
  }
  return period;
}

// What the caller asked for, put into `options`: 0 or an errno.
int change(TcpOptions& options, int name, int value) {
  switch (name) {
    case TCP_NODELAY:
      options.no_delay = options.push_pending = value != 0;
      return 0;
    case TCP_NOTSENT_LOWAT:
      options.unsent_low_water = static_cast<uint32_t>(value);
      return 0;
    case TCP_CORK:
      options.cork = value != 0;
      return 0;
    case TCP_QUICKACK:
      options.quick_ack = value != 0;
      options.quick_ack_set = true;
      return 0;
    case TCP_MAXSEG:
      if (value != 0 && !is_between(value, kLeastSegment, kMostSegment)) return EINVAL;
      options.max_segment = static_cast<uint16_t>(value);
      return 0;
    case TCP_KEEPIDLE:
      if (!is_between(value, 1, kMostKeepaliveSeconds)) return EINVAL;
      options.keepalive_time = std::chrono::seconds(value);
      return 0;
    case TCP_KEEPINTVL:
      if (!is_between(value, 1, kMostKeepaliveSeconds)) return EINVAL;
      options.keepalive_interval = std::chrono::seconds(value);
      return 0;
    case TCP_KEEPCNT:
      if (!is_between(value, 1, kMostKeepaliveProbes)) return EINVAL;
      options.keepalive_probes = static_cast<uint32_t>(value);
      return 0;
    case TCP_SYNCNT:
      if (!is_between(value, 1, kMostSynRetries)) return EINVAL;
      options.syn_retries = static_cast<uint32_t>(value);
      return 0;
    case TCP_DEFER_ACCEPT:
      options.defer_accept = tries_within(value);
      return 0;
    case TCP_USER_TIMEOUT:
      if (value < 0) return EINVAL;
      options.user_timeout = std::chrono::milliseconds(value);
      return 0;
    default:
      return ENOPROTOOPT;
  }
}

bool is_open_or_listening(const OpenSocket& socket) { return !socket.id || socket.is_listener(); }

// TCP Fast Open, client and listener: 0 or an errno.
int change_fast_open(Hold& hold, OpenSocket& socket, TcpOptions& options, int name, int value) {
  if (value < 0 || (name != TCP_FASTOPEN && value > 1)) return EINVAL;
  const TcpConfig& config = hold.stack().config().tcp;
  if (name == TCP_FASTOPEN_CONNECT) {
    if ((config.fast_open & fast_open_bit::client) == 0) return EOPNOTSUPP;
    if (socket.id) return EINVAL;
    socket.fast_open_connect = value != 0;
    return 0;
  }
  if (!is_open_or_listening(socket)) return EINVAL;
  if (name == TCP_FASTOPEN_NO_COOKIE) {
    options.fast_open_no_cookie = value != 0;
  } else {
    const uint32_t most = std::min<uint32_t>(config.max_accept_queue, UINT16_MAX);
    options.fast_open_queue = static_cast<uint16_t>(std::min(static_cast<uint32_t>(value), most));
  }
  return 0;
}

// TCP_FASTOPEN_KEY: one key of sixteen octets, or a backup key behind it.
int set_fast_open_keys(Hold& hold, OpenSocket& socket, const OptionIn& in) {
  if (in.length() != 16 && in.length() != 32) return EINVAL;
  const auto octets = std::as_bytes(std::span(in.text(), in.length()));
  FastOpenKeys keys{.primary = sip_key(octets.first<16>())};
  if (octets.size() == 32) keys.backup = sip_key(octets.last<16>());
  if (socket.is_listener()) hold.stack().tcp_set_fast_open_keys(socket.id, keys);
  socket.fast_open_keys = std::make_unique<FastOpenKeys>(keys);
  return 0;
}

int get_fast_open_keys(Hold& hold, const OpenSocket& socket, OptionOut& out) {
  const FastOpenKeys keys = socket.fast_open_keys ? *socket.fast_open_keys : hold.stack().tcp_fast_open_keys(socket.id);
  const std::array<uint64_t, 4> words{keys.primary.k0, keys.primary.k1, keys.backup.value_or(SipKey{}).k0,
                                      keys.backup.value_or(SipKey{}).k1};
  std::array<uint8_t, 32> octets;
  for (size_t i = 0; i < octets.size(); ++i) octets[i] = static_cast<uint8_t>(words[i / 8] >> (8 * (i % 8)));
  return out.write(octets.data(), keys.backup ? 32 : 16);
}

int set_congestion_control(Hold& hold, OpenSocket& socket, const OptionIn& in) {
  if (in.length() < 1) return EINVAL;
  const auto choice = congestion_choice({in.text(), strnlen(in.text(), in.length())});
  if (!choice) return ENOENT;
  TcpOptions options = tcp_options_of(hold, socket);
  options.congestion = *choice;
  set_tcp_options(hold, socket, options);
  return 0;
}

int get_max_segment(Hold& hold, const OpenSocket& socket, const TcpOptions& options, OptionOut& out) {
  uint32_t mss = options.max_segment;
  if (socket.has_connection()) {
    mss = hold.stack().tcp_status(socket.id).value_or(TcpStatus{}).mss;
  } else if (mss == 0) {
    mss = hold.stack().config().tcp.default_mss;
  }
  return out.write(static_cast<int>(mss));
}

int seconds_or(Duration set, Duration fallback) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(set != Duration{} ? set : fallback).count());
}

int count_or(uint32_t set, uint32_t fallback) { return static_cast<int>(set != 0 ? set : fallback); }

}  // namespace

int set_tcp_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in) {
  if (name == TCP_CONGESTION) return set_congestion_control(hold, socket, in);
  if (name == TCP_FASTOPEN_KEY) return set_fast_open_keys(hold, socket, in);
  int value = 0;
  if (const int error = in.read(value); error != 0) return error;
  if (name == TCP_INQ) {
    if (value < 0 || value > 1) return EINVAL;
    socket.wants_in_queue = value != 0;
    return 0;
  }
  TcpOptions options = tcp_options_of(hold, socket);
  const bool fast_open = name == TCP_FASTOPEN || name == TCP_FASTOPEN_CONNECT || name == TCP_FASTOPEN_NO_COOKIE;
  const int error = fast_open ? change_fast_open(hold, socket, options, name, value) : change(options, name, value);
  if (error != 0) return error;
  set_tcp_options(hold, socket, options);
  return 0;
}

int get_tcp_option(Hold& hold, OpenSocket& socket, int name, OptionOut& out) {
  const TcpOptions options = tcp_options_of(hold, socket);
  const TcpConfig& config = hold.stack().config().tcp;
  switch (name) {
    case TCP_NODELAY:
      return out.write_flag(options.no_delay);
    case TCP_NOTSENT_LOWAT:
      return out.write(options.unsent_low_water);
    case TCP_INQ:
      return out.write_flag(socket.wants_in_queue);
    case TCP_CORK:
      return out.write_flag(options.cork);
    case TCP_QUICKACK:
      return out.write_flag(options.quick_ack);
    case TCP_MAXSEG:
      return get_max_segment(hold, socket, options, out);
    case TCP_KEEPIDLE:
      return out.write(seconds_or(options.keepalive_time, config.keepalive_time));
    case TCP_KEEPINTVL:
      return out.write(seconds_or(options.keepalive_interval, config.keepalive_interval));
    case TCP_KEEPCNT:
      return out.write(count_or(options.keepalive_probes, config.keepalive_probes));
    case TCP_SYNCNT:
      return out.write(count_or(options.syn_retries, config.syn_retries));
    case TCP_USER_TIMEOUT:
      return out.write(static_cast<int>(to_ms(options.user_timeout)));
    case TCP_DEFER_ACCEPT:
      return out.write(seconds_of(options.defer_accept));
    case TCP_FASTOPEN:
      return out.write(static_cast<int>(options.fast_open_queue));
    case TCP_FASTOPEN_CONNECT:
      return out.write_flag(socket.fast_open_connect);
    case TCP_FASTOPEN_NO_COOKIE:
      return out.write_flag(options.fast_open_no_cookie);
    case TCP_FASTOPEN_KEY:
      return get_fast_open_keys(hold, socket, out);
    case TCP_INFO:
      return get_tcp_info(hold, socket, out);
    case TCP_CC_INFO:
      return get_congestion_info(hold, socket, out);
    case TCP_CONGESTION: {
      char name_out[16] = {};  // Linux TCP_CA_NAME_MAX
      const bool chosen = options.congestion != CongestionChoice::unset;
      limpid::name(chosen ? options.congestion : config.congestion).copy(name_out, sizeof name_out - 1);
      return out.write(name_out, sizeof name_out);
    }
    default:
      return ENOPROTOOPT;
  }
}

}  // namespace limpid
