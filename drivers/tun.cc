#include "drivers/tun.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "drivers/netconfig.h"
#include "drivers/vnet_header.h"

namespace limpid {
namespace {

constexpr const char* kOtherWays = "or use a veth pair, which needs no device node";

void refuse_what_is_not_built(const TunOptions& options) {
  if (options.queues != 1 && options.kind == TunKind::tap)
    throw DeviceError(0, "several queues of a TAP are not built: ARP would have to be told to each", "take a TUN");
  if (options.name.size() >= IFNAMSIZ)
    throw DeviceError(ENAMETOOLONG, fmt::format("interface name \"{}\" is too long", options.name),
                      fmt::format("take one of at most {} characters", IFNAMSIZ - 1));
}

KernelDescriptor open_node(const std::string& node) {
  KernelDescriptor fd(::open(node.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (fd) return fd;
  const int error = errno;
  const std::string cause = fmt::format("{}: {}", node, errno_text(error));
  switch (error) {
    case ENOENT:
      throw DeviceError(
          error, cause,
          fmt::format("as root: modprobe tun; in a container, start it with --device {}; {}", node, kOtherWays));
    case ENODEV:
    case ENXIO:
      throw DeviceError(error, cause,
                        fmt::format("the tun driver is not loaded; as root: modprobe tun; {}", kOtherWays));
    case EACCES:
    case EPERM:
      throw DeviceError(error, cause, fmt::format("as root: chmod 0666 {}; {}", node, kOtherWays));
    default:
      throw DeviceError(error, cause, fmt::format("see open(2); {}", kOtherWays));
  }
}

[[noreturn]] void throw_attach_error(int error, const TunOptions& options) {
  const std::string cause = fmt::format("TUN interface \"{}\": {}", options.name, errno_text(error));
  switch (error) {
    case EPERM:
      throw DeviceError(error, cause,
                        "run in a namespace of your own (unshare -Urn), as root, or on a persistent TUN that "
                        "root made for you (ip tuntap add user …)");
    case EBUSY:
      throw DeviceError(error, cause, "another process holds the interface: end it, or take another name");
    case EINVAL:
      throw DeviceError(error, cause,
                        options.queues > 1
                            ? "an interface of that name exists and is no TUN of several queues (ip tuntap add … "
                              "multi_queue): take another name"
                            : "an interface of that name exists and is not such a TUN or TAP: take another name");
    case E2BIG:
      throw DeviceError(error, cause, "the interface has no more queues: ask for fewer, or take another name");
    default:
      throw DeviceError(error, cause, "see tuntap.rst in the kernel's documentation; or take another name");
  }
}

// Our host on a TAP needs a link address of its own: the kernel's interface has another on the other end of the cable.
MacAddress choose_mac(const TunOptions& options, const std::string& name) {
  return options.mac.is_zero() ? virtual_host_mac(name) : options.mac;
}

ifreq attach(int fd, const TunOptions& options) {
  ifreq request{};
  std::memcpy(request.ifr_name, options.name.c_str(), options.name.size());
  request.ifr_flags =
      static_cast<short>((options.kind == TunKind::tun ? IFF_TUN : IFF_TAP) | IFF_NO_PI |
                         (options.offloads ? IFF_VNET_HDR : 0) | (options.queues > 1 ? IFF_MULTI_QUEUE : 0));
  if (::ioctl(fd, TUNSETIFF, &request) < 0) throw_attach_error(errno, options);
  return request;
}

ifreq interface_of(int fd) {
  ifreq request{};
  if (::ioctl(fd, TUNGETIFF, &request) < 0)
    throw DeviceError(errno, fmt::format("descriptor {} is no attached TUN or TAP: {}", fd, errno_text(errno)),
                      "give one on which TUNSETIFF was done with IFF_NO_PI");
  const auto flags = static_cast<unsigned short>(request.ifr_flags);
  if ((flags & IFF_NO_PI) == 0)
    throw DeviceError(EINVAL,
                      fmt::format("descriptor {} ({}) puts a header in front of its frames", fd, request.ifr_name),
                      "attach it with IFF_NO_PI");
  return request;
}

void make_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    throw DeviceError(errno, fmt::format("descriptor {}: {}", fd, errno_text(errno)),
                      "give an open descriptor of a TUN");
}

}  // namespace

TunDevice::TunDevice(const TunOptions& options)
    : fd_((refuse_what_is_not_built(options), open_node(options.node))),
      kind_(options.kind),
      name_(attach(fd_.get(), options).ifr_name),
      mac_(choose_mac(options, name_)),
      queues_(options.queues),
      vnet_header_(options.offloads),
      log_(name_, options.log) {
  switch_offloads_on();
  match_queue_to_windows();
}

TunDevice::TunDevice(int adopted, const TunOptions& options)
    : kind_(((static_cast<unsigned short>(interface_of(adopted).ifr_flags) & IFF_TAP) != 0) ? TunKind::tap
                                                                                            : TunKind::tun),
      name_(interface_of(adopted).ifr_name),
      mac_(choose_mac(options, name_)),
      queues_(1),
      vnet_header_((static_cast<unsigned short>(interface_of(adopted).ifr_flags) & IFF_VNET_HDR) != 0),
      log_(name_, options.log) {
  if (options.queues != 1) throw DeviceError(0, "a descriptor is one queue", "name the TUN, or ask for one queue");
  refuse_what_is_not_built(options);
  make_nonblocking(adopted);
  fd_ = KernelDescriptor(adopted);
  switch_offloads_on();
}

std::vector<std::unique_ptr<TunDevice>> open_tun_queues(TunOptions options) {
  std::vector<std::unique_ptr<TunDevice>> queues;
  for (uint16_t i = 0; i < options.queues; ++i) {
    queues.push_back(std::make_unique<TunDevice>(options));
    options.name = queues.front()->name();
  }
  return queues;
}

size_t TunDevice::receive_batch(std::span<FrameRef> frames, Time) {
  size_t filled = 0;
  while (filled < frames.size()) {
    const Read read = receive_one(*frames[filled]);
    if (read == Read::nothing) break;
    if (read == Read::frame) ++filled;
  }
  counters_.frames_in.fetch_add(filled, std::memory_order_relaxed);
  return filled;
}

TunDevice::Read TunDevice::receive_one(Frame& frame) {
  // The virtio-net header comes into the headroom, in front of the packet: one piece for the kernel to fill. It cuts a
  // frame to the room that it is given and says nothing; so a frame that fills all of it counts as too large.
  const size_t header_size = vnet_header_ ? kVnetHeaderSize : 0;
  const MutableByteSpan room = frame.writable();
  std::byte* const header = room.data() - header_size;
  frame.length = 0;
  const ssize_t n = ::read(fd_.get(), header, header_size + room.size());
  if (n < 0) {
    if (errno == EINTR) return Read::dropped;
    if (errno != EAGAIN) {
      counters_.receive_errors.fetch_add(1, std::memory_order_relaxed);
      log_.report("read", errno, "nothing is received while this lasts");
    }
    return Read::nothing;
  }
  const size_t size = static_cast<size_t>(n) - std::min(static_cast<size_t>(n), header_size);
  if (size == 0) return n == 0 ? Read::nothing : Read::dropped;
  if (size == room.size()) return drop(counters_.oversize, "frames larger than the MTU allows are dropped");
  if (vnet_header_) {
    const auto offload = parse_vnet_header(ByteSpan(header, header_size), size);
    if (!offload) return drop(counters_.bad_offload, "frames with a wrong virtio-net header are dropped");
    frame.offload = *offload;
  }
  frame.length = static_cast<uint32_t>(size);
  return Read::frame;
}

TunDevice::Read TunDevice::drop(std::atomic<uint64_t>& counter, const char* consequence) {
  counter.fetch_add(1, std::memory_order_relaxed);
  log_.report("read", EMSGSIZE, consequence);
  return Read::dropped;
}

// The error number, or 0.
int TunDevice::write_pieces(const TxFrame& frame) {
  std::array<std::byte, kVnetHeaderSize> header;
  if (vnet_header_) write_vnet_header(header, frame.offload, frame.head);
  const std::vector<iovec>& pieces = gather_.pieces(vnet_header_ ? ByteSpan(header) : ByteSpan(), frame);
  ssize_t n;
  do {
    n = ::writev(fd_.get(), pieces.data(), static_cast<int>(pieces.size()));
  } while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

// What a write has come to.
Transmit TunDevice::conclude(int error) {
  if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    refusing_.store(true, std::memory_order_relaxed);
    return Transmit::refused;
  }
  refusing_.store(false, std::memory_order_relaxed);
  if (error != 0) {
    // EIO: the kernel's end is down. EINVAL: no IP datagram. Trying again would not help, so the frame is lost, as on
    // any link, and TCP's own timers take it from there.
    counters_.transmit_errors.fetch_add(1, std::memory_order_relaxed);
    log_.report("write", error, error == EIO ? "the kernel's end is down, frames are lost" : "the frame is lost");
    return Transmit::taken;
  }
  counters_.frames_out.fetch_add(1, std::memory_order_relaxed);
  return Transmit::taken;
}

Capabilities TunDevice::capabilities() const {
  Capabilities c;
  c.name = name_;
  c.ethernet = kind_ == TunKind::tap;
  c.mac = mac_;
  c.offloads = offloads_;
  c.queues = queues_;
  // A descriptor that came from another namespace names an interface that is not to be seen here: the usual MTU then.
  c.mtu = interface_mtu(name_).value_or(c.mtu);
  return c;
}

}  // namespace limpid
