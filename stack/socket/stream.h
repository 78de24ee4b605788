// Stream sockets: the parts of their calls that several files use.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <span>

#include "stack/socket/call.h"

namespace limpid {

// The results of these are as of the calls: at least 0, or -1 and errno.
// `to`: where MSG_FASTOPEN connects to; ignored without it, as on Linux.
struct SendTo {
  const sockaddr* address = nullptr;
  socklen_t length = 0;
};
ssize_t stream_send(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags, SendTo to = {});
ssize_t stream_receive(Host& host, OpenSocket& socket, std::span<const iovec> pieces, int flags);

// Why a send cannot begin, or 0; EAGAIN: it can wait for it. And what becomes of EPIPE: a signal too, unless `flags`
// say no.
int why_not_send(Hold& hold, OpenSocket& socket);
ssize_t broken_pipe(Hold& hold, int flags);

// What a connect is at, and how it ends. 0 or an errno; `while_pending` if it must not wait for the end.
bool is_pending(Stack& stack, const OpenSocket& socket);
int begin_connect(Host& host, Hold& hold, OpenSocket& socket, const Endpoint& remote, SynText text);
int await_outcome(Host& host, Hold& hold, OpenSocket& socket, int while_pending);

// Text with the SYN: MSG_FASTOPEN, or the first send behind a connect that TCP_FASTOPEN_CONNECT held back. 0: the
// connection stands and `sent` bytes are taken, go on with the rest; else the errno with which the call ends, if
// nothing was sent.
int fast_open_send(Host& host, Hold& hold, OpenSocket& socket, std::span<const iovec> pieces, int flags, SendTo to,
                   size_t& sent);
// The SYN is held back until there is text for it.
bool syn_waits_for_text(Hold& hold, const OpenSocket& socket);

// A listener becomes an unconnected socket again; its waiting connections are reset. The port stays claimed if it can.
void stop_listening(Host& host, Hold& hold, OpenSocket& socket);

// The socket forgets its connection (which is closed or aborted) and can be connected anew.
void forget_connection(Host& host, Hold& hold, OpenSocket& socket);

// The claim on the local port that connect and listen need; takes the one that bind asked for before, or none.
// 0 or an errno.
int claim_again(Host& host, Hold& hold, OpenSocket& socket);

}  // namespace limpid
