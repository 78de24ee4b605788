// What poll and epoll call ready, and which of the stack's wake-ups could make it so.
#pragma once

#include "stack/socket/open_socket.h"

namespace limpid {

// What holds now, as POLLIN, POLLOUT and so on (epoll's bits are the same).
short events_of(Stack& stack, const OpenSocket& socket);
// For SocketWait: the wake-ups after which to look again.
ReadyEvents interest_of(short events);

}  // namespace limpid
