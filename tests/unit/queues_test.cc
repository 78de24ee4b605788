// A host of several stacks, one for each queue of a TUN, against the kernel. The kernel gives us a frame on whichever
// queue it likes; each flow must be answered by the stack that owns it, and by no other.
// labels: device threads
#include <arpa/inet.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
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

constexpr uint16_t kQueues = 2;
constexpr auto kSilence = 4s;  // the kernel forgets after three which queue a flow was seen on
const SocketAddress kOurs("10.77.0.2", 80);
const SocketAddress kKernels("10.77.0.1", 90);

std::vector<std::unique_ptr<TunDevice>> open_queues() {
  try {
    return open_tun_queues({.name = "tun7", .offloads = true, .queues = kQueues});
  } catch (const DeviceError& e) {
    throw SkipTest{e.what()};
  }
}

// Our host on tun7; current in the thread that makes it.
class QueuedHost {
 public:
  QueuedHost() {
    auto queues = open_queues();
    disable_ipv6("tun7");
    set_transmit_queue("tun7", 10'000);
    set_interface_up("tun7", true);
    add_interface_address("tun7", IpAddress::v4(10, 77, 0, 1), 24);
    machines_ = world_.add_machines({}, 9, kQueues);
    for (size_t i = 0; i < kQueues; ++i) {
      const InterfaceId tun = machines_[i]->add_device(std::move(queues[i]));
      Hold hold(*machines_[i]);
      hold.stack().add_address(tun, IpAddress::v4(10, 77, 0, 2), 24);
    }
    for (RealMachine* machine : machines_) machine->start();
    host_ = std::make_unique<Host>(world_, std::vector<Machine*>(machines_.begin(), machines_.end()));
    Host::use(host_.get());
  }

  // A thread of the program's.
  template <class Body>
  std::thread thread(Body body) {
    return std::thread([this, body] {
      Host::use(host_.get());
      body();
      Host::use(nullptr);
    });
  }
  uint64_t count(size_t stack, Counter counter) {
    Hold hold(*machines_[stack]);
    return hold.stack().counters()[counter];
  }
  uint64_t total(Counter counter) { return count(0, counter) + count(1, counter); }
  uint64_t handed_over() { return machines_[0]->frames_handed_over() + machines_[1]->frames_handed_over(); }

 private:
  RealWorld world_;
  std::vector<RealMachine*> machines_;
  std::unique_ptr<Host> host_;
};

void allow_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

KernelDescriptor kernel_tcp() {
  KernelDescriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) throw SkipTest{"the process may not have so many descriptors"};
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

// Many at a time, so that a busy machine need not run both sides in turns for each.
std::vector<KernelDescriptor> connect_from_kernel(size_t count) {
  constexpr size_t kAtOnce = 250;
  std::vector<KernelDescriptor> connections;
  while (connections.size() < count) {
    const size_t first = connections.size();
    for (size_t i = first; i < std::min(count, first + kAtOnce); ++i) {
      connections.push_back(kernel_tcp());
      int on = 1;
      ::ioctl(connections[i].get(), FIONBIO, &on);
      (void)!::connect(connections[i].get(), kOurs.data(), kOurs.size());
    }
    for (size_t i = first; i < connections.size(); ++i) {
      pollfd connected{.fd = connections[i].get(), .events = POLLOUT, .revents = 0};
      EXPECT_EQ(::poll(&connected, 1, 10'000), 1);
      EXPECT_EQ(connected.revents, POLLOUT) << "connection " << i;
      int off = 0;
      ::ioctl(connections[i].get(), FIONBIO, &off);
    }
  }
  return connections;
}

// One byte each way on each of them; how many were answered.
size_t ask_all(const std::vector<KernelDescriptor>& connections) {
  for (const KernelDescriptor& fd : connections) (void)!::send(fd.get(), "?", 1, MSG_NOSIGNAL);
  size_t answered = 0;
  for (const KernelDescriptor& fd : connections) {
    char answer = 0;
    answered += ::recv(fd.get(), &answer, 1, 0) == 1 && answer == '!' ? 1 : 0;
  }
  return answered;
}

int listen_on_ours(int backlog = 1000) {
  const int fd = lp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  EXPECT_EQ(lp_bind(fd, kOurs.data(), kOurs.size()), 0);
  EXPECT_EQ(lp_listen(fd, backlog), 0);
  return fd;
}

void answer(int fd) {
  char question[16];
  const ssize_t n = lp_recv(fd, question, sizeof question, MSG_DONTWAIT);
  if (n > 0) {
    EXPECT_EQ(lp_send(fd, "!", 1, MSG_NOSIGNAL), 1) << std::strerror(errno);
  }
  if (n == 0 || (n < 0 && errno != EAGAIN)) lp_close(fd);
}

// Answers all who connect, by one epoll set, until it is told to stop.
void serve(int listener, const std::atomic<bool>& stop) {
  const int epoll = lp_epoll_create1(0);
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener}};
  EXPECT_EQ(lp_epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), 0);
  while (!stop) {
    epoll_event events[64];
    const int n = lp_epoll_wait(epoll, events, 64, 50);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd != listener) {
        answer(events[i].data.fd);
        continue;
      }
      for (int fd = 0; (fd = lp_accept(listener, nullptr, nullptr)) >= 0;) {
        epoll_event of_connection{.events = EPOLLIN, .data = {.fd = fd}};
        EXPECT_EQ(lp_epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &of_connection), 0);
      }
    }
  }
  lp_close(epoll);
}

TEST(Queues, SixThousandFlowsAreTheirOwnersAfterASilence) {
  LIMPID_IN_NAMESPACE([] {
    ::alarm(120);
    allow_descriptors();
    QueuedHost ours;
    const int listener = listen_on_ours();
    std::atomic<bool> stop{false};
    std::thread server = ours.thread([&] { serve(listener, stop); });
    constexpr size_t kFlows = 6000;
    {
      const auto flows = connect_from_kernel(kFlows);
      EXPECT_EQ(ask_all(flows), kFlows);
      const uint64_t before = ours.handed_over();
      EXPECT_GT(before, kFlows / 10) << "no SYN came on another's queue: this tests nothing";
      std::this_thread::sleep_for(kSilence);
      EXPECT_EQ(ask_all(flows), kFlows);
      EXPECT_GT(ours.handed_over(), before) << "nothing came on another's queue: this tests nothing";
    }
    EXPECT_EQ(ours.total(Counter::tcp_resets_sent), 0u);
    EXPECT_EQ(ours.total(Counter::tcp_drop_no_connection), 0u);
    for (size_t stack = 0; stack < kQueues; ++stack)
      EXPECT_NEAR(static_cast<double>(ours.count(stack, Counter::tcp_passive_opens)), kFlows / 2., kFlows / 10.);
    stop = true;
    server.join();
    lp_close(listener);
  });
}

TEST(Queues, OurConnectionsAreAnsweredByTheirOwners) {
  LIMPID_IN_NAMESPACE([] {
    QueuedHost ours;
    const KernelDescriptor listener = kernel_tcp();
    ASSERT_EQ(::bind(listener.get(), kKernels.data(), kKernels.size()), 0);
    ASSERT_EQ(::listen(listener.get(), 1000), 0);
    constexpr size_t kFlows = 400;
    std::vector<pollfd> connections;
    std::vector<KernelDescriptor> accepted;
    for (size_t i = 0; i < kFlows; ++i) {
      const int fd = lp_socket(AF_INET, SOCK_STREAM, 0);
      if (i % 4 == 0) {  // a port of the program's own choice: whose flow that is, connect finds out
        const SocketAddress port("0.0.0.0", static_cast<uint16_t>(2000 + i));
        ASSERT_EQ(lp_bind(fd, port.data(), port.size()), 0);
      }
      ASSERT_EQ(lp_connect(fd, kKernels.data(), kKernels.size()), 0) << i << ": " << std::strerror(errno);
      connections.push_back({.fd = fd, .events = POLLIN, .revents = 0});
      accepted.emplace_back(::accept(listener.get(), nullptr, nullptr));
    }
    std::this_thread::sleep_for(kSilence);
    std::thread kernel([&] {
      for (const KernelDescriptor& fd : accepted) (void)!::send(fd.get(), "?", 1, MSG_NOSIGNAL);
    });
    size_t heard = 0;
    while (heard < kFlows && lp_poll(connections.data(), connections.size(), 5000) > 0) {
      for (pollfd& fd : connections) {
        char question = 0;
        if (fd.revents == 0) continue;
        EXPECT_EQ(lp_recv(fd.fd, &question, 1, 0), 1) << std::strerror(errno);
        fd.fd = -1;
        ++heard;
      }
    }
    kernel.join();
    EXPECT_EQ(heard, kFlows);
    EXPECT_EQ(ours.total(Counter::tcp_resets_sent), 0u);
    EXPECT_GT(ours.count(0, Counter::tcp_in), kFlows / 4);
    EXPECT_GT(ours.count(1, Counter::tcp_in), kFlows / 4);
  });
}

TEST(Queues, SeveralThreadsAcceptFromAllStacks) {
  LIMPID_IN_NAMESPACE([] {
    allow_descriptors();
    QueuedHost ours;
    const int listener = listen_on_ours();
    int blocking = 0;
    lp_ioctl(listener, FIONBIO, &blocking);
    std::atomic<size_t> served{0};
    std::vector<std::thread> servers;
    for (int i = 0; i < 4; ++i) {
      servers.push_back(ours.thread([&] {
        for (int fd = 0; (fd = lp_accept(listener, nullptr, nullptr)) >= 0; lp_close(fd)) {
          char question = 0;
          if (lp_recv(fd, &question, 1, 0) == 1 && lp_send(fd, "!", 1, MSG_NOSIGNAL) == 1) ++served;
          while (lp_recv(fd, &question, 1, 0) > 0) continue;
        }
        EXPECT_TRUE(errno == ECONNABORTED || errno == EBADF) << std::strerror(errno);  // it waited, or not yet
      }));
    }
    constexpr size_t kFlows = 500;
    for (size_t i = 0; i < kFlows; ++i) EXPECT_EQ(ask_all(connect_from_kernel(1)), 1u);
    lp_close(listener);
    for (std::thread& server : servers) server.join();
    EXPECT_EQ(served, kFlows);
    for (int i = 0; i < 32; ++i) {  // nobody listens any more, in no stack
      const KernelDescriptor fd = kernel_tcp();
      EXPECT_EQ(::connect(fd.get(), kOurs.data(), kOurs.size()), -1);
      EXPECT_EQ(errno, ECONNREFUSED);
    }
  });
}

TEST(Queues, DatagramsOnAnyQueueReachTheirSocket) {
  LIMPID_IN_NAMESPACE([] {
    QueuedHost ours;
    const int socket = lp_socket(AF_INET, SOCK_DGRAM, 0);
    ASSERT_EQ(lp_bind(socket, kOurs.data(), kOurs.size()), 0);
    std::thread server = ours.thread([&] {
      for (int i = 0; i < 100; ++i) {
        char question = 0;
        SocketAddress from;
        socklen_t length = SocketAddress::size();
        if (lp_recvfrom(socket, &question, 1, 0, from.data(), &length) == 1)
          lp_sendto(socket, "!", 1, 0, from.data(), length);
      }
    });
    size_t answered = 0;
    for (int i = 0; i < 100; ++i) {
      const KernelDescriptor fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const timeval patience{.tv_sec = 5, .tv_usec = 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      ASSERT_EQ(::connect(fd.get(), kOurs.data(), kOurs.size()), 0);
      ASSERT_EQ(::send(fd.get(), "?", 1, 0), 1);
      char answer = 0;
      answered += ::recv(fd.get(), &answer, 1, 0) == 1 ? 1 : 0;
    }
    EXPECT_EQ(answered, 100u);
    server.join();
  });
}

}  // namespace
}  // namespace limpid
