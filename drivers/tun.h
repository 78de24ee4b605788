// TUN and TAP: a network interface of the kernel whose cable ends in this process (Linux tuntap).
//
//   kernel's end: interface "tun0", address 10.77.0.1 ──cable── read() / writev() ── our stack, 10.77.0.2
//
// TUN carries IP datagrams, TAP Ethernet frames. One read or writev is one frame. The kernel's end is set up by
// drivers/netconfig.h.
//
// With offloads each frame has a virtio-net header in front (vnet_header.h), and the kernel's TCP gives us segments of
// up to 64 KiB, unsummed, as it would give them to a network card. A kernel that does not know them gets plain frames.
//
// A TUN of several queues is so many devices under one name. The kernel gives each of its frames to one of them: to the
// one on which it last saw us send for that flow, as long as it remembers, and to any other else.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "drivers/descriptor.h"
#include "drivers/descriptor_io.h"
#include "drivers/device.h"
#include "drivers/device_error.h"
#include "stack/wire/ethernet.h"

namespace limpid {

enum class TunKind : uint8_t { tun, tap };

struct TunOptions {
  TunKind kind = TunKind::tun;
  std::string name{};     // of the kernel's interface; empty or "tun%d": the kernel chooses
  MacAddress mac{};       // TAP: link address of our host; zero: one is made from the name
  bool offloads = false;  // IFF_VNET_HDR and TUNSETOFFLOAD, if the kernel has them
  uint16_t queues = 1;    // of the interface (IFF_MULTI_QUEUE, TUN only); open_tun_queues() opens all of them
  std::string node = "/dev/net/tun";
  LogLine log{};  // gets one line for the first error of each kind; may be empty
};

class TunDevice final : public Device {
 public:
  // Makes the interface, or attaches to a persistent one of that name; of several queues this is one. Throws
  // DeviceError.
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
  bool offloads() const { return offloads_; }
  const DeviceCounters& counters() const { return counters_; }

 private:
  enum class Read : uint8_t { nothing, dropped, frame };
  Read receive_one(Frame& frame);
  Read drop(std::atomic<uint64_t>& counter, const char* consequence);
  void switch_offloads_on();
  void match_queue_to_windows();
  int try_offload(uint16_t segment_text);
  int write_pieces(const TxFrame& frame);
  Transmit conclude(int error);
  Transmit transmit_cut(const TxFrame& frame);
  size_t link_header() const { return kind_ == TunKind::tap ? EthernetHeader::kSize : 0; }

  KernelDescriptor fd_;
  TunKind kind_;
  std::string name_;
  MacAddress mac_;
  uint16_t queues_;
  bool vnet_header_;       // stands in front of each frame
  bool offloads_ = false;  // and may say that something is left undone
  bool cuts_ = false;      // the kernel broke its word: what we send is finished here (under the stack's lock)
  ErrorLog log_;
  DeviceCounters counters_;
  std::atomic<bool> refusing_{false};
  GatherList gather_;
};

// As many devices as the options say queues. Throws DeviceError.
std::vector<std::unique_ptr<TunDevice>> open_tun_queues(TunOptions options);

}  // namespace limpid
