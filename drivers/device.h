// A device, as the runtime sees it: something to wait for, to read batches of frames from, and to write frames to.
// LinkPort is its outward half, the only one that the core knows. Decorators (pcapng, trace, fault) wrap a whole
// Device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "stack/base/time.h"
#include "stack/buffer/frame.h"
#include "stack/net/link_port.h"
#include "stack/wire/address.h"

namespace limpid {

struct Capabilities {
  std::string name;       // "tun0", "veth", "sim"
  bool ethernet = false;  // frames carry an Ethernet header (TAP, AF_PACKET); otherwise they begin with IP (TUN)
  uint32_t mtu = 1500;    // largest IP datagram
  MacAddress mac;         // our link address on Ethernet
  bool offloads = false;  // checksums and segmentation may be left undone, in both directions (frame_offload.h)
  uint16_t queues = 1;
};

class Device : public LinkPort {
 public:
  // Turns readable when receive_batch() has something; -1 for a device without one (a simulated link).
  virtual int descriptor() const = 0;

  // Reads up to frames.size() frames without blocking. Each element is an empty frame (headroom kept, from
  // FramePool::make) that the device fills (length set); returns how many. May replace a frame by another of the same
  // pool. Runs outside the stack's lock: must not copy or drop FrameRefs, only fill or swap them.
  virtual size_t receive_batch(std::span<FrameRef> frames, Time now) = 0;

  // A refusing device calls for link_writable() when this descriptor event or deadline comes.
  virtual bool wants_writable() const { return false; }

  // Devices that hold frames back (simulated links, fault injection) have deadlines of their own.
  virtual Time next_deadline() const { return kNever; }
  virtual void advance(Time) {}

  virtual Capabilities capabilities() const = 0;
};

}  // namespace limpid
