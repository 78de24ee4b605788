// Opening connections: connect, listen, accept, bind, names.
#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(Connection);

TEST_P(Connection, CarriesBytesBothWays) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "hello"), 5);
    EXPECT_EQ(receive(server), "hello");
    EXPECT_EQ(send(server, "and back"), 8);
    EXPECT_EQ(receive(client), "and back");
    EXPECT_EQ(calls.close(client), 0);
    EXPECT_EQ(receive(server), "<end>");
    EXPECT_EQ(calls.close(server), 0);
  });
}

// req: SOCK-connect-1
TEST_P(Connection, IsRefusedAtOnceWhereNobodyListens) {
  run([&] {
    const int gone = listener();
    const SocketAddress where = name(gone);
    calls.close(gone);
    const int client = tcp();
    EXPECT_EQ(connect(client, where), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    calls.close(client);
  });
}

// req: SOCK-connect-3, SOCK-err-1, SOCK-poll-4
TEST_P(Connection, RefusedWithoutBlockingIsToldByPollAndSoErrorOnce) {
  run([&] {
    const int gone = listener();
    const SocketAddress where = name(gone);
    calls.close(gone);
    const int client = tcp(SOCK_NONBLOCK);
    EXPECT_EQ(connect(client, where), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    const short events = poll(client, POLLIN | POLLOUT, 1000);
    EXPECT_EQ(events, POLLIN | POLLOUT | POLLERR | POLLHUP);
    EXPECT_EQ(get(client, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    EXPECT_EQ(get(client, SOL_SOCKET, SO_ERROR), 0);
    calls.close(client);
  });
}

// req: SOCK-connect-3, SOCK-connect-4, SOCK-nb-1
TEST_P(Connection, WithoutBlockingIsWritableWhenItStands) {
  run([&] {
    const int listening = listener();
    const int client = tcp(SOCK_NONBLOCK);
    const int result = connect(client, name(listening));
    EXPECT_TRUE(result == 0 || errno == EINPROGRESS);
    EXPECT_EQ(poll(client, POLLOUT, 1000), POLLOUT);
    EXPECT_EQ(get(client, SOL_SOCKET, SO_ERROR), 0);
    EXPECT_EQ(connect(client, name(listening)), 0);  // Linux: the first call after completion tells of it
    EXPECT_EQ(connect(client, name(listening)), -1);
    EXPECT_EQ(errno, EISCONN);
    calls.close(client);
    calls.close(listening);
  });
}

// req: SOCK-connect-7
TEST_P(Connection, RejectsAddressesThatAreNone) {
  run([&] {
    const int client = tcp();
    sockaddr_in address = loopback(80).raw();
    EXPECT_EQ(calls.connect(client, reinterpret_cast<sockaddr*>(&address), 8), -1);
    EXPECT_EQ(errno, EINVAL);
    address.sin_family = AF_INET6;
    EXPECT_EQ(calls.connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address), -1);
    EXPECT_EQ(errno, EAFNOSUPPORT);
    EXPECT_EQ(calls.socket(AF_APPLETALK + 100, SOCK_STREAM, 0), -1);
    EXPECT_EQ(errno, EAFNOSUPPORT);
    EXPECT_EQ(calls.socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -1);
    EXPECT_EQ(errno, EPROTONOSUPPORT);
    calls.close(client);
  });
}

// req: SOCK-listen-1, SOCK-accept-1
TEST_P(Connection, StandsBeforeItIsAcceptedAndIsAcceptedInOrder) {
  run([&] {
    const int listening = listener();
    const int first = tcp();
    const int second = tcp();
    const int third = tcp();
    for (const int client : {first, second, third}) EXPECT_EQ(connect(client, name(listening)), 0);
    EXPECT_EQ(send(second, "early"), 5);
    for (const int client : {first, second, third}) {
      SocketAddress from;
      socklen_t length = SocketAddress::size();
      const int server = calls.accept(listening, from.data(), &length);
      EXPECT_EQ(from, name(client));
      EXPECT_EQ(peer(server), name(client));
      EXPECT_EQ(name(server), name(listening));
      if (client == second) {
        EXPECT_EQ(receive(server), "early");
      }
      calls.close(server);
      calls.close(client);
    }
    set_nonblocking(listening);
    EXPECT_EQ(calls.accept(listening, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
    calls.close(listening);
  });
}

// req: SOCK-listen-3
TEST_P(Connection, WaitingToBeAcceptedIsResetWhenTheListenerCloses) {
  run([&] {
    const int listening = listener();
    const auto [client, server] = pair_from(listening);
    const int waiting = tcp();
    EXPECT_EQ(connect(waiting, name(listening)), 0);
    calls.close(listening);
    EXPECT_EQ(receive(waiting), "<ECONNRESET>");
    EXPECT_EQ(send(client, "still here"), 10);
    EXPECT_EQ(receive(server), "still here");
    for (const int fd : {waiting, client, server}) calls.close(fd);
  });
}

// req: SOCK-listen-4
TEST_P(Connection, ListenNeedsNoBindAndNoConnection) {
  run([&] {
    const int listening = tcp();
    EXPECT_EQ(calls.listen(listening, 1), 0);
    EXPECT_NE(name(listening).port(), 0);
    EXPECT_EQ(get(listening, SOL_SOCKET, SO_ACCEPTCONN), 1);
    const auto [client, server] = pair();
    EXPECT_EQ(calls.listen(client, 1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.accept(client, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    const int datagrams = udp();
    EXPECT_EQ(calls.listen(datagrams, 1), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    for (const int fd : {listening, client, server, datagrams}) calls.close(fd);
  });
}

// req: SOCK-accept-2
TEST_P(Connection, ResetBeforeItIsAcceptedDoesNotBlockAccept) {
  run([&] {
    const int listening = listener();
    set_nonblocking(listening);
    const int client = tcp();
    EXPECT_EQ(connect(client, name(listening)), 0);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    EXPECT_EQ(calls.setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    calls.close(client);
    const int server = calls.accept(listening, nullptr, nullptr);
    if (server >= 0) {
      EXPECT_EQ(receive(server), "<ECONNRESET>");  // Linux
      calls.close(server);
    } else {
      EXPECT_TRUE(errno == EAGAIN || errno == ECONNABORTED);
    }
    calls.close(listening);
  });
}

// req: SOCK-accept-3
TEST_P(Connection, InheritsOptionsButNotTheBlockingMode) {
  run([&] {
    const int listening = listener();
    EXPECT_EQ(set(listening, IPPROTO_TCP, TCP_NODELAY, 1), 0);
    EXPECT_EQ(set(listening, SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    EXPECT_EQ(set(listening, IPPROTO_IP, IP_TTL, 33), 0);
    set_nonblocking(listening);
    const int client = tcp();
    EXPECT_EQ(connect(client, name(listening)), 0);
    const int server = calls.accept4(listening, nullptr, nullptr, 0);
    EXPECT_EQ(get(server, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(get(server, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(get(server, IPPROTO_IP, IP_TTL), 33);
    EXPECT_EQ(calls.fcntl(server, F_GETFL, 0L) & O_NONBLOCK, 0);
    for (const int fd : {listening, client, server}) calls.close(fd);
  });
}

// req: SOCK-name-1
TEST_P(Connection, HasNames) {
  run([&] {
    const int fresh = tcp();
    SocketAddress address;
    socklen_t length = SocketAddress::size();
    EXPECT_EQ(calls.getpeername(fresh, address.data(), &length), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(name(fresh), SocketAddress("", 0));
    const auto [client, server] = pair();
    EXPECT_EQ(name(client).host(), "127.0.0.1");
    EXPECT_EQ(peer(client), name(server));
    for (const int fd : {fresh, client, server}) calls.close(fd);
  });
}

// The descriptor is the lowest free number; a number that is not open is EBADF, one that is no socket ENOTSOCK.
TEST_P(Connection, DescriptorsAreSmallNumbers) {
  run([&] {
    const int a = tcp();
    const int b = tcp();
    EXPECT_EQ(calls.close(a), 0);
    EXPECT_EQ(tcp(), a);
    EXPECT_EQ(calls.close(b), 0);
    EXPECT_EQ(calls.close(b), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(calls.listen(b, 1), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(calls.send(b, "", 0, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(calls.listen(2, 1), -1);
    EXPECT_EQ(errno, ENOTSOCK);
    calls.close(a);
  });
}

// req: 9293-3.10.1-a
TEST_P(Connection, AListenerDoesNotConnectAndGoesOnListening) {
  run([&] {
    const int listening = listener();
    const int other = listener();
    EXPECT_EQ(connect(listening, name(other)), -1);
    EXPECT_EQ(errno, EISCONN);
    const auto [client, server] = pair_from(listening);
    EXPECT_EQ(connect(client, name(other)), -1);  // nor does one that is connected
    EXPECT_EQ(errno, EISCONN);
    EXPECT_EQ(send(client, "as before"), 9);
    EXPECT_EQ(receive(server), "as before");
    for (const int fd : {listening, other, client, server}) calls.close(fd);
  });
}

// A simultaneous open with oneself (RFC 9293 §3.5): the socket hears what it says.
// req: 9293-A.2-a
TEST_P(Connection, ASocketMayConnectToItself) {
  run([&] {
    const int fd = tcp();
    EXPECT_EQ(bind(fd, loopback()), 0);
    EXPECT_EQ(connect(fd, name(fd)), 0) << std::strerror(errno);
    EXPECT_EQ(send(fd, "who is there?"), 13);
    EXPECT_EQ(receive(fd), "who is there?");
    EXPECT_EQ(calls.shutdown(fd, SHUT_WR), 0);
    EXPECT_EQ(receive(fd), "<end>");
    calls.close(fd);
  });
}

}  // namespace limpid::api
