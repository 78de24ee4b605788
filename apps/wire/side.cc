#include "apps/wire/side.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>

#include "apps/common/sandbox.h"
#include "drivers/netconfig.h"

namespace limpid::wire {
namespace {

constexpr const char* kInterface = "wire0";
constexpr int kPrefix = 24;
// Frames that wait while we are not at the device. The bottleneck is to be the wire's own queue, never this one.
constexpr uint32_t kTransmitQueue = 10'000;
constexpr uint8_t kCables[2] = {77, 78};

IpAddress address_of(size_t side) { return IpAddress::v4(10, 79, 0, static_cast<uint8_t>(side + 1)); }

// A setting that is good to have. Where /proc/sys is read-only (some containers) it stays as it is.
void try_sysctl(const char* name, const char* value) {
  try {
    write_sysctl(name, value);
  } catch (const DeviceError& error) {
    fmt::print(stderr, "limpid-wire: {}\n", error.cause());
  }
}

std::unique_ptr<TunDevice> open_device() try {
  TunOptions options;
  options.name = kInterface;
  options.log = [](std::string_view line) { fmt::print(stderr, "limpid-wire: {}\n", line); };
  return std::make_unique<TunDevice>(options);
} catch (const DeviceError& error) {
  if (error.error() != EACCES && error.error() != EPERM) throw;
  throw DeviceError(error.error(), error.cause(), "as root: chmod 0666 /dev/net/tun, or run this as root");
}

void set_up(size_t which, uint32_t mtu) {
  set_interface_up("lo", true);
  try {
    disable_ipv6(kInterface);
  } catch (const DeviceError&) {  // then there is some chatter on the wire
  }
  switch_offloads_off(kInterface);  // each frame is a packet of the wire
  set_interface_mtu(kInterface, mtu);
  set_transmit_queue(kInterface, kTransmitQueue);
  add_interface_address(kInterface, address_of(which), kPrefix);
  set_interface_up(kInterface, true);
  add_kernel_route(IpAddress::v4(10, kCables[1 - which], 0, 0), 16, kInterface, address_of(1 - which));
  try_sysctl("net/ipv4/ip_forward", "1");
  // A connection must not begin with what an earlier one learned of the path.
  try_sysctl("net/ipv4/tcp_no_metrics_save", "1");
}

}  // namespace

Side make_side(size_t which, uint32_t mtu) {
  if (unshare(CLONE_NEWNET) != 0)
    throw DeviceError(errno, fmt::format("no network namespace for a side of the wire: {}", errno_text(errno)),
                      "run this as root, or outside of a container that forbids it");
  Side side{.name = which == 0 ? "left" : "right",
            .address = address_of(which).to_string(),
            .ours = IpAddress::v4(10, kCables[which], 0, 2).to_string(),
            .cables = fmt::format("10.{}", kCables[which]),
            .device = open_device(),
            .net = KernelDescriptor(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC))};
  set_up(which, mtu);
  return side;
}

pid_t spawn_in(const Side& side, const std::vector<std::string>& command) {
  if (setns(side.net.get(), CLONE_NEWNET) != 0)
    throw DeviceError(errno, fmt::format("entering the {} side: {}", side.name, errno_text(errno)), "see setns(2)");
  setenv(kPrivateNetworkVariable, side.cables.c_str(), 1);
  return spawn_inside(command);
}

}  // namespace limpid::wire
