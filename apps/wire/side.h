// One side of the wire: a network namespace of its own whose interface "wire0" is a TUN device that we hold.
//
//   left   wire0 10.79.0.1/24, programs on our stack have 10.77.N.2      routes to 10.78.0.0/16 by way of the right
//   right  wire0 10.79.0.2/24, programs on our stack have 10.78.N.2      routes to 10.77.0.0/16 by way of the left
//
// A program on our stack (limpid-run, limpid-up in a side) makes itself a cable to its side's kernel, which forwards.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "drivers/descriptor.h"
#include "drivers/tun.h"

namespace limpid::wire {

struct Side {
  std::string name;     // "left"
  std::string address;  // the kernel's: "10.79.0.1"
  std::string ours;     // of the first program on our stack: "10.77.0.2"
  std::string cables;   // where our programs' cables are: "10.77", for kPrivateNetworkVariable
  std::unique_ptr<TunDevice> device;
  KernelDescriptor net;  // the namespace
};

// Moves the process into a new network namespace and sets it up as side 0 (left) or 1. Call enter_private_network()
// before. Throws DeviceError.
Side make_side(size_t which, uint32_t mtu);
// Starts a program in that side. Its whole family ends with it, and with us.
pid_t spawn_in(const Side& side, const std::vector<std::string>& command);

}  // namespace limpid::wire
