// One stack talks to itself over 127.0.0.1: both ends of TCP in one step, no device.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "stack/stack.h"

namespace limpid {
namespace {

struct NobodyWaits : ReadySink {
  void raise(SocketId, ReadyEvents) override {}
};

class Loopback : public testing::Test {
 protected:
  static constexpr Endpoint kServer{IpAddress::v4(127, 0, 0, 1), 80};

  void pass(Duration d) {
    const Time until = now + d;
    while (stack.next_deadline() <= until) {
      now = std::max(now, stack.next_deadline());
      stack.advance(now);
      ASSERT_EQ(stack.check_invariants(now), "");
    }
    now = until;
  }

  SocketId listen_on(const Endpoint& at) {
    const auto bind = stack.tcp_bind(at, {}, now);
    EXPECT_TRUE(bind.has_value());
    return stack.tcp_listen(*bind, 10, {}, now).value();
  }

  NobodyWaits sink;
  Stack stack{Config{}, 1, sink};
  Time now{};
};

TEST_F(Loopback, BytesArriveInOrderAndTheConnectionEnds) {
  const SocketId listener = listen_on(kServer);
  const SocketId client = stack.tcp_connect(kServer, {}, {}, now).value();
  const SocketId server = stack.tcp_accept(listener, now).value();
  EXPECT_EQ(stack.tcp_status(client)->state, TcpState::established);
  EXPECT_EQ(stack.tcp_status(server)->state, TcpState::established);

  std::vector<std::byte> sent(3'000'000);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 7 + i / 251);
  std::vector<std::byte> received;
  std::vector<std::byte> buffer(65'536);
  size_t offset = 0;
  for (int step = 0; step < 10'000 && received.size() < sent.size(); ++step) {
    if (offset < sent.size()) {
      const auto n = stack.tcp_send(client, ByteSpan(sent).subspan(offset), {}, now);
      if (n) offset += *n;
    }
    const auto n = stack.tcp_receive(server, buffer, {}, now);
    if (n) received.insert(received.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*n));
    ASSERT_EQ(stack.check_invariants(now), "");
    pass(1ms);
  }
  EXPECT_TRUE(received == sent);

  stack.tcp_close(client, now);
  EXPECT_EQ(stack.tcp_receive(server, buffer, {}, now).value(), 0u);
  stack.tcp_close(server, now);
  pass(61s);
  EXPECT_EQ(stack.tcp_list().size(), 1u);  // the listener
  stack.tcp_close(listener, now);
  EXPECT_TRUE(stack.tcp_list().empty());
  EXPECT_EQ(stack.frames().frames_out(), 0u);
}

TEST_F(Loopback, NobodyListens) {
  const SocketId client = stack.tcp_connect(kServer, {}, {}, now).value();
  EXPECT_EQ(stack.tcp_take_error(client), Error::refused);
}

}  // namespace
}  // namespace limpid
