// null_tcp: the ceiling (bench/null_tcp.h) on a TUN device of its own, 10.76.0.2 behind 10.76.0.1, in the network
// namespace where it is started. It stays until it is killed.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <CLI/CLI.hpp>
#include <cstring>

#include "bench/null_tcp.h"
#include "drivers/netconfig.h"
#include "drivers/vnet_header.h"

namespace limpid::bench {
namespace {

constexpr const char* kName = "null0";

int open_tun() {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  std::strncpy(request.ifr_name, kName, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  int header = kVnetHeaderSize;
  if (fd < 0 || ::ioctl(fd, TUNSETIFF, &request) < 0 || ::ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
      ::ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
    throw std::system_error(errno, std::generic_category(), "TUN device null0");
  return fd;
}

[[noreturn]] void run(const NullOptions& options) {
  const int fd = open_tun();
  disable_ipv6(kName);
  set_interface_mtu(kName, options.mtu);
  add_interface_address(kName, IpAddress::v4(10, 76, 0, 1), 24);
  set_transmit_queue(kName, 10'000);
  set_interface_up(kName, true);
  fmt::print(stderr, "null_tcp: a server at 10.76.0.2\n");
  NullTcp(fd, options).run();
}

}  // namespace
}  // namespace limpid::bench

int main(int argc, char** argv) {
  CLI::App line("A TCP that does next to nothing, over TUN: the ceiling of any stack there.", "null_tcp");
  limpid::bench::NullOptions options;
  line.add_option("--copy", options.copy, "copy bulk through a user's buffer of so many bytes");
  line.add_option("--mtu", options.mtu)->capture_default_str()->check(CLI::Range(576, 65'535));
  line.add_flag("--busy", options.busy, "never sleep");
  CLI11_PARSE(line, argc, argv);
  try {
    limpid::bench::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "null_tcp: {}\n", error.what());
    return 1;
  }
}
