// TUN, TAP and AF_PACKET against the kernel, each in a namespace that the test makes: the kernel's frames come in
// whole, ours reach its sockets, and what cannot be had is refused with cause and cure.
// labels: device
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "drivers/netconfig.h"
#include "drivers/packet.h"
#include "drivers/tun.h"
#include "stack/base/checksum.h"
#include "tests/support/own_namespace.h"

namespace limpid {
namespace {

using test::SkipTest;

const IpAddress kKernel = IpAddress::v4(10, 77, 0, 1);
const IpAddress kOurs = IpAddress::v4(10, 77, 0, 2);
constexpr unsigned kNobody = 65534;

using Bytes = std::vector<std::byte>;

Bytes to_bytes(ByteSpan b) { return {b.begin(), b.end()}; }

uint16_t fold(ByteSpan b, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < b.size(); i += 2) sum += load16(b, i);
  if (b.size() % 2 == 1) sum += uint32_t{load8(b, b.size() - 1)} << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// The stack's place in these tests: reads frames, writes frames.
class Host {
 public:
  explicit Host(Device& device) : device_(device) {}

  // The next frame that `wanted` says yes to, within two seconds.
  template <class Wanted>
  std::optional<Bytes> next(Wanted wanted) {
    for (int tries = 0; tries < 200; ++tries) {
      pollfd p{.fd = device_.descriptor(), .events = POLLIN, .revents = 0};
      ::poll(&p, 1, 10);
      FrameRef frames[4];
      for (FrameRef& f : frames) f = pool_.make(1514);
      const size_t n = device_.receive_batch(frames, Time{});
      for (size_t i = 0; i < n; ++i)
        if (wanted(frames[i]->bytes())) return to_bytes(frames[i]->bytes());
    }
    return std::nullopt;
  }

  // In two pieces, so that the gathering write is shown too.
  Transmit write(const Bytes& frame) {
    const size_t half = frame.size() / 2;
    const ByteSpan body[] = {ByteSpan(frame).subspan(half)};
    return device_.transmit({.head = ByteSpan(frame).first(half), .body = body}, Time{});
  }

 private:
  Device& device_;
  FramePool pool_{1 << 20};
};

bool is_ip4(ByteSpan ip, uint8_t protocol) {
  return ip.size() >= 28 && load8(ip, 0) == 0x45 && load8(ip, 9) == protocol && load32(ip, 16) == kOurs.v4_bits();
}

KernelDescriptor kernel_socket(int type, int protocol) {
  KernelDescriptor s(::socket(AF_INET, type, protocol));
  if (!s) throw SkipTest{"socket refused"};
  timeval two_seconds{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(s.get(), SOL_SOCKET, SO_RCVTIMEO, &two_seconds, sizeof two_seconds);
  return s;
}

sockaddr_in our_address(uint16_t port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(kOurs.v4_bits());
  return to;
}

void kernel_sends(const KernelDescriptor& socket, const void* bytes, size_t n) {
  const sockaddr_in to = our_address(9);
  ASSERT_EQ(::sendto(socket.get(), bytes, n, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
            static_cast<ssize_t>(n));
}

Bytes echo_request() {
  Bytes message(16);
  store8(message, 0, ICMP_ECHO);
  store16(message, 4, 0x4c50);
  store16(message, 6, 1);
  store16(message, 2, fold(message));
  return message;
}

// Turns a request (an IP packet) into its reply, in place.
void make_reply(MutableByteSpan ip) {
  const uint32_t source = load32(ip, 12);
  store32(ip, 12, load32(ip, 16));
  store32(ip, 16, source);
  MutableByteSpan icmp = ip.subspan(20);
  store8(icmp, 0, ICMP_ECHOREPLY);
  store16(icmp, 2, 0);
  store16(icmp, 2, fold(icmp));
}

void expect_reply(const KernelDescriptor& socket) {
  std::byte answer[256];
  for (;;) {  // a raw socket sees every ICMP message
    const ssize_t n = ::recv(socket.get(), answer, sizeof answer, 0);
    ASSERT_GT(n, 20) << "the kernel did not get our reply";
    if (load8(answer, 20) != ICMP_ECHOREPLY) continue;
    EXPECT_EQ(load32(answer, 12), kOurs.v4_bits());
    EXPECT_EQ(load16(answer, 24), 0x4c50);
    return;
  }
}

void configure(const std::string& interface) {
  disable_ipv6(interface);
  set_interface_mtu(interface, 1400);
  set_transmit_queue(interface, 5000);
  set_interface_up(interface, true);
  add_interface_address(interface, kKernel, 24);
}

// The node may be missing or closed to us on this machine: then there is nothing to test.
std::unique_ptr<TunDevice> open_tun(TunKind kind, std::string name) {
  try {
    return std::make_unique<TunDevice>(TunOptions{.kind = kind, .name = std::move(name)});
  } catch (const DeviceError& e) {
    if (e.error() == ENOENT || e.error() == EACCES || e.error() == EPERM || e.error() == ENXIO)
      throw SkipTest{e.cause()};
    throw;
  }
}

TEST(Tun, KernelSendsADatagramAndItComesInWhole) {
  LIMPID_IN_NAMESPACE([] {
    const auto tun = open_tun(TunKind::tun, "tun7");
    configure("tun7");
    EXPECT_EQ(tun->capabilities().name, "tun7");
    EXPECT_EQ(tun->capabilities().mtu, 1400u);
    EXPECT_FALSE(tun->capabilities().ethernet);

    Bytes payload(1372, std::byte{0x5a});  // fills the MTU
    kernel_sends(kernel_socket(SOCK_DGRAM, 0), payload.data(), payload.size());
    const auto frame = Host(*tun).next([](ByteSpan ip) { return is_ip4(ip, IPPROTO_UDP); });
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->size(), 1400u);
    EXPECT_EQ(to_bytes(ByteSpan(*frame).subspan(28)), payload);
    EXPECT_EQ(fold(ByteSpan(*frame).first(20)), 0) << "header checksum";
  });
}

TEST(Tun, OurReplyReachesTheKernelsPing) {
  LIMPID_IN_NAMESPACE([] {
    const auto tun = open_tun(TunKind::tun, "");
    configure(tun->name());
    const KernelDescriptor ping = kernel_socket(SOCK_RAW, IPPROTO_ICMP);
    const Bytes request = echo_request();
    kernel_sends(ping, request.data(), request.size());
    Host host(*tun);
    auto frame = host.next([](ByteSpan ip) { return is_ip4(ip, IPPROTO_ICMP); });
    ASSERT_TRUE(frame);
    make_reply(*frame);
    EXPECT_EQ(host.write(*frame), Transmit::taken);
    expect_reply(ping);
    EXPECT_EQ(tun->counters().frames_out, 1u);
  });
}

TEST(Tun, AFrameLargerThanItsRoomIsDroppedWholeAndCounted) {
  LIMPID_IN_NAMESPACE([] {
    const auto tun = open_tun(TunKind::tun, "tun7");
    configure("tun7");
    set_interface_mtu("tun7", 9000);
    const KernelDescriptor socket = kernel_socket(SOCK_DGRAM, 0);
    const Bytes large(5000, std::byte{1});
    kernel_sends(socket, large.data(), large.size());
    kernel_sends(socket, "small", 5);
    const auto frame = Host(*tun).next([](ByteSpan ip) { return is_ip4(ip, IPPROTO_UDP); });
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->size(), 33u) << "the small one; nothing of the large one";
    EXPECT_EQ(tun->counters().oversize, 1u);
  });
}

TEST(Tun, WhatTheKernelRefusesIsLostCountedAndSaidOnce) {
  LIMPID_IN_NAMESPACE([] {
    (void)open_tun(TunKind::tun, "tun7");
    std::vector<std::string> log;
    TunDevice tun({.name = "tun8", .log = [&](std::string_view line) { log.emplace_back(line); }});
    Host host(tun);
    const Bytes frame(40, std::byte{0x45});
    EXPECT_EQ(host.write(frame), Transmit::taken) << "the interface is down: lost, as on a link";
    EXPECT_EQ(host.write(frame), Transmit::taken);
    EXPECT_EQ(tun.counters().transmit_errors, 2u);
    ASSERT_EQ(log.size(), 1u);
    EXPECT_NE(log[0].find("EIO"), std::string::npos) << log[0];
  });
}

TEST(Tun, AdoptsADescriptorThatSomebodyElseAttached) {
  LIMPID_IN_NAMESPACE([] {
    (void)open_tun(TunKind::tap, "tap7");
    const int fd = ::open("/dev/net/tun", O_RDWR);
    ifreq request{};
    std::strcpy(request.ifr_name, "tap8");
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    ASSERT_EQ(::ioctl(fd, TUNSETIFF, &request), 0);
    TunDevice tap(fd, {});
    EXPECT_TRUE(tap.capabilities().ethernet);
    EXPECT_EQ(tap.name(), "tap8");
    EXPECT_NE(tap.capabilities().mac, interface_mac("tap8"));
    EXPECT_TRUE(::fcntl(fd, F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(::fcntl(fd, F_GETFD) & FD_CLOEXEC);
  });
}

// What a window holds in packets fits into the queue of an interface that we made.
TEST(Tun, TheQueueIsAsLongAsAWindow) {
  LIMPID_IN_NAMESPACE([] {
    const auto tun = open_tun(TunKind::tun, "tun7");
    EXPECT_EQ(transmit_queue("tun7"), 10'000u);
    EXPECT_FALSE(transmit_queue("tun8"));
  });
}

TEST(Tun, TapCarriesEthernetFrames) {
  LIMPID_IN_NAMESPACE([] {
    const auto tap = open_tun(TunKind::tap, "tap7");
    configure("tap7");
    kernel_sends(kernel_socket(SOCK_DGRAM, 0), "x", 1);
    const auto arp = Host(*tap).next([](ByteSpan f) { return f.size() >= 42 && load16(f, 12) == 0x0806; });
    ASSERT_TRUE(arp) << "the kernel asks for our link address first";
    EXPECT_EQ(load32(*arp, 38), kOurs.v4_bits());
  });
}

TEST(Tun, RefusesWithCauseAndCure) {
  const auto refusal = [](const TunOptions& options) {
    try {
      TunDevice tun(options);
    } catch (const DeviceError& e) {
      EXPECT_FALSE(e.cause().empty());
      EXPECT_FALSE(e.cure().empty());
      EXPECT_EQ(e.cause().find('\n'), std::string::npos);
      return e.error();
    }
    return -1;
  };
  EXPECT_EQ(refusal({.node = "/nonexistent/tun"}), ENOENT);
  EXPECT_EQ(refusal({.kind = TunKind::tap, .queues = 4}), 0);
  EXPECT_EQ(refusal({.name = "a-name-that-is-too-long"}), ENAMETOOLONG);
  const int file = ::open("/dev/null", O_RDWR);
  EXPECT_THROW(TunDevice(file, {}), DeviceError) << "no TUN behind the descriptor";
  EXPECT_EQ(::close(file), 0) << "it stays the caller's";
}

// The way of an ordinary user without access to /dev/net/tun.
TEST(Packet, AsNobodyOnAVethPair) {
  LIMPID_IN_NAMESPACE(
      [] {
        add_veth_pair("kern0", "limpid0");
        for (const char* end : {"kern0", "limpid0"}) {
          switch_offloads_off(end);
          disable_ipv6(end);
        }
        set_interface_mtu("limpid0", 1400);
        set_interface_up("limpid0", true);
        configure("kern0");
        PacketDevice device({.interface = "limpid0"});
        EXPECT_TRUE(device.capabilities().ethernet);
        EXPECT_EQ(device.capabilities().mtu, 1400u);
        const MacAddress ours = device.capabilities().mac;
        const MacAddress kernels = interface_mac("kern0");
        EXPECT_NE(ours, interface_mac("limpid0"));
        Host host(device);

        const KernelDescriptor ping = kernel_socket(SOCK_RAW, IPPROTO_ICMP);
        const Bytes request = echo_request();
        kernel_sends(ping, request.data(), request.size());

        // <- who has 10.77.0.2?   -> it is at our link address
        const auto answer_arp = [&](ByteSpan question) {
          Bytes arp(question.begin(), question.begin() + 42);
          std::copy_n(arp.begin() + 22, 10, arp.begin() + 32);
          store16(arp, 20, 2);
          store32(arp, 28, kOurs.v4_bits());
          for (size_t i = 0; i < 6; ++i) {
            store8(arp, i, kernels.bytes[i]);
            store8(arp, 6 + i, ours.bytes[i]);
            store8(arp, 22 + i, ours.bytes[i]);
          }
          EXPECT_EQ(host.write(arp), Transmit::taken);
        };
        // <- echo request   -> echo reply. A link that is just coming up loses what is sent over it until the kernel
        // has noticed, so each question is answered: the kernel asks again after a second.
        unsigned asked = 0;
        auto echo = host.next([&](ByteSpan f) {
          if (f.size() >= 42 && load16(f, 12) == 0x0806) {
            ++asked;
            answer_arp(f);
          }
          return f.size() > 14 && is_ip4(f.subspan(14), IPPROTO_ICMP);
        });
        EXPECT_GE(asked, 1u);
        ASSERT_TRUE(echo);
        make_reply(MutableByteSpan(*echo).subspan(14));
        for (size_t i = 0; i < 6; ++i) std::swap((*echo)[i], (*echo)[6 + i]);
        EXPECT_EQ(host.write(*echo), Transmit::taken);
        expect_reply(ping);

        // A datagram's checksum is finished by the kernel, not left to hardware; and nothing of our own comes back.
        kernel_sends(kernel_socket(SOCK_DGRAM, 0), "checksum", 8);
        const auto udp = host.next([](ByteSpan f) { return f.size() > 14 && is_ip4(f.subspan(14), IPPROTO_UDP); });
        ASSERT_TRUE(udp);
        const ByteSpan ip = ByteSpan(*udp).subspan(14);
        const uint32_t pseudo = (kKernel.v4_bits() >> 16) + (kKernel.v4_bits() & 0xffff) + (kOurs.v4_bits() >> 16) +
                                (kOurs.v4_bits() & 0xffff) + 17 + 16;
        EXPECT_EQ(fold(ip.subspan(20, 16), pseudo), 0);
        EXPECT_EQ(device.counters().partial_checksum, 0u);
        EXPECT_EQ(device.counters().frames_in, asked + 2)
            << "the requests for our address, the echo request, the datagram";
      },
      kNobody);
}

TEST(Packet, LeftOnChecksumOffloadIsNoticed) {
  LIMPID_IN_NAMESPACE(
      [] {
        add_veth_pair("kern0", "limpid0");
        disable_ipv6("limpid0");
        set_interface_up("limpid0", true);
        configure("kern0");
        std::vector<std::string> log;
        PacketDevice device({.interface = "limpid0", .log = [&](std::string_view line) { log.emplace_back(line); }});
        const KernelDescriptor socket = kernel_socket(SOCK_DGRAM, 0);
        const int on = 1;
        ASSERT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on), 0);
        sockaddr_in to = our_address(9);
        to.sin_addr.s_addr = htonl(0x0a4d00ff);  // needs no neighbor
        ::sendto(socket.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
        ASSERT_TRUE(Host(device).next([](ByteSpan f) { return load16(f, 12) == 0x0800; }));
        EXPECT_EQ(device.counters().partial_checksum, 1u);
        EXPECT_EQ(log.size(), 1u);
      },
      kNobody);
}

// With offloads nothing is left to hardware that is not there: we are told what is open.
TEST(Packet, WhatTheKernelLeavesOpenIsSaid) {
  LIMPID_IN_NAMESPACE(
      [] {
        add_veth_pair("kern0", "limpid0");
        disable_ipv6("limpid0");
        set_interface_up("limpid0", true);
        configure("kern0");
        switch_udp_segmentation_off("kern0");
        wait_until_running("limpid0", 3s);
        std::vector<std::string> log;
        PacketDevice device(
            {.interface = "limpid0", .offloads = true, .log = [&](std::string_view line) { log.emplace_back(line); }});
        EXPECT_TRUE(device.offloads());
        EXPECT_TRUE(device.capabilities().offloads);
        const KernelDescriptor socket = kernel_socket(SOCK_DGRAM, 0);
        const int on = 1;
        ASSERT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on), 0);
        sockaddr_in to = our_address(9);
        to.sin_addr.s_addr = htonl(0x0a4d00ff);  // needs no neighbor
        const Bytes text(1000, std::byte{7});
        ::sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
        std::optional<FrameOffload> offload;
        FramePool pool(1 << 20);
        for (int tries = 0; tries < 200 && !offload; ++tries) {
          pollfd p{.fd = device.descriptor(), .events = POLLIN, .revents = 0};
          ::poll(&p, 1, 10);
          FrameRef frame = pool.make(1514);
          if (device.receive_batch({&frame, 1}, Time{}) == 0 || load16(frame->bytes(), 12) != 0x0800) continue;
          EXPECT_EQ(frame->length, 14 + 28 + text.size());
          offload = frame->offload;
        }
        ASSERT_TRUE(offload);
        EXPECT_TRUE(offload->checksum_open);
        EXPECT_EQ(offload->checksum_begin, 14 + 20);
        EXPECT_EQ(offload->checksum_field, 6);
        EXPECT_EQ(device.counters().partial_checksum, 0u);
        EXPECT_TRUE(log.empty()) << log.front();
      },
      kNobody);
}

TEST(Packet, RefusesWithCauseAndCure) {
  LIMPID_IN_NAMESPACE([] {
    try {
      PacketDevice device({.interface = "nothere"});
      ADD_FAILURE() << "there is no such interface";
    } catch (const DeviceError& e) {
      EXPECT_EQ(e.error(), ENODEV) << e.what();
    }
    EXPECT_THROW(add_interface_address("nothere", kKernel, 24), DeviceError);
    add_veth_pair("kern0", "limpid0");
    EXPECT_THROW(add_veth_pair("kern0", "limpid0"), DeviceError);
    configure("kern0");
    EXPECT_THROW(add_interface_address("kern0", kKernel, 24), DeviceError) << "EEXIST";
    add_kernel_route(IpAddress::v4(10, 88, 0, 0), 16, "kern0", IpAddress::v4(10, 77, 0, 2));
    remove_interface("limpid0");
    EXPECT_FALSE(interface_exists("kern0"));
  });
}

}  // namespace
}  // namespace limpid
