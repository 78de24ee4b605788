#include "stack/socket/call.h"

namespace limpid {

void notify(Machine& machine, OpenSocket& socket, ReadyEvents events) {
  for (SocketWait* wait = socket.waits; wait != nullptr; wait = wait->next)
    if ((events & (wait->interest | kAlwaysWakes)) != 0) machine.wake(*wait->waiter);
}

int wait_for(Host& host, Hold& hold, OpenSocket& socket, ReadyEvents interest, Time deadline) {
  if (deadline <= hold.now()) return EAGAIN;
  Waiter waiter;
  SocketWait wait{.waiter = &waiter, .interest = interest, .next = socket.waits};
  socket.waits = &wait;
  hold.release();
  const Wake wake = host.world().wait(waiter, hold.machine(), deadline);
  hold.take();
  SocketWait** at = &socket.waits;
  while (*at != &wait) at = &(*at)->next;
  *at = wait.next;

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
