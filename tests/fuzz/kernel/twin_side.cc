#include "tests/fuzz/kernel/twin_side.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "drivers/descriptor.h"
#include "drivers/netconfig.h"
#include "stack/socket/host.h"
#include "tests/packetdrill/virtual_host.h"
#include "tests/support/own_namespace.h"

namespace limpid::twin {
namespace {

constexpr int kQuietMs = 1;  // what the kernel still sends without a timer comes within it
constexpr Duration kStepTime = 2ms;

// Limits and timers out of the way, and policy as on our side.
constexpr std::pair<const char*, const char*> kKnobs[] = {
    {"tcp_invalid_ratelimit", "0"}, {"tcp_challenge_ack_limit", "2147483647"},
    {"tcp_syncookies", "0"},        {"tcp_max_syn_backlog", "4096"},
    {"tcp_no_metrics_save", "1"},   {"tcp_early_retrans", "0"},
    {"tcp_rto_min_us", "2000000"},  {"tcp_rfc1337", "1"},
    {"tcp_fastopen", "0"},          {"tcp_ecn", "2"},
    {"tcp_tw_reuse", "0"},          {"tcp_congestion_control", "cubic"},
};

class KernelSide final : public Side {
 public:
  KernelSide() {
    test::enter_namespaces();
    tun_ = KernelDescriptor(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::strncpy(request.ifr_name, "twin0", IFNAMSIZ - 1);
    if (!tun_ || ::ioctl(tun_.get(), TUNSETIFF, &request) < 0)
      throw test::SkipTest{std::string("no TUN device to be had: ") + std::strerror(errno)};
    disable_ipv6("twin0");
    add_interface_address("twin0", kSut, 8);
    set_transmit_queue("twin0", 20'000);
    set_interface_up("twin0", true);
    for (const auto& [name, value] : kKnobs) set_knob(name, value);
  }

  const SocketCalls& calls() const override { return lp_kernel_calls; }
  void inject(ByteSpan packet) override { (void)!::write(tun_.get(), packet.data(), packet.size()); }
  void drain(const Taker& take) override {
    pollfd readable{.fd = tun_.get(), .events = POLLIN, .revents = 0};
    do {
      for (ssize_t n; (n = ::read(tun_.get(), buffer_.data(), buffer_.size())) > 0;)
        take(ByteSpan(buffer_).first(static_cast<size_t>(n)));
    } while (::poll(&readable, 1, kQuietMs) > 0);
  }

 private:
  static void set_knob(const char* name, const char* value) {
    try {
      write_sysctl(std::string("net/ipv4/") + name, value);
    } catch (const DeviceError&) {
      // an older kernel, or one of the whole machine's
    }
  }

  KernelDescriptor tun_;
  std::array<std::byte, 65'536> buffer_{};
};

class OurSide final : public Side {
 public:
  OurSide() : host_(kSut), sockets_(host_, host_) {
    Config config;
    config.tcp.invalid_ack_interval = {};
    config.tcp.challenge_acks_per_second = 1U << 30;
    config.tcp.resets_per_second = 1U << 30;
    config.tcp.syn_cookies = SynCookies::off;
    config.tcp.tail_loss_probe = false;
    config.tcp.minimum_rto = 2s;
    config.tcp.fast_open = 0;
    config.tcp.receive_buffer = 64 << 10;
    host_.configure(config);
    Host::use(&sockets_);
  }
  ~OurSide() override { Host::use(nullptr); }

  const SocketCalls& calls() const override { return lp_limpid_calls; }
  void inject(ByteSpan packet) override { host_.inject(packet); }
  void drain(const Taker& take) override {
    host_.advance(kStepTime);
    while (auto sent = host_.take_sent()) take(sent->packet);
  }

 private:
  packetdrill::VirtualHost host_;
  Host sockets_;
};

}  // namespace

std::unique_ptr<Side> make_kernel_side() { return std::make_unique<KernelSide>(); }
std::unique_ptr<Side> make_our_side() { return std::make_unique<OurSide>(); }

}  // namespace limpid::twin
