// What UDP and raw sockets have in common: a bounded queue of datagrams, a pending error, and two directions to shut.
#pragma once

#include <deque>

#include "stack/base/error.h"
#include "stack/buffer/slice.h"
#include "stack/net/icmp.h"
#include "stack/udp/datagram.h"

namespace limpid {

struct Datagram {
  Slice bytes;
  Endpoint from;
  IpAddress destination;
  uint8_t interface = 0;
  uint8_t ttl = 0;
  uint8_t tos = 0;
  Time arrived{};
};

// Datagrams that wait for the reader, charged with the whole of the frames that they pin. A small one out of a large
// frame is copied, so that it costs what it is worth.
class DatagramQueue {
 public:
  // False, and counted, when `limit` bytes are charged already; the last one in may pass the limit, as on Linux, so
  // that a small buffer still takes one datagram of any size.
  bool push(Datagram datagram, uint32_t limit);
  Result<DatagramReceived> take(MutableByteSpan into, bool peek);  // would_block when empty

  bool empty() const { return waiting_.empty(); }
  size_t first_length() const { return waiting_.empty() ? 0 : waiting_.front().bytes.length; }
  uint32_t charge() const { return charge_; }
  uint32_t size() const { return static_cast<uint32_t>(waiting_.size()); }
  uint64_t dropped() const { return dropped_; }

 private:
  std::deque<Datagram> waiting_;
  uint32_t charge_ = 0;
  uint64_t dropped_ = 0;
};

struct DatagramSocket {
  UdpOptions options;
  DatagramQueue queue;
  Error pending_error = Error::none;
  bool receive_shut = false;
  bool send_shut = false;
  bool send_waits = false;  // the device refused the last datagram

  ReadyEvents ready() const;
  Error take_error() { return std::exchange(pending_error, Error::none); }
  // A pending error comes first, once; then datagrams; then the end, if the direction is shut.
  Result<DatagramReceived> receive(MutableByteSpan into, bool peek);
  void shut(bool receive, bool send);
  // An ICMP error about a datagram of this socket: kept if its user is to know (udp(7), ip(7) IP_RECVERR).
  bool note_error(IcmpMeaning meaning, bool connected);
};

}  // namespace limpid
