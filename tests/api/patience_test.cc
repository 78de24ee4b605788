// Long waits with every default as it is, in virtual time: two hosts, real threads, blocking calls, and a cable that is
// pulled out.
#include <gtest/gtest.h>

#include "stack/base/bytes.h"
#include "stack/base/checksum.h"
#include "stack/wire/icmp4.h"
#include "tests/api/worlds.h"

namespace limpid::api {

namespace {

using std::chrono::duration_cast;

class Patience : public testing::Test {
 protected:
  // The hosts are 20 ms apart, until at some moment the cable is pulled out.
  void run(Time cable_pulled, const std::function<void()>& body) {
    SimImpairments way{.delay = 20ms};
    if (cable_pulled != kNever) way.cuts.push_back({.from = cable_pulled});
    net.connect(client_machine.host_id(), IpAddress::v4(10, 0, 0, 1), server_machine.host_id(),
                IpAddress::v4(10, 0, 0, 2), SimLinkConfig::symmetric(way));
    EXPECT_TRUE(world.run([&] {
      Host::use(&client);
      body();
      Host::use(nullptr);
    }));
  }
  // A thread of the server's host.
  void on_server(std::function<void()> body) {
    bodies.push_back(std::make_unique<std::function<void()>>(std::move(body)));
    Host* const before = Host::use(&server);
    lp_thread_t thread{};
    static const auto call = [](void* function) -> void* {
      (*static_cast<std::function<void()>*>(function))();
      return nullptr;
    };
    EXPECT_EQ(lp_thread_create(&thread, call, bodies.back().get()), 0);
    threads.push_back(thread);
    Host::use(before);
  }
  void join() {
    for (const lp_thread_t thread : threads) EXPECT_EQ(lp_thread_join(thread, nullptr), 0);
    threads.clear();
  }
  Duration now() const { return net.now().time_since_epoch(); }

  static int listen_on(uint16_t port) {
    const int fd = lp_socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress any("", port);
    EXPECT_EQ(lp_bind(fd, any.data(), any.size()), 0);
    EXPECT_EQ(lp_listen(fd, 8), 0);
    return fd;
  }
  static int connect_to_server(uint16_t port) {
    const int fd = lp_socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress there("10.0.0.2", port);
    const int result = lp_connect(fd, there.data(), there.size());
    if (result == 0) return fd;
    const int error = errno;
    lp_close(fd);
    errno = error;
    return -1;
  }

  SimNet net{11, SimHash::none};
  SimWorld world{net, 11};
  SimMachine& client_machine = world.add_machine("client", {});
  SimMachine& server_machine = world.add_machine("server", {});
  Host client{world, client_machine};
  Host server{world, server_machine};
  std::vector<lp_thread_t> threads;
  std::vector<std::unique_ptr<std::function<void()>>> bodies;  // what the threads run, for as long as they do
};

constexpr Time kAtOnce{};
constexpr Time kAfterASecond{1s};

}  // namespace

// SYN after 1, 2, 4, 8, 16, 32 s more, and 64 s of waiting for the last: 127 s.
// req: SOCK-connect-2
TEST_F(Patience, ConnectToSilenceTimesOutAfterAllSyns) {
  run(kAtOnce, [&] {
    const Duration began = now();
    EXPECT_EQ(connect_to_server(80), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_EQ(now() - began, 127s);
  });
}

// req: SOCK-connect-4, SOCK-connect-6
TEST_F(Patience, PendingConnectIsAlreadyUnderWayAndSendTimeoutBoundsIt) {
  run(kAtOnce, [&] {
    const SocketAddress there("10.0.0.2", 80);
    const int fd = lp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_EQ(lp_connect(fd, there.data(), there.size()), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_EQ(lp_connect(fd, there.data(), there.size()), -1);
    EXPECT_EQ(errno, EALREADY);
    lp_close(fd);
    const int patient = lp_socket(AF_INET, SOCK_STREAM, 0);
    const timeval limit{.tv_sec = 0, .tv_usec = 100'000};
    EXPECT_EQ(lp_setsockopt(patient, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    const Duration began = now();
    EXPECT_EQ(lp_connect(patient, there.data(), there.size()), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_EQ(now() - began, 100ms);
    lp_close(patient);
  });
}

// 7200 s of silence, nine probes 75 s apart, 75 s for the last: 2 h 11 min 15 s.
TEST_F(Patience, KeepAliveFindsADeadPeerAfterTwoHoursElevenMinutesFifteenSeconds) {
  run(kAfterASecond, [&] {
    on_server([&] {
      const int listening = listen_on(80);
      const int fd = lp_accept(listening, nullptr, nullptr);
      EXPECT_GE(fd, 0);
    });
    const int fd = connect_to_server(80);
    ASSERT_GE(fd, 0) << std::strerror(errno);
    const int on = 1;
    EXPECT_EQ(lp_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), 0);
    const Duration last_heard = now();
    join();
    char octet = 0;
    EXPECT_EQ(lp_recv(fd, &octet, 1, 0), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_NEAR(static_cast<double>(to_ms(now() - last_heard)), 1000.0 * (2 * 3600 + 11 * 60 + 15), 100.0);
    EXPECT_EQ(lp_recv(fd, &octet, 1, 0), 0);
    lp_close(fd);
  });
}

// tcp_retries2 = 15: 924.6 s after the first transmission, at the least RTO of 200 ms.
TEST_F(Patience, UnansweredDataTimesOutAfterAQuarterOfAnHour) {
  run(kAfterASecond, [&] {
    on_server([&] {
      const int listening = listen_on(80);
      EXPECT_GE(lp_accept(listening, nullptr, nullptr), 0);
    });
    const int fd = connect_to_server(80);
    ASSERT_GE(fd, 0);
    lp_sleep(1);
    join();
    const Duration began = now();
    EXPECT_EQ(lp_send(fd, "x", 1, MSG_NOSIGNAL), 1);
    char octet = 0;
    EXPECT_EQ(lp_recv(fd, &octet, 1, 0), -1);
    EXPECT_EQ(errno, ETIMEDOUT);
    EXPECT_GT(now() - began, 800s);
    EXPECT_LT(now() - began, 1100s);
    lp_close(fd);
  });
}

// --- ICMP errors ----------------------------------------------------------------------------------------------------

namespace {

// The first segment that reaches this host, as a raw socket sees it: 20 bytes of IP, then TCP.
std::vector<std::byte> first_segment_seen(int raw) {
  std::vector<std::byte> packet(2048);
  const ssize_t n = lp_recv(raw, packet.data(), packet.size(), 0);
  packet.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return packet;
}

// "Host unreachable", as a router on our side of the cut would send it: it quotes the IP header of a packet of ours and
// its first eight octets, whose sequence number is `ahead` of the one that was seen.
void report_host_unreachable(std::vector<std::byte> seen, uint32_t ahead) {
  constexpr size_t kQuoted = 20 + 8;
  ASSERT_GE(seen.size(), kQuoted);
  const MutableByteSpan sequence = MutableByteSpan(seen).subspan(24, 4);
  store32(sequence, 0, load32(sequence, 0) + ahead);
  std::vector<std::byte> message(8 + kQuoted);
  store8(message, 0, icmp4_type::unreachable);
  store8(message, 1, icmp4_unreachable::host);
  std::copy_n(seen.begin(), kQuoted, message.begin() + 8);
  store16(message, 2, internet_checksum(message));
  const int raw = lp_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  const SocketAddress ourselves("10.0.0.1", 0);
  EXPECT_EQ(lp_sendto(raw, message.data(), message.size(), 0, ourselves.data(), ourselves.size()),
            static_cast<ssize_t>(message.size()));
  lp_close(raw);
}

}  // namespace

// req: SOCK-err-2
TEST_F(Patience, AnUnreachableHostFailsAConnectThatIsUnderWay) {
  run(kNever, [&] {
    std::vector<std::byte> syn;
    const int raw = [&] {
      Host* const before = Host::use(&server);
      const int fd = lp_socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
      Host::use(before);
      return fd;
    }();
    on_server([&] { syn = first_segment_seen(raw); });
    const int fd = lp_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const SocketAddress there("10.0.0.2", 80);
    EXPECT_EQ(lp_connect(fd, there.data(), there.size()), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    join();  // the SYN has arrived; the server's RST is on its way for another 20 ms
    report_host_unreachable(syn, 0);
    pollfd ended{.fd = fd, .events = POLLOUT, .revents = 0};
    EXPECT_EQ(lp_poll(&ended, 1, 10), 1);
    int error = 0;
    socklen_t size = sizeof error;
    EXPECT_EQ(lp_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    EXPECT_EQ(error, EHOSTUNREACH);
    lp_close(fd);
  });
}

// req: SOCK-err-2
TEST_F(Patience, AnUnreachableHostIsOnlyAHintOnceConnected) {
  run(kAfterASecond, [&] {
    std::vector<std::byte> syn;
    on_server([&] {
      const int listening = listen_on(80);
      const int raw = lp_socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
      syn = first_segment_seen(raw);
      EXPECT_GE(lp_accept(listening, nullptr, nullptr), 0);
    });
    const int fd = connect_to_server(80);
    ASSERT_GE(fd, 0);
    lp_sleep(1);
    join();
    const Duration began = now();
    EXPECT_EQ(lp_send(fd, "x", 1, MSG_NOSIGNAL), 1);
    report_host_unreachable(syn, 1);  // the octet behind the SYN
    char octet = 0;
    EXPECT_EQ(lp_recv(fd, &octet, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN) << "the connection lives on";
    EXPECT_EQ(lp_recv(fd, &octet, 1, 0), -1);
    EXPECT_EQ(errno, EHOSTUNREACH) << "the best known reason of the timeout";
    EXPECT_GT(now() - began, 800s);
    lp_close(fd);
  });
}

// req: SOCK-listen-2
TEST_F(Patience, WhenTheAcceptQueueIsFullClientsWaitForTheirTurn) {
  run(kNever, [&] {
    const auto serve = [&] {
      const int listening = listen_on(80);
      EXPECT_EQ(lp_listen(listening, 1), 0);
      lp_sleep(2);
      for (int i = 0; i < 5; ++i) {
        const int fd = lp_accept(listening, nullptr, nullptr);
        EXPECT_GE(fd, 0);
        EXPECT_EQ(lp_send(fd, "hi", 2, 0), 2);
        lp_close(fd);
      }
      lp_close(listening);
    };
    on_server(serve);
    lp_sleep(1);
    std::vector<lp_thread_t> clients(5);
    for (lp_thread_t& id : clients) {
      const auto call = [](void*) -> void* {
        const int fd = connect_to_server(80);
        EXPECT_GE(fd, 0) << std::strerror(errno);
        char text[8];
        EXPECT_EQ(lp_recv(fd, text, sizeof text, 0), 2);
        lp_close(fd);
        return nullptr;
      };
      EXPECT_EQ(lp_thread_create(&id, call, nullptr), 0);
    }
    for (const lp_thread_t id : clients) EXPECT_EQ(lp_thread_join(id, nullptr), 0);
    join();
  });
}

// req: SOCK-connect-7
TEST_F(Patience, NoRouteIsToldAtOnce) {
  run(kNever, [&] {
    const int fd = lp_socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress nowhere("192.0.2.1", 80);
    EXPECT_EQ(lp_connect(fd, nowhere.data(), nowhere.size()), -1);
    EXPECT_EQ(errno, ENETUNREACH);
    lp_close(fd);
  });
}

// A server with a thread a connection and a client, both blocking: what the lab runs. The same seed, the same time.
TEST_F(Patience, TheSameSourceRunsInVirtualTime) {
  run(kNever, [&] {
    on_server([&] {
      const int listening = listen_on(7);
      const int fd = lp_accept(listening, nullptr, nullptr);
      char text[256];
      for (ssize_t n = 0; (n = lp_read(fd, text, sizeof text)) > 0;)
        EXPECT_EQ(lp_write(fd, text, static_cast<size_t>(n)), n);
      lp_close(fd);
      lp_close(listening);
    });
    const int fd = connect_to_server(7);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(now(), 40ms) << "one round trip";
    char text[8];
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(lp_send(fd, "ping", 4, 0), 4);
      EXPECT_EQ(lp_recv(fd, text, sizeof text, 0), 4);
    }
    EXPECT_EQ(now(), 440ms) << "ten more";
    EXPECT_EQ(lp_shutdown(fd, SHUT_WR), 0);
    EXPECT_EQ(lp_recv(fd, text, sizeof text, 0), 0);
    lp_close(fd);
    join();
    EXPECT_EQ(client.drain(5s), 0u);
  });
}

// A host whose peer is gone gives up draining after the idle time, not after all retransmissions.
TEST_F(Patience, DrainingEndsWhenNothingMoves) {
  run(kAfterASecond, [&] {
    on_server([&] {
      const int listening = listen_on(80);
      EXPECT_GE(lp_accept(listening, nullptr, nullptr), 0);
    });
    const int fd = connect_to_server(80);
    lp_sleep(1);
    join();
    EXPECT_EQ(lp_send(fd, "lost", 4, 0), 4);
    lp_close(fd);
    const Duration began = now();
    EXPECT_EQ(client.drain(5s), 1u);
    EXPECT_GE(now() - began, 5s);
    EXPECT_LT(now() - began, 6s);
  });
}

}  // namespace limpid::api
