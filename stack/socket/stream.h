// Stream sockets: the parts of their calls that several files use.
#pragma once

#include <sys/uio.h>

#include <span>

#include "stack/socket/call.h"

namespace limpid {

// The results of these are as of the calls: at least 0, or -1 and errno.
ssize_t stream_send(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags);
ssize_t stream_receive(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags);

// A listener becomes an unconnected socket again; its waiting connections are reset. The port stays claimed if it can.
void stop_listening(Host& host, Hold& hold, OpenSocket& socket);

// The socket forgets its connection (which is closed or aborted) and can be connected anew.
void forget_connection(Host& host, Hold& hold, OpenSocket& socket);

// The claim on the local port that connect and listen need; takes the one that bind asked for before, or none.
// 0 or an errno.
int claim_again(Hold& hold, OpenSocket& socket);

}  // namespace limpid
