// Offloads of a TUN or TAP: agreed on with the kernel, tried out before they are promised, and done here when the
// kernel breaks its word.
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "drivers/netconfig.h"
#include "drivers/offload_test.h"
#include "drivers/tun.h"
#include "drivers/vnet_header.h"
#include "stack/wire/super_segment.h"

namespace limpid {

// TUNSETOFFLOAD says what the kernel may leave to us, and a frame of each sort shows what it lets us leave to it. Where
// either is refused the header in front of each frame stays, and says that nothing was left undone.
void TunDevice::switch_offloads_on() {
  if (!vnet_header_) return;
  int size = kVnetHeaderSize;
  if (::ioctl(fd_.get(), TUNSETVNETHDRSZ, &size) < 0)
    throw DeviceError(errno, fmt::format("{}: the virtio-net header: {}", name_, errno_text(errno)),
                      "ask for plain frames: --no-offloads");
  constexpr const char* kConsequence = "each frame is a packet of the MTU, with its checksum";
  if (::ioctl(fd_.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN) < 0)
    return log_.report("TUNSETOFFLOAD", errno, kConsequence);
  for (const uint16_t segment_text : {uint16_t{0}, uint16_t{1000}}) {
    if (const int error = try_offload(segment_text); error != 0) {
      ::ioctl(fd_.get(), TUNSETOFFLOAD, 0);
      return log_.report(OffloadTest::name(segment_text), error, kConsequence);
    }
  }
  offloads_ = true;
}

// What waits in the kernel's end for us to read it: when that is full, frames are lost without a word. The kernel's 500
// hold any window in super-segments, but not half of one in packets. A persistent interface is its owner's.
void TunDevice::match_queue_to_windows() {
  constexpr uint32_t kPackets = 10'000;  // of 1460 bytes: the largest receive buffer
  ifreq request{};
  if (offloads_ || ::ioctl(fd_.get(), TUNGETIFF, &request) < 0) return;
  if ((static_cast<unsigned short>(request.ifr_flags) & IFF_PERSIST) != 0) return;
  if (transmit_queue(name_).value_or(kPackets) >= kPackets) return;
  try {
    set_transmit_queue(name_, kPackets);
  } catch (const DeviceError& error) {
    log_.report("transmit queue", error.error(), "fast senders lose packets");
  }
}

// The error number with which the device refused a frame of that sort, or 0. EIO means no more than that the interface
// is still down.
int TunDevice::try_offload(uint16_t segment_text) {
  const OffloadTest test(segment_text, mac_, link_header());
  const int error = write_pieces(test.frame());
  return error == EIO ? 0 : error;
}

Transmit TunDevice::transmit(const TxFrame& frame, Time) {
  if (cuts_ && frame.offload.checksum_open) return transmit_cut(frame);
  const int error = write_pieces(frame);
  if (error != EINVAL || !frame.offload.checksum_open) return conclude(error);
  // The kernel does not take what it agreed to take (a virtual machine that moved to an older one, a filter on the
  // way).
  cuts_ = true;
  log_.report("write", EINVAL, "offloads are done here from now on");
  return transmit_cut(frame);
}

// What the kernel would do with it: packets of the MTU, with their checksums. Once the first has gone the others go
// too, or are lost: the stack cannot be told of a part.
Transmit TunDevice::transmit_cut(const TxFrame& frame) {
  bool any = false;
  for (SuperSegment s(frame.head, link_header(), frame.body, frame.offload); s.next(); any = true) {
    if (conclude(write_pieces({.head = s.head(), .body = s.body()})) == Transmit::taken) continue;
    if (!any) return Transmit::refused;
    counters_.transmit_errors.fetch_add(1, std::memory_order_relaxed);
    break;
  }
  return Transmit::taken;
}

}  // namespace limpid
