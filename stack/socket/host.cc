#include "stack/socket/host.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <vector>

#include "stack/socket/call.h"
#include "stack/socket/close.h"

namespace limpid {

namespace {

// The only state outside of objects: which host this thread works on.
thread_local Host* t_current = nullptr;

// After fork() only the forking thread goes on in the child, without the I/O thread and with locks in any state.
void forget_in_child() { t_current = nullptr; }

}  // namespace

Host::Host(World& world, Machine& machine) : world_(world), machine_(machine), owner_(getpid()) {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, forget_in_child); });
  Hold hold(machine_);
  machine_.set_ready_sink(this);
}

Host::~Host() {
  close_all();
  await_threads();
  end_loans();
  {
    Hold hold(machine_);
    machine_.set_ready_sink(nullptr);
  }
  if (event_fd_ >= 0) ::close(event_fd_);
  if (t_current == this) t_current = nullptr;
}

Host* Host::current() { return t_current; }

Host* Host::use(Host* host) {
  if (host != nullptr && host->owner_ != getpid()) host = nullptr;
  return std::exchange(t_current, host);
}

// Whoever waits in a call is told to stop. A thread that is busy elsewhere gets some time, but the process must end.
void Host::await_threads() {
  if (threads_.load(std::memory_order_acquire) == 0) return;
  world_.stop();
  for (int i = 0; i < 5000 && threads_.load(std::memory_order_acquire) != 0; ++i) usleep(1000);
}

// Their memory is the stack's, and goes with it.
void Host::end_loans() {
  std::vector<std::unique_ptr<Loan>> ended;
  Hold hold(machine_);
  while (!loans_.empty()) {
    ended.emplace_back(&loans_.pop_front());
    end_loan(hold, *ended.back());
  }
}

void Host::close_all() {
  for (int fd : descriptors_.all()) {
    const Descriptor descriptor = descriptors_.remove(fd);
    if (descriptor.socket) close_socket(*this, *descriptor.socket, false);
    if (descriptor.kernel > 2) ::close(descriptor.kernel);
  }
}

size_t Host::drain(Duration idle) {
  const int stops_before = world_.stops();
  Hold hold(machine_);
  Time moved = hold.now();
  size_t unfinished = hold.stack().tcp_unfinished();
  uint64_t mark = 0;
  while (unfinished > 0 && hold.now() - moved < idle && world_.stops() < std::max(2, stops_before + 1)) {
    Waiter waiter;
    waiter.heeds_stop = false;
    const Time deadline = hold.now() + 10ms;
    hold.release();
    const Wake wake = world_.wait(waiter, machine_, deadline);
    hold.take();
    if (wake == Wake::stopped) break;
    // What is still queued, over all connections: whatever a peer acknowledges makes it smaller.
    uint64_t queued = 0;
    for (const TcpStatus& status : hold.stack().tcp_list()) queued += status.send_queue;
    const size_t left = hold.stack().tcp_unfinished();
    if (left != unfinished || queued != mark) moved = hold.now();
    unfinished = left;
    mark = queued;
  }
  return unfinished;
}

// --- wake-ups -------------------------------------------------------------------------------------------------------

PagedArray<OpenSocket*>& Host::index_of(SocketId::Kind kind) { return by_id_[static_cast<size_t>(kind) - 1]; }

void Host::watch(SocketId id, OpenSocket& socket) {
  auto& index = index_of(id.kind);
  index.extend(id.index + size_t{1});
  index[id.index] = &socket;
}

void Host::unwatch(SocketId id) {
  auto& index = index_of(id.kind);
  if (id.index < index.size()) index[id.index] = nullptr;
}

void Host::raise(SocketId id, ReadyEvents events) {
  if (!id) return;
  auto& index = index_of(id.kind);
  if (id.index >= index.size() || index[id.index] == nullptr || index[id.index]->id != id) return;
  notify(machine_, *index[id.index], events);
  if (event_fd_ >= 0) {
    const int saved = errno;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(event_fd_, &one, sizeof one);
    errno = saved;
  }
}

int Host::event_fd() {
  if (event_fd_ < 0) event_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return event_fd_;
}

}  // namespace limpid

using limpid::Host;

lp_host* lp_host_use(lp_host* host) { return Host::use(static_cast<Host*>(host)); }

lp_host* lp_host_current() { return Host::current(); }

int lp_host_drain(lp_host* host, int idle_ms) {
  return static_cast<int>(static_cast<Host*>(host)->drain(std::chrono::milliseconds(idle_ms)));
}

void lp_host_stop(lp_host* host) { static_cast<Host*>(host)->stop(); }

int lp_event_fd() {
  Host* host = Host::current();
  if (host == nullptr) return limpid::fail(EBADF);
  limpid::Hold hold(host->machine());
  return host->event_fd();
}
