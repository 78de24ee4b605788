// The only way out of the machine: a port that takes frames.
#pragma once

#include <cstdint>
#include <span>

#include "stack/base/bytes.h"
#include "stack/base/frame_offload.h"
#include "stack/base/time.h"
#include "stack/base/trace.h"

namespace limpid {

// A frame on its way out. The bytes are views, good for the duration of the call only: a taker that keeps the frame
// (a simulated link, a delaying decorator) copies them; TUN writes them out with one writev.
struct TxFrame {
  ByteSpan head;                   // link (on Ethernet), IP and transport headers, in one piece
  std::span<const ByteSpan> body;  // the payload: slices of the send queue, where they lie
  EventNumber event = 0;           // the event that says why this frame exists; 0 when nobody traces
  FrameOffload offload{};          // what is left to the device; nothing unless its interface offers that

  size_t size() const {
    size_t n = head.size();
    for (ByteSpan piece : body) n += piece.size();
    return n;
  }
};

enum class Transmit : uint8_t {
  taken,    // the frame is the device's now (which may still lose it, as links do)
  refused,  // no room at the moment: nothing was kept, Stack::link_writable() will say when to try again
};

class LinkPort {
 public:
  virtual ~LinkPort() = default;
  virtual Transmit transmit(const TxFrame& frame, Time now) = 0;
};

}  // namespace limpid
