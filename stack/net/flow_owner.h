// Which of a host's stacks owns a flow, where it has several: one for each queue of its device.
//
// TCP connections are divided by a keyed hash of both endpoints: floods cannot aim at a stack. An ICMP error about one
// belongs with it. Everything else, fragments included, is the first stack's: it has the datagram and raw sockets.
//
// The hash does not care which end is which. So both ends of a connection with ourselves are one stack's, and no
// loopback ever leaves its stack.
#pragma once

#include <cstdint>

#include "stack/base/bytes.h"
#include "stack/base/siphash.h"
#include "stack/wire/address.h"

namespace limpid {

class FlowOwner {
 public:
  FlowOwner() = default;  // one stack, which owns everything
  FlowOwner(const SipKey& key, uint16_t stacks) : key_(key), stacks_(stacks) {}

  uint16_t stacks() const { return stacks_; }
  uint16_t of(const FourTuple& tcp) const { return stacks_ == 1 ? uint16_t{0} : hashed(tcp); }
  // Of an IP packet as a device brings it, before anything in it is checked.
  uint16_t of_packet(ByteSpan packet) const;

 private:
  uint16_t hashed(const FourTuple& tcp) const;

  SipKey key_{};
  uint16_t stacks_ = 1;
};

}  // namespace limpid
