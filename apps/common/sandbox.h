// A private network for one process tree: a network namespace, a cable into it, and nothing left when the tree ends.
//
//   enter_private_network()   this process, and all that it starts, leave the machine's network for an empty one
//   make_cable()              a device there whose other end is the kernel: 10.77.N.1/24, ours is 10.77.N.2
//   spawn_inside()            a child (a shell, curl) whose whole family dies with it, and with us
//
// Each takes the way with the least privilege that works, and says which:
//   a user namespace with a TUN device; a user namespace with a veth pair and AF_PACKET; the same without a user
//   namespace, as root. When no way works, DeviceError has one line of cause and one of cure.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "drivers/device.h"

namespace limpid {

// Set in the environment of everything that runs inside, so that programs know they may make devices: to "1", or to the
// first half of the cables' addresses ("10.78") where that is not 10.77.
inline constexpr const char* kPrivateNetworkVariable = "LIMPID_PRIVATE_NETWORK";

// Moves the process (which must have one thread) into user and network namespaces of its own, its user mapped to root
// there; loopback is up. Returns the way taken: "a user namespace", or "root". Throws DeviceError.
std::string enter_private_network();
bool inside_private_network();

struct Cable {
  std::unique_ptr<Device> device;
  std::vector<std::unique_ptr<Device>> more_queues;  // of a TUN of several: the others
  std::string way;      // "TUN device tun0", or "veth pair and AF_PACKET (no /dev/net/tun: Permission denied)"
  std::string address;  // ours: "10.77.0.2/24"
  std::string gateway;  // the kernel's: "10.77.0.1"
  std::string kernel_interface;
  bool stays = false;  // the interfaces are there until somebody removes them: a veth pair; TUN and TAP end with us
};

// A TUN device, or a veth pair when that cannot be had; its number N is the first free one. `prefer` is "tun", "tap",
// "veth", or empty; `offloads`, `queues`: as TunOptions has them (several queues: a TUN, and nothing else). Call inside
// a private network only: this sets addresses. Throws DeviceError.
Cable make_cable(const std::string& prefer = {}, bool offloads = false, uint16_t queues = 1);

// Starts a program in a process namespace of its own: when it ends, everything it left running ends too; when we end,
// however that happens, it ends. Returns the process id to wait for.
pid_t spawn_inside(const std::vector<std::string>& command);
// Waits, and returns its exit status as a shell would: 128 + signal when a signal ended it.
int wait_for(pid_t child);

}  // namespace limpid
