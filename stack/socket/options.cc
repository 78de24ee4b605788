#include "stack/socket/options.h"

#include <limpid/limpid.h>
#include <netinet/in.h>

#include "stack/socket/everywhere.h"

namespace limpid {

TcpOptions tcp_options_of(Hold& hold, const OpenSocket& socket) {
  if (socket.id)
    if (const TcpOptions* options = hold.stack().tcp_options(socket.id); options != nullptr) return *options;
  return socket.tcp();
}

void set_tcp_options(Hold& hold, OpenSocket& socket, const TcpOptions& options) {
  if (socket.id) {
    (void)hold.stack().tcp_set_options(socket.id, options, hold.now());
  } else {
    socket.set_tcp(options);
  }
}

void set_udp_options(Hold& hold, OpenSocket& socket) {
  if (socket.kind == OpenSocket::Kind::raw) {
    (void)hold.stack().raw_set_options(socket.id, socket.udp());
  } else {
    (void)hold.stack().udp_set_options(socket.id, socket.udp());
  }
}

namespace {

// What concerns a port is known to all machines that have a share in it.
void tell_everywhere(Host& host, Hold& hold, OpenSocket& socket) {
  if (!socket.everywhere) return;
  if (socket.is_listener()) set_options_everywhere(host, hold, socket);
  if (socket.bound) set_claim_reuse(host, hold, socket);
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (value == nullptr && length > 0) return fail(EFAULT);
  if (static_cast<int>(length) < 0) return fail(EINVAL);
  const OptionIn in(value, length);
  Hold hold(call.machine());
  int error = ENOPROTOOPT;
  if (level == SOL_SOCKET) error = set_socket_option(hold, call.socket(), name, in);
  if (level == IPPROTO_IP) error = set_ip_option(hold, call.socket(), name, in);
  if (level == IPPROTO_TCP)
    error = call.socket().is_stream() ? set_tcp_option(hold, call.socket(), name, in) : ENOPROTOOPT;
  if (error == 0) tell_everywhere(call.host(), hold, call.socket());
  return error == 0 ? 0 : fail(error);
}

int lp_getsockopt(int fd, int level, int name, void* value, socklen_t* length) {
  const Call call(fd);
  if (call.error() != 0) return fail(call.error());
  if (length == nullptr || (value == nullptr && *length > 0)) return fail(EFAULT);
  if (static_cast<int>(*length) < 0) return fail(EINVAL);
  OptionOut out(value, length);
  Hold hold(call.machine());
  int error = level == SOL_SOCKET || level == IPPROTO_IP || level == IPPROTO_TCP ? ENOPROTOOPT : EOPNOTSUPP;
  if (level == SOL_SOCKET) error = get_socket_option(hold, call.socket(), name, out);
  if (level == IPPROTO_IP) error = get_ip_option(hold, call.socket(), name, out);
  if (level == IPPROTO_TCP)
    error = call.socket().is_stream() ? get_tcp_option(hold, call.socket(), name, out) : EOPNOTSUPP;
  return error == 0 ? 0 : fail(error);
}
