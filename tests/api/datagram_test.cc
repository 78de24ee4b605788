// UDP sockets: connected and not, boundaries, errors, bounds.
#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(Datagram);

// req: SOCK-udp-2
TEST_P(Datagram, UnconnectedSocketSpeaksWithAnyone) {
  run([&] {
    const int server = udp();
    EXPECT_EQ(bind(server, loopback()), 0);
    const int a = udp();
    const int b = udp();
    EXPECT_EQ(send_to(a, "from a", name(server)), 6);
    EXPECT_EQ(send_to(b, "from b", name(server)), 6);
    for (const int client : {a, b}) {
      char text[16];
      SocketAddress from;
      socklen_t length = SocketAddress::size();
      EXPECT_EQ(calls.recvfrom(server, text, sizeof text, 0, from.data(), &length), 6);
      EXPECT_EQ(length, SocketAddress::size());
      EXPECT_EQ(from.port(), name(client).port());
      EXPECT_EQ(calls.sendto(server, text, 6, 0, from.data(), from.size()), 6);
    }
    EXPECT_EQ(receive(a), "from a");
    EXPECT_EQ(receive(b), "from b");
    for (const int fd : {server, a, b}) calls.close(fd);
  });
}

// req: SOCK-udp-1, SOCK-udp-3
TEST_P(Datagram, ConnectedSocketHearsOnlyItsPeer) {
  run([&] {
    const int server = udp();
    const int stranger = udp();
    const int client = udp();
    EXPECT_EQ(bind(server, loopback()), 0);
    EXPECT_EQ(bind(client, loopback()), 0);
    EXPECT_EQ(connect(client, name(server)), 0);
    EXPECT_EQ(peer(client), name(server));
    EXPECT_EQ(send_to(stranger, "noise", name(client)), 5);
    EXPECT_EQ(send(client, "ping"), 4);
    EXPECT_EQ(receive(server), "ping");
    EXPECT_EQ(send_to(server, "pong", name(client)), 4);
    EXPECT_EQ(receive(client), "pong");
    EXPECT_EQ(receive(client, 16, MSG_DONTWAIT), "<EAGAIN>");
    sockaddr nowhere{};
    nowhere.sa_family = AF_UNSPEC;
    EXPECT_EQ(calls.connect(client, &nowhere, sizeof nowhere), 0);
    SocketAddress address;
    socklen_t length = SocketAddress::size();
    EXPECT_EQ(calls.getpeername(client, address.data(), &length), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(send(client, "to whom?"), -1);
    EXPECT_EQ(errno, EDESTADDRREQ);
    for (const int fd : {server, stranger, client}) calls.close(fd);
  });
}

// req: SOCK-udp-3
TEST_P(Datagram, ConnectedSocketWinsOverUnconnectedOnOnePort) {
  run([&] {
    const int any = udp();
    const int connected = udp();
    const int friendly = udp();
    const int other = udp();
    for (const int fd : {any, connected}) EXPECT_EQ(set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(any, loopback()), 0);
    EXPECT_EQ(bind(connected, name(any)), 0);
    EXPECT_EQ(bind(friendly, loopback()), 0);
    EXPECT_EQ(connect(connected, name(friendly)), 0);
    EXPECT_EQ(send_to(friendly, "to the connected", name(any)), 16);
    EXPECT_EQ(send_to(other, "to the other", name(any)), 12);
    EXPECT_EQ(receive(connected), "to the connected");
    EXPECT_EQ(receive(any), "to the other");
    for (const int fd : {any, connected, friendly, other}) calls.close(fd);
  });
}

// req: SOCK-recv-4
TEST_P(Datagram, WhatDoesNotFitIsCutAndLost) {
  run([&] {
    const int server = udp();
    EXPECT_EQ(bind(server, loopback()), 0);
    const int client = udp();
    const std::string hundred(100, 'h');
    for (int i = 0; i < 3; ++i) EXPECT_EQ(send_to(client, hundred, name(server)), 100);
    EXPECT_EQ(send_to(client, "next", name(server)), 4);
    char ten[10];
    iovec piece{ten, sizeof ten};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    EXPECT_EQ(calls.recvmsg(server, &message, 0), 10);
    EXPECT_EQ(message.msg_flags & MSG_TRUNC, MSG_TRUNC);
    EXPECT_EQ(calls.recv(server, ten, sizeof ten, MSG_TRUNC | MSG_PEEK), 100);
    int size = 0;
    EXPECT_EQ(calls.ioctl(server, FIONREAD, &size), 0);
    EXPECT_EQ(size, 100);
    EXPECT_EQ(calls.recv(server, ten, sizeof ten, MSG_TRUNC), 100);
    EXPECT_EQ(calls.recv(server, ten, sizeof ten, 0), 10);
    EXPECT_EQ(receive(server), "next");
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-recv-1
TEST_P(Datagram, EmptyDatagramIsNoEnd) {
  run([&] {
    const int server = udp();
    EXPECT_EQ(bind(server, loopback()), 0);
    const int client = udp();
    EXPECT_EQ(send_to(client, "", name(server)), 0);
    EXPECT_EQ(send_to(client, "more", name(server)), 4);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    EXPECT_EQ(receive(server), "<end>");
    EXPECT_EQ(receive(server), "more");
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-send-8
TEST_P(Datagram, TenPiecesMakeOneDatagram) {
  run([&] {
    const int server = udp();
    EXPECT_EQ(bind(server, loopback()), 0);
    const int client = udp();
    EXPECT_EQ(connect(client, name(server)), 0);
    std::vector<std::string> texts;
    for (int i = 0; i < 10; ++i) texts.push_back(std::to_string(i));
    std::vector<iovec> pieces;
    for (std::string& text : texts) pieces.push_back({text.data(), text.size()});
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    EXPECT_EQ(calls.sendmsg(client, &message, 0), 10);
    EXPECT_EQ(receive(server), "0123456789");
    EXPECT_EQ(calls.writev(client, pieces.data(), 10), 10);
    std::string a(3, '\0');
    std::string b(20, '\0');
    const iovec in[] = {{a.data(), a.size()}, {b.data(), b.size()}};
    EXPECT_EQ(calls.readv(server, in, 2), 10);
    EXPECT_EQ(a + b.substr(0, 7), "0123456789");
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-send-6
TEST_P(Datagram, NeedsADestinationAndABound) {
  run([&] {
    const int client = udp();
    EXPECT_EQ(send(client, "x"), -1);
    EXPECT_EQ(errno, EDESTADDRREQ);
    EXPECT_EQ(send_to(client, std::string(65'508, 'x'), loopback(9)), -1);
    EXPECT_EQ(errno, EMSGSIZE);
    sockaddr_in wrong = loopback(9).raw();
    wrong.sin_family = AF_INET6;
    EXPECT_EQ(calls.sendto(client, "x", 1, 0, reinterpret_cast<sockaddr*>(&wrong), sizeof wrong), -1);
    EXPECT_EQ(errno, EAFNOSUPPORT);
    EXPECT_EQ(send_to(client, "x", loopback(0)), -1);
    EXPECT_EQ(errno, EINVAL);
    calls.close(client);
  });
}

// req: SOCK-err-3
TEST_P(Datagram, PortUnreachableReachesTheConnectedSocketOnly) {
  run([&] {
    const int gone = udp();
    EXPECT_EQ(bind(gone, loopback()), 0);
    const SocketAddress where = name(gone);
    calls.close(gone);
    const int connected = udp();
    EXPECT_EQ(connect(connected, where), 0);
    EXPECT_EQ(send(connected, "anyone?"), 7);
    EXPECT_EQ(poll(connected, POLLIN, 1000) & POLLERR, POLLERR);
    EXPECT_EQ(receive(connected), "<ECONNREFUSED>");
    EXPECT_EQ(receive(connected, 8, MSG_DONTWAIT), "<EAGAIN>");
    EXPECT_EQ(send(connected, "anyone?"), 7);
    EXPECT_EQ(poll(connected, 0, 1000), POLLERR);
    EXPECT_EQ(get(connected, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    EXPECT_EQ(get(connected, SOL_SOCKET, SO_ERROR), 0);
    const int unconnected = udp();
    EXPECT_EQ(send_to(unconnected, "anyone?", where), 7);
    EXPECT_EQ(receive(unconnected, 8, MSG_DONTWAIT), "<EAGAIN>");
    calls.close(connected);
    calls.close(unconnected);
  });
}

// req: SOCK-udp-4
TEST_P(Datagram, BroadcastNeedsPermission) {
  run([&] {
    const int fd = udp();
    EXPECT_EQ(send_to(fd, "x", {"255.255.255.255", 9}), -1);
    EXPECT_TRUE(errno == EACCES || errno == ENETUNREACH) << std::strerror(errno);
    EXPECT_EQ(set(fd, SOL_SOCKET, SO_BROADCAST, 1), 0);
    EXPECT_EQ(get(fd, SOL_SOCKET, SO_BROADCAST), 1);
    calls.close(fd);
  });
}

// req: SOCK-udp-5
TEST_P(Datagram, OverflowDropsTheNewestAndKeepsTheOrder) {
  run([&] {
    const int server = udp();
    EXPECT_EQ(set(server, SOL_SOCKET, SO_RCVBUF, 4096), 0);
    EXPECT_EQ(get(server, SOL_SOCKET, SO_RCVBUF), 8192);
    EXPECT_EQ(bind(server, loopback()), 0);
    set_nonblocking(server);
    const int client = udp();
    for (int i = 0; i < 200; ++i)
      EXPECT_GT(send_to(client, std::to_string(i) + std::string(500, '.'), name(server)), 0);
    int next = 0;
    for (;; ++next) {
      const std::string text = receive(server);
      if (text == "<EAGAIN>") break;
      EXPECT_EQ(std::stoi(text), next);
    }
    EXPECT_GT(next, 1);
    EXPECT_LT(next, 20);
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Datagram, TellsWhereItCameToAndItsHopLimit) {
  run([&] {
    const int server = udp();
    EXPECT_EQ(bind(server, {"", 0}), 0);
    EXPECT_EQ(set(server, IPPROTO_IP, IP_PKTINFO, 1), 0);
    EXPECT_EQ(set(server, IPPROTO_IP, IP_RECVTTL, 1), 0);
    const int client = udp();
    EXPECT_EQ(set(client, IPPROTO_IP, IP_TTL, 42), 0);
    EXPECT_EQ(send_to(client, "x", {"127.0.0.3", name(server).port()}), 1);
    char octet = 0;
    iovec piece{&octet, 1};
    alignas(cmsghdr) char control[128];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    EXPECT_EQ(calls.recvmsg(server, &message, 0), 1);
    int ttl = 0;
    in_pktinfo info{};
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
      if (at->cmsg_type == IP_TTL) std::memcpy(&ttl, CMSG_DATA(at), sizeof ttl);
      if (at->cmsg_type == IP_PKTINFO) std::memcpy(&info, CMSG_DATA(at), sizeof info);
    }
    EXPECT_EQ(ttl, 42);
    EXPECT_EQ(ntohl(info.ipi_addr.s_addr), 0x7f000003u);
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Datagram, ShutdownReleasesABlockedReader) {
  run([&] {
    const int fd = udp();
    EXPECT_EQ(bind(fd, loopback()), 0);
    EXPECT_EQ(connect(fd, loopback(9)), 0);
    std::string result;
    auto reader = thread([&] { result = receive(fd); });
    pause(std::chrono::milliseconds(20));
    EXPECT_EQ(calls.shutdown(fd, SHUT_RD), 0);
    reader.join();
    EXPECT_EQ(result, "<end>");
    calls.close(fd);
  });
}

// req: SOCK-nb-1
TEST_P(Datagram, NeverBlocksWhenToldSo) {
  run([&] {
    const int fd = udp(SOCK_NONBLOCK);
    EXPECT_EQ(bind(fd, loopback()), 0);
    EXPECT_EQ(receive(fd), "<EAGAIN>");
    EXPECT_EQ(EAGAIN, EWOULDBLOCK);
    set_timeout(fd, SO_RCVTIMEO, std::chrono::milliseconds(30));
    EXPECT_EQ(calls.fcntl(fd, F_SETFL, 0L), 0);
    const auto began = now();
    EXPECT_EQ(receive(fd), "<EAGAIN>");
    EXPECT_GE(now() - began, std::chrono::milliseconds(29));
    calls.close(fd);
  });
}

}  // namespace limpid::api
