// fcntl and ioctl, and descriptors of the kernel's in our table.
#include <fcntl.h>
#include <limpid/limpid.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <cstdarg>

#include "stack/socket/call.h"

namespace limpid {

namespace {

int readable_bytes(Stack& stack, const OpenSocket& socket, int& bytes) {
  if (socket.is_listener()) return EINVAL;
  size_t n = 0;
  if (socket.kind == OpenSocket::Kind::datagram) n = stack.udp_readable_bytes(socket.id);
  if (socket.kind == OpenSocket::Kind::raw) n = stack.raw_status(socket.id).value_or(UdpStatus{}).queued_bytes;
  if (socket.has_connection()) n = stack.tcp_readable_bytes(socket.id);
  bytes = static_cast<int>(n);
  return 0;
}

int unacknowledged_bytes(Stack& stack, const OpenSocket& socket, bool only_unsent, int& bytes) {
  if (socket.is_listener()) return EINVAL;
  bytes = 0;
  if (!socket.has_connection()) return 0;
  const TcpStatus status = stack.tcp_status(socket.id).value_or(TcpStatus{});
  bytes = static_cast<int>(only_unsent ? status.unsent : status.send_queue);
  return 0;
}

int socket_ioctl(const Call& call, unsigned long request, int* value) {
  if (value == nullptr) return EFAULT;
  OpenSocket& socket = call.socket();
  Hold hold(call.machine());
  switch (request) {
    case FIONBIO:
      socket.nonblocking = *value != 0;
      return 0;
    case FIONREAD:
      return readable_bytes(hold.stack(), socket, *value);
    case SIOCOUTQ:
      return unacknowledged_bytes(hold.stack(), socket, false, *value);
    case SIOCATMARK:  // a stream without a connection is at no mark
      if (!socket.is_stream()) return ENOTTY;
      *value = hold.stack().tcp_status(socket.id).value_or(TcpStatus{}).at_urgent_mark ? 1 : 0;
      return 0;
    case SIOCOUTQNSD:
      return unacknowledged_bytes(hold.stack(), socket, true, *value);
    default:
      return ENOTTY;
  }
}

int socket_fcntl(const Call& call, int command, long argument, int& result) {
  OpenSocket& socket = call.socket();
  Hold hold(call.machine());
  switch (command) {
    case F_GETFL:
      result = O_RDWR | (socket.nonblocking ? O_NONBLOCK : 0);
      return 0;
    case F_SETFL:
      socket.nonblocking = (argument & O_NONBLOCK) != 0;
      return 0;
    case F_GETFD:
      result = FD_CLOEXEC;
      return 0;  // nothing of ours survives exec
    case F_SETFD:
      return 0;
    default:
      return EINVAL;
  }
}

}  // namespace
}  // namespace limpid

using namespace limpid;

int lp_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  const Call call(fd);
  if (call.is_kernel()) return ::fcntl(call.kernel(), command, argument);
  if (call.error() != 0 && !call.is_epoll()) return fail(call.error());
  int result = 0;
  const int error = socket_fcntl(call, command, argument, result);
  return error == 0 ? result : fail(error);
}

int lp_ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  const Call call(fd);
  if (call.is_kernel()) return ::ioctl(call.kernel(), request, argument);
  if (call.error() != 0) return fail(call.error());
  const int error = socket_ioctl(call, request, static_cast<int*>(argument));
  return error == 0 ? 0 : fail(error);
}

int lp_adopt(int kernel_fd) {
  Host* host = Host::current();
  if (host == nullptr || ::fcntl(kernel_fd, F_GETFD) < 0) return fail(EBADF);
  const int fd = host->descriptors().enter_kernel(kernel_fd);
  return fd >= 0 ? fd : fail(EMFILE);
}
