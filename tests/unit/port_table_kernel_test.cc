// The same random sequences of bind, listen and close on kernel sockets and on the port table: each step must end
// alike.
//
// Linux remembers the flags of the last bind of a port and passes the next one on them alone (TCP, fastreuseport), or
// stops looking at the first socket that shares (UDP). So where the two flags are mixed freely its answer depends on
// history and hash order; ours follows the rule itself. The sequences keep to mixtures where the kernel does too.
//
// The sockets live on 127.0.0.1 and 127.0.0.2 and never connect.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "stack/net/port_table.h"

namespace limpid {
namespace {

// One socket, twice: the kernel's and ours.
struct Twin {
  int fd = -1;
  BindId bind;
  ReusePolicy reuse;
  bool bound = false;
  bool listening = false;
};

class Kernel {
 public:
  static sockaddr_in address(const IpAddress& ip, uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(ip.v4_bits());
    return a;
  }
  static int open(int type, ReusePolicy reuse) {
    const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    const int address_flag = reuse.address ? 1 : 0;
    const int port_flag = reuse.port ? 1 : 0;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &address_flag, sizeof address_flag);
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &port_flag, sizeof port_flag);
    return fd;
  }
  static int bind(int fd, const IpAddress& ip, uint16_t port) {
    const sockaddr_in a = address(ip, port);
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0 ? 0 : errno;
  }
};

// A port that nobody on this machine holds, below the range that the kernel hands out to others.
uint16_t free_port(int type) {
  for (int candidate = 12'000 + ::getpid() % 10'000;; ++candidate) {
    const auto port = static_cast<uint16_t>(candidate);
    const int fd = Kernel::open(type, {});
    const int result = Kernel::bind(fd, IpAddress::v4(0), port);
    ::close(fd);
    if (result == 0) return port;
  }
}

int expected_errno(Error error) { return error == Error::address_in_use ? EADDRINUSE : error == Error::none ? 0 : -1; }

std::string held(const std::array<Twin, 6>& twins, const PortTable& ports) {
  std::string text = "held:";
  for (const Twin& t : twins) {
    if (!t.bound) continue;
    text += " " + ports.endpoint(t.bind).address.to_string() + (t.reuse.address ? "+address" : "") +
            (t.reuse.port ? "+port" : "") + (t.listening ? "+listens" : "");
  }
  return text;
}

struct Game {
  int type = SOCK_STREAM;
  std::vector<ReusePolicy> flags;
  std::vector<IpAddress> addresses;
};
const ReusePolicy kNone{};
const ReusePolicy kAddress{.address = true};
const ReusePolicy kPort{.port = true};
const ReusePolicy kBoth{.address = true, .port = true};
const IpAddress kAny = IpAddress::v4(0);
const IpAddress kOne = IpAddress::v4(127, 0, 0, 1);
const IpAddress kTwo = IpAddress::v4(127, 0, 0, 2);

// Plays `steps` random steps with six sockets on one port, and compares after each.
void play(uint64_t seed, const Game& game, int steps) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  PortTable ports(PortRange{}, Rng(1));
  const uint16_t port = free_port(game.type);
  std::array<Twin, 6> twins;

  for (int step = 0; step < steps; ++step) {
    Twin& twin = twins[rng.below(twins.size())];
    if (!twin.bound) {
      twin.reuse = game.flags[rng.below(game.flags.size())];
      const IpAddress& address = game.addresses[rng.below(game.addresses.size())];
      twin.fd = Kernel::open(game.type, twin.reuse);
      const auto ours = ports.claim({address, port}, twin.reuse);
      const int kernels = Kernel::bind(twin.fd, address, port);
      ASSERT_EQ(expected_errno(ours ? Error::none : ours.error()), kernels)
          << "bind " << address.to_string() << (twin.reuse.address ? "+address" : "")
          << (twin.reuse.port ? "+port" : "") << "; " << held(twins, ports);
      twin.bound = ours.has_value();
      if (ours) twin.bind = *ours;
      if (!ours) ::close(twin.fd);
    } else if (game.type == SOCK_STREAM && !twin.listening && rng.chance(500'000)) {
      const auto ours = ports.mark_listening(twin.bind);
      const int kernels = ::listen(twin.fd, 1) == 0 ? 0 : errno;
      ASSERT_EQ(expected_errno(ours ? Error::none : ours.error()), kernels) << "listen; " << held(twins, ports);
      twin.listening = ours.has_value();
    } else {
      ports.release(twin.bind);
      ::close(twin.fd);
      twin = Twin{};
    }
  }
  for (const Twin& twin : twins)
    if (twin.bound) ::close(twin.fd);
}

void play_many(const Game& game) {
  for (uint64_t seed = 1; seed <= 300 && !testing::Test::HasFailure(); ++seed) play(seed, game, 60);
}

// req: SOCK-bind-2, SOCK-reuse-2
TEST(PortTableAndKernel, TcpWithReuseAddress) {
  play_many({SOCK_STREAM, {kNone, kAddress, kBoth}, {kAny, kOne, kTwo}});
}

TEST(PortTableAndKernel, TcpWithReusePort) { play_many({SOCK_STREAM, {kNone, kPort, kBoth}, {kAny, kOne, kTwo}}); }

TEST(PortTableAndKernel, UdpWithReuseAddress) { play_many({SOCK_DGRAM, {kNone, kAddress, kBoth}, {kAny, kOne, kTwo}}); }

TEST(PortTableAndKernel, UdpWithReusePort) { play_many({SOCK_DGRAM, {kNone, kPort, kBoth}, {kAny, kOne}}); }

}  // namespace
}  // namespace limpid
