// Who owns a port: bind, SO_REUSEADDR, SO_REUSEPORT.
#include <set>

#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(Bind);

// req: SOCK-bind-1
TEST_P(Bind, PortZeroPicksAFreePort) {
  run([&] {
    const int a = tcp();
    const int b = tcp();
    EXPECT_EQ(bind(a, loopback()), 0);
    EXPECT_EQ(bind(b, loopback()), 0);
    EXPECT_NE(name(a).port(), 0);
    EXPECT_NE(name(a).port(), name(b).port());
    calls.close(a);
    calls.close(b);
  });
}

// req: SOCK-bind-2
TEST_P(Bind, FailsForTakenForeignAndSecond) {
  run([&] {
    const int a = tcp();
    const int b = tcp();
    EXPECT_EQ(bind(a, loopback()), 0);
    EXPECT_EQ(bind(b, name(a)), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(bind(b, {"192.0.2.1", 0}), -1);
    EXPECT_EQ(errno, EADDRNOTAVAIL);
    EXPECT_EQ(bind(a, loopback()), -1);
    EXPECT_EQ(errno, EINVAL);
    const int c = udp();
    const int d = udp();
    EXPECT_EQ(bind(c, loopback()), 0);
    EXPECT_EQ(bind(d, name(c)), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(bind(c, loopback()), -1);
    EXPECT_EQ(errno, EINVAL);
    for (const int fd : {a, b, c, d}) calls.close(fd);
  });
}

// req: SOCK-bind-3
TEST_P(Bind, TcpAndUdpShareAPortNumber) {
  run([&] {
    const int stream = tcp();
    EXPECT_EQ(bind(stream, loopback()), 0);
    const int datagrams = udp();
    EXPECT_EQ(bind(datagrams, name(stream)), 0);
    EXPECT_EQ(calls.listen(stream, 1), 0);
    const int sender = udp();
    EXPECT_EQ(send_to(sender, "to UDP", name(stream)), 6);
    EXPECT_EQ(receive(datagrams), "to UDP");
    const auto [client, server] = pair_from(stream);
    for (const int fd : {stream, datagrams, sender, client, server}) calls.close(fd);
  });
}

// req: SOCK-bind-4
TEST_P(Bind, TheMoreSpecificSocketReceives) {
  run([&] {
    const int any = udp();
    const int specific = udp();
    EXPECT_EQ(set(any, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(set(specific, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(any, {"", 0}), 0);
    EXPECT_EQ(bind(specific, loopback(name(any).port())), 0);
    const int sender = udp();
    EXPECT_EQ(send_to(sender, "one", loopback(name(any).port())), 3);
    EXPECT_EQ(receive(specific), "one");
    EXPECT_EQ(send_to(sender, "two", {"127.0.0.2", name(any).port()}), 3);
    EXPECT_EQ(receive(any), "two");
    for (const int fd : {any, specific, sender}) calls.close(fd);
  });
}

// req: SOCK-reuse-1
TEST_P(Bind, ReuseAddressPassesOverConnectionsInTimeWait) {
  run([&] {
    const int listening = listener();
    const SocketAddress where = name(listening);
    const auto [client, server] = pair_from(listening);
    calls.close(server);  // closes first, so TIME-WAIT is at the server's port
    EXPECT_EQ(receive(client), "<end>");
    calls.close(client);
    calls.close(listening);
    const int again = tcp();
    EXPECT_EQ(bind(again, where), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(set(again, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    // Linux wants it of the old socket too, which inherited its listener's.
    EXPECT_EQ(bind(again, where), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    calls.close(again);
  });
}

// req: SOCK-reuse-1
TEST_P(Bind, ReuseAddressOfBothLetsAServerRestart) {
  run([&] {
    const int listening = tcp();
    EXPECT_EQ(set(listening, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(listening, loopback()), 0);
    EXPECT_EQ(calls.listen(listening, 4), 0);
    const SocketAddress where = name(listening);
    const auto [client, server] = pair_from(listening);
    calls.close(server);
    EXPECT_EQ(receive(client), "<end>");
    calls.close(client);
    calls.close(listening);
    const int again = tcp();
    EXPECT_EQ(set(again, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(again, where), 0);
    EXPECT_EQ(calls.listen(again, 4), 0);
    const auto [client2, server2] = pair_from(again);
    for (const int fd : {again, client2, server2}) calls.close(fd);
  });
}

// req: SOCK-reuse-2
TEST_P(Bind, ReuseAddressDoesNotMakeTwoListeners) {
  run([&] {
    const int a = tcp();
    const int b = tcp();
    for (const int fd : {a, b}) EXPECT_EQ(set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(a, loopback()), 0);
    EXPECT_EQ(bind(b, name(a)), 0);
    EXPECT_EQ(calls.listen(a, 1), 0);
    EXPECT_EQ(calls.listen(b, 1), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    const int c = tcp();
    EXPECT_EQ(set(c, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(c, name(a)), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    for (const int fd : {a, b, c}) calls.close(fd);
  });
}

// req: SOCK-reuse-3
TEST_P(Bind, ReusePortSharesTheLoadAndKeepsAFlowTogether) {
  run([&] {
    std::vector<int> receivers;
    for (int i = 0; i < 4; ++i) {
      const int fd = udp();
      EXPECT_EQ(set(fd, SOL_SOCKET, SO_REUSEPORT, 1), 0);
      EXPECT_EQ(bind(fd, receivers.empty() ? loopback() : name(receivers.front())), 0);
      set_nonblocking(fd);
      receivers.push_back(fd);
    }
    std::set<int> used;
    for (int flow = 0; flow < 64; ++flow) {
      const int sender = udp();
      for (int i = 0; i < 2; ++i) EXPECT_EQ(send_to(sender, "x", name(receivers.front())), 1);
      for (const int fd : receivers) {
        if (receive(fd) != "x") continue;
        used.insert(fd);
        EXPECT_EQ(receive(fd), "x") << "both datagrams of a flow come to one socket";
      }
      calls.close(sender);
    }
    EXPECT_EQ(used.size(), 4u);
    for (const int fd : receivers) calls.close(fd);
  });
}

// req: SOCK-reuse-5, SOCK-connect-8
TEST_P(Bind, OneLocalPortSpeaksToTwoPeersButNotTwiceToOne) {
  run([&] {
    const int one = listener();
    const int two = listener();
    const int a = tcp();
    const int b = tcp();
    const int c = tcp();
    for (const int fd : {a, b, c}) EXPECT_EQ(set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(a, loopback()), 0);
    EXPECT_EQ(bind(b, name(a)), 0);
    EXPECT_EQ(bind(c, name(a)), 0);
    EXPECT_EQ(connect(a, name(one)), 0);
    EXPECT_EQ(connect(b, name(two)), 0);
    EXPECT_EQ(connect(c, name(one)), -1);
    EXPECT_TRUE(errno == EADDRNOTAVAIL || errno == EADDRINUSE);
    const int at_one = calls.accept(one, nullptr, nullptr);
    const int at_two = calls.accept(two, nullptr, nullptr);
    EXPECT_EQ(send(a, "for one"), 7);
    EXPECT_EQ(send(b, "for two"), 7);
    EXPECT_EQ(receive(at_two), "for two");
    EXPECT_EQ(receive(at_one), "for one");
    for (const int fd : {one, two, a, b, c, at_one, at_two}) calls.close(fd);
  });
}

}  // namespace limpid::api
