#include "drivers/packet.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <cerrno>
#include <cstring>

#include "drivers/netconfig.h"

namespace limpid {
namespace {

constexpr size_t kBatch = 64;
constexpr int kReceiveBuffer = 8 << 20;  // bytes; the kernel's default holds some 200 frames, less than a window

void set_option(int fd, int option, const void* value, socklen_t length, const char* name) {
  if (::setsockopt(fd, SOL_PACKET, option, value, length) < 0)
    throw DeviceError(errno, fmt::format("packet socket, {}: {}", name, errno_text(errno)),
                      "a Linux kernel of 4.20 or later is needed");
}

KernelDescriptor open_socket(const PacketOptions& options) {
  if (options.vnet_header)
    throw DeviceError(0, "offloads over AF_PACKET (PACKET_VNET_HDR) are not built yet",
                      "ask for plain frames: vnet_header = false");
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
  // Beyond rmem_max only with CAP_NET_ADMIN over the machine; what we get is what we may have.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) < 0)
    (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);

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
  std::array<iovec, kBatch> pieces{};
  struct alignas(cmsghdr) Control {
    std::byte bytes[CMSG_SPACE(sizeof(tpacket_auxdata))];
  };
  std::array<Control, kBatch> control{};

  void point_at(size_t i, Frame& frame) {
    const MutableByteSpan room = frame.writable();
    pieces[i] = {room.data(), room.size()};
    messages[i] = {};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
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
      fd_(open_socket(options)),
      log_(options.interface, options.log),
      ring_(std::make_unique<ReceiveRing>()) {
  bind_to(fd_.get(), interface_);
}

PacketDevice::~PacketDevice() = default;

size_t PacketDevice::receive_batch(std::span<FrameRef> frames, Time) {
  const size_t wanted = std::min(frames.size(), kBatch);
  for (size_t i = 0; i < wanted; ++i) ring_->point_at(i, *frames[i]);
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
  if ((message.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
    counters_.oversize.fetch_add(1, std::memory_order_relaxed);
    log_.report("receive", EMSGSIZE, "frames larger than the MTU allows are dropped; is GRO or TSO on?");
    return false;
  }
  if (ring_->checksum_missing(index)) {
    counters_.partial_checksum.fetch_add(1, std::memory_order_relaxed);
    log_.report("receive", EBADMSG, "a checksum was left to hardware: switch tx-checksum off on the other end");
  }
  frame.length = message.msg_len;
  return true;
}

Transmit PacketDevice::transmit(const TxFrame& frame, Time) {
  std::vector<iovec>& pieces = gather_.pieces({}, frame);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  ssize_t n;
  do {
    n = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    refusing_.store(true, std::memory_order_relaxed);
    return Transmit::refused;
  }
  refusing_.store(false, std::memory_order_relaxed);
  if (n < 0) {
    counters_.transmit_errors.fetch_add(1, std::memory_order_relaxed);
    log_.report("send", errno, errno == ENETDOWN ? "the interface is down, frames are lost" : "the frame is lost");
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
  c.mtu = interface_mtu(interface_).value_or(c.mtu);
  return c;
}

}  // namespace limpid
