// IPPROTO_IP (ip(7)).
#include <netinet/in.h>

#include <algorithm>

#include "stack/socket/options.h"

namespace limpid {

namespace {

int set_ttl(Hold& hold, OpenSocket& socket, int ttl) {
  if (ttl == -1) ttl = hold.stack().config().ip.ttl;  // ip(7): back to the default
  if (ttl < 1 || ttl > 255) return EINVAL;
  if (socket.is_stream()) {
    TcpOptions options = tcp_options_of(hold, socket);
    options.ttl = static_cast<uint8_t>(ttl);
    set_tcp_options(hold, socket, options);
  } else {
    socket.udp().ttl = static_cast<uint8_t>(ttl);
    set_udp_options(hold, socket);
  }
  return 0;
}

int set_tos(Hold& hold, OpenSocket& socket, int tos) {
  if (socket.is_stream()) {
    TcpOptions options = tcp_options_of(hold, socket);
    options.tos = static_cast<uint8_t>(tos & ~3);  // the lowest two bits are TCP's own (ECN)
    set_tcp_options(hold, socket, options);
  } else {
    socket.udp().tos = static_cast<uint8_t>(tos);
    set_udp_options(hold, socket);
  }
  return 0;
}

int set_mtu_discovery(Hold& hold, OpenSocket& socket, int value) {
  if (value < IP_PMTUDISC_DONT || value > IP_PMTUDISC_OMIT) return EINVAL;
  if (socket.is_stream()) {
    TcpOptions options = tcp_options_of(hold, socket);
    options.dont_fragment = value != IP_PMTUDISC_DONT;
    set_tcp_options(hold, socket, options);
    return 0;
  }
  socket.udp().dont_fragment = value == IP_PMTUDISC_DO || value == IP_PMTUDISC_PROBE;
  set_udp_options(hold, socket);
  return 0;
}

int get_mtu(Hold& hold, const OpenSocket& socket, OptionOut& out) {
  Endpoint local;
  Endpoint remote;
  Stack& stack = hold.stack();
  if (socket.has_connection()) {
    const TcpStatus status = stack.tcp_status(socket.id).value_or(TcpStatus{});
    local = status.local;
    remote = status.remote;
  } else if (!socket.is_stream()) {
    const bool raw = socket.kind == OpenSocket::Kind::raw;
    const UdpStatus status = (raw ? stack.raw_status(socket.id) : stack.udp_status(socket.id)).value_or(UdpStatus{});
    local = status.local;
    remote = status.remote;
  }
  if (!remote.address.is_set()) return ENOTCONN;
  const auto path = stack.ip().path(remote.address, local.address);
  if (!path) return ENOTCONN;
  return out.write(static_cast<int>(std::min(path->mtu, stack.ip().path_mtu(remote.address, hold.now()).mtu)));
}

}  // namespace

int set_ip_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in) {
  if (is_multicast_option(name)) return set_multicast_option(hold, socket, name, in);
  int value = 0;
  if (const int error = in.read_int_or_byte(value); error != 0) return error;
  switch (name) {
    case IP_TTL:
      return set_ttl(hold, socket, value);
    case IP_TOS:
      return set_tos(hold, socket, value);
    case IP_MTU_DISCOVER:
      return set_mtu_discovery(hold, socket, value);
    case IP_PKTINFO:
      socket.wants_packet_info = value != 0;
      return 0;
    case IP_RECVTTL:
      socket.wants_ttl = value != 0;
      return 0;
    case IP_RECVTOS:
      socket.wants_tos = value != 0;
      return 0;
    case IP_RECVERR:
      socket.udp().receive_errors = value != 0;
      if (!socket.is_stream()) set_udp_options(hold, socket);
      return 0;
    case IP_HDRINCL:
      if (socket.kind != OpenSocket::Kind::raw) return ENOPROTOOPT;
      socket.udp().header_included = value != 0;
      set_udp_options(hold, socket);
      return 0;
    default:
      return ENOPROTOOPT;
  }
}

int get_ip_option(Hold& hold, OpenSocket& socket, int name, OptionOut& out) {
  if (is_multicast_option(name)) return get_multicast_option(socket, name, out);
  const TcpOptions tcp = socket.is_stream() ? tcp_options_of(hold, socket) : TcpOptions{};
  switch (name) {
    case IP_TTL: {
      const uint8_t ttl = socket.is_stream() ? tcp.ttl : socket.udp().ttl;
      return out.write(int{ttl != 0 ? ttl : hold.stack().config().ip.ttl});
    }
    case IP_TOS:
      return out.write(int{socket.is_stream() ? tcp.tos : socket.udp().tos});
    case IP_MTU:
      return get_mtu(hold, socket, out);
    case IP_MTU_DISCOVER:
      return out.write(int{socket.is_stream() || socket.udp().dont_fragment ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT});
    case IP_PKTINFO:
      return out.write_flag(socket.wants_packet_info);
    case IP_RECVTTL:
      return out.write_flag(socket.wants_ttl);
    case IP_RECVTOS:
      return out.write_flag(socket.wants_tos);
    case IP_RECVERR:
      return out.write_flag(socket.udp().receive_errors);
    case IP_HDRINCL:
      return socket.kind == OpenSocket::Kind::raw ? out.write_flag(socket.udp().header_included) : ENOPROTOOPT;
    case IP_OPTIONS:
      return out.write_nothing();  // none are ever sent
    default:
      return ENOPROTOOPT;
  }
}

}  // namespace limpid
