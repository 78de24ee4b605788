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

Host::Host(World& world, std::vector<Machine*> machines)
    : world_(world), machines_(std::move(machines)), owner_(getpid()) {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, forget_in_child); });
  for (size_t at = 0; at < machines_.size(); ++at) {
    switchboards_.push_back(std::make_unique<Switchboard>(*this, static_cast<uint16_t>(at)));
    Hold hold(*machines_[at]);
    machines_[at]->set_ready_sink(switchboards_[at].get());
  }
}

Host::~Host() {
  close_all();
  await_threads();
  for (size_t at = 0; at < machines_.size(); ++at) {
    end_loans(static_cast<uint16_t>(at));
    Hold hold(*machines_[at]);
    machines_[at]->set_ready_sink(nullptr);
  }
  if (event_fd_ >= 0) ::close(event_fd_);
  if (t_current == this) t_current = nullptr;
}

uint16_t Host::next_home() {
  if (!has_several()) return 0;
  return static_cast<uint16_t>(homes_.fetch_add(1, std::memory_order_relaxed) % machines_.size());
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
void Host::end_loans(uint16_t at) {
  std::vector<std::unique_ptr<Loan>> ended;
  Hold hold(*machines_[at]);
  while (!loans(at).empty()) {
    ended.emplace_back(&loans(at).pop_front());
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

// How many connections are not, over all machines; `queued`: the bytes that they have left.
size_t Host::unfinished(uint64_t& queued) {
  size_t left = 0;
  queued = 0;
  for (Machine* machine : machines_) {
    Hold hold(*machine);
    left += hold.stack().tcp_unfinished();
    if (left == 0) continue;
    for (const TcpStatus& status : hold.stack().tcp_list()) queued += status.send_queue;
  }
  return left;
}

size_t Host::drain(Duration idle) {
  const int stops_before = world_.stops();
  uint64_t mark = 0;
  size_t left = unfinished(mark);
  Hold hold(machine());
  Time moved = hold.now();
  while (left > 0 && hold.now() - moved < idle && world_.stops() < std::max(2, stops_before + 1)) {
    Waiter waiter;
    waiter.heeds_stop = false;
    const Time deadline = hold.now() + 10ms;
    hold.release();
    const Wake wake = world_.wait(waiter, machine(), deadline);
    // What is still queued, over all connections: whatever a peer acknowledges makes it smaller.
    uint64_t queued = 0;
    const size_t before = left;
    if (wake != Wake::stopped) left = unfinished(queued);
    hold.take();
    if (wake == Wake::stopped) break;
    if (left != before || queued != mark) moved = hold.now();
    mark = queued;
  }
  return left;
}

// --- wake-ups -------------------------------------------------------------------------------------------------------

namespace {

// A connection waits for a listener. Under the lock of its home.
void arrives(Machine& home, OpenSocket& socket, const Arrival& arrival) {
  if (!socket.everywhere->listens) return;  // closed meanwhile
  socket.everywhere->arrivals.push_back(arrival);
  notify(home, socket, kAcceptable | kReadable);
}

// A listener's home hears of it from another machine.
struct News {
  SocketRef socket;
  Machine& home;
  Arrival arrival;
};

void tell_home(void* news_) {
  const std::unique_ptr<News> news(static_cast<News*>(news_));
  Hold hold(news->home);
  arrives(news->home, *news->socket, news->arrival);
}

}  // namespace

void Host::Switchboard::watch(SocketId id, OpenSocket& socket) {
  auto& index = index_of(id.kind);
  index.extend(id.index + size_t{1});
  index[id.index] = {&socket, id.generation};
}

void Host::Switchboard::unwatch(SocketId id) {
  auto& index = index_of(id.kind);
  if (id.index < index.size()) index[id.index] = {};
}

void Host::Switchboard::raise(SocketId id, ReadyEvents events) {
  if (!id) return;
  auto& index = index_of(id.kind);
  if (id.index >= index.size()) return;
  const Watched& watched = index[id.index];
  if (watched.socket == nullptr || watched.generation != id.generation) return;
  OpenSocket& socket = *watched.socket;
  Machine& here = *host_.machines_[at_];
  if (socket.home != at_) {
    socket.references.fetch_add(1, std::memory_order_relaxed);
    auto* const news = new News{SocketRef(&socket), host_.machine_of(socket), {at_, id}};
    here.after_unlock({.run = tell_home, .what = news});
  } else if (id.kind == SocketId::Kind::listener && socket.everywhere) {
    arrives(here, socket, {at_, id});
  } else {
    notify(here, socket, events);
  }
  host_.note_event();
}

void Host::note_event() {
  const int fd = event_fd_.load(std::memory_order_relaxed);
  if (fd < 0) return;
  const int saved = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(fd, &one, sizeof one);
  errno = saved;
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
