#include "stack/socket/errors.h"

namespace limpid {

int to_errno(Error error) {
  switch (error) {
    case Error::none:
      return 0;
    case Error::would_block:
      return EAGAIN;
    case Error::in_progress:
      return EINPROGRESS;
    case Error::refused:
      return ECONNREFUSED;
    case Error::reset:
      return ECONNRESET;
    case Error::timed_out:
      return ETIMEDOUT;
    case Error::aborted:
      return ECONNABORTED;
    case Error::network_unreachable:
      return ENETUNREACH;
    case Error::host_unreachable:
      return EHOSTUNREACH;
    case Error::protocol_unreachable:
      return ENOPROTOOPT;
    case Error::closing:
      return EPIPE;
    case Error::not_connected:
      return ENOTCONN;
    case Error::already_connected:
      return EISCONN;
    case Error::address_in_use:
      return EADDRINUSE;
    case Error::address_not_available:
      return EADDRNOTAVAIL;
    case Error::destination_required:
      return EDESTADDRREQ;
    case Error::permission_denied:
      return EACCES;
    case Error::message_too_long:
      return EMSGSIZE;
    case Error::no_buffers:
      return ENOBUFS;
    case Error::invalid_argument:
      return EINVAL;
    case Error::stale_handle:
      return EBADF;
  }
  return EINVAL;
}

}  // namespace limpid
