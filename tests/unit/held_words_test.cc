// What is held for a program's next words goes though that program computes instead, and says nothing for long: an ACK,
// and the tail of a send(). Over a TUN, against the kernel.
// labels: device threads
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <limpid/socket.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "drivers/descriptor.h"
#include "drivers/netconfig.h"
#include "drivers/tun.h"
#include "stack/runtime/real_world.h"
#include "stack/socket/host.h"
#include "tests/support/own_namespace.h"

namespace limpid {
namespace {

using test::SkipTest;
using namespace std::chrono_literals;

constexpr auto kLong = 5s;
const SocketAddress kOurs("10.77.0.2", 80);

// Our host on tun8.
class TunHost {
 public:
  TunHost() : machine_(world_.add_machine({}, 9)) {
    auto tun = open_device();
    disable_ipv6("tun8");
    set_interface_up("tun8", true);
    add_interface_address("tun8", IpAddress::v4(10, 77, 0, 1), 24);
    const InterfaceId id = machine_.add_device(std::move(tun));
    {
      Hold hold(machine_);
      hold.stack().add_address(id, IpAddress::v4(10, 77, 0, 2), 24);
    }
    machine_.start();
    host_ = std::make_unique<Host>(world_, machine_);
    Host::use(host_.get());
  }
  ~TunHost() { Host::use(nullptr); }
  RealMachine& machine() { return machine_; }

 private:
  static std::unique_ptr<TunDevice> open_device() {
    try {
      return std::move(open_tun_queues({.name = "tun8", .offloads = true, .queues = 1}).at(0));
    } catch (const DeviceError& e) {
      throw SkipTest{e.what()};
    }
  }
  RealWorld world_;
  RealMachine& machine_;
  std::unique_ptr<Host> host_;
};

int listen_on_ours() {
  const int listener = lp_socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(lp_bind(listener, kOurs.data(), kOurs.size()), 0);
  EXPECT_EQ(lp_listen(listener, 1), 0);
  return listener;
}

// Our end of a new connection, and the kernel's.
int connect_to_us(int listener, KernelDescriptor& client) {
  client = KernelDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  EXPECT_EQ(::connect(client.get(), kOurs.data(), kOurs.size()), 0);
  const int fd = lp_accept(listener, nullptr, nullptr);
  EXPECT_GE(fd, 0);
  return fd;
}

tcp_info info_of(const KernelDescriptor& client) {
  tcp_info info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(::getsockopt(client.get(), IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  return info;
}

bool all_acknowledged(const KernelDescriptor& client) { return info_of(client).tcpi_unacked == 0; }

// Whether it comes true while this thread is busy with other things than sockets.
template <class Condition>
bool happens_meanwhile(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (!condition())
    if (std::chrono::steady_clock::now() > end) return false;
  return true;
}

// The first request of a connection, that finds its reader at the devices: its ACK is held for the answer. The reader
// is there once the I/O thread has brought it something, as round trips on another connection do.
void read_first_request(int listener, KernelDescriptor& client) {
  KernelDescriptor other(-1);
  const int warm = connect_to_us(listener, other);
  const int fd = connect_to_us(listener, client);
  constexpr int kRoundTrips = 3;
  char text[100] = {};
  std::thread asker([&client, &other] {
    char asked[sizeof text] = {};
    for (int i = 0; i < kRoundTrips; ++i) {
      std::this_thread::sleep_for(2ms);  // till the reader waits
      EXPECT_EQ(::send(other.get(), asked, 1, MSG_NOSIGNAL), 1);
      EXPECT_EQ(::recv(other.get(), asked, 1, 0), 1);
    }
    std::this_thread::sleep_for(2ms);
    EXPECT_EQ(::send(client.get(), asked, sizeof asked, MSG_NOSIGNAL), ssize_t{sizeof asked});
  });
  for (int i = 0; i < kRoundTrips; ++i) {
    EXPECT_EQ(lp_recv(warm, text, 1, 0), 1);
    EXPECT_EQ(lp_send(warm, text, 1, 0), 1);
  }
  EXPECT_EQ(lp_recv(fd, text, sizeof text, MSG_WAITALL), ssize_t{sizeof text});
  asker.join();
}

TEST(HeldWords, AnAckIsSentThoughTheReaderComputes) {
  LIMPID_IN_NAMESPACE([] {
    TunHost host;
    const int listener = listen_on_ours();
    int sent_again = 0;  // by a peer whose patience ended first: on a machine that is too busy to run us, one or two
    constexpr int kRequests = 10;
    for (int i = 0; i < kRequests; ++i) {
      KernelDescriptor client(-1);
      read_first_request(listener, client);
      EXPECT_TRUE(happens_meanwhile([&] { return all_acknowledged(client); })) << "request " << i;
      if (info_of(client).tcpi_total_retrans > 0) ++sent_again;
    }
    EXPECT_LT(sent_again, kRequests);
  });
}

TEST(HeldWords, ATailIsSentThoughTheWriterComputes) {
  LIMPID_IN_NAMESPACE([] {
    TunHost host;
    KernelDescriptor client(-1);
    const int fd = connect_to_us(listen_on_ours(), client);
    constexpr size_t kPiece = size_t{128} * 1024;
    constexpr size_t kPieces = 100;
    std::atomic<size_t> received{0};
    std::thread reader([&] {
      std::vector<char> into(1 << 20);
      for (ssize_t n = 0; (n = ::recv(client.get(), into.data(), into.size(), 0)) > 0;)
        received += static_cast<size_t>(n);
    });
    const std::vector<char> piece(kPiece, 'x');
    for (size_t round = 1; round <= 5; ++round) {
      for (size_t i = 0; i < kPieces; ++i)
        EXPECT_EQ(lp_send(fd, piece.data(), piece.size(), 0), static_cast<ssize_t>(kPiece));
      EXPECT_TRUE(happens_meanwhile([&] { return received == round * kPieces * kPiece; })) << "round " << round;
    }
    lp_close(fd);
    reader.join();
  });
}

TEST(HeldWords, GoWhenTheirMachineStops) {
  LIMPID_IN_NAMESPACE([] {
    TunHost host;
    KernelDescriptor client(-1);
    read_first_request(listen_on_ours(), client);
    host.machine().stop_io();
    EXPECT_TRUE(happens_meanwhile([&] { return all_acknowledged(client); }));
  });
}

}  // namespace
}  // namespace limpid
