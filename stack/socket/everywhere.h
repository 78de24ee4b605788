// A stream socket's port, in a host of several machines: claimed at each, listened on at each. With one machine these
// are the plain calls of the stack.
//
// All are called with the lock of the socket's home, and return with it, but may let go of it in between. Who makes or
// ends a listener has host.arranging() too.
#pragma once

#include "stack/socket/call.h"

namespace limpid {

// bind. The first machine decides between two that want the same. 0 or an errno.
int claim_port(Host& host, Hold& hold, OpenSocket& socket, const Endpoint& local);
// The port of a bound socket is free again.
void release_port(Host& host, Hold& hold, OpenSocket& socket);
// The claim went to a connection at the socket's home: the others are not needed, since every bind asks there, too.
void release_other_claims(Host& host, Hold& hold, OpenSocket& socket);
void set_claim_reuse(Host& host, Hold& hold, OpenSocket& socket);

// Listens with the claim of a bound socket. 0 or an errno; then the claim has gone.
int listen_everywhere(Host& host, Hold& hold, OpenSocket& socket, uint32_t backlog);
// What the listener at home was told, the others are told too: its backlog, its options.
void set_backlog_everywhere(Host& host, Hold& hold, OpenSocket& socket, uint32_t backlog);
void set_options_everywhere(Host& host, Hold& hold, OpenSocket& socket);
void close_listeners(Host& host, Hold& hold, OpenSocket& socket);

// A connection that a listener has had waiting.
struct Accepted {
  uint16_t at = 0;  // the machine that has it
  SocketId listener;
  SocketId connection;
};
// The next one, of any machine; then `hold` is there. would_block: none waits.
Result<Accepted> take_waiting(Host& host, Hold& hold, OpenSocket& listener);

// Before a bound socket connects: its flow may be another machine's than its home. Then it is made anew there, under
// the same number. 0 or an errno. Takes host.arranging() itself; without a lock.
int move_to_owner(Call& call, int fd, const Endpoint& remote);

}  // namespace limpid
