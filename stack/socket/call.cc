#include "stack/socket/call.h"

#include "stack/socket/epoll_set.h"

namespace limpid {

namespace {

// True if somebody will run because of it.
bool wake(Machine& machine, SocketWait& wait) {
  if (wait.entry != nullptr) return wait.entry->owner.list(machine, *wait.entry);
  const bool asleep = wait.waiter->raised.load(std::memory_order_relaxed) == 0;
  machine.wake(*wait.waiter);
  return asleep;
}

}  // namespace

void notify(Machine& machine, OpenSocket& socket, ReadyEvents events) {
  const bool one_will_do = (events & kGivenUp) == 0;
  bool taken = false;  // by one of the exclusive ones: the others need not run
  for (SocketWait* wait = socket.waits; wait != nullptr; wait = wait->next) {
    if ((events & (wait->interest | kAlwaysWakes)) == 0 || (wait->exclusive && taken)) continue;
    const bool woken = wake(machine, *wait);
    taken |= woken && wait->exclusive && one_will_do;
  }
}

int wait_for(Host& host, Hold& hold, OpenSocket& socket, ReadyEvents interest, Time deadline) {
  if (deadline <= hold.now()) return EAGAIN;
  Waiter waiter;
  waiter.busy_poll = socket.busy_poll;
  SocketWait wait{.waiter = &waiter, .interest = interest};
  socket.join(wait);
  hold.release();
  const Wake wake = host.world().wait(waiter, hold.machine(), deadline);
  hold.take();
  socket.leave(wait);

  if (socket.closed) return EBADF;
  if (wake == Wake::interrupted) return EINTR;
  if (wake == Wake::stopped) return ECANCELED;
  // Wake::deadline is only a hint: this machine's clock may have stood still. The next round sees.
  return 0;
}

int Turn::take(Host& host, bool may_wait, Time deadline) {
  while (taken_) {
    if (!may_wait) return EAGAIN;
    if (const int error = wait_for(host, hold_, socket_, kTurnFree, deadline); error != 0) return error;
  }
  taken_ = true;
  mine_ = true;
  return 0;
}

}  // namespace limpid
