// epoll.
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/api/worlds.h"

namespace limpid::api {

class EpollTest : public SocketTest {
 protected:
  int create() {
    const int fd = calls.epoll_create1(0);
    EXPECT_GE(fd, 0) << std::strerror(errno);
    return fd;
  }
  // 0, or the errno.
  int control(int set, int operation, int fd, uint32_t events, uint64_t data) {
    epoll_event event{.events = events, .data = {.u64 = data}};
    return calls.epoll_ctl(set, operation, fd, &event) == 0 ? 0 : errno;
  }
  int add(int set, int fd, uint32_t events, uint64_t data = 0) {
    return control(set, EPOLL_CTL_ADD, fd, events, data != 0 ? data : static_cast<uint64_t>(fd));
  }
  int modify(int set, int fd, uint32_t events, uint64_t data = 0) {
    return control(set, EPOLL_CTL_MOD, fd, events, data != 0 ? data : static_cast<uint64_t>(fd));
  }
  int remove(int set, int fd) { return calls.epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr) == 0 ? 0 : errno; }
  struct Told {
    uint32_t events;
    uint64_t data;
    friend bool operator==(const Told&, const Told&) = default;
  };
  std::vector<Told> wait(int set, int timeout_ms = 0, int most = 16) {
    std::vector<epoll_event> events(static_cast<size_t>(most));
    const int count = calls.epoll_wait(set, events.data(), most, timeout_ms);
    EXPECT_GE(count, 0) << std::strerror(errno);
    std::vector<Told> told;
    for (int i = 0; i < count; ++i)
      told.push_back({events[static_cast<size_t>(i)].events, events[static_cast<size_t>(i)].data.u64});
    return told;
  }
  // The events of the only entry that is told of; 0: none.
  uint32_t one(int set, int timeout_ms = 0) {
    const auto told = wait(set, timeout_ms);
    EXPECT_LE(told.size(), 1u);
    return told.empty() ? 0 : told[0].events;
  }
  void close_all(std::initializer_list<int> fds) {
    for (const int fd : fds) EXPECT_EQ(calls.close(fd), 0);
  }
  static constexpr int kSoon = 1000;
};
INSTANTIATE_TEST_SUITE_P(On, EpollTest,
                         testing::Values(Where::kernel, Where::real, Where::sim, Where::real_queues, Where::sim_queues),
                         name_of);

// req: SOCK-poll-5
TEST_P(EpollTest, LevelTriggeredRepeatsWhileItHolds) {
  run([&] {
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(add(set, server, EPOLLIN, 0x1234567890abcdef), 0);
    EXPECT_EQ(one(set), 0u);
    EXPECT_EQ(send(client, "ab"), 2);
    EXPECT_EQ(wait(set, kSoon), (std::vector<Told>{{EPOLLIN, 0x1234567890abcdef}}));
    EXPECT_EQ(one(set), EPOLLIN);
    EXPECT_EQ(receive(server, 1), "a");
    EXPECT_EQ(one(set), EPOLLIN);
    EXPECT_EQ(receive(server, 1), "b");
    EXPECT_EQ(one(set), 0u);
    close_all({client, server, set});
  });
}

// req: SOCK-poll-5
TEST_P(EpollTest, EdgeTriggeredTellsOnceForEachArrival) {
  run([&] {
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(add(set, server, EPOLLIN | EPOLLET), 0);
    EXPECT_EQ(send(client, "abcd"), 4);
    EXPECT_EQ(one(set, kSoon), EPOLLIN);
    EXPECT_EQ(one(set), 0u);
    EXPECT_EQ(receive(server, 2), "ab");
    EXPECT_EQ(one(set), 0u);
    EXPECT_EQ(send(client, "e"), 1);
    EXPECT_EQ(one(set, kSoon), EPOLLIN);
    EXPECT_EQ(receive(server), "cde");
    EXPECT_EQ(one(set), 0u);
    EXPECT_EQ(send(client, "f"), 1);
    EXPECT_EQ(one(set, kSoon), EPOLLIN);
    close_all({client, server, set});
  });
}

// req: SOCK-poll-5
TEST_P(EpollTest, EdgeTriggeredWritableOnlyAfterItWasFull) {
  run([&] {
    const auto [client, server] = narrow_pair();
    const int set = create();
    EXPECT_EQ(add(set, client, EPOLLOUT | EPOLLET), 0);
    EXPECT_EQ(one(set), EPOLLOUT);
    EXPECT_EQ(send(client, "x"), 1);
    EXPECT_EQ(poll(server, POLLIN, kSoon), POLLIN);
    pause(std::chrono::milliseconds(50));  // until its ACK is there
    EXPECT_EQ(one(set), 0u);
    set_nonblocking(client);
    set_nonblocking(server);
    while (send(client, std::string(4096, 'f')) > 0) {
    }
    EXPECT_EQ(one(set), 0u);
    auto reader = thread([&] {
      for (int i = 0; i < 200; ++i) {
        while (receive(server, 65'536)[0] == 'f') {
        }
        pause(std::chrono::milliseconds(2));
      }
    });
    EXPECT_EQ(one(set, 5000), EPOLLOUT);
    reader.join();
    close_all({client, server, set});
  });
}

// req: SOCK-poll-6
TEST_P(EpollTest, OneShotIsSilentUntilItIsArmedAgain) {
  run([&] {
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(add(set, server, EPOLLIN | EPOLLONESHOT), 0);
    EXPECT_EQ(send(client, "a"), 1);
    EXPECT_EQ(one(set, kSoon), EPOLLIN);
    EXPECT_EQ(send(client, "b"), 1);
    EXPECT_EQ(calls.shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(one(set, 20), 0u);
    EXPECT_EQ(modify(set, server, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, 99), 0);
    EXPECT_EQ(wait(set, kSoon), (std::vector<Told>{{EPOLLIN | EPOLLRDHUP, 99}}));
    EXPECT_EQ(one(set), 0u);
    close_all({client, server, set});
  });
}

// req: SOCK-poll-6
TEST_P(EpollTest, ModifyTellsOfWhatHoldsAlready) {
  run([&] {
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(send(client, "a"), 1);
    EXPECT_EQ(poll(server, POLLIN, kSoon), POLLIN);
    EXPECT_EQ(add(set, server, EPOLLPRI | EPOLLET), 0);
    EXPECT_EQ(one(set), 0u);
    EXPECT_EQ(modify(set, server, EPOLLIN | EPOLLOUT | EPOLLET), 0);
    EXPECT_EQ(one(set), EPOLLIN | EPOLLOUT);
    EXPECT_EQ(one(set), 0u);
    EXPECT_EQ(remove(set, server), 0);
    EXPECT_EQ(send(client, "b"), 1);
    EXPECT_EQ(one(set, 20), 0u);
    close_all({client, server, set});
  });
}

// req: SOCK-poll-6
TEST_P(EpollTest, AClosedDescriptorVanishes) {
  run([&] {
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(add(set, server, EPOLLIN), 0);
    EXPECT_EQ(send(client, "a"), 1);
    EXPECT_EQ(one(set, kSoon), EPOLLIN);
    EXPECT_EQ(calls.close(server), 0);
    EXPECT_EQ(one(set), 0u);
    const int another = udp();
    EXPECT_EQ(another, server);  // the same number: but not the same entry
    EXPECT_EQ(modify(set, another, EPOLLOUT), ENOENT);
    EXPECT_EQ(add(set, another, EPOLLOUT), 0);
    EXPECT_EQ(one(set), EPOLLOUT);
    close_all({client, another, set});
  });
}

// req: SOCK-poll-6
TEST_P(EpollTest, AnExclusiveListenerWakesOneOfTheSets) {
  run([&] {
    const int listening = listener();
    constexpr int kSets = 4;
    std::vector<int> sets;
    std::vector<uint32_t> told(kSets, 0);
    for (int i = 0; i < kSets; ++i) {
      sets.push_back(create());
      EXPECT_EQ(add(sets.back(), listening, EPOLLIN | EPOLLEXCLUSIVE), 0);
      EXPECT_EQ(modify(sets.back(), listening, EPOLLIN), EINVAL);
    }
    std::vector<std::unique_ptr<Thread>> threads;
    for (int i = 0; i < kSets; ++i) {
      threads.push_back(std::make_unique<Thread>(
          calls, [&, i] { told[static_cast<size_t>(i)] = one(sets[static_cast<size_t>(i)], 400); }));
    }
    pause(std::chrono::milliseconds(100));
    const int client = tcp();
    EXPECT_EQ(connect(client, name(listening)), 0);
    for (auto& t : threads) t->join();
    EXPECT_EQ(std::count(told.begin(), told.end(), uint32_t{EPOLLIN}), 1);
    for (const int set : sets) calls.close(set);
    close_all({client, listening});
  });
}

// req: SOCK-poll-6
TEST_P(EpollTest, HangUpAndErrorComeUnasked) {
  run([&] {
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(add(set, client, 0), 0);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    EXPECT_EQ(calls.setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    calls.close(server);
    EXPECT_EQ(one(set, kSoon), EPOLLERR | EPOLLHUP);
    EXPECT_EQ(get(client, SOL_SOCKET, SO_ERROR), ECONNRESET);
    EXPECT_EQ(one(set), EPOLLHUP);
    close_all({client, set});
  });
}

TEST_P(EpollTest, SeveralThreadsShareOneSet) {
  run([&] {
    constexpr int kPairs = 6;
    const int set = create();
    std::vector<Pair> pairs;
    for (int i = 0; i < kPairs; ++i) {
      pairs.push_back(pair());
      EXPECT_EQ(add(set, pairs.back().server, EPOLLIN | EPOLLONESHOT), 0);
    }
    std::vector<std::vector<Told>> told(kPairs);
    std::vector<std::unique_ptr<Thread>> threads;
    for (size_t i = 0; i < kPairs; ++i)
      threads.push_back(std::make_unique<Thread>(calls, [&, i] { told[i] = wait(set, 5000, 1); }));
    pause(std::chrono::milliseconds(20));
    for (const Pair& p : pairs) EXPECT_EQ(send(p.client, "x"), 1);
    for (auto& t : threads) t->join();
    std::vector<uint64_t> served;
    for (const auto& t : told) {
      ASSERT_EQ(t.size(), 1u);
      served.push_back(t[0].data);
    }
    std::sort(served.begin(), served.end());
    EXPECT_EQ(std::unique(served.begin(), served.end()), served.end());  // each thread another
    for (const Pair& p : pairs) close_all({p.client, p.server});
    close_all({set});
  });
}

TEST_P(EpollTest, FewEventsAtATimeGoRound) {
  run([&] {
    const int set = create();
    std::vector<Pair> pairs;
    for (int i = 0; i < 3; ++i) {
      pairs.push_back(pair());
      EXPECT_EQ(add(set, pairs.back().server, EPOLLIN), 0);
      EXPECT_EQ(send(pairs.back().client, "x"), 1);
      EXPECT_EQ(poll(pairs.back().server, POLLIN, kSoon), POLLIN);
    }
    std::vector<uint64_t> seen;
    for (int i = 0; i < 6; ++i) seen.push_back(wait(set, 0, 1).at(0).data);
    for (const Pair& p : pairs) {
      EXPECT_GT(std::ranges::count(seen, static_cast<uint64_t>(p.server)), 0) << "nobody is left out";
    }
    for (size_t i = 0; i < 3 && !place.has_queues(); ++i) {  // with several stacks these go round among themselves
      EXPECT_EQ(seen[i], static_cast<uint64_t>(pairs[i].server));
      EXPECT_EQ(seen[i + 3], seen[i]);
    }
    for (const Pair& p : pairs) close_all({p.client, p.server});
    close_all({set});
  });
}

TEST_P(EpollTest, ASetCanBePolledAndStandInAnother) {
  run([&] {
    const auto [client, server] = pair();
    const int inner = create();
    const int outer = create();
    EXPECT_EQ(add(inner, server, EPOLLIN), 0);
    EXPECT_EQ(add(outer, inner, EPOLLIN), 0);
    EXPECT_EQ(poll(inner, POLLIN), 0);
    EXPECT_EQ(one(outer), 0u);
    auto later = thread([&] {
      pause(std::chrono::milliseconds(20));
      EXPECT_EQ(send(client, "x"), 1);
    });
    EXPECT_EQ(wait(outer, 5000), (std::vector<Told>{{EPOLLIN, static_cast<uint64_t>(inner)}}));
    later.join();
    EXPECT_EQ(poll(inner, POLLIN), POLLIN);
    EXPECT_EQ(receive(server), "x");
    EXPECT_EQ(poll(inner, POLLIN), 0);
    EXPECT_EQ(one(outer), 0u);
    close_all({inner});
    EXPECT_EQ(remove(outer, inner), EBADF);
    close_all({client, server, outer});
  });
}

TEST_P(EpollTest, SetsInACircleOrTooDeepAreRefused) {
  run([&] {
    std::vector<int> sets{create()};
    for (int i = 0; i < 4; ++i) {
      sets.push_back(create());
      EXPECT_EQ(add(sets.back(), sets[sets.size() - 2], EPOLLIN), 0);
    }
    const int one_more = create();
    EXPECT_EQ(add(one_more, sets.back(), EPOLLIN), ELOOP);
    EXPECT_EQ(add(sets.front(), sets.back(), EPOLLIN), ELOOP);
    EXPECT_EQ(add(sets.front(), sets.front(), EPOLLIN), EINVAL);
    for (const int set : sets) calls.close(set);
    calls.close(one_more);
  });
}

// The one who sleeps in poll() began before the set had anything of the kernel's.
TEST_P(EpollTest, PollAsleepOnASetNoticesItsFirstKernelDescriptor) {
  if (place.is_sim()) GTEST_SKIP() << "a kernel's descriptor wakes nobody in virtual time";
  run([&] {
    const int event = calls.adopt(::eventfd(1, EFD_NONBLOCK));
    const int set = create();
    short told = 0;
    auto sleeper = thread([&] { told = poll(set, POLLIN, 5000); });
    pause(std::chrono::milliseconds(50));
    EXPECT_EQ(add(set, event, EPOLLIN), 0);
    sleeper.join();
    EXPECT_EQ(told, POLLIN);
    close_all({set, event});
  });
}

// Ours and the kernel's in one set.
TEST_P(EpollTest, KernelDescriptorsMix) {
  run([&] {
    const int event = calls.adopt(::eventfd(0, EFD_NONBLOCK));
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(add(set, server, EPOLLIN), 0);
    EXPECT_EQ(add(set, event, EPOLLIN | EPOLLET, 0xfeedfacecafebeef), 0);
    EXPECT_EQ(add(set, event, EPOLLIN), EEXIST);
    EXPECT_EQ(one(set, 10), 0u);
    const uint64_t count = 3;
    EXPECT_EQ(calls.write(event, &count, sizeof count), ssize_t{sizeof count});
    EXPECT_EQ(wait(set, kSoon), (std::vector<Told>{{EPOLLIN, 0xfeedfacecafebeef}}));
    EXPECT_EQ(one(set), 0u);
    auto later = thread([&] {
      pause(std::chrono::milliseconds(20));
      EXPECT_EQ(send(client, "x"), 1);
    });
    EXPECT_EQ(wait(set, 5000), (std::vector<Told>{{EPOLLIN, static_cast<uint64_t>(server)}}));
    later.join();
    EXPECT_EQ(calls.write(event, &count, sizeof count), ssize_t{sizeof count});
    EXPECT_EQ(wait(set).size(), 2u);
    EXPECT_EQ(poll(set, POLLIN), POLLIN);
    close_all({event});
    EXPECT_EQ(one(set), EPOLLIN);
    close_all({client, server, set});
  });
}

TEST_P(EpollTest, WhatIsWrongIsSaid) {
  run([&] {
    const auto [client, server] = pair();
    const int set = create();
    EXPECT_EQ(calls.epoll_create1(1 << 3), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(add(set, server, EPOLLIN), 0);
    EXPECT_EQ(add(set, server, EPOLLIN), EEXIST);
    EXPECT_EQ(modify(set, client, EPOLLIN), ENOENT);
    EXPECT_EQ(remove(set, client), ENOENT);
    EXPECT_EQ(add(set, 9999, EPOLLIN), EBADF);
    EXPECT_EQ(add(9999, server, EPOLLIN), EBADF);
    EXPECT_EQ(add(client, server, EPOLLIN), EINVAL);
    EXPECT_EQ(control(set, 17, client, EPOLLIN, 0), EINVAL);
    EXPECT_EQ(add(set, client, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    EXPECT_EQ(calls.epoll_ctl(set, EPOLL_CTL_ADD, client, nullptr), -1);
    EXPECT_EQ(errno, EFAULT);
    epoll_event event;
    EXPECT_EQ(calls.epoll_wait(set, &event, 0, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.epoll_wait(client, &event, 1, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(calls.epoll_wait(9999, &event, 1, 0), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(calls.send(set, "x", 1, 0), -1);
    EXPECT_EQ(errno, ENOTSOCK);
    const int file = calls.adopt(::open("/dev/null", O_RDONLY));
    const int memory = calls.adopt(::memfd_create("file", 0));
    EXPECT_EQ(add(set, memory, EPOLLIN), EPERM);
    close_all({client, server, set, file, memory});
  });
}

TEST_P(EpollTest, TimeoutsAreKept) {
  run([&] {
    const int set = create();
    const auto began = now();
    EXPECT_EQ(one(set, 30), 0u);
    EXPECT_GE(now() - began, std::chrono::milliseconds(29));
    epoll_event event;
    const timespec brief{.tv_sec = 0, .tv_nsec = 2'000'000};
    EXPECT_EQ(calls.epoll_pwait2(set, &event, 1, &brief, nullptr), 0);
    EXPECT_GE(now() - began, std::chrono::milliseconds(31));
    EXPECT_LT(now() - began, std::chrono::seconds(5));
    close_all({set});
  });
}

class EpollSignalTest : public EpollTest {};
INSTANTIATE_TEST_SUITE_P(On, EpollSignalTest, testing::Values(Where::kernel, Where::real, Where::real_queues), name_of);

// A signal that is blocked but for the wait ends the wait, even one that was there before.
TEST_P(EpollSignalTest, PwaitLetsSignalsIn) {
  run([&] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    EXPECT_EQ(::sigaction(SIGUSR1, &action, nullptr), 0);
    sigset_t blocked;
    sigset_t before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    const int set = create();
    EXPECT_EQ(pthread_kill(pthread_self(), SIGUSR1), 0);
    epoll_event event;
    EXPECT_EQ(calls.epoll_pwait(set, &event, 1, 20, nullptr), 0);
    EXPECT_EQ(calls.epoll_pwait(set, &event, 1, 5000, &before), -1);
    EXPECT_EQ(errno, EINTR);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
    close_all({set});
  });
}

}  // namespace limpid::api
