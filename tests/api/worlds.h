// Each API test is written once, against SocketCalls, and runs on the kernel's sockets, on ours in the real world and,
// where waiting matters, on ours in virtual time; and in both also on a host of several machines. What the kernel does
// over its loopback is what we expect of us.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limpid/calls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <limpid/socket.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stack/runtime/real_world.h"
#include "stack/runtime/sim_world.h"
#include "stack/socket/host.h"
#include "tests/support/own_namespace.h"

namespace limpid::api {

// The kernel's tests get a loopback of their own, where no other test takes a port from them; where no namespace can be
// had they share the machine's. Once in a process.
inline bool own_loopback() {
  if (::unshare(CLONE_NEWNET) == 0) {
    set_interface_up("lo", true);
    return true;
  }
  try {
    test::enter_namespaces();
    return true;
  } catch (const test::SkipTest&) {
    return false;
  }
}

enum class Where { kernel, real, sim, real_queues, sim_queues };

inline std::string name_of(const testing::TestParamInfo<Where>& info) {
  switch (info.param) {
    case Where::kernel:
      return "kernel";
    case Where::real:
      return "real";
    case Where::sim:
      return "sim";
    case Where::real_queues:
      return "real_queues";
    case Where::sim_queues:
      return "sim_queues";
  }
  return "";
}

// A place to call sockets from. Bodies run in a thread that has a host, when there is one.
class Place {
 public:
  explicit Place(Where where) : where_(where) {
    if (where == Where::kernel) {
      [[maybe_unused]] static const bool alone = own_loopback();
    }
    if (where == Where::real) {
      world_ = std::make_unique<RealWorld>();
      RealMachine& machine = world_->add_machine({}, 7);
      machine.start();
      host_ = std::make_unique<Host>(*world_, machine);
      Host::use(host_.get());
    }
    if (where == Where::real_queues) {
      world_ = std::make_unique<RealWorld>();
      const std::vector<RealMachine*> machines = world_->add_machines({}, 7, kQueues);
      for (RealMachine* machine : machines) machine->start();
      host_ = std::make_unique<Host>(*world_, std::vector<Machine*>(machines.begin(), machines.end()));
      Host::use(host_.get());
    }
    if (is_sim()) {
      net_ = std::make_unique<SimNet>(7, SimHash::none);
      sim_ = std::make_unique<SimWorld>(*net_, 7);
      if (where == Where::sim) {
        host_ = std::make_unique<Host>(*sim_, sim_->add_machine("a", {}));
      } else {
        const std::vector<SimMachine*> machines = sim_->add_machines("a", {}, kQueues);
        host_ = std::make_unique<Host>(*sim_, std::vector<Machine*>(machines.begin(), machines.end()));
      }
    }
  }
  ~Place() { Host::use(nullptr); }

  const SocketCalls& calls() const { return where_ == Where::kernel ? lp_kernel_calls : lp_limpid_calls; }
  bool is_kernel() const { return where_ == Where::kernel; }
  bool is_sim() const { return where_ == Where::sim || where_ == Where::sim_queues; }
  bool has_queues() const { return where_ == Where::real_queues || where_ == Where::sim_queues; }
  Host& host() { return *host_; }

  void run(const std::function<void()>& body) {
    if (!is_sim()) return body();
    const bool finished = sim_->run([&] {
      Host::use(host_.get());
      body();
      Host::use(nullptr);
    });
    EXPECT_TRUE(finished) << "every thread waits, and nothing is left to happen";
  }

 private:
  static constexpr uint16_t kQueues = 3;

  Where where_;
  std::unique_ptr<SimNet> net_;
  std::unique_ptr<RealWorld> world_;
  std::unique_ptr<SimWorld> sim_;
  std::unique_ptr<Host> host_;
};

// Tests get `calls` and short words for what they do all the time.
class SocketTest : public testing::TestWithParam<Where> {
 protected:
  SocketTest() : place(GetParam()), calls(place.calls()) {}

  void run(const std::function<void()>& body) { place.run(body); }

  int tcp(int flags = 0) { return calls.socket(AF_INET, SOCK_STREAM | flags, 0); }
  int udp(int flags = 0) { return calls.socket(AF_INET, SOCK_DGRAM | flags, 0); }

  static SocketAddress loopback(uint16_t port = 0) { return {"127.0.0.1", port}; }
  int bind(int fd, const SocketAddress& to) { return calls.bind(fd, to.data(), to.size()); }
  int connect(int fd, const SocketAddress& to) { return calls.connect(fd, to.data(), to.size()); }
  SocketAddress name(int fd) {
    SocketAddress address;
    socklen_t length = SocketAddress::size();
    EXPECT_EQ(calls.getsockname(fd, address.data(), &length), 0);
    return address;
  }
  SocketAddress peer(int fd) {
    SocketAddress address;
    socklen_t length = SocketAddress::size();
    EXPECT_EQ(calls.getpeername(fd, address.data(), &length), 0);
    return address;
  }
  // A listener on a port of the stack's choice.
  int listener(int backlog = 16) {
    const int fd = tcp();
    EXPECT_EQ(bind(fd, loopback()), 0);
    EXPECT_EQ(calls.listen(fd, backlog), 0);
    return fd;
  }
  // Both ends of a connection.
  struct Pair {
    int client;
    int server;
  };
  Pair pair() {
    const int listening = listener();
    const Pair ends = pair_from(listening);
    calls.close(listening);
    return ends;
  }
  // Whose server reads little at a time, so that a sender soon has to wait.
  Pair narrow_pair() {
    const int listening = tcp();
    EXPECT_EQ(set(listening, SOL_SOCKET, SO_RCVBUF, 4096), 0);
    EXPECT_EQ(bind(listening, loopback()), 0);
    EXPECT_EQ(calls.listen(listening, 1), 0);
    const Pair ends = pair_from(listening);
    calls.close(listening);
    return ends;
  }
  Pair pair_from(int listening) {
    const int client = tcp();
    EXPECT_EQ(connect(client, name(listening)), 0) << std::strerror(errno);
    const int server = calls.accept(listening, nullptr, nullptr);
    EXPECT_GE(server, 0) << std::strerror(errno);
    return {client, server};
  }

  ssize_t send(int fd, std::string_view text, int flags = 0) {
    return calls.send(fd, text.data(), text.size(), flags | MSG_NOSIGNAL);
  }
  ssize_t send_to(int fd, std::string_view text, const SocketAddress& to) {
    return calls.sendto(fd, text.data(), text.size(), 0, to.data(), to.size());
  }
  // What one recv gives, as text; "<errno name>" when it fails, "<end>" at the end of the stream.
  std::string receive(int fd, size_t most = 4096, int flags = 0) {
    std::string text(most, '\0');
    const ssize_t n = calls.recv(fd, text.data(), text.size(), flags);
    if (n < 0) return std::string("<") + strerrorname_np(errno) + ">";
    if (n == 0) return "<end>";
    text.resize(static_cast<size_t>(n));
    return text;
  }
  bool at_mark(int fd) {
    int told = -1;
    EXPECT_EQ(calls.ioctl(fd, SIOCATMARK, &told), 0) << std::strerror(errno);
    return told == 1;
  }
  short poll(int fd, short events, int timeout_ms = 0) {
    pollfd p{.fd = fd, .events = events, .revents = 0};
    EXPECT_GE(calls.poll(&p, 1, timeout_ms), 0) << std::strerror(errno);
    return p.revents;
  }
  int set(int fd, int level, int option, int value) {
    return calls.setsockopt(fd, level, option, &value, sizeof value);
  }
  int get(int fd, int level, int option) {
    int value = -1;
    socklen_t length = sizeof value;
    return calls.getsockopt(fd, level, option, &value, &length) == 0 ? value : -errno;
  }
  void set_nonblocking(int fd) {
    int on = 1;
    EXPECT_EQ(calls.ioctl(fd, FIONBIO, &on), 0);
  }
  void set_timeout(int fd, int option, std::chrono::milliseconds t) {
    const timeval value{.tv_sec = t.count() / 1000, .tv_usec = t.count() % 1000 * 1000};
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, option, &value, sizeof value), 0);
  }
  std::chrono::nanoseconds now() {
    timespec t{};
    EXPECT_EQ(calls.gettime(&t), 0);
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
  }
  void pause(std::chrono::milliseconds t) {
    const timespec request{.tv_sec = t.count() / 1000, .tv_nsec = t.count() % 1000 * 1'000'000};
    calls.nanosleep(&request, nullptr);
  }

  // A thread of this world, joined when it goes out of scope.
  class Thread {
   public:
    Thread(const SocketCalls& calls, std::function<void()> body)
        : calls_(calls), body_(std::make_unique<std::function<void()>>(std::move(body))) {
      EXPECT_EQ(calls_.thread_create(&id_, run, body_.get()), 0);
    }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread() { join(); }
    void join() {
      if (body_ == nullptr) return;
      EXPECT_EQ(calls_.thread_join(id_, nullptr), 0);
      body_.reset();
    }

   private:
    static void* run(void* body) {
      (*static_cast<std::function<void()>*>(body))();
      return nullptr;
    }
    const SocketCalls& calls_;
    std::unique_ptr<std::function<void()>> body_;
    lp_thread_t id_{};
  };
  Thread thread(std::function<void()> body) { return Thread(calls, std::move(body)); }

  Place place;
  const SocketCalls& calls;
};

// In all worlds.
#define API_TEST_SUITE(Suite)                                                                        \
  class Suite : public limpid::api::SocketTest {};                                                   \
  INSTANTIATE_TEST_SUITE_P(                                                                          \
      On, Suite,                                                                                     \
      testing::Values(limpid::api::Where::kernel, limpid::api::Where::real, limpid::api::Where::sim, \
                      limpid::api::Where::real_queues, limpid::api::Where::sim_queues),              \
      limpid::api::name_of)

}  // namespace limpid::api
