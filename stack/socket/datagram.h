// Datagram and raw sockets: one message in, one message out.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <span>

#include "stack/socket/call.h"

namespace limpid {

ssize_t datagram_send(Host& host, OpenSocket& socket, std::span<const iovec> pieces, const DatagramSend& how,
                      int flags);

// `flags` as given to the call. On success: how many bytes were put into the pieces; `received` says the rest.
ssize_t datagram_receive(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags,
                         DatagramReceived& received);

}  // namespace limpid
