// getsockopt and setsockopt, fcntl and ioctl.
#include <linux/inet_diag.h>

#include <cstring>

#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(Options);

// req: SOCK-opt-1
TEST_P(Options, TellWhatASocketIs) {
  run([&] {
    const int stream = listener();
    EXPECT_EQ(get(stream, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    EXPECT_EQ(get(stream, SOL_SOCKET, SO_DOMAIN), AF_INET);
    EXPECT_EQ(get(stream, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    EXPECT_EQ(get(stream, SOL_SOCKET, SO_ACCEPTCONN), 1);
    const int datagrams = udp();
    EXPECT_EQ(get(datagrams, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
    EXPECT_EQ(get(datagrams, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
    EXPECT_EQ(get(datagrams, SOL_SOCKET, SO_ACCEPTCONN), 0);
    calls.close(stream);
    calls.close(datagrams);
  });
}

// req: SOCK-opt-1
TEST_P(Options, UnknownOnesAndShortValues) {
  run([&] {
    const int fd = tcp();
    EXPECT_EQ(get(fd, SOL_SOCKET, 9999), -ENOPROTOOPT);
    EXPECT_EQ(set(fd, SOL_SOCKET, 9999, 1), -1);
    EXPECT_EQ(errno, ENOPROTOOPT);
    EXPECT_EQ(set(fd, IPPROTO_TCP, 9999, 1), -1);
    EXPECT_EQ(errno, ENOPROTOOPT);
    EXPECT_EQ(get(fd, IPPROTO_TCP, 9999), -ENOPROTOOPT);
    EXPECT_EQ(set(fd, SOL_SOCKET, SO_TYPE, SOCK_STREAM), -1);
    EXPECT_EQ(errno, ENOPROTOOPT);
    char octet = 1;
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &octet, 1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &octet, 1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, nullptr, sizeof(int)), -1);
    EXPECT_EQ(errno, EFAULT);
    calls.close(fd);
  });
}

TEST_P(Options, FlagsAndNumbersComeBack) {
  run([&] {
    const int fd = tcp();
    const struct {
      int level;
      int name;
      int value;
    } options[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1}, {SOL_SOCKET, SO_REUSEPORT, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
        {SOL_SOCKET, SO_OOBINLINE, 1}, {SOL_SOCKET, SO_RCVLOWAT, 7},    {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_CORK, 1},    {IPPROTO_TCP, TCP_KEEPIDLE, 77}, {IPPROTO_TCP, TCP_KEEPINTVL, 7},
        {IPPROTO_TCP, TCP_KEEPCNT, 3}, {IPPROTO_TCP, TCP_SYNCNT, 2},    {IPPROTO_TCP, TCP_USER_TIMEOUT, 5000},
        {IPPROTO_IP, IP_TTL, 99},      {IPPROTO_IP, IP_TOS, 0x10}};
    for (const auto& option : options) {
      EXPECT_EQ(set(fd, option.level, option.name, option.value), 0) << option.level << " " << option.name;
      EXPECT_EQ(get(fd, option.level, option.name), option.value) << option.level << " " << option.name;
    }
    calls.close(fd);
  });
}

TEST_P(Options, DefaultsAreThoseOfLinux) {
  run([&] {
    const int fd = tcp();
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 75);
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_KEEPCNT), 9);
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_SYNCNT), 6);
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_MAXSEG), 536);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_TTL), 64);
    EXPECT_EQ(get(fd, SOL_SOCKET, SO_RCVLOWAT), 1);
    EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
    calls.close(fd);
  });
}

// req: KA-6
TEST_P(Options, RangesAreChecked) {
  run([&] {
    const int fd = tcp();
    const struct {
      int level;
      int name;
      int value;
    } wrong[] = {
        {IPPROTO_TCP, TCP_KEEPIDLE, 0},   {IPPROTO_TCP, TCP_KEEPIDLE, 32'768},  {IPPROTO_TCP, TCP_KEEPIDLE, -1},
        {IPPROTO_TCP, TCP_KEEPINTVL, -1}, {IPPROTO_TCP, TCP_KEEPINTVL, 32'768}, {IPPROTO_TCP, TCP_KEEPCNT, 0},
        {IPPROTO_TCP, TCP_KEEPCNT, -1},   {IPPROTO_TCP, TCP_KEEPINTVL, 0},      {IPPROTO_TCP, TCP_KEEPCNT, 128},
        {IPPROTO_TCP, TCP_SYNCNT, 0},     {IPPROTO_TCP, TCP_MAXSEG, 20},        {IPPROTO_IP, IP_TTL, 0},
        {IPPROTO_IP, IP_TTL, 256}};
    for (const auto& option : wrong) {
      EXPECT_EQ(set(fd, option.level, option.name, option.value), -1) << option.level << " " << option.name;
      EXPECT_EQ(errno, EINVAL) << option.level << " " << option.name;
    }
    timeval odd{.tv_sec = 0, .tv_usec = 2'000'000};
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &odd, sizeof odd), -1);
    EXPECT_EQ(errno, EDOM);
    calls.close(fd);
  });
}

// req: SOCK-opt-2
TEST_P(Options, BuffersReportTheDouble) {
  run([&] {
    for (const int fd : {tcp(), udp()}) {
      EXPECT_EQ(set(fd, SOL_SOCKET, SO_RCVBUF, 8192), 0);
      EXPECT_EQ(get(fd, SOL_SOCKET, SO_RCVBUF), 16'384);
      EXPECT_EQ(set(fd, SOL_SOCKET, SO_SNDBUF, 8192), 0);
      EXPECT_EQ(get(fd, SOL_SOCKET, SO_SNDBUF), 16'384);
      EXPECT_EQ(set(fd, SOL_SOCKET, SO_RCVBUF, 1), 0);
      EXPECT_EQ(get(fd, SOL_SOCKET, SO_RCVBUF), 2304);
      EXPECT_EQ(set(fd, SOL_SOCKET, SO_SNDBUF, 1), 0);
      EXPECT_EQ(get(fd, SOL_SOCKET, SO_SNDBUF), 4608);
      calls.close(fd);
    }
  });
}

TEST_P(Options, BusyPollComesBackInMicroseconds) {
  run([&] {
    const int fd = tcp();
    int us = -1;
    socklen_t length = sizeof us;
    EXPECT_EQ(calls.getsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, &length), 0);
    EXPECT_EQ(us, 0);
    us = 50;
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof us), 0);
    us = -1;
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof us), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.getsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &us, &length), 0);
    EXPECT_EQ(us, 50);
    calls.close(fd);
  });
}

TEST_P(Options, TimeoutsComeBack) {
  run([&] {
    const int fd = tcp();
    set_timeout(fd, SO_RCVTIMEO, std::chrono::milliseconds(2500));
    timeval told{};
    socklen_t length = sizeof told;
    EXPECT_EQ(calls.getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &told, &length), 0);
    EXPECT_EQ(length, sizeof told);
    EXPECT_EQ(told.tv_sec, 2);
    EXPECT_EQ(told.tv_usec, 500'000);
    calls.close(fd);
  });
}

// req: 9293-MAY-18
TEST_P(Options, TcpInfoTellsTheStateAndTakesAnyLength) {
  run([&] {
    const auto [client, server] = pair();
    tcp_info info{};
    socklen_t length = sizeof info;
    EXPECT_EQ(calls.getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(info.tcpi_state, TCP_ESTABLISHED);
    EXPECT_GE(info.tcpi_snd_cwnd, 2u);  // RFC 6928 with a large MSS; Linux: 10
    EXPECT_GE(info.tcpi_rto, 200'000u);
    EXPECT_GT(info.tcpi_snd_mss, 500u);
    uint8_t state = 0;
    length = 1;
    EXPECT_EQ(calls.getsockopt(client, IPPROTO_TCP, TCP_INFO, &state, &length), 0);
    EXPECT_EQ(state, TCP_ESTABLISHED);
    EXPECT_EQ(length, 1u);
    char name_of_algorithm[16] = {};
    length = sizeof name_of_algorithm;
    if (!place.is_kernel()) {  // there it is the administrator's choice
      EXPECT_EQ(calls.getsockopt(client, IPPROTO_TCP, TCP_CONGESTION, name_of_algorithm, &length), 0);
      EXPECT_STREQ(name_of_algorithm, "cubic");
    }
    EXPECT_EQ(calls.setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    EXPECT_EQ(calls.getsockopt(client, IPPROTO_TCP, TCP_CONGESTION, name_of_algorithm, &length), 0);
    EXPECT_STREQ(name_of_algorithm, "reno");
    tcp_cc_info told{};
    length = sizeof told;
    EXPECT_EQ(calls.getsockopt(client, IPPROTO_TCP, TCP_CC_INFO, &told, &length), 0);
    EXPECT_EQ(length, 0u);                                                       // Reno has nothing to tell
    if (calls.setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3) == 0) {  // not every kernel has it
      length = sizeof told;
      EXPECT_EQ(calls.getsockopt(client, IPPROTO_TCP, TCP_CC_INFO, &told, &length), 0);
      EXPECT_EQ(length, sizeof(tcp_bbr_info));
    } else {
      EXPECT_TRUE(place.is_kernel());
    }
    EXPECT_EQ(calls.setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, "no-such", 7), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_GT(get(client, IPPROTO_IP, IP_MTU), 1000);
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Options, MaxPacingRateOf32And64Bits) {
  run([&] {
    const int fd = tcp();
    uint64_t wide = 0;
    socklen_t length = sizeof wide;
    EXPECT_EQ(calls.getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &wide, &length), 0);
    EXPECT_EQ(wide, UINT64_MAX);  // no bound
    wide = uint64_t{10} << 32;
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &wide, sizeof wide), 0);
    uint32_t narrow = 0;
    length = sizeof narrow;
    EXPECT_EQ(calls.getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, &length), 0);
    EXPECT_EQ(narrow, UINT32_MAX);
    narrow = 125'000;
    EXPECT_EQ(calls.setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, sizeof narrow), 0);
    length = sizeof wide;
    EXPECT_EQ(calls.getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &wide, &length), 0);
    EXPECT_EQ(wide, 125'000u);
    calls.close(fd);
  });
}

TEST_P(Options, NonBlockingByFcntlAndIoctl) {
  run([&] {
    const int fd = udp();
    EXPECT_EQ(calls.fcntl(fd, F_GETFL, 0L), O_RDWR);
    EXPECT_EQ(calls.fcntl(fd, F_SETFL, static_cast<long>(O_NONBLOCK)), 0);
    EXPECT_EQ(calls.fcntl(fd, F_GETFL, 0L), O_RDWR | O_NONBLOCK);
    int off = 0;
    EXPECT_EQ(calls.ioctl(fd, FIONBIO, &off), 0);
    EXPECT_EQ(calls.fcntl(fd, F_GETFL, 0L), O_RDWR);
    const int born_so = udp(SOCK_NONBLOCK);
    EXPECT_EQ(calls.fcntl(born_so, F_GETFL, 0L), O_RDWR | O_NONBLOCK);
    EXPECT_EQ(calls.ioctl(fd, 0x7fff, &off), -1);
    EXPECT_EQ(errno, ENOTTY);
    calls.close(fd);
    calls.close(born_so);
  });
}

TEST_P(Options, CountTheUnacknowledged) {
  run([&] {
    const auto [client, server] = narrow_pair();
    set_nonblocking(client);
    EXPECT_EQ(send(client, std::string(100'000, 'u')), 100'000);
    pause(std::chrono::milliseconds(300));
    int queued = 0;
    EXPECT_EQ(calls.ioctl(client, TIOCOUTQ, &queued), 0);
    EXPECT_GT(queued, 80'000);
    EXPECT_LT(queued, 100'000);
    calls.close(client);
    calls.close(server);
  });
}

// TCP_INQ: recvmsg tells what is left to read behind what it returned.
TEST_P(Options, WhatIsLeftToReadComesAsAControlMessage) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(set(server, IPPROTO_TCP, TCP_INQ, 1), 0);
    EXPECT_EQ(calls.send(client, "0123456789", 10, 0), 10);
    char text[10] = {};
    EXPECT_EQ(calls.recv(server, text, 10, MSG_PEEK | MSG_WAITALL), 10);  // all of it is there
    iovec piece{.iov_base = text, .iov_len = 4};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    EXPECT_EQ(calls.recvmsg(server, &message, 0), 4);
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    ASSERT_NE(header, nullptr);
    EXPECT_EQ(header->cmsg_level, IPPROTO_TCP);
    EXPECT_EQ(header->cmsg_type, TCP_CM_INQ);
    int left = 0;
    std::memcpy(&left, CMSG_DATA(header), sizeof left);
    EXPECT_EQ(left, 6);
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Options, UnsentLowWaterAndMemoryAreTold) {
  run([&] {
    const int fd = tcp();
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 0);
    EXPECT_EQ(set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4000), 0);
    EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 4000);
    uint32_t memory[9] = {};  // SK_MEMINFO_VARS
    socklen_t length = sizeof memory;
    EXPECT_EQ(calls.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length), 0);
    EXPECT_EQ(length, sizeof memory);
    EXPECT_EQ(static_cast<int>(memory[1]), get(fd, SOL_SOCKET, SO_RCVBUF));
    EXPECT_EQ(static_cast<int>(memory[3]), get(fd, SOL_SOCKET, SO_SNDBUF));
    calls.close(fd);
  });
}

}  // namespace limpid::api
