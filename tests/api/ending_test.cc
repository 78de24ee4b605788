// Ends: shutdown, close, linger, and calls that wait while another thread ends them.
#include <atomic>

#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(Ending);

// req: SOCK-shut-1
TEST_P(Ending, HalfCloseSendsTheEndAndGoesOnReceiving) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "request"), 7);
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(receive(server), "request");
    EXPECT_EQ(receive(server), "<end>");
    const std::string answer(100'000, 'a');
    auto writer = thread([&] {
      EXPECT_EQ(send(server, answer), 100'000);
      calls.close(server);
    });
    std::string got(answer.size(), '\0');
    EXPECT_EQ(calls.recv(client, got.data(), got.size(), MSG_WAITALL), 100'000);
    EXPECT_EQ(got, answer);
    writer.join();
    EXPECT_EQ(receive(client), "<end>");
    calls.close(client);
  });
}

// req: SOCK-shut-2
TEST_P(Ending, ShutReadGivesWhatIsThereAndThenTheEnd) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "before"), 6);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    EXPECT_EQ(calls.shutdown(server, SHUT_RD), 0);
    EXPECT_EQ(receive(server), "before");
    EXPECT_EQ(receive(server), "<end>");
    EXPECT_EQ(send(client, "after"), 5);  // nothing told the peer
    EXPECT_EQ(send(server, "answer"), 6);
    EXPECT_EQ(receive(client), "answer");
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-shut-3
TEST_P(Ending, ShutdownReleasesABlockedReader) {
  run([&] {
    const auto [client, server] = pair();
    std::string result;
    auto reader = thread([&] { result = receive(server); });
    pause(std::chrono::milliseconds(20));
    EXPECT_EQ(calls.shutdown(server, SHUT_RDWR), 0);
    reader.join();
    EXPECT_EQ(result, "<end>");
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-shut-3
TEST_P(Ending, ShutdownReleasesABlockedWriter) {
  run([&] {
    const auto [client, server] = pair();
    const std::string block(32 << 20, 'w');
    ssize_t result = 0;
    auto writer = thread([&] { result = send(client, block); });
    pause(std::chrono::milliseconds(50));
    EXPECT_EQ(calls.shutdown(client, SHUT_RDWR), 0);
    writer.join();
    EXPECT_LT(result, static_cast<ssize_t>(block.size()));
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-shut-3
TEST_P(Ending, ShutdownReleasesABlockedAccept) {
  run([&] {
    const int listening = listener();
    int error = 0;
    auto accepter = thread([&] {
      EXPECT_EQ(calls.accept(listening, nullptr, nullptr), -1);
      error = errno;
    });
    pause(std::chrono::milliseconds(20));
    EXPECT_EQ(calls.shutdown(listening, SHUT_RDWR), 0);
    accepter.join();
    EXPECT_EQ(error, EINVAL);
    calls.close(listening);
  });
}

// req: SOCK-thr-1
TEST_P(Ending, CloseReleasesWhoWaits) {
  if (place.is_kernel()) GTEST_SKIP() << "the kernel leaves them waiting (docs/deviations.md)";
  run([&] {
    const auto [client, server] = pair();
    const int listening = listener();
    std::string read;
    int accept_error = 0;
    auto reader = thread([&] { read = receive(server); });
    auto accepter = thread([&] {
      EXPECT_EQ(calls.accept(listening, nullptr, nullptr), -1);
      accept_error = errno;
    });
    pause(std::chrono::milliseconds(20));
    EXPECT_EQ(calls.close(server), 0);
    EXPECT_EQ(calls.close(listening), 0);
    reader.join();
    accepter.join();
    EXPECT_EQ(read, "<EBADF>");
    EXPECT_EQ(accept_error, ECONNABORTED);
    calls.close(client);
  });
}

// req: SOCK-close-1
TEST_P(Ending, CloseDeliversWhatIsQueuedAndThenTheEnd) {
  run([&] {
    const auto [client, server] = pair();
    const std::string block(200'000, 'q');
    EXPECT_EQ(send(client, block), 200'000);
    calls.close(client);
    std::string got(block.size(), '\0');
    EXPECT_EQ(calls.recv(server, got.data(), got.size(), MSG_WAITALL), 200'000);
    EXPECT_EQ(receive(server), "<end>");
    calls.close(server);
  });
}

// req: SOCK-close-1
TEST_P(Ending, CloseOverUnreadBytesResets) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "never read"), 10);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    calls.close(server);
    EXPECT_EQ(receive(client), "<ECONNRESET>");
    calls.close(client);
  });
}

// req: SOCK-linger-1
TEST_P(Ending, LingerZeroResetsAtOnce) {
  run([&] {
    const auto [client, server] = pair();
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    EXPECT_EQ(calls.setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    linger told{};
    socklen_t length = sizeof told;
    EXPECT_EQ(calls.getsockopt(client, SOL_SOCKET, SO_LINGER, &told, &length), 0);
    EXPECT_EQ(told.l_onoff, 1);
    EXPECT_EQ(told.l_linger, 0);
    const SocketAddress port = name(client);
    EXPECT_EQ(calls.close(client), 0);
    EXPECT_EQ(receive(server), "<ECONNRESET>");
    const int again = tcp();
    EXPECT_EQ(bind(again, port), 0) << "no TIME-WAIT keeps the port";
    calls.close(again);
    calls.close(server);
  });
}

// req: SOCK-linger-2
TEST_P(Ending, LingerWithTimeWaitsForTheLastByte) {
  run([&] {
    const auto [client, server] = narrow_pair();
    const linger five{.l_onoff = 1, .l_linger = 5};
    EXPECT_EQ(calls.setsockopt(client, SOL_SOCKET, SO_LINGER, &five, sizeof five), 0);
    const std::string block(200'000, 'l');
    EXPECT_EQ(send(client, block), 200'000);  // queued here: the peer's window is small
    std::atomic<bool> drained = false;
    auto reader = thread([&] {
      pause(std::chrono::milliseconds(100));
      std::vector<char> into(1 << 16);
      while (calls.recv(server, into.data(), into.size(), 0) > 0) {
      }
      drained = true;
    });
    const auto began = now();
    EXPECT_EQ(calls.close(client), 0);
    EXPECT_GE(now() - began, std::chrono::milliseconds(50));
    EXPECT_LT(now() - began, std::chrono::milliseconds(4900));
    reader.join();
    EXPECT_TRUE(drained);
    calls.close(server);
  });
}

// req: SOCK-linger-2
TEST_P(Ending, LingerGivesUpWhenItsTimeIsOver) {
  run([&] {
    const auto [client, server] = narrow_pair();
    const linger one{.l_onoff = 1, .l_linger = 1};
    EXPECT_EQ(calls.setsockopt(client, SOL_SOCKET, SO_LINGER, &one, sizeof one), 0);
    EXPECT_EQ(send(client, std::string(200'000, 'l')), 200'000);
    const auto began = now();
    (void)calls.close(client);
    EXPECT_GE(now() - began, std::chrono::milliseconds(900));
    EXPECT_LT(now() - began, std::chrono::seconds(4));
    calls.close(server);
  });
}

// req: SOCK-linger-3
TEST_P(Ending, CloseReturnsAtOnceByDefault) {
  run([&] {
    const auto [client, server] = narrow_pair();
    EXPECT_EQ(send(client, std::string(200'000, 'd')), 200'000);
    const auto began = now();
    EXPECT_EQ(calls.close(client), 0);
    EXPECT_LT(now() - began, std::chrono::milliseconds(500));
    calls.close(server);
  });
}

TEST_P(Ending, SendAfterShutdownTellsFirstWhatEndedTheConnection) {
  run([&] {
    const Pair p = pair();
    ASSERT_EQ(calls.shutdown(p.client, SHUT_WR), 0);
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(calls.setsockopt(p.server, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    calls.close(p.server);
    pause(20ms);
    EXPECT_EQ(send(p.client, "x"), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(send(p.client, "x"), -1);
    EXPECT_EQ(errno, EPIPE);
    calls.close(p.client);
  });
}

TEST_P(Ending, ShutdownOfWhatHasEndedIsRefused) {
  run([&] {
    const Pair p = pair();
    ASSERT_EQ(calls.shutdown(p.client, SHUT_WR), 0);
    ASSERT_EQ(calls.shutdown(p.server, SHUT_WR), 0);
    pause(20ms);
    EXPECT_EQ(calls.shutdown(p.client, SHUT_WR), -1);  // in TIME-WAIT
    EXPECT_EQ(errno, ENOTCONN);
    calls.close(p.client);
    calls.close(p.server);
  });
}

TEST_P(Ending, ConnectAfterShutdownIsNotAnsweredAgain) {
  run([&] {
    const int listening = listener();
    const int client = tcp(SOCK_NONBLOCK);
    EXPECT_EQ(connect(client, name(listening)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_NE(poll(client, POLLOUT, 1000) & POLLOUT, 0);
    ASSERT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(connect(client, name(listening)), -1);
    EXPECT_EQ(errno, EISCONN);
    calls.close(client);
    calls.close(listening);
  });
}

}  // namespace limpid::api
