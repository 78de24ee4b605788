// What a user call on the stack can fail with. The protocol knows no errno; stack/socket maps these to it.
#pragma once

#include <cstdint>
#include <expected>

namespace limpid {

enum class Error : uint8_t {
  none,
  would_block,            // nothing to give or no room now; a wake-up will say when (EAGAIN)
  in_progress,            // (EINPROGRESS)
  refused,                // RST to our SYN, or ICMP port unreachable (ECONNREFUSED)
  reset,                  // RST on a connection (ECONNRESET)
  timed_out,              // retransmissions, keep-alives or the user timeout ran out (ETIMEDOUT)
  aborted,                // the connection went before it was accepted (ECONNABORTED)
  network_unreachable,    // no route, or ICMP net unreachable (ENETUNREACH)
  host_unreachable,       // ICMP host unreachable, or no neighbor answered (EHOSTUNREACH)
  protocol_unreachable,   // ICMP protocol unreachable (ENOPROTOOPT, as on Linux)
  closing,                // this direction was shut (EPIPE for sends)
  not_connected,          // (ENOTCONN)
  already_connected,      // (EISCONN)
  address_in_use,         // (EADDRINUSE)
  address_not_available,  // not an address of ours, or no ephemeral port is left (EADDRNOTAVAIL)
  destination_required,   // (EDESTADDRREQ)
  permission_denied,      // broadcast without permission (EACCES)
  message_too_long,       // above what a datagram can carry (EMSGSIZE)
  no_buffers,             // a bound of the stack was reached (ENOBUFS)
  invalid_argument,       // (EINVAL)
  stale_handle,           // the socket is gone (EBADF)
};

template <class T>
using Result = std::expected<T, Error>;

}  // namespace limpid
