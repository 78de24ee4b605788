// lp_send_reserve, lp_send_commit, lp_recv_borrow, lp_recv_return: on ours without a copy, on the kernel's by one.
#include <algorithm>
#include <csignal>

#include "tests/api/worlds.h"

namespace limpid::api {

namespace {

// Reserved, filled with letters from `at` on, and committed. How many went, or -1.
ssize_t put(const SocketCalls& calls, int fd, size_t length, size_t at = 0, int flags = 0) {
  lp_loan* room = nullptr;
  const ssize_t n = calls.send_reserve(fd, &room, length, flags | MSG_NOSIGNAL);
  if (n < 0) return n;
  size_t i = at;
  for (int p = 0; p < room->count; ++p) {
    char* const bytes = static_cast<char*>(room->pieces[p].iov_base);
    for (size_t k = 0; k < room->pieces[p].iov_len; ++k, ++i) bytes[k] = static_cast<char>('a' + i % 26);
  }
  EXPECT_EQ(i - at, room->length);
  return calls.send_commit(room, static_cast<size_t>(n), flags | MSG_NOSIGNAL);
}

std::string text_of(const lp_loan* loan) {
  std::string text;
  for (int p = 0; p < loan->count; ++p)
    text.append(static_cast<const char*>(loan->pieces[p].iov_base), loan->pieces[p].iov_len);
  EXPECT_EQ(text.size(), loan->length);
  return text;
}

// What one borrow gives, as SocketTest::receive tells it.
std::string take(const SocketCalls& calls, int fd, size_t most = 4096, int flags = 0) {
  lp_loan* loan = nullptr;
  const ssize_t n = calls.recv_borrow(fd, &loan, most, flags);
  if (n <= 0) {
    EXPECT_EQ(loan, nullptr);
    return n == 0 ? "<end>" : std::string("<") + strerrorname_np(errno) + ">";
  }
  EXPECT_EQ(static_cast<size_t>(n), loan->length);
  std::string text = text_of(loan);
  EXPECT_EQ(calls.recv_return(loan), 0);
  return text;
}

std::string letters(size_t from, size_t n) {
  std::string text(n, '\0');
  for (size_t i = 0; i < n; ++i) text[i] = static_cast<char>('a' + (from + i) % 26);
  return text;
}

volatile sig_atomic_t g_pipes = 0;
void count_pipe(int) { g_pipes = g_pipes + 1; }

}  // namespace

API_TEST_SUITE(InPlace);

// What no kernel socket has to agree with: ours alone.
class Loans : public SocketTest {
 protected:
  lp_loan* reserve(int fd, size_t length) {
    lp_loan* room = nullptr;
    EXPECT_GT(calls.send_reserve(fd, &room, length, 0), 0) << std::strerror(errno);
    return room;
  }
  lp_loan* borrow(int fd, size_t length) {
    lp_loan* loan = nullptr;
    EXPECT_GT(calls.recv_borrow(fd, &loan, length, 0), 0) << std::strerror(errno);
    return loan;
  }
  // Takes all the room that the socket has.
  std::vector<lp_loan*> reserve_all(int fd) {
    std::vector<lp_loan*> rooms;
    lp_loan* room = nullptr;
    while (calls.send_reserve(fd, &room, 1 << 20, MSG_DONTWAIT) > 0) rooms.push_back(room);
    EXPECT_EQ(errno, EAGAIN);
    return rooms;
  }
};
INSTANTIATE_TEST_SUITE_P(On, Loans, testing::Values(Where::real, Where::sim, Where::real_queues, Where::sim_queues),
                         name_of);

TEST_P(InPlace, BytesArriveAsTheyWereWritten) {
  run([&] {
    const auto [client, server] = pair();
    constexpr size_t kAll = 3'000'000;
    auto writer = thread([&] {
      size_t step = 1;
      for (size_t sent = 0; sent < kAll; step = step * 7 % 200'003) {
        const ssize_t n = put(calls, client, std::min(step, kAll - sent), sent);
        ASSERT_GT(n, 0) << std::strerror(errno);
        sent += static_cast<size_t>(n);
      }
      EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    });
    std::string got;
    size_t step = 5;
    for (;;) {
      lp_loan* loan = nullptr;
      const ssize_t n = calls.recv_borrow(server, &loan, step, 0);
      ASSERT_GE(n, 0) << std::strerror(errno);
      if (n == 0) break;
      got += text_of(loan);
      EXPECT_LE(loan->length, step);
      EXPECT_EQ(calls.recv_return(loan), 0);
      step = step * 11 % 100'003;
    }
    writer.join();
    EXPECT_TRUE(got == letters(0, kAll));
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(InPlace, MixesWithSendAndReceive) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(client, "one "), 4);
    EXPECT_EQ(put(calls, client, 3), 3);
    EXPECT_EQ(send(client, " three"), 6);
    EXPECT_EQ(receive(server, 2, MSG_WAITALL), "on");
    EXPECT_EQ(take(calls, server, 3), "e a");
    EXPECT_EQ(receive(server, 8, MSG_WAITALL), "bc three");
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(InPlace, ErrorsAreThoseOfSendAndReceive) {
  run([&] {
    const auto [client, server] = pair();
    const int lonely = tcp();
    const int datagrams = udp();
    lp_loan* loan = nullptr;
    EXPECT_EQ(calls.send_reserve(-1, &loan, 1, 0), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(calls.send_reserve(client, nullptr, 1, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(calls.send_reserve(client, &loan, 0, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.send_reserve(client, &loan, 1, MSG_FASTOPEN), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    EXPECT_EQ(calls.send_reserve(datagrams, &loan, 1, 0), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    EXPECT_EQ(calls.recv_borrow(datagrams, &loan, 1, 0), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    EXPECT_EQ(calls.recv_borrow(client, &loan, 1, MSG_PEEK), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    EXPECT_EQ(take(calls, lonely), "<ENOTCONN>");
    EXPECT_EQ(put(calls, lonely, 1), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(take(calls, client, 1, MSG_DONTWAIT), "<EAGAIN>");
    set_timeout(client, SO_RCVTIMEO, std::chrono::milliseconds(30));
    EXPECT_EQ(take(calls, client, 1), "<EAGAIN>");
    EXPECT_EQ(calls.send_commit(nullptr, 0, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.recv_return(nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    for (const int fd : {client, server, lonely, datagrams}) calls.close(fd);
  });
}

TEST_P(InPlace, ALoanIsGivenBackByItsOwnCallAndNotBeyondItsLength) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(server, "x"), 1);
    lp_loan* room = nullptr;
    lp_loan* text = nullptr;
    ASSERT_EQ(calls.send_reserve(client, &room, 5, 0), 5);
    ASSERT_EQ(calls.recv_borrow(client, &text, 5, 0), 1);
    EXPECT_EQ(calls.send_commit(text, 0, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.recv_return(room), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.send_commit(room, 6, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.send_commit(room, 0, 0), 0);
    EXPECT_EQ(calls.recv_return(text), 0);
    calls.close(client);
    EXPECT_EQ(take(calls, server), "<end>");
    calls.close(server);
  });
}

TEST_P(InPlace, AfterTheTextComesTheEndAndAfterAResetItsError) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(put(calls, client, 3), 3);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(take(calls, server), "abc");
    EXPECT_EQ(take(calls, server), "<end>");
    calls.setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    calls.close(client);
    calls.close(server);

    const auto [second, peer] = pair();
    calls.setsockopt(second, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    calls.close(second);
    EXPECT_EQ(take(calls, peer), "<ECONNRESET>");
    EXPECT_EQ(put(calls, peer, 1), -1);
    EXPECT_EQ(errno, EPIPE);
    calls.close(peer);
  });
}

TEST_P(InPlace, TheCppFaceGivesBackWhatItsOwnerForgets) {
  run([&] {
    const auto [client, server] = pair();
    Socket left(calls, client), right(calls, server);
    {
      Reservation room = left.reserve(100);
      EXPECT_EQ(room.count(), 1u);
      std::ranges::fill(room[0], std::byte{'x'});
      Reservation moved = std::move(room);
      EXPECT_TRUE(room.empty());  // NOLINT(bugprone-use-after-move)
    }
    Reservation room = left.reserve(3);
    std::memcpy(room[0].data(), "abc", 3);
    EXPECT_THROW(room.commit(4), std::system_error);
    EXPECT_EQ(room.size(), 3u);  // it is still out
    EXPECT_EQ(room.commit(3), 3u);
    EXPECT_TRUE(room.empty());
    EXPECT_EQ(right.borrow(1)[0][0], std::byte{'a'});
    EXPECT_EQ(right.borrow(100).size(), 2u);
    EXPECT_FALSE(right.try_borrow(100, MSG_DONTWAIT));
    left.shutdown_send();
    EXPECT_TRUE(right.borrow(100).empty());
    EXPECT_THROW((void)left.reserve(1).commit(1), std::system_error);
  });
}

TEST_P(InPlace, AReaderIsWokenByACommit) {
  run([&] {
    const auto [client, server] = pair();
    auto reader = thread([&] { EXPECT_EQ(take(calls, server), "abcde"); });
    pause(std::chrono::milliseconds(20));
    EXPECT_EQ(put(calls, client, 5), 5);
    reader.join();
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Loans, AWriterWaitsUntilReservedRoomIsGivenBack) {
  run([&] {
    const auto [client, server] = pair();
    set(client, SOL_SOCKET, SO_SNDBUF, 64 * 1024);
    const std::vector<lp_loan*> rooms = reserve_all(client);
    ASSERT_FALSE(rooms.empty());
    EXPECT_EQ(send(client, "x", MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(poll(client, POLLOUT), 0);
    set_timeout(client, SO_SNDTIMEO, std::chrono::milliseconds(30));
    lp_loan* none = nullptr;
    EXPECT_EQ(calls.send_reserve(client, &none, 1, 0), -1);
    EXPECT_EQ(errno, EAGAIN);
    set_timeout(client, SO_SNDTIMEO, std::chrono::milliseconds(0));
    auto writer = thread([&] { EXPECT_EQ(put(calls, client, 3), 3); });
    pause(std::chrono::milliseconds(20));
    for (lp_loan* room : rooms) EXPECT_EQ(calls.send_commit(room, 0, 0), 0);
    EXPECT_EQ(take(calls, server), "abc");
    writer.join();
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Loans, CommittedBytesStayTogetherAndWaitForAWriterThatIsInTheMiddle) {
  run([&] {
    const auto [client, server] = narrow_pair();
    set(client, SOL_SOCKET, SO_SNDBUF, 16 * 1024);
    lp_loan* const room = reserve(client, 3);
    std::memcpy(room->pieces[0].iov_base, "abc", 3);
    const std::string block(400'000, '.');
    auto writer = thread([&] { EXPECT_EQ(send(client, block), static_cast<ssize_t>(block.size())); });
    while (poll(client, POLLOUT) != 0) pause(std::chrono::milliseconds(1));
    EXPECT_EQ(calls.send_commit(room, 3, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
    auto committer = thread([&] { EXPECT_EQ(calls.send_commit(room, 3, 0), 3); });
    std::string got;
    while (got.size() < block.size() + 3) got += take(calls, server, 100'000);
    EXPECT_TRUE(got == block + "abc");
    writer.join();
    committer.join();
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Loans, OutliveTheDescriptor) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(server, "still here"), 10);
    lp_loan* const text = borrow(client, 100);
    lp_loan* const other = reserve(client, 10);
    lp_loan* const room = reserve(client, 100'000);
    calls.close(client);
    EXPECT_EQ(take(calls, server), "<end>");  // what was borrowed was read: no reset
    calls.close(server);
    EXPECT_EQ(text_of(text), "still here");
    for (int p = 0; p < room->count; ++p) std::memset(room->pieces[p].iov_base, 'x', room->pieces[p].iov_len);
    EXPECT_EQ(calls.send_commit(room, 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(calls.send_commit(other, 0, 0), 0);
    EXPECT_EQ(calls.recv_return(text), 0);
  });
}

TEST_P(Loans, AfterShutdownACommitBreaksThePipeWithASignalUnlessAsked) {
  run([&] {
    struct sigaction before{};
    struct sigaction count{};
    count.sa_handler = count_pipe;
    sigaction(SIGPIPE, &count, &before);
    g_pipes = 0;
    const auto [client, server] = pair();
    lp_loan* const one = reserve(client, 10);
    lp_loan* const two = reserve(client, 10);
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(calls.send_commit(one, 10, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(g_pipes, 0);
    EXPECT_EQ(calls.send_commit(two, 10, 0), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(g_pipes, 1);
    EXPECT_EQ(take(calls, server), "<end>");
    sigaction(SIGPIPE, &before, nullptr);
    calls.close(client);
    calls.close(server);
  });
}

TEST_P(Loans, AResetEndsAReservationAtItsCommit) {
  run([&] {
    const auto [client, server] = pair();
    lp_loan* const room = reserve(client, 10);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    calls.setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    calls.close(server);
    poll(client, POLLIN, 1000);
    EXPECT_EQ(calls.send_commit(room, 10, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, ECONNRESET);
    calls.close(client);
  });
}

TEST_P(Loans, ASenderIsHeldBackUntilBorrowedBytesAreReturned) {
  run([&] {
    const auto [client, server] = narrow_pair();
    set_nonblocking(client);
    size_t sent = 0;
    const std::string block(4096, '.');
    const auto send_all = [&] {
      for (int quiet = 0; quiet < 3;) {
        const ssize_t n = send(client, block);
        if (n > 0) sent += static_cast<size_t>(n);
        quiet = n > 0 ? 0 : quiet + 1;
        pause(std::chrono::milliseconds(2));
      }
    };
    set(client, SOL_SOCKET, SO_SNDBUF, 4096);
    send_all();
    std::vector<lp_loan*> loans;
    size_t lent = 0;
    lp_loan* loan = nullptr;
    while (calls.recv_borrow(server, &loan, 1 << 20, MSG_DONTWAIT) > 0) {
      lent += loan->length;
      loans.push_back(loan);
    }
    EXPECT_GT(lent, 1000u);
    send_all();
    EXPECT_LT(sent, 100'000u);  // both buffers, but no window over what is lent
    for (lp_loan* l : loans) EXPECT_EQ(calls.recv_return(l), 0);
    set_timeout(server, SO_RCVTIMEO, std::chrono::seconds(10));
    size_t got = lent;
    while (got < sent) {
      const std::string more = take(calls, server, 1 << 20);
      ASSERT_EQ(more[0], '.') << more;
      got += more.size();
    }
    EXPECT_EQ(got, sent);
    calls.close(client);
    calls.close(server);
  });
}

// Loans that nobody gives back end with their host (and leak nothing: AddressSanitizer looks).
TEST_P(Loans, EndWithTheirHost) {
  run([&] {
    const auto [client, server] = pair();
    EXPECT_EQ(send(server, "never returned"), 14);
    (void)borrow(client, 100);
    (void)reserve(client, 100'000);
    calls.close(client);
    (void)reserve(server, 10);
  });
}

// Each thread writes records of its own length; in the stream they stay whole.
TEST_P(Loans, OfManyThreadsOnOneSocketDoNotMix) {
  run([&] {
    const auto [client, server] = pair();
    constexpr size_t kThreads = 4, kRecords = 200;
    const auto length_of = [](size_t who, size_t record) { return 2 + who * 7 + record * 131 % 12'000; };
    {
      std::vector<std::unique_ptr<Thread>> writers;
      for (size_t who = 0; who < kThreads; ++who)
        writers.push_back(std::make_unique<Thread>(calls, [&, who] {
          for (size_t record = 0; record < kRecords; ++record) {
            const size_t wanted = length_of(who, record);
            lp_loan* room = nullptr;
            while (calls.send_reserve(client, &room, wanted, 0) < static_cast<ssize_t>(wanted))
              ASSERT_EQ(calls.send_commit(room, 0, 0), 0);
            for (int p = 0; p < room->count; ++p)
              std::memset(room->pieces[p].iov_base, 'A' + static_cast<int>(who), room->pieces[p].iov_len);
            static_cast<char*>(room->pieces[0].iov_base)[0] = static_cast<char>('a' + who);
            ASSERT_EQ(calls.send_commit(room, wanted, 0), static_cast<ssize_t>(wanted));
          }
        }));
      std::string got;
      size_t all = 0;
      for (size_t who = 0; who < kThreads; ++who)
        for (size_t record = 0; record < kRecords; ++record) all += length_of(who, record);
      while (got.size() < all) got += take(calls, server, 50'000);
      std::vector<size_t> records(kThreads);
      for (size_t at = 0; at < got.size();) {
        const auto who = static_cast<size_t>(got[at] - 'a');
        ASSERT_LT(who, kThreads);
        const size_t n = length_of(who, records[who]++);
        ASSERT_TRUE(std::all_of(got.begin() + static_cast<ptrdiff_t>(at) + 1,
                                got.begin() + static_cast<ptrdiff_t>(at + n),
                                [&](char c) { return c == static_cast<char>('A' + who); }));
        at += n;
      }
      EXPECT_EQ(got.size(), all);
    }
    calls.close(client);
    calls.close(server);
  });
}

}  // namespace limpid::api
