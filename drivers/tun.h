// TUN and TAP: a network interface of the kernel whose cable ends in this process (Linux tuntap).
//
//   kernel's end: interface "tun0", address 10.77.0.1 ──cable── read() / writev() ── our stack, 10.77.0.2
//
// TUN carries IP datagrams, TAP Ethernet frames. One read or writev is one frame. The kernel's end is set up by
// drivers/netconfig.h. Frames are plain today; the virtio-net header (offloads) and several queues are asked for in
// TunOptions and told in Capabilities, and refused with a reason until they are built.
#pragma once

#include <atomic>
#include <string>

#include "drivers/descriptor.h"
#include "drivers/descriptor_io.h"
#include "drivers/device.h"
#include "drivers/device_error.h"

namespace limpid {

enum class TunKind : uint8_t { tun, tap };

struct TunOptions {
  TunKind kind = TunKind::tun;
  std::string name{};        // of the kernel's interface; empty or "tun%d": the kernel chooses
  MacAddress mac{};          // TAP: link address of our host; zero: one is made from the name
  bool vnet_header = false;  // IFF_VNET_HDR: not built yet
  uint16_t queues = 1;       // IFF_MULTI_QUEUE: not built yet
  std::string node = "/dev/net/tun";
  LogLine log{};  // gets one line for the first error of each kind; may be empty
};

class TunDevice final : public Device {
 public:
  // Makes the interface, or attaches to a persistent one of that name. Throws DeviceError.
  explicit TunDevice(const TunOptions& options);
  // Takes over a descriptor that somebody else opened and attached (TUNSETIFF with IFF_NO_PI); its kind and name are
  // read from it. Throws DeviceError, and then leaves the descriptor open.
  TunDevice(int adopted, const TunOptions& options);

  int descriptor() const override { return fd_.get(); }
  size_t receive_batch(std::span<FrameRef> frames, Time now) override;
  Transmit transmit(const TxFrame& frame, Time now) override;
  bool wants_writable() const override { return refusing_.load(std::memory_order_relaxed); }
  Capabilities capabilities() const override;  // the MTU as the kernel's end has it now

  const std::string& name() const { return name_; }
  const DeviceCounters& counters() const { return counters_; }

 private:
  bool receive_one(Frame& frame);  // false: nothing more to read

  KernelDescriptor fd_;
  TunKind kind_;
  std::string name_;
  MacAddress mac_;
  ErrorLog log_;
  DeviceCounters counters_;
  std::atomic<bool> refusing_{false};
  GatherList gather_;
};

}  // namespace limpid
