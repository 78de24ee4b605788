#include "drivers/packet.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <cerrno>
#include <cstring>

#include "drivers/netconfig.h"
#include "drivers/offload_test.h"
#include "drivers/vnet_header.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/super_segment.h"

namespace limpid {
namespace {

constexpr size_t kBatch = 64;
constexpr const char* kPlainFrames = "each frame is a packet of the MTU, with its checksum";
constexpr int kReceiveBuffer = 8 << 20;  // bytes; the kernel's default holds some 200 frames, less than a window
constexpr int kSendBuffer = 4 << 20;     // of super-segments the default holds three

void set_option(int fd, int option, const void* value, socklen_t length, const char* name) {
  if (::setsockopt(fd, SOL_PACKET, option, value, length) < 0)
    throw DeviceError(errno, fmt::format("packet socket, {}: {}", name, errno_text(errno)),
                      "a Linux kernel of 4.20 or later is needed");
}

// Beyond rmem_max and wmem_max only with CAP_NET_ADMIN over the machine; what we get is what we may have.
void set_buffer(int fd, int force, int ask, int bytes) {
  if (::setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) < 0)
    (void)::setsockopt(fd, SOL_SOCKET, ask, &bytes, sizeof bytes);
}

KernelDescriptor open_socket() {
  // Protocol 0 receives nothing yet: the socket is bound to its interface before the first frame may come.
  KernelDescriptor fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    const char* cure = errno == EPERM ? "run in a network namespace of your own (unshare -Urn), or as root"
                                      : "the kernel lacks packet sockets: as root, modprobe af_packet";
    throw DeviceError(errno, fmt::format("packet socket: {}", errno_text(errno)), cure);
  }
  return fd;
}

void bind_to(int fd, const std::string& interface) {
  const auto index = static_cast<int>(interface_index(interface));
  const int on = 1;
  set_option(fd, PACKET_IGNORE_OUTGOING, &on, sizeof on, "PACKET_IGNORE_OUTGOING");
  set_option(fd, PACKET_AUXDATA, &on, sizeof on, "PACKET_AUXDATA");
  packet_mreq membership{};
  membership.mr_ifindex = index;
  membership.mr_type = PACKET_MR_PROMISC;
  set_option(fd, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership, "promiscuous mode");
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, kReceiveBuffer);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, kSendBuffer);

  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = index;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    throw DeviceError(errno, fmt::format("packet socket on {}: {}", interface, errno_text(errno)),
                      "check the interface");
}

}  // namespace

struct PacketDevice::ReceiveRing {
  std::array<mmsghdr, kBatch> messages{};
  std::array<std::array<iovec, 2>, kBatch> pieces{};
  std::array<std::array<std::byte, kVnetHeaderSize>, kBatch> headers{};
  struct alignas(cmsghdr) Control {
    std::byte bytes[CMSG_SPACE(sizeof(tpacket_auxdata))];
  };
  std::array<Control, kBatch> control{};

  void point_at(size_t i, Frame& frame, bool vnet_header) {
    const MutableByteSpan room = frame.writable();
    pieces[i][0] = {headers[i].data(), headers[i].size()};
    pieces[i][1] = {room.data(), room.size()};
    messages[i] = {};
    messages[i].msg_hdr.msg_iov = vnet_header ? &pieces[i][0] : &pieces[i][1];
    messages[i].msg_hdr.msg_iovlen = vnet_header ? 2 : 1;
    messages[i].msg_hdr.msg_control = control[i].bytes;
    messages[i].msg_hdr.msg_controllen = sizeof control[i].bytes;
  }

  bool checksum_missing(size_t i) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&messages[i].msg_hdr); c != nullptr; c = CMSG_NXTHDR(&messages[i].msg_hdr, c)) {
      if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
      tpacket_auxdata data;
      std::memcpy(&data, CMSG_DATA(c), sizeof data);
      return (data.tp_status & TP_STATUS_CSUMNOTREADY) != 0;
    }
    return false;
  }
};

PacketDevice::PacketDevice(const PacketOptions& options)
    : interface_(options.interface),
      mac_(options.mac.is_zero() ? virtual_host_mac(options.interface) : options.mac),
      fd_(open_socket()),
      log_(options.interface, options.log),
      ring_(std::make_unique<ReceiveRing>()) {
  // Before the first frame may come: each has the header, or none.
  const int on = 1;
  if (options.offloads && ::setsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0) {
    log_.report("PACKET_VNET_HDR", errno, kPlainFrames);
  } else {
    vnet_header_ = options.offloads;
  }
  bind_to(fd_.get(), interface_);
  if (vnet_header_) switch_offloads_on();
}

PacketDevice::~PacketDevice() = default;

// A frame of each sort shows what the kernel lets us leave to it. Where one is refused the header stays, and says that
// nothing was left undone; the other end is then to be told by its owner (switch_offloads_off).
void PacketDevice::switch_offloads_on() {
  for (const uint16_t segment_text : {uint16_t{0}, uint16_t{1000}}) {
    const OffloadTest test(segment_text, mac_, EthernetHeader::kSize);
    const int error = write_pieces(test.frame());
    if (error == 0 || error == ENETDOWN || error == EAGAIN || error == ENOBUFS) continue;
    return log_.report(OffloadTest::name(segment_text), error, kPlainFrames);
  }
  offloads_ = true;
}

size_t PacketDevice::receive_batch(std::span<FrameRef> frames, Time) {
  const size_t wanted = std::min(frames.size(), kBatch);
  for (size_t i = 0; i < wanted; ++i) ring_->point_at(i, *frames[i], vnet_header_);
  int got;
  do {
    got = ::recvmmsg(fd_.get(), ring_->messages.data(), static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno != EAGAIN) {
      counters_.receive_errors.fetch_add(1, std::memory_order_relaxed);
      log_.report("receive", errno, "nothing is received while this lasts");
    }
    return 0;
  }
  size_t filled = 0;
  for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
    if (!accept_frame(i, *frames[i])) continue;
    if (filled != i) std::swap(frames[filled], frames[i]);
    ++filled;
  }
  counters_.frames_in.fetch_add(filled, std::memory_order_relaxed);
  return filled;
}

bool PacketDevice::accept_frame(size_t index, Frame& frame) {
  const mmsghdr& message = ring_->messages[index];
  if ((message.msg_hdr.msg_flags & MSG_TRUNC) != 0)
    return drop(counters_.oversize, "frames larger than the MTU allows are dropped; is GRO or TSO on?");
  if (vnet_header_) {
    const size_t size = message.msg_len - std::min<size_t>(message.msg_len, kVnetHeaderSize);
    const auto offload = parse_vnet_header(ByteSpan(ring_->headers[index]).first(message.msg_len - size), size);
    if (!offload) return drop(counters_.bad_offload, "frames with a wrong virtio-net header are dropped");
    frame.offload = *offload;
    frame.length = static_cast<uint32_t>(size);
    return size > 0;
  }
  if (ring_->checksum_missing(index)) {
    counters_.partial_checksum.fetch_add(1, std::memory_order_relaxed);
    log_.report("receive", EBADMSG, "a checksum was left to hardware: switch tx-checksum off on the other end");
  }
  frame.length = message.msg_len;
  return true;
}

bool PacketDevice::drop(std::atomic<uint64_t>& counter, const char* consequence) {
  counter.fetch_add(1, std::memory_order_relaxed);
  log_.report("receive", EMSGSIZE, consequence);
  return false;
}

Transmit PacketDevice::transmit(const TxFrame& frame, Time) {
  if (cuts_ && frame.offload.checksum_open) return transmit_cut(frame);
  const int error = write_pieces(frame);
  if (error != EINVAL || !frame.offload.checksum_open) return conclude(error);
  cuts_ = true;
  log_.report("send", EINVAL, "offloads are done here from now on");
  return transmit_cut(frame);
}

// What the kernel would do with it. Once the first packet has gone the others go too, or are lost.
Transmit PacketDevice::transmit_cut(const TxFrame& frame) {
  bool any = false;
  for (SuperSegment s(frame.head, EthernetHeader::kSize, frame.body, frame.offload); s.next(); any = true) {
    if (conclude(write_pieces({.head = s.head(), .body = s.body()})) == Transmit::taken) continue;
    if (!any) return Transmit::refused;
    counters_.transmit_errors.fetch_add(1, std::memory_order_relaxed);
    break;
  }
  return Transmit::taken;
}

// The error number, or 0.
int PacketDevice::write_pieces(const TxFrame& frame) {
  std::array<std::byte, kVnetHeaderSize> header;
  if (vnet_header_) write_vnet_header(header, frame.offload, frame.head);
  std::vector<iovec>& pieces = gather_.pieces(vnet_header_ ? ByteSpan(header) : ByteSpan(), frame);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  ssize_t n;
  do {
    n = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

// What a write has come to.
Transmit PacketDevice::conclude(int error) {
  if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    refusing_.store(true, std::memory_order_relaxed);
    return Transmit::refused;
  }
  refusing_.store(false, std::memory_order_relaxed);
  if (error != 0) {
    counters_.transmit_errors.fetch_add(1, std::memory_order_relaxed);
    log_.report("send", error, error == ENETDOWN ? "the interface is down, frames are lost" : "the frame is lost");
    return Transmit::taken;
  }
  counters_.frames_out.fetch_add(1, std::memory_order_relaxed);
  return Transmit::taken;
}

Capabilities PacketDevice::capabilities() const {
  Capabilities c;
  c.name = interface_;
  c.ethernet = true;
  c.mac = mac_;
  c.offloads = offloads_;
  c.mtu = interface_mtu(interface_).value_or(c.mtu);
  return c;
}

}  // namespace limpid
