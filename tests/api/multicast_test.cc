// Multicast over the loopback interface: membership, who hears, and the options of who sends (ip(7)).
#include "tests/api/worlds.h"

namespace limpid::api {

class Multicast : public SocketTest {
 protected:
  static constexpr const char* kGroup = "239.77.1.2";

  static ip_mreq request(const char* group = kGroup, const char* own = "127.0.0.1") {
    return {.imr_multiaddr = SocketAddress(group, 0).raw().sin_addr,
            .imr_interface = SocketAddress(own, 0).raw().sin_addr};
  }
  int change(int fd, int option, const ip_mreq& of) { return calls.setsockopt(fd, IPPROTO_IP, option, &of, sizeof of); }
  int join(int fd, const ip_mreq& to = request()) { return change(fd, IP_ADD_MEMBERSHIP, to); }
  // Listens to the group at a port; 0: one of the host's choice.
  int receiver(const SocketAddress& local) {
    const int fd = udp(SOCK_NONBLOCK);
    EXPECT_EQ(set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind(fd, local), 0) << std::strerror(errno);
    return fd;
  }
  int sender() {
    const int fd = udp();
    const in_addr own = SocketAddress("127.0.0.1", 0).raw().sin_addr;
    EXPECT_EQ(calls.setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &own, sizeof own), 0) << std::strerror(errno);
    return fd;
  }
};
INSTANTIATE_TEST_SUITE_P(On, Multicast,
                         testing::Values(Where::kernel, Where::real, Where::sim, Where::real_queues, Where::sim_queues),
                         name_of);

// req: SOCK-reuse-4, 1112-6-a, 6762-15-a
TEST_P(Multicast, EachSocketOnThePortGetsACopyAndOfAUnicastOneOnly) {
  run([&] {
    const int a = receiver({"", 0});
    const int b = receiver({"", name(a).port()});
    for (const int fd : {a, b}) EXPECT_EQ(join(fd), 0) << std::strerror(errno);
    const int from = sender();
    EXPECT_EQ(send_to(from, "to all", {kGroup, name(a).port()}), 6) << std::strerror(errno);
    EXPECT_EQ(receive(a), "to all");
    EXPECT_EQ(receive(b), "to all");
    EXPECT_EQ(send_to(from, "to one", loopback(name(a).port())), 6);
    const std::string first = receive(a);
    const std::string second = receive(b);
    EXPECT_EQ(first == "to one" ? second : first, "<EAGAIN>");
    EXPECT_EQ(first == "to one" ? first : second, "to one");
    for (const int fd : {a, b, from}) calls.close(fd);
  });
}

TEST_P(Multicast, AMembershipIsJoinedOnceAndLeftOnce) {
  run([&] {
    const int fd = udp();
    EXPECT_EQ(change(fd, IP_DROP_MEMBERSHIP, request()), -1);
    EXPECT_EQ(errno, EADDRNOTAVAIL);
    EXPECT_EQ(join(fd), 0);
    EXPECT_EQ(join(fd), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(change(fd, IP_DROP_MEMBERSHIP, request()), 0);
    EXPECT_EQ(join(fd), 0);
    EXPECT_EQ(join(fd, request("10.0.0.1")), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(join(fd, request(kGroup, "192.0.2.7")), -1);
    EXPECT_EQ(errno, ENODEV);
    EXPECT_EQ(set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    const int stream = tcp();
    EXPECT_EQ(join(stream), -1);
    EXPECT_EQ(errno, EPROTO);
    calls.close(stream);
    calls.close(fd);
  });
}

// req: 1112-6-a
TEST_P(Multicast, NobodyHearsAGroupThatTheLastMemberHasLeftOrClosed) {
  run([&] {
    const int ear = receiver({"", 0});
    const SocketAddress group{kGroup, name(ear).port()};
    const int from = sender();
    EXPECT_EQ(send_to(from, "too early", group), 9);
    EXPECT_EQ(receive(ear), "<EAGAIN>");
    const int member = udp();
    EXPECT_EQ(join(member), 0);
    EXPECT_EQ(send_to(from, "of another's group", group), 18);
    EXPECT_EQ(receive(ear), "of another's group");
    EXPECT_EQ(set(ear, IPPROTO_IP, IP_MULTICAST_ALL, 0), 0);
    EXPECT_EQ(send_to(from, "not mine", group), 8);
    EXPECT_EQ(receive(ear), "<EAGAIN>");
    EXPECT_EQ(join(ear), 0);
    EXPECT_EQ(send_to(from, "mine", group), 4);
    EXPECT_EQ(receive(ear), "mine");
    EXPECT_EQ(set(ear, IPPROTO_IP, IP_MULTICAST_ALL, 1), 0);
    EXPECT_EQ(change(ear, IP_DROP_MEMBERSHIP, request()), 0);
    calls.close(member);
    EXPECT_EQ(send_to(from, "too late", group), 8);
    EXPECT_EQ(receive(ear), "<EAGAIN>");
    for (const int fd : {ear, from}) calls.close(fd);
  });
}

TEST_P(Multicast, ASocketBoundToTheGroupHearsNothingElse) {
  run([&] {
    const int ear = receiver({kGroup, 0});
    const uint16_t port = name(ear).port();
    EXPECT_EQ(join(ear), 0);
    EXPECT_EQ(join(ear, request("239.77.1.3")), 0);
    const int from = sender();
    EXPECT_EQ(send_to(from, "other", {"239.77.1.3", port}), 5);
    EXPECT_EQ(send_to(from, "unicast", loopback(port)), 7);
    EXPECT_EQ(send_to(from, "group", {kGroup, port}), 5);
    EXPECT_EQ(receive(ear), "group");
    EXPECT_EQ(receive(ear), "<EAGAIN>");
    for (const int fd : {ear, from}) calls.close(fd);
  });
}

TEST_P(Multicast, TheSendersOptions) {
  run([&] {
    const int fd = udp();
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_ALL), 1);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_IF), static_cast<int>(INADDR_ANY));
    EXPECT_EQ(set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 255), 0);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_TTL), 255);
    EXPECT_EQ(set(fd, IPPROTO_IP, IP_MULTICAST_TTL, -1), 0);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_TTL), 1);
    for (const int wrong : {-2, 256}) {
      EXPECT_EQ(set(fd, IPPROTO_IP, IP_MULTICAST_TTL, wrong), -1);
      EXPECT_EQ(errno, EINVAL);
    }
    const unsigned char off = 0;  // one octet is enough
    EXPECT_EQ(calls.setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof off), 0);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    in_addr own = SocketAddress("127.0.0.1", 0).raw().sin_addr;
    EXPECT_EQ(calls.setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &own, sizeof own), 0);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_MULTICAST_IF), static_cast<int>(own.s_addr));
    own = SocketAddress("192.0.2.7", 0).raw().sin_addr;
    EXPECT_EQ(calls.setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &own, sizeof own), -1);
    EXPECT_EQ(errno, EADDRNOTAVAIL);
    const int stream = tcp();
    EXPECT_EQ(set(stream, IPPROTO_IP, IP_MULTICAST_TTL, 1), -1);
    EXPECT_EQ(errno, EINVAL);
    calls.close(stream);
    calls.close(fd);
  });
}

}  // namespace limpid::api
