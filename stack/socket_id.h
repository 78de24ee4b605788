// How the world above names a socket of the stack, and what it is told about it.
#pragma once

#include <cstdint>

#include "stack/base/error.h"

namespace limpid {

// An opaque name: kind, slot, generation. A stale one is harmless: calls answer Error::stale_handle.
struct SocketId {
  enum class Kind : uint8_t { none, tcp, listener, udp, raw };
  Kind kind = Kind::none;
  uint32_t index = 0;
  uint32_t generation = 0;

  explicit operator bool() const { return kind != Kind::none; }
  friend bool operator==(const SocketId&, const SocketId&) = default;
};

// Wake-ups, and the answer to "what is it ready for": a set of these bits.
enum Ready : uint16_t {
  kReadable = 1 << 0,    // bytes, a datagram, or end of stream can be read
  kWritable = 1 << 1,    // there is room (or writing would fail at once)
  kConnected = 1 << 2,   // a connect ended well
  kAcceptable = 1 << 3,  // a connection waits in the accept queue
  kPeerFin = 1 << 4,     // the peer closed its direction
  kError = 1 << 5,       // an error is pending: see take_error()
  kHangUp = 1 << 6,      // both directions are finished
  kUrgent = 1 << 7,      // an urgent mark is ahead (POLLPRI)
  kReleased = 1 << 8,    // the core has forgotten the socket; its id is stale from now on
};
using ReadyEvents = uint16_t;

// Wake-ups leave the core here. Called under the stack's lock; must not call back into the stack.
class ReadySink {
 public:
  virtual ~ReadySink() = default;
  virtual void raise(SocketId socket, ReadyEvents events) = 0;
};

}  // namespace limpid
