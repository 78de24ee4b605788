// The end of a socket: what lp_close() does once the number is free.
#pragma once

#include "stack/socket/host.h"

namespace limpid {

// Lets go of the stack's socket and releases the calls that wait in it. With `may_linger` a socket that was told to
// (SO_LINGER with a time) first waits until its data and FIN are acknowledged. 0, or an errno that was in the way.
int close_socket(Host& host, OpenSocket& socket, bool may_linger);

}  // namespace limpid
