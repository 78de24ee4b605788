// What most servers begin with.
#pragma once

#include <limpid/calls.h>

#include <functional>
#include <limpid/socket.hpp>
#include <optional>

namespace limpid::apps {

// socket, bind, listen. SO_REUSEADDR, so that a restarted server need not wait for its old connections' TIME-WAIT.
// With `share`, SO_REUSEPORT: others of the same user may listen there too, and each gets a part of the clients.
Socket listen_on(const SocketCalls& calls, const SocketAddress& local, int backlog = 4096, bool share = false);

// The next client; nothing when a non-blocking listener has none, or when this one client was lost (it reset the
// connection while it waited) or there is no descriptor for it. Throws when the listener itself is at its end.
std::optional<Socket> accept_client(Socket& listener);

// One thread a connection: gives each new client to a thread of its own. Returns only by an exception (ECANCELED: the
// host was stopped), after all its threads have ended. A client whose conversation ends with an error ends alone.
[[noreturn]] void serve_with_threads(Socket& listener, const std::function<void(Socket)>& serve);

}  // namespace limpid::apps
