// Offloads of a TUN or TAP: agreed on with the kernel, tried out before they are promised, and done here when the
// kernel breaks its word.
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <vector>

#include "drivers/tun.h"
#include "drivers/vnet_header.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/super_segment.h"
#include "stack/wire/tcp.h"

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
      return log_.report(segment_text == 0 ? "an open checksum" : "a super-segment", error, kConsequence);
    }
  }
  offloads_ = true;
}

// A segment from 127.0.0.1 to itself, which the kernel takes off the device and drops as nonsense: the error number
// with which the device refused it, or 0. EIO means no more than that the interface is still down.
int TunDevice::try_offload(uint16_t segment_text) {
  const IpAddress nowhere = IpAddress::v4(127, 0, 0, 1);
  const std::array<std::byte, 2000> text{};
  const TcpHeader tcp{.flags = tcp_flag::ack};
  const size_t tcp_at = link_header() + Ipv4Header::kMinSize;
  std::vector<std::byte> head(tcp_at + tcp.size());
  const MutableByteSpan out(head);
  if (kind_ == TunKind::tap)
    EthernetHeader{.destination = mac_, .source = mac_, .type = ether_type::ipv4}.write(out.first(link_header()));
  Ipv4Header{.total_length = static_cast<uint16_t>(head.size() - link_header() + text.size()),
             .protocol = IpProtocol::tcp,
             .source = nowhere,
             .destination = nowhere}
      .write(out.subspan(link_header(), Ipv4Header::kMinSize));
  tcp.write_open(out.subspan(tcp_at), nowhere, nowhere, text.size());

  const ByteSpan body(text);
  const int error = write_pieces({.head = head,
                                  .body = {&body, 1},
                                  .offload = {.segment_text = segment_text,
                                              .checksum_begin = static_cast<uint16_t>(tcp_at),
                                              .checksum_field = TcpHeader::kChecksumField,
                                              .checksum_open = true}});
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
