// AF_PACKET: one end of a veth pair (or any Ethernet interface of a namespace of ours), frames as they lie on the wire.
//
//   kernel's end: "kern0", 10.77.0.1, MAC K ──veth── "limpid0", no address, MAC L ── packet socket ── our
//   stack, 10.77.0.2, MAC H
//
// It needs no device node, only CAP_NET_RAW in the namespace, and so is the way in for ordinary users without
// /dev/net/tun.
//
// Our host has a link address H of its own, not L of the interface it sits on: to the kernel a frame for H is for
// somebody else (PACKET_OTHERHOST) and its own IP leaves it alone, while a frame for L would be taken in by both
// stacks. A veth does not filter by address; promiscuous mode is asked for all the same, for interfaces that do.
//
// With offloads (PACKET_VNET_HDR) each frame has a virtio-net header in front, as with TUN (vnet_header.h), and the two
// ends of a veth hand each other segments of up to 64 KiB, unsummed. Without them checksum and segmentation offload
// must be off on both ends (netconfig.h, switch_offloads_off): a frame whose checksum was left to hardware is then
// counted in partial_checksum and said in the log.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <string>

#include "drivers/descriptor.h"
#include "drivers/descriptor_io.h"
#include "drivers/device.h"
#include "drivers/device_error.h"

namespace limpid {

struct PacketOptions {
  std::string interface{};  // our end of the pair; must exist and be Ethernet
  MacAddress mac{};         // link address of our host; zero: one is made from the interface's name
  bool offloads = false;    // PACKET_VNET_HDR, if the kernel has it
  LogLine log{};
};

class PacketDevice final : public Device {
 public:
  explicit PacketDevice(const PacketOptions& options);  // throws DeviceError
  ~PacketDevice() override;

  int descriptor() const override { return fd_.get(); }
  size_t receive_batch(std::span<FrameRef> frames, Time now) override;  // one recvmmsg
  Transmit transmit(const TxFrame& frame, Time now) override;
  bool wants_writable() const override { return refusing_.load(std::memory_order_relaxed); }
  Capabilities capabilities() const override;

  bool offloads() const { return offloads_; }
  const DeviceCounters& counters() const { return counters_; }

 private:
  struct ReceiveRing;
  bool accept_frame(size_t index, Frame& frame);
  bool drop(std::atomic<uint64_t>& counter, const char* consequence);
  void switch_offloads_on();
  int write_pieces(const TxFrame& frame);
  Transmit conclude(int error);
  Transmit transmit_cut(const TxFrame& frame);

  std::string interface_;
  MacAddress mac_;
  KernelDescriptor fd_;
  bool vnet_header_ = false;  // stands in front of each frame
  bool offloads_ = false;     // and may say that something is left undone
  bool cuts_ = false;         // the kernel broke its word: what we send is finished here (under the stack's lock)
  ErrorLog log_;
  DeviceCounters counters_;
  std::atomic<bool> refusing_{false};
  GatherList gather_;
  std::unique_ptr<ReceiveRing> ring_;
};

}  // namespace limpid
