// IPPROTO_IP, multicast (ip(7)): the groups that a datagram socket hears, and the way of what it sends to one.
#include <netinet/in.h>

#include "stack/socket/errors.h"
#include "stack/socket/options.h"

namespace limpid {

namespace {

IpAddress address_of(const in_addr& raw) {
  return raw.s_addr == INADDR_ANY ? IpAddress{} : IpAddress::v4(ntohl(raw.s_addr));
}

// struct ip_mreq or ip_mreqn: a group, and an address of ours or an interface's number, which counts from 1 as in
// IP_PKTINFO.
struct Request {
  IpAddress group;
  IpAddress own;
  int number = 0;
};

int read_request(const OptionIn& in, Request& into) {
  ip_mreqn raw{};
  if (in.length() >= sizeof raw) {
    if (const int error = in.read(raw); error != 0) return error;
  } else {
    ip_mreq shorter{};
    if (const int error = in.read(shorter); error != 0) return error;
    raw.imr_multiaddr = shorter.imr_multiaddr;
    raw.imr_address = shorter.imr_interface;
  }
  into = {.group = address_of(raw.imr_multiaddr), .own = address_of(raw.imr_address), .number = raw.imr_ifindex};
  return 0;
}

int change_membership(Hold& hold, OpenSocket& socket, const OptionIn& in, bool join) {
  if (socket.is_stream()) return EPROTO;
  if (socket.kind != OpenSocket::Kind::datagram) return ENOPROTOOPT;
  Request request;
  if (const int error = read_request(in, request); error != 0) return error;
  if (!request.group.is_multicast()) return EINVAL;
  Stack& stack = hold.stack();
  // Addresses alone name interfaces here.
  const auto interface =
      request.number == 0 ? stack.ip().multicast_interface(request.group, request.own) : std::nullopt;
  if (!interface) return ENODEV;
  const Result<void> done = join ? stack.udp_join(socket.id, request.group, *interface)
                                 : stack.udp_leave(socket.id, request.group, *interface);
  return done ? 0 : to_errno(done.error());
}

int set_interface(Hold& hold, OpenSocket& socket, const OptionIn& in) {
  Request request;
  if (in.length() >= sizeof(ip_mreq)) {
    if (const int error = read_request(in, request); error != 0) return error;
  } else {
    in_addr raw{};
    if (const int error = in.read(raw); error != 0) return error;
    request.own = address_of(raw);
  }
  if (request.number != 0 || (request.own.is_set() && !hold.stack().ip().is_local(request.own))) return EADDRNOTAVAIL;
  socket.udp().multicast_own = request.own;
  set_udp_options(hold, socket);
  return 0;
}

int set_number(Hold& hold, OpenSocket& socket, int name, const OptionIn& in) {
  int value = 0;
  if (const int error = in.read_int_or_byte(value); error != 0) return error;
  if (name == IP_MULTICAST_TTL) {
    if (value == -1) value = 1;  // ip(7): back to the default
    if (value < 0 || value > 255) return EINVAL;
    socket.udp().multicast_ttl = static_cast<uint8_t>(value);
  } else if (name == IP_MULTICAST_LOOP) {
    socket.udp().multicast_loop = value != 0;
  } else {
    if (value != 0 && value != 1) return EINVAL;
    socket.udp().multicast_all = value != 0;
  }
  set_udp_options(hold, socket);
  return 0;
}

}  // namespace

bool is_multicast_option(int name) {
  switch (name) {
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP:
    case IP_MULTICAST_IF:
    case IP_MULTICAST_TTL:
    case IP_MULTICAST_LOOP:
    case IP_MULTICAST_ALL:
      return true;
    default:
      return false;
  }
}

int set_multicast_option(Hold& hold, OpenSocket& socket, int name, const OptionIn& in) {
  if (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP)
    return change_membership(hold, socket, in, name == IP_ADD_MEMBERSHIP);
  if (socket.is_stream()) return EINVAL;
  return name == IP_MULTICAST_IF ? set_interface(hold, socket, in) : set_number(hold, socket, name, in);
}

int get_multicast_option(const OpenSocket& socket, int name, OptionOut& out) {
  const UdpOptions& udp = socket.udp();
  switch (name) {
    case IP_MULTICAST_IF:
      return out.write(in_addr{.s_addr = udp.multicast_own.is_set() ? htonl(udp.multicast_own.v4_bits()) : INADDR_ANY});
    case IP_MULTICAST_TTL:
      return out.write(int{udp.multicast_ttl});
    case IP_MULTICAST_LOOP:
      return out.write_flag(udp.multicast_loop);
    case IP_MULTICAST_ALL:
      return out.write_flag(udp.multicast_all);
    default:
      return ENOPROTOOPT;
  }
}

}  // namespace limpid
