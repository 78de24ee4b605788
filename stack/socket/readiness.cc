#include "stack/socket/readiness.h"

#include <poll.h>

#include "stack/socket/epoll_set.h"

namespace limpid {

namespace {

struct PollMeaning {
  ReadyEvents ready;
  short events;
};
constexpr PollMeaning kMeanings[] = {
    {kReadable, POLLIN | POLLRDNORM},
    {kAcceptable, POLLIN | POLLRDNORM},
    {kWritable, POLLOUT | POLLWRNORM},
    {kPeerFin, POLLIN | POLLRDNORM | POLLRDHUP},
    {kError, POLLERR},
    {kHangUp, POLLHUP},
    {kUrgent, POLLPRI},
};

}  // namespace

short events_of(Stack& stack, const OpenSocket& socket) {
  int events = 0;
  ReadyEvents ready = 0;
  switch (socket.kind) {
    case OpenSocket::Kind::stream:
      if (!socket.id) return POLLOUT | POLLWRNORM | POLLHUP;  // as Linux says of a socket that was never connected
      if (socket.is_listener() && socket.everywhere) {
        if (!socket.everywhere->arrivals.empty()) ready = kAcceptable | kReadable;
      } else {
        ready = stack.tcp_ready(socket.id);
      }
      break;
    case OpenSocket::Kind::datagram:
      ready = stack.udp_ready(socket.id);
      break;
    case OpenSocket::Kind::raw:
      ready = stack.raw_ready(socket.id);
      break;
    case OpenSocket::Kind::epoll:
      if (!socket.closed && socket.epoll->has_ready(stack)) ready = kReadable;
      break;
  }
  for (const PollMeaning& meaning : kMeanings)
    if ((ready & meaning.ready) != 0) events |= meaning.events;
  if (socket.shut_receive) events |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (socket.shut_receive && socket.shut_send) events |= POLLHUP;
  return static_cast<short>(events);
}

ReadyEvents interest_of(short events) {
  ReadyEvents interest = 0;
  for (const PollMeaning& meaning : kMeanings)
    if ((events & meaning.events) != 0) interest |= meaning.ready;
  return interest;
}

}  // namespace limpid
