// A device whose choice of a queue says nothing at all: each frame comes on any of them, and what is another stack's is
// handed over. Two hosts in this process, one of three stacks and one of one.
// labels: threads
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <limpid/socket.hpp>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "drivers/descriptor.h"
#include "stack/base/rng.h"
#include "stack/runtime/real_world.h"
#include "stack/socket/host.h"

namespace limpid {
namespace {

constexpr uint16_t kQueues = 3;
constexpr uint32_t kMtu = 1500;

// One direction of the cable: whole frames.
struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    out = KernelDescriptor(ends[0]);
    in = KernelDescriptor(ends[1]);
  }
  KernelDescriptor out;
  KernelDescriptor in;
};

// Reads one pipe, and writes each frame to any of the others.
class Queue final : public Device {
 public:
  Queue(const Pipe& in, std::vector<const Pipe*> out) : in_(in), out_(std::move(out)) {}

  int descriptor() const override { return in_.in.get(); }
  size_t receive_batch(std::span<FrameRef> frames, Time) override {
    size_t filled = 0;
    for (; filled < frames.size(); ++filled) {
      const MutableByteSpan room = frames[filled]->writable();
      const ssize_t n = ::recv(in_.in.get(), room.data(), room.size(), 0);
      if (n <= 0) break;
      frames[filled]->length = static_cast<uint32_t>(n);
    }
    return filled;
  }
  Transmit transmit(const TxFrame& frame, Time) override {
    std::vector<std::byte> whole(frame.head.begin(), frame.head.end());
    for (ByteSpan piece : frame.body) whole.insert(whole.end(), piece.begin(), piece.end());
    // A full pipe loses the frame, as a cable does.
    (void)!::send(out_[rng_.below(out_.size())]->out.get(), whole.data(), whole.size(), MSG_NOSIGNAL);
    return Transmit::taken;
  }
  Capabilities capabilities() const override { return {.name = "queue", .mtu = kMtu, .mac = {}}; }

 private:
  const Pipe& in_;
  std::vector<const Pipe*> out_;
  Rng rng_{5};
};

// Gives a machine its end of the cable.
void attach(RealMachine& machine, std::unique_ptr<Device> device, uint8_t octet) {
  const InterfaceId interface = machine.add_device(std::move(device));
  Hold hold(machine);
  hold.stack().add_address(interface, IpAddress::v4(10, 0, 0, octet), 24);
}

class WrongQueue : public testing::Test {
 protected:
  WrongQueue() {
    one_ = {&world.add_machine({}, 1)};
    several = world.add_machines({}, 2, kQueues);
    std::vector<const Pipe*> to_several;
    for (const Pipe& pipe : queues_) to_several.push_back(&pipe);
    attach(*one_[0], std::make_unique<Queue>(back_, to_several), 1);
    for (size_t i = 0; i < kQueues; ++i)
      attach(*several[i], std::make_unique<Queue>(queues_[i], std::vector<const Pipe*>{&back_}), 2);
    one_[0]->start();
    for (RealMachine* machine : several) machine->start();
    host_of_one = std::make_unique<Host>(world, *one_[0]);
    host_of_several = std::make_unique<Host>(world, std::vector<Machine*>(several.begin(), several.end()));
  }
  ~WrongQueue() override { Host::use(nullptr); }

  template <class Body>
  static std::thread thread(Host& host, Body body) {
    return std::thread([&host, body] {
      Host::use(&host);
      body();
      Host::use(nullptr);
    });
  }

  // One host's threads accept, send what they get back to where it came from, and end with the stream; the other's
  // connect, and compare.
  void echo(Host& server, const SocketAddress& at, Host& client);

  std::array<Pipe, kQueues> queues_;
  Pipe back_;
  RealWorld world;
  std::vector<RealMachine*> one_;
  std::vector<RealMachine*> several;
  std::unique_ptr<Host> host_of_one;
  std::unique_ptr<Host> host_of_several;
};

constexpr int kConnections = 24;
constexpr size_t kBytes = 200'000;

void echo_one(int fd) {
  char bytes[4096];
  for (ssize_t n = 0; (n = lp_recv(fd, bytes, sizeof bytes, 0)) > 0;) {
    for (ssize_t sent = 0; sent < n;) {
      const ssize_t s = lp_send(fd, bytes + sent, static_cast<size_t>(n - sent), MSG_NOSIGNAL);
      ASSERT_GT(s, 0) << std::strerror(errno);
      sent += s;
    }
  }
  lp_close(fd);
}

void compare_one(const SocketAddress& at, int number) {
  std::vector<unsigned char> bytes(kBytes);
  for (size_t i = 0; i < kBytes; ++i)
    bytes[i] = static_cast<unsigned char>(i * 7 + i / 251 + static_cast<size_t>(number));
  const int fd = lp_socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(lp_connect(fd, at.data(), at.size()), 0) << std::strerror(errno);
  size_t sent = 0;
  size_t got = 0;
  std::vector<unsigned char> back(kBytes);
  while (got < kBytes) {
    const size_t n = std::min<size_t>(20'000, kBytes - sent);
    if (n > 0) {
      const ssize_t s = lp_send(fd, bytes.data() + sent, n, MSG_NOSIGNAL);
      ASSERT_GT(s, 0) << std::strerror(errno);
      sent += static_cast<size_t>(s);
    }
    const ssize_t r = lp_recv(fd, back.data() + got, kBytes - got, 0);
    ASSERT_GT(r, 0) << std::strerror(errno);
    got += static_cast<size_t>(r);
  }
  EXPECT_TRUE(bytes == back) << "connection " << number;
  lp_close(fd);
}

void WrongQueue::echo(Host& server, const SocketAddress& at, Host& client) {
  Host::use(&server);
  const int listener = lp_socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_EQ(lp_bind(listener, at.data(), at.size()), 0);
  ASSERT_EQ(lp_listen(listener, 100), 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < kConnections; ++i) {
    threads.push_back(thread(server, [listener] {
      const int fd = lp_accept(listener, nullptr, nullptr);
      ASSERT_GE(fd, 0) << std::strerror(errno);
      echo_one(fd);
    }));
    threads.push_back(thread(client, [&at, i] { compare_one(at, i); }));
  }
  for (std::thread& t : threads) t.join();
  lp_close(listener);
  // A stack that answered for another's flow would have reset it, and some comparison would have failed.
  for (RealMachine* machine : several) {
    EXPECT_GT(machine->frames_handed_over(), 0u);
    Hold hold(*machine);
    EXPECT_EQ(hold.stack().check_invariants(hold.now()), "");
  }
}

TEST_F(WrongQueue, ConnectionsThatComeToUsOnAnyQueue) {
  echo(*host_of_several, SocketAddress("10.0.0.2", 7), *host_of_one);
}

TEST_F(WrongQueue, ConnectionsThatWeOpenAreAnsweredOnAnyQueue) {
  echo(*host_of_one, SocketAddress("10.0.0.1", 7), *host_of_several);
}

TEST_F(WrongQueue, NobodyListensInAnyStack) {
  Host::use(host_of_one.get());
  for (int i = 0; i < 20; ++i) {
    const int fd = lp_socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress nobody("10.0.0.2", 9);
    EXPECT_EQ(lp_connect(fd, nobody.data(), nobody.size()), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    lp_close(fd);
  }
}

}  // namespace
}  // namespace limpid
