#include "stack/socket/names.h"

#include <arpa/inet.h>
#include <limpid/limpid.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "stack/socket/call.h"

namespace limpid {

std::expected<Endpoint, int> to_endpoint(const sockaddr* address, socklen_t length) {
  if (address == nullptr) return std::unexpected(EFAULT);
  if (length < sizeof(sockaddr_in)) return std::unexpected(EINVAL);
  sockaddr_in in;
  std::memcpy(&in, address, sizeof in);
  if (in.sin_family != AF_INET) return std::unexpected(EAFNOSUPPORT);
  Endpoint endpoint{.address = {}, .port = ntohs(in.sin_port)};
  if (in.sin_addr.s_addr != INADDR_ANY) endpoint.address = IpAddress::v4(ntohl(in.sin_addr.s_addr));
  return endpoint;
}

void write_address(const Endpoint& endpoint, sockaddr* address, socklen_t* length) {
  if (address == nullptr || length == nullptr) return;
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(endpoint.port);
  in.sin_addr.s_addr = htonl(endpoint.address.v4_bits());
  std::memcpy(address, &in, std::min<size_t>(*length, sizeof in));
  *length = sizeof in;
}

namespace {

Endpoint local_of(Stack& stack, const OpenSocket& socket) {
  switch (socket.kind) {
    case OpenSocket::Kind::stream:
      if (socket.id) return stack.tcp_status(socket.id).value_or(TcpStatus{}).local;
      return socket.bound ? stack.bound_endpoint(socket.bind) : Endpoint{};
    case OpenSocket::Kind::datagram:
      return stack.udp_status(socket.id).value_or(UdpStatus{}).local;
    case OpenSocket::Kind::raw:
      return stack.raw_status(socket.id).value_or(UdpStatus{}).local;
    case OpenSocket::Kind::epoll:
      break;  // has no name
  }
  return {};
}

// The other end; nothing when there is none (any more).
Endpoint remote_of(Stack& stack, const OpenSocket& socket) {
  switch (socket.kind) {
    case OpenSocket::Kind::stream: {
      if (!socket.has_connection()) return {};
      const TcpStatus status = stack.tcp_status(socket.id).value_or(TcpStatus{});
      if (status.state == TcpState::closed || status.state == TcpState::syn_sent) return {};
      return status.remote;
    }
    case OpenSocket::Kind::datagram:
      return stack.udp_status(socket.id).value_or(UdpStatus{}).remote;
    case OpenSocket::Kind::raw:
      return stack.raw_status(socket.id).value_or(UdpStatus{}).remote;
    case OpenSocket::Kind::epoll:
      break;
  }
  return {};
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_getsockname(int fd, sockaddr* address, socklen_t* length) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (address == nullptr || length == nullptr) return fail(EFAULT);
  Hold hold(call.machine());
  write_address(local_of(hold.stack(), call.socket()), address, length);
  return 0;
}

int lp_getpeername(int fd, sockaddr* address, socklen_t* length) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (address == nullptr || length == nullptr) return fail(EFAULT);
  Hold hold(call.machine());
  const Endpoint remote = remote_of(hold.stack(), call.socket());
  if (!remote.address.is_set()) return fail(ENOTCONN);
  write_address(remote, address, length);
  return 0;
}
