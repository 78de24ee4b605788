// SOL_SOCKET (socket(7)).
#include <linux/sock_diag.h>
#include <sys/time.h>

#include "stack/socket/options.h"

namespace limpid {

namespace {

// Linux doubles what it is asked for, to make room for its own overhead, and reports the double. What a send buffer
// holds there has hardly any overhead, and a program that asked for n may write nearly 2 n: so here too. The receive
// buffer is payload: half of Linux's goes into the window. Datagram queues are charged with overhead, as on Linux.
constexpr uint32_t kMinimumSend = 4608 / 2;
constexpr uint32_t kMinimumReceive = 2304 / 2;

uint32_t buffer_size(int wanted, uint32_t minimum, uint32_t maximum) {
  return std::clamp(wanted < 0 ? maximum : static_cast<uint32_t>(wanted), minimum, maximum);
}

int set_send_buffer(Hold& hold, OpenSocket& socket, int wanted) {
  const uint32_t size = buffer_size(wanted, kMinimumSend, hold.stack().config().tcp.max_buffer);
  if (socket.is_stream()) {
    TcpOptions options = tcp_options_of(hold, socket);
    options.send_buffer = 2 * size;
    set_tcp_options(hold, socket, options);
  } else {
    socket.udp().send_buffer = 2 * size;
    set_udp_options(hold, socket);
  }
  return 0;
}

int set_receive_buffer(Hold& hold, OpenSocket& socket, int wanted) {
  const uint32_t size = buffer_size(wanted, kMinimumReceive, hold.stack().config().tcp.max_buffer);
  if (socket.is_stream()) {
    TcpOptions options = tcp_options_of(hold, socket);
    options.receive_buffer = size;
    set_tcp_options(hold, socket, options);
  } else {
    socket.udp().receive_buffer = 2 * size;
    set_udp_options(hold, socket);
  }
  return 0;
}

// What was set (the receive buffer doubled), or what it is as the path needs it: to begin with Linux's tcp_wmem[1] and
// tcp_rmem[1].
struct Buffers {
  uint32_t send = 0;
  uint32_t receive = 0;
};

Buffers told_buffers(Hold& hold, const OpenSocket& socket, const TcpStatus& status) {
  const TcpOptions options = tcp_options_of(hold, socket);
  const TcpConfig& config = hold.stack().config().tcp;
  Buffers told{.send = std::max(status.send_buffer, config.send_buffer),
               .receive = std::max(status.receive_buffer, config.receive_buffer)};
  if (options.send_buffer > 0) told.send = options.send_buffer;
  if (options.receive_buffer > 0) told.receive = 2 * options.receive_buffer;
  return told;
}

TcpStatus status_of(Hold& hold, const OpenSocket& socket) {
  return socket.id && !socket.is_listener() ? hold.stack().tcp_status(socket.id).value_or(TcpStatus{}) : TcpStatus{};
}

int set_linger(Hold& hold, OpenSocket& socket, const OptionIn& in) {
  linger wanted{};
  if (const int error = in.read(wanted); error != 0) return error;
  socket.linger = wanted.l_onoff != 0;
  socket.linger_time = std::chrono::seconds(std::max(wanted.l_linger, 0));
  if (!socket.is_stream()) return 0;
  TcpOptions options = tcp_options_of(hold, socket);
  options.linger_reset = socket.linger && wanted.l_linger == 0;
  set_tcp_options(hold, socket, options);
  return 0;
}

int set_timeout(Duration& timeout, const OptionIn& in) {
  timeval wanted{};
  if (const int error = in.read(wanted); error != 0) return error;
  if (wanted.tv_usec < 0 || wanted.tv_usec >= 1'000'000) return EDOM;
  timeout = wanted.tv_sec < 0 ? 1ns : std::chrono::seconds(wanted.tv_sec) + std::chrono::microseconds(wanted.tv_usec);
  return 0;
}

int get_timeout(Duration timeout, OptionOut& out) {
  const int64_t us = to_us(timeout);
  return out.write(timeval{.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000});
}

int set_reuse(Hold& hold, OpenSocket& socket, bool& which, bool on) {
  which = on;
  if (!socket.is_stream()) return 0;
  TcpOptions options = tcp_options_of(hold, socket);
  options.reuse = socket.reuse;
  set_tcp_options(hold, socket, options);
  if (socket.bound) hold.stack().set_bind_reuse(socket.bind, socket.reuse);
  return 0;
}

// Of 32 bits, where all ones stand for "no bound", or of 64 (as Linux).
int set_max_pacing_rate(Hold& hold, OpenSocket& socket, const OptionIn& in) {
  uint64_t rate = 0;
  if (in.length() < sizeof rate) {
    uint32_t narrow = 0;
    if (const int error = in.read(narrow); error != 0) return error;
    rate = narrow == UINT32_MAX ? UINT64_MAX : narrow;
  } else if (const int error = in.read(rate); error != 0) {
    return error;
  }
  if (!socket.is_stream()) return 0;
  TcpOptions options = tcp_options_of(hold, socket);
  options.max_pacing_rate = rate;
  set_tcp_options(hold, socket, options);
  return 0;
}

int get_max_pacing_rate(uint64_t rate, OptionOut& out) {
  if (out.room() >= sizeof rate) return out.write(rate);
  return out.write(static_cast<uint32_t>(std::min<uint64_t>(rate, UINT32_MAX)));
}

int set_stream_flag(Hold& hold, OpenSocket& socket, int name, int value) {
  if (!socket.is_stream()) return 0;  // Linux takes these for any socket, and they mean nothing there
  TcpOptions options = tcp_options_of(hold, socket);
  if (name == SO_KEEPALIVE) options.keepalive = value != 0;
  if (name == SO_OOBINLINE) options.urgent_inline = value != 0;
  if (name == SO_RCVLOWAT)
    options.receive_low_water = value < 0 ? INT32_MAX : static_cast<uint32_t>(std::max(value, 1));
  set_tcp_options(hold, socket, options);
  return 0;
}

int pending_error(Hold& hold, OpenSocket& socket) {
  Stack& stack = hold.stack();
  if (socket.kind == OpenSocket::Kind::datagram) return to_errno(stack.udp_take_error(socket.id));
  if (socket.kind == OpenSocket::Kind::raw) return to_errno(stack.raw_take_error(socket.id));
  return socket.has_connection() ? to_errno(stack.tcp_take_error(socket.id)) : 0;
}

// SO_MEMINFO: Linux's SK_MEMINFO_VARS (<linux/sock_diag.h>), bytes. Those that have no counterpart here are zero.
int get_memory(Hold& hold, const OpenSocket& socket, OptionOut& out) {
  uint32_t values[SK_MEMINFO_VARS] = {};
  if (socket.is_stream()) {
    const TcpStatus status = status_of(hold, socket);
    const Buffers buffers = told_buffers(hold, socket, status);
    values[SK_MEMINFO_RCVBUF] = buffers.receive;
    values[SK_MEMINFO_SNDBUF] = buffers.send;
    values[SK_MEMINFO_RMEM_ALLOC] = status.receive_queue + status.out_of_order;
    values[SK_MEMINFO_WMEM_QUEUED] = status.send_queue;
    values[SK_MEMINFO_WMEM_ALLOC] = status.in_flight;
  } else {
    values[SK_MEMINFO_RCVBUF] = socket.udp().receive_buffer;
    values[SK_MEMINFO_SNDBUF] = socket.udp().send_buffer;
    if (socket.kind == OpenSocket::Kind::datagram)
      values[SK_MEMINFO_RMEM_ALLOC] = hold.stack().udp_status(socket.id).value_or(UdpStatus{}).queued_bytes;
  }
  return out.write(values, sizeof values);
}

int type_of(const OpenSocket& socket) {
  switch (socket.kind) {
    case OpenSocket::Kind::stream:
      return SOCK_STREAM;
    case OpenSocket::Kind::datagram:
      return SOCK_DGRAM;
    case OpenSocket::Kind::raw:
      return SOCK_RAW;
    case OpenSocket::Kind::epoll:
      break;
  }
  return 0;
}

}  // namespace

int set_socket_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in) {
  switch (name) {
    case SO_LINGER:
      return set_linger(hold, socket, in);
    case SO_RCVTIMEO:
      return set_timeout(socket.receive_timeout, in);
    case SO_SNDTIMEO:
      return set_timeout(socket.send_timeout, in);
    case SO_MAX_PACING_RATE:
      return set_max_pacing_rate(hold, socket, in);
    default:
      break;
  }
  int value = 0;
  if (const int error = in.read(value); error != 0) return error;
  switch (name) {
    case SO_REUSEADDR:
      return set_reuse(hold, socket, socket.reuse.address, value != 0);
    case SO_REUSEPORT:
      return set_reuse(hold, socket, socket.reuse.port, value != 0);
    case SO_SNDBUF:
      return set_send_buffer(hold, socket, value);
    case SO_RCVBUF:
      return set_receive_buffer(hold, socket, value);
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_RCVLOWAT:
      return set_stream_flag(hold, socket, name, value);
    case SO_BUSY_POLL:
      if (value < 0) return EINVAL;
      socket.busy_poll = std::chrono::microseconds(value);
      return 0;
    case SO_BROADCAST:
      socket.udp().broadcast = value != 0;
      if (!socket.is_stream()) set_udp_options(hold, socket);
      return 0;
    default:
      return ENOPROTOOPT;  // SO_TYPE and the like too: they can only be asked for
  }
}

int get_socket_option(Hold& hold, OpenSocket& socket, int name, OptionOut& out) {
  const TcpOptions tcp = socket.is_stream() ? tcp_options_of(hold, socket) : TcpOptions{};
  switch (name) {
    case SO_TYPE:
      return out.write(type_of(socket));
    case SO_MEMINFO:
      return get_memory(hold, socket, out);
    case SO_DOMAIN:
      return out.write(int{AF_INET});
    case SO_PROTOCOL:
      return out.write(int{socket.protocol});
    case SO_ACCEPTCONN:
      return out.write_flag(socket.is_listener());
    case SO_ERROR:
      return out.write(pending_error(hold, socket));
    case SO_REUSEADDR:
      return out.write_flag(socket.reuse.address);
    case SO_REUSEPORT:
      return out.write_flag(socket.reuse.port);
    case SO_KEEPALIVE:
      return out.write_flag(tcp.keepalive);
    case SO_OOBINLINE:
      return out.write_flag(tcp.urgent_inline);
    case SO_BROADCAST:
      return out.write_flag(socket.udp().broadcast);
    case SO_RCVLOWAT:
      return out.write(static_cast<int>(std::max<uint32_t>(tcp.receive_low_water, 1)));
    case SO_RCVTIMEO:
      return get_timeout(socket.receive_timeout, out);
    case SO_SNDTIMEO:
      return get_timeout(socket.send_timeout, out);
    case SO_MAX_PACING_RATE:
      return get_max_pacing_rate(tcp.max_pacing_rate, out);
    case SO_BUSY_POLL:
      return out.write(static_cast<int>(to_us(socket.busy_poll)));
    case SO_LINGER:
      return out.write(
          linger{.l_onoff = socket.linger, .l_linger = static_cast<int>(to_ms(socket.linger_time) / 1000)});
    case SO_SNDBUF:
      return out.write(socket.is_stream() ? static_cast<int>(told_buffers(hold, socket, status_of(hold, socket)).send)
                                          : static_cast<int>(socket.udp().send_buffer));
    case SO_RCVBUF:
      return out.write(socket.is_stream()
                           ? static_cast<int>(told_buffers(hold, socket, status_of(hold, socket)).receive)
                           : static_cast<int>(socket.udp().receive_buffer));
    default:
      return ENOPROTOOPT;
  }
}

}  // namespace limpid
