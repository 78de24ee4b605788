#include "apps/common/servers.h"

#include <atomic>
#include <list>
#include <memory>

#include "apps/common/clock.h"
#include "apps/common/thread.h"

namespace limpid::apps {
namespace {

bool passes(int error) {
  switch (error) {
    case EAGAIN:
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
      return true;
    default:
      return false;
  }
}

bool lacks_resources(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

struct Worker {
  std::unique_ptr<std::atomic<bool>> done;
  Thread thread;
};

Worker start_worker(Socket client, const std::function<void(Socket)>& serve) {
  const SocketCalls& calls = client.calls();
  auto done = std::make_unique<std::atomic<bool>>(false);
  auto socket = std::make_shared<Socket>(std::move(client));
  const auto body = [socket, &serve, flag = done.get()] {
    try {
      serve(std::move(*socket));
    } catch (const std::system_error&) {
      // The peer reset the connection or vanished: nobody is left to tell.
    }
    *flag = true;
  };
  return {std::move(done), Thread(calls, body)};
}

}  // namespace

Socket listen_on(const SocketCalls& calls, const SocketAddress& local, int backlog, bool share) {
  Socket listener = Socket::stream(calls);
  if (share) listener.set_option(SOL_SOCKET, SO_REUSEPORT, 1);
  listener.reuse_address().bind(local).listen(backlog);
  return listener;
}

std::optional<Socket> accept_client(Socket& listener) {
  const int fd = listener.calls().accept(listener.fd(), nullptr, nullptr);
  if (fd >= 0) return Socket(listener.calls(), fd);
  const int error = errno;
  if (passes(error)) return {};
  if (!lacks_resources(error)) throw std::system_error(error, std::generic_category(), "accept");
  // The client stays in the queue, and the listener stays readable: let others finish before it is tried again.
  sleep_for(listener.calls(), std::chrono::milliseconds(10));
  return {};
}

void serve_with_threads(Socket& listener, const std::function<void(Socket)>& serve) {
  std::list<Worker> workers;
  for (;;) {
    auto client = accept_client(listener);
    workers.remove_if([](const Worker& worker) { return worker.done->load(); });
    if (client) workers.push_back(start_worker(std::move(*client), serve));
  }
}

}  // namespace limpid::apps
