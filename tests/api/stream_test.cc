// Bytes of a stream: send, recv, their flags, end and reset.
#include <csignal>

#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(Stream);

namespace {

void reset(const SocketCalls& calls, int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  calls.setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  calls.close(fd);
}

volatile sig_atomic_t g_pipes = 0;
void count_pipe(int) { g_pipes = g_pipes + 1; }

}  // namespace

// req: SOCK-send-1, SOCK-recv-2
TEST_P(Stream, ResetIsToldOnceThenThePipeIsBroken) {
  run([&] {
    const auto [client, server] = pair();
    reset(calls, server);
    poll(client, POLLIN, 1000);
    EXPECT_EQ(send(client, "x"), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(send(client, "x"), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(receive(client), "<end>");
    calls.close(client);
  });
}

// req: SOCK-recv-2
TEST_P(Stream, ReadingAfterAResetTellsItOnceAndThenEnds) {
  run([&] {
    const auto [client, server] = pair();
    reset(calls, server);
    EXPECT_EQ(receive(client), "<ECONNRESET>");
    EXPECT_EQ(receive(client), "<end>");
    calls.close(client);
  });
}

// req: SOCK-send-2
TEST_P(Stream, WritingAfterShutdownBreaksThePipeWithASignalUnlessAsked) {
  run([&] {
    struct sigaction before{};
    struct sigaction count{};
    count.sa_handler = count_pipe;
    sigaction(SIGPIPE, &count, &before);
    g_pipes = 0;
    const auto [client, server] = pair();
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(calls.send(client, "x", 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(g_pipes, 0);
    EXPECT_EQ(calls.send(client, "x", 1, 0), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(g_pipes, 1);
    EXPECT_EQ(calls.write(client, "x", 1), -1);
    EXPECT_EQ(g_pipes, 2);
    sigaction(SIGPIPE, &before, nullptr);
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-send-3, SOCK-close-2
TEST_P(Stream, AfterAFullCloseTheFirstSendGoesAndTheNextFails) {
  run([&] {
    const auto [client, server] = pair();
    calls.close(server);
    EXPECT_EQ(receive(client), "<end>");
    EXPECT_EQ(send(client, "nobody reads this"), 17);
    poll(client, POLLERR, 1000);
    EXPECT_EQ(send(client, "nor this"), -1);
    EXPECT_TRUE(errno == EPIPE || errno == ECONNRESET);
    calls.close(client);
  });
}

// req: SOCK-send-4, SOCK-nb-1, SOCK-poll-2
TEST_P(Stream, WithoutBlockingSendsWhatFitsAndThenWouldBlock) {
  run([&] {
    const auto [client, server] = pair();
    set_nonblocking(client);
    const int fixed = 256 * 1024;  // else the buffer grows with the congestion window while we look
    ASSERT_EQ(calls.setsockopt(client, SOL_SOCKET, SO_SNDBUF, &fixed, sizeof fixed), 0);
    const std::string block(64 * 1024, 'a');
    size_t sent = 0;
    for (;;) {
      const ssize_t n = send(client, block);
      if (n < 0) break;
      sent += static_cast<size_t>(n);
    }
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_GT(sent, 64u * 1024);
    EXPECT_EQ(poll(client, POLLOUT), 0);
    size_t received = 0;
    std::vector<char> into(1 << 16);
    while (received < sent) {
      const ssize_t n = calls.recv(server, into.data(), into.size(), 0);
      ASSERT_GT(n, 0);
      received += static_cast<size_t>(n);
    }
    EXPECT_EQ(received, sent);
    EXPECT_EQ(poll(client, POLLOUT, 1000), POLLOUT);
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-send-4
TEST_P(Stream, BlockingSendWaitsForRoomAndSendsAll) {
  run([&] {
    const auto [client, server] = pair();
    const std::string block(6 << 20, 'b');
    auto reader = thread([&] {
      pause(std::chrono::milliseconds(20));
      size_t received = 0;
      std::vector<char> into(1 << 16);
      while (received < block.size()) {
        const ssize_t n = calls.recv(server, into.data(), into.size(), 0);
        ASSERT_GT(n, 0);
        received += static_cast<size_t>(n);
      }
    });
    EXPECT_EQ(send(client, block), static_cast<ssize_t>(block.size()));
    reader.join();
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-send-6
TEST_P(Stream, NeverConnectedNeitherSendsNorReceives) {
  run([&] {
    const int fresh = tcp();
    EXPECT_EQ(send(fresh, "x"), -1);
    EXPECT_TRUE(errno == EPIPE || errno == ENOTCONN);
    EXPECT_EQ(receive(fresh), "<ENOTCONN>");
    EXPECT_EQ(calls.shutdown(fresh, SHUT_WR), -1);
    EXPECT_EQ(errno, ENOTCONN);
    calls.close(fresh);
  });
}

// req: SOCK-send-7, SOCK-recv-5
TEST_P(Stream, TimeoutsEndAWait) {
  run([&] {
    const auto [client, server] = pair();
    set_timeout(client, SO_RCVTIMEO, std::chrono::milliseconds(50));
    const auto began = now();
    EXPECT_EQ(receive(client), "<EAGAIN>");
    EXPECT_GE(now() - began, std::chrono::milliseconds(49));
    EXPECT_LT(now() - began, std::chrono::seconds(5));
    set_timeout(client, SO_SNDTIMEO, std::chrono::milliseconds(50));
    const std::string block(64 << 20, 'c');
    const ssize_t some = send(client, block);
    EXPECT_GT(some, 0);
    EXPECT_LT(some, static_cast<ssize_t>(block.size()));
    ssize_t more = 0;
    for (int i = 0; i < 50 && more >= 0; ++i) more = send(client, block);  // the last room goes in small steps
    EXPECT_EQ(more, -1);
    EXPECT_EQ(errno, EAGAIN);
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-recv-1
TEST_P(Stream, DataComesBeforeTheEnd) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "last words"), 10);
    calls.close(client);
    EXPECT_EQ(receive(server, 4), "last");
    EXPECT_EQ(receive(server), " words");
    EXPECT_EQ(receive(server), "<end>");
    EXPECT_EQ(receive(server), "<end>");
    calls.close(server);
  });
}

// req: SOCK-recv-3
TEST_P(Stream, PeekWaitallDontwait) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(receive(server, 8, MSG_DONTWAIT), "<EAGAIN>");
    EXPECT_EQ(send(client, "abcdef"), 6);
    EXPECT_EQ(receive(server, 3, MSG_PEEK), "abc");
    EXPECT_EQ(receive(server, 99, MSG_PEEK), "abcdef");
    int readable = 0;
    EXPECT_EQ(calls.ioctl(server, FIONREAD, &readable), 0);
    EXPECT_EQ(readable, 6);
    auto later = thread([&] {
      pause(std::chrono::milliseconds(20));
      EXPECT_EQ(send(client, "ghij"), 4);
    });
    EXPECT_EQ(receive(server, 10, MSG_WAITALL), "abcdefghij");
    later.join();
    EXPECT_EQ(send(client, "klm"), 3);
    calls.shutdown(client, SHUT_WR);
    EXPECT_EQ(receive(server, 10, MSG_WAITALL), "klm");  // the end comes before the count
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-recv-5
TEST_P(Stream, LowWaterDelaysReadinessAndReads) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(set(server, SOL_SOCKET, SO_RCVLOWAT, 5), 0);
    EXPECT_EQ(send(client, "abc"), 3);
    EXPECT_EQ(poll(server, POLLIN, 20), 0);
    EXPECT_EQ(send(client, "defg"), 4);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    EXPECT_EQ(receive(server), "abcdefg");
    calls.close(client);
    calls.close(server);
  });
}

// The kernel may forget to wake such a reader when some of the bytes were there before; ours must not.
// req: SOCK-recv-5
TEST_P(Stream, LowWaterHoldsABlockedReader) {
  if (place.is_kernel()) GTEST_SKIP() << "the kernel sometimes sleeps on";
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(set(server, SOL_SOCKET, SO_RCVLOWAT, 5), 0);
    EXPECT_EQ(send(client, "abc"), 3);
    auto later = thread([&] {
      pause(std::chrono::milliseconds(20));
      EXPECT_EQ(send(client, "defg"), 4);
      pause(std::chrono::milliseconds(20));
      EXPECT_EQ(send(client, "hijkl"), 5);
    });
    EXPECT_EQ(receive(server), "abcdefg");
    EXPECT_EQ(receive(server, 5, MSG_WAITALL), "hijkl");
    later.join();
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-recv-7
TEST_P(Stream, CountsWhatIsQueued) {
  run([&] {
    const auto [client, server] = pair();
    int bytes = -1;
    EXPECT_EQ(calls.ioctl(server, FIONREAD, &bytes), 0);
    EXPECT_EQ(bytes, 0);
    EXPECT_EQ(send(client, "12345"), 5);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    EXPECT_EQ(calls.ioctl(server, FIONREAD, &bytes), 0);
    EXPECT_EQ(bytes, 5);
    calls.close(client);
    calls.close(server);
  });
}

// req: SOCK-send-8
TEST_P(Stream, VectoredCallsKeepTheOrder) {
  run([&] {
    const auto [client, server] = pair();
    std::string a = "one ";
    std::string b = "two ";
    std::string c = "three";
    const iovec out[] = {{a.data(), a.size()}, {b.data(), b.size()}, {c.data(), c.size()}};
    EXPECT_EQ(calls.writev(client, out, 3), 13);
    std::string first(6, '\0');
    std::string second(20, '\0');
    const iovec in[] = {{first.data(), first.size()}, {second.data(), second.size()}};
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    EXPECT_EQ(calls.readv(server, in, 2), 13);
    EXPECT_EQ(first + second.substr(0, 7), "one two three");
    EXPECT_EQ(calls.write(client, "x", 1), 1);
    char octet = 0;
    EXPECT_EQ(calls.read(server, &octet, 1), 1);
    EXPECT_EQ(octet, 'x');
    calls.close(client);
    calls.close(server);
  });
}

// req: 9293-MUST-30
TEST_P(Stream, UrgentByteIsReadOutOfBand) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "ab"), 2);
    EXPECT_EQ(send(client, "!", MSG_OOB), 1);
    EXPECT_EQ(poll(server, POLLPRI, 1000), POLLPRI);
    EXPECT_EQ(receive(server, 1, MSG_OOB), "!");
    EXPECT_FALSE(at_mark(server));
    EXPECT_EQ(receive(server), "ab");
    EXPECT_TRUE(at_mark(server));
    EXPECT_EQ(receive(server, 1, MSG_OOB), "<EINVAL>");
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Stream, TruncatedReadsThrowBytesAway) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "throw me away, keep this"), 24);
    EXPECT_EQ(poll(server, POLLIN, 1000), POLLIN);
    EXPECT_EQ(calls.recv(server, nullptr, 0, MSG_DONTWAIT), 0);
    std::string into(15, 'z');
    EXPECT_EQ(calls.recv(server, into.data(), into.size(), MSG_TRUNC), 15);
    EXPECT_EQ(into, std::string(15, 'z'));
    EXPECT_EQ(receive(server), "keep this");
    calls.close(client);
    calls.close(server);
  });
}

// In the stream it is a byte like any other, and the mark says which; a read stops in front of it.
// req: 9293-MUST-33
TEST_P(Stream, TheMarkTellsWhereTheUrgentByteStands) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(set(server, SOL_SOCKET, SO_OOBINLINE, 1), 0);
    EXPECT_EQ(send(client, "ab"), 2);
    EXPECT_EQ(send(client, "!", MSG_OOB), 1);
    EXPECT_EQ(send(client, "cd"), 2);
    EXPECT_EQ(poll(server, POLLPRI, 1000), POLLPRI);
    EXPECT_FALSE(at_mark(server));
    EXPECT_EQ(receive(server, 2), "ab");
    EXPECT_TRUE(at_mark(server));
    EXPECT_EQ(receive(server, 1), "!");
    EXPECT_FALSE(at_mark(server));
    calls.close(client);
    calls.close(server);
  });
}

}  // namespace limpid::api
