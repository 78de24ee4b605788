// poll and select.
#include <unistd.h>

#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(ReadyTest);

// req: SOCK-poll-1
TEST_P(ReadyTest, ReadableForDataEndErrorAndWaitingConnection) {
  run([&] {
    const int listening = listener();
    EXPECT_EQ(poll(listening, POLLIN), 0);
    const int client = tcp();
    EXPECT_EQ(connect(client, name(listening)), 0);
    EXPECT_EQ(poll(listening, POLLIN, 1000), POLLIN);
    const int server = calls.accept(listening, nullptr, nullptr);
    EXPECT_EQ(poll(listening, POLLIN), 0);
    EXPECT_EQ(poll(server, POLLIN), 0);
    EXPECT_EQ(send(client, "x"), 1);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    EXPECT_EQ(receive(server), "x");
    EXPECT_EQ(poll(server, POLLIN), 0);
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    for (const int fd : {listening, client, server}) calls.close(fd);
  });
}

// req: SOCK-poll-2
TEST_P(ReadyTest, WritableWhileThereIsRoomAndAfterShutdown) {
  run([&] {
    const auto [client, server] = narrow_pair();
    EXPECT_EQ(poll(client, POLLOUT), POLLOUT);
    set_nonblocking(client);
    while (send(client, std::string(4096, 'f')) > 0) {
    }
    EXPECT_EQ(poll(client, POLLOUT), 0);
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(poll(client, POLLOUT), POLLOUT);
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-poll-3
TEST_P(ReadyTest, HangUpNeedsBothDirections) {
  run([&] {
    const auto [client, server] = pair();
    const short all = POLLIN | POLLOUT | POLLRDHUP;
    EXPECT_EQ(poll(server, all), POLLOUT);
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(poll(server, POLLRDHUP, 1000), POLLRDHUP);
    EXPECT_EQ(poll(server, all), POLLIN | POLLOUT | POLLRDHUP);
    EXPECT_EQ(calls.shutdown(server, SHUT_WR), 0);
    EXPECT_EQ(poll(server, all, 1000), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-poll-3
TEST_P(ReadyTest, ResetIsAnErrorAndAHangUpUnasked) {
  run([&] {
    const auto [client, server] = pair();
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    EXPECT_EQ(calls.setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    calls.close(server);
    EXPECT_EQ(poll(client, 0, 1000), POLLERR | POLLHUP);
    EXPECT_EQ(get(client, SOL_SOCKET, SO_ERROR), ECONNRESET);
    EXPECT_EQ(poll(client, 0), POLLHUP);
    calls.close(client);
  });
}

TEST_P(ReadyTest, NeverConnectedIsHungUp) {
  run([&] {
    const int fresh = tcp();
    EXPECT_EQ(poll(fresh, POLLIN | POLLOUT), POLLOUT | POLLHUP);
    const int datagrams = udp();
    EXPECT_EQ(poll(datagrams, POLLIN | POLLOUT), POLLOUT);
    calls.close(fresh);
    calls.close(datagrams);
  });
}

// req: SOCK-poll-7
TEST_P(ReadyTest, PollTimesOutAndTellsBadNumbers) {
  run([&] {
    const auto [client, server] = pair();
    const auto began = now();
    pollfd fds[3] = {{server, POLLIN, 0}, {-1, POLLIN, 7}, {9999, POLLIN, 0}};
    EXPECT_EQ(calls.poll(fds, 2, 40), 0);
    EXPECT_GE(now() - began, std::chrono::milliseconds(39));
    EXPECT_EQ(fds[1].revents, 0);
    EXPECT_EQ(calls.poll(fds, 3, -1), 1);
    EXPECT_EQ(fds[2].revents, POLLNVAL);
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-poll-7
TEST_P(ReadyTest, PollWakesForTheOneOfMany) {
  run([&] {
    std::vector<Pair> pairs;
    std::vector<pollfd> fds;
    for (int i = 0; i < 20; ++i) {
      pairs.push_back(pair());
      fds.push_back({pairs.back().server, POLLIN, 0});
    }
    auto later = thread([&] {
      pause(std::chrono::milliseconds(20));
      EXPECT_EQ(send(pairs[13].client, "x"), 1);
    });
    EXPECT_EQ(calls.poll(fds.data(), fds.size(), 5000), 1);
    EXPECT_EQ(fds[13].revents, POLLIN);
    later.join();
    for (const Pair& p : pairs) {
      calls.close(p.client);
      calls.close(p.server);
    }
  });
}

// req: SOCK-poll-7
TEST_P(ReadyTest, SelectTellsTheThreeKinds) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "ab!", MSG_OOB), 3);
    EXPECT_EQ(poll(server, POLLPRI, 1000), POLLPRI);
    fd_set readable;
    fd_set writable;
    fd_set exceptional;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_ZERO(&exceptional);
    for (const int fd : {client, server}) {
      FD_SET(fd, &readable);
      FD_SET(fd, &writable);
      FD_SET(fd, &exceptional);
    }
    const int most = std::max(client, server) + 1;
    timeval second{.tv_sec = 1, .tv_usec = 0};
    EXPECT_EQ(calls.select(most, &readable, &writable, &exceptional, &second), 4);
    EXPECT_FALSE(FD_ISSET(client, &readable));
    EXPECT_TRUE(FD_ISSET(server, &readable));
    EXPECT_TRUE(FD_ISSET(client, &writable));
    EXPECT_TRUE(FD_ISSET(server, &writable));
    EXPECT_TRUE(FD_ISSET(server, &exceptional));
    FD_ZERO(&readable);
    FD_SET(client, &readable);
    timeval soon{.tv_sec = 0, .tv_usec = 30'000};
    EXPECT_EQ(calls.select(most, &readable, nullptr, nullptr, &soon), 0);
    EXPECT_EQ(soon.tv_usec, 0);
    FD_ZERO(&readable);
    const int gone = udp();
    calls.close(gone);
    FD_SET(gone, &readable);
    EXPECT_EQ(calls.select(gone + 1, &readable, nullptr, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EBADF);
    calls.close(client);
    calls.close(server);
  });
}

// Ours and the kernel's in one wait.
TEST_P(ReadyTest, KernelDescriptorsMix) {
  run([&] {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const int adopted = calls.adopt(ends[0]);
    const auto [client, server] = pair();
    pollfd fds[2] = {{adopted, POLLIN, 0}, {server, POLLIN, 0}};
    EXPECT_EQ(calls.poll(fds, 2, 10), 0);
    EXPECT_EQ(::write(ends[1], "p", 1), 1);
    EXPECT_EQ(calls.poll(fds, 2, 1000), 1);
    EXPECT_EQ(fds[0].revents, POLLIN);
    char octet = 0;
    EXPECT_EQ(calls.read(adopted, &octet, 1), 1);
    EXPECT_EQ(octet, 'p');
    auto later = thread([&] {
      pause(std::chrono::milliseconds(20));
      EXPECT_EQ(send(client, "x"), 1);
    });
    EXPECT_EQ(calls.poll(fds, 2, 5000), 1);
    EXPECT_EQ(fds[1].revents, POLLIN);
    later.join();
    EXPECT_EQ(calls.send(adopted, "x", 1, 0), -1);
    EXPECT_EQ(errno, ENOTSOCK);
    EXPECT_EQ(calls.close(adopted), 0);
    EXPECT_EQ(::close(ends[1]), 0);
    calls.close(client);
    calls.close(server);
  });
}

}  // namespace limpid::api
