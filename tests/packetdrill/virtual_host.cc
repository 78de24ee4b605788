#include "tests/packetdrill/virtual_host.h"

#include <algorithm>
#include <cerrno>

namespace limpid::packetdrill {
namespace {

constexpr uint64_t kSeed = 1;
constexpr Time kStart{1000s};  // any time but zero, which stands for "never happened" in some records

// A released thread that neither reports nor waits again would hold the clock for ever; a real second is a long time.
// What a released thread does behind its call (it notes the result) takes packetdrill's lock, which is not fair: while
// its main thread only looks at the clock, the other one may never come by.
constexpr auto kPause = std::chrono::microseconds(500);

constexpr auto kPatience = std::chrono::seconds(1);

thread_local bool t_awake = false;

}  // namespace

VirtualHost::VirtualHost(const IpAddress& address) : now_(kStart), stack_(Config{}, kSeed, *this) {
  interface_ = stack_.add_interface({.name = "packetdrill", .kind = LinkKind::ip, .mtu = 1500, .mac = {}}, *this);
  stack_.add_address(interface_, address, 16);
  stack_.add_route(IpAddress::v4(0), 0, interface_, address);
}

void VirtualHost::add_address(const IpAddress& address) {
  const Guard guard(mutex_);
  if (!stack_.ip().is_local(address)) stack_.add_address(interface_, address, 32);
}

void VirtualHost::configure(const Config& config) {
  const Guard guard(mutex_);
  stack_.set_tcp_config(config.tcp);
}

Config VirtualHost::config() {
  const Guard guard(mutex_);
  return stack_.config();
}

// --- the driver's ---------------------------------------------------------------------------------------------------

void VirtualHost::inject(ByteSpan packet) {
  Guard guard(mutex_);
  if (FrameRef frame = stack_.frames().copy(packet)) stack_.receive(interface_, std::move(frame), now_);
  stack_.flush(now_);  // a batch of its own
  settle(guard);
}

VirtualHost::Sent VirtualHost::next_sent() {
  Guard guard(mutex_);
  while (sent_.empty()) {
    const Time next = next_event();
    if (next == kNever) return {};
    advance_to(guard, next);
  }
  Sent first = std::move(sent_.front());
  sent_.pop_front();
  return first;
}

std::optional<VirtualHost::Sent> VirtualHost::take_sent() {
  const Guard guard(mutex_);
  if (sent_.empty()) return std::nullopt;
  Sent first = std::move(sent_.front());
  sent_.pop_front();
  return first;
}

void VirtualHost::advance(Duration by) {
  Guard guard(mutex_);
  if (std::exchange(released_any_, false)) {
    guard.unlock();
    std::this_thread::sleep_for(kPause);
    guard.lock();
  }
  advance_to(guard, now_ + by);
}

void VirtualHost::settle() {
  Guard guard(mutex_);
  settle(guard);
}

Time VirtualHost::next_event() const {
  Time next = stack_.next_deadline();
  for (const Sleeper* sleeper : sleepers_) next = std::min(next, sleeper->deadline);
  return next == kNever ? kNever : std::max(next, now_);
}

// From deadline to deadline: at each the timers fire, then the threads that wait for it go on.
void VirtualHost::advance_to(Guard& guard, Time until) {
  for (Time next = next_event(); next <= until; next = next_event()) {
    now_ = next;
    stack_.advance(now_);
    settle(guard);
  }
  now_ = std::max(now_, until);
}

bool VirtualHost::can_go_on(const Sleeper& sleeper) const {
  return sleeper.waiter->raised.load(std::memory_order_relaxed) != 0 || sleeper.deadline <= now_ ||
         (sleeper.waiter->heeds_stop && stops_ != 0);
}

void VirtualHost::settle(Guard& guard) {
  if (!is_driver()) return;
  for (;;) {
    for (Sleeper* sleeper : sleepers_) {
      if (sleeper->released || !can_go_on(*sleeper)) continue;
      sleeper->released = released_any_ = true;
      ++awake_;
    }
    if (awake_ == 0) return;
    changed_.notify_all();
    if (!changed_.wait_for(guard, kPatience, [this] { return awake_ == 0; })) awake_ = 0;
  }
}

// --- any thread's ---------------------------------------------------------------------------------------------------

// True if this thread was woken, and has not said so yet.
bool VirtualHost::note_report() {
  if (!std::exchange(t_awake, false)) return false;
  if (awake_ > 0) --awake_;
  changed_.notify_all();
  return true;
}

Time VirtualHost::tick() {
  Guard guard(mutex_);
  if (!note_report()) advance_to(guard, now_ + 1us);
  return now_;
}

Time VirtualHost::lock() {
  mutex_.lock();
  return now_;
}

void VirtualHost::unlock() {
  stack_.flush(now_);
  const std::vector<Errand> errands = std::exchange(errands_, {});
  mutex_.unlock();
  for (const Errand& errand : errands) errand.run(errand.what);
}

Transmit VirtualHost::transmit(const TxFrame& frame, Time now) {
  Sent sent{now, {frame.head.begin(), frame.head.end()}};
  for (ByteSpan piece : frame.body) sent.packet.insert(sent.packet.end(), piece.begin(), piece.end());
  sent_.push_back(std::move(sent));
  return Transmit::taken;
}

void VirtualHost::raise(SocketId socket, ReadyEvents events) {
  if (sink_ != nullptr) sink_->raise(socket, events);
}

Wake VirtualHost::wait(Waiter& waiter, Machine&, Time deadline, std::span<pollfd> kernel) {
  if (!kernel.empty() && ::poll(kernel.data(), kernel.size(), 0) > 0) return Wake::descriptor;
  Guard guard(mutex_);
  if (is_driver()) return wait_as_driver(guard, waiter, deadline);
  Sleeper self{&waiter, deadline};
  sleepers_.push_back(&self);
  note_report();
  changed_.wait(guard, [&] { return self.released; });
  t_awake = true;
  std::erase(sleepers_, &self);
  if (waiter.raised.load(std::memory_order_relaxed) != 0) return Wake::raised;
  return waiter.heeds_stop && stops_ != 0 ? Wake::stopped : Wake::deadline;
}

// Nobody else would move the clock. A wait that nothing can end is told so.
Wake VirtualHost::wait_as_driver(Guard& guard, Waiter& waiter, Time deadline) {
  while (waiter.raised.load(std::memory_order_relaxed) == 0 && now_ < deadline) {
    const Time next = std::min(next_event(), deadline);
    if (next == kNever) return Wake::stopped;
    advance_to(guard, next);
  }
  return waiter.raised.load(std::memory_order_relaxed) != 0 ? Wake::raised : Wake::deadline;
}

// packetdrill brings its own threads.
int VirtualHost::start_thread(ThreadId&, ThreadFunction, void*) { return EAGAIN; }
int VirtualHost::join_thread(ThreadId, void**) { return ESRCH; }
int VirtualHost::detach_thread(ThreadId) { return ESRCH; }

}  // namespace limpid::packetdrill
