// What only our hosts have: inheritance by threads, fork, stop, drain, the event descriptor, and the clock that a stop
// signal freezes.
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "stack/runtime/signals.h"
#include "tests/api/worlds.h"

namespace limpid::api {

class HostTest : public SocketTest {
 protected:
  void expect_interrupted_unless_it_restarts();
};
INSTANTIATE_TEST_SUITE_P(On, HostTest, testing::Values(Where::real, Where::real_queues), name_of);

TEST_P(HostTest, ThreadsInheritTheHostAndOthersHaveNone) {
  std::atomic<bool> inherited = false;
  thread([&] { inherited = Host::current() == &place.host(); }).join();
  EXPECT_TRUE(inherited);
  std::thread foreign([] {
    EXPECT_EQ(Host::current(), nullptr);
    EXPECT_EQ(lp_socket(AF_INET, SOCK_STREAM, 0), -1);
    EXPECT_EQ(errno, EBADF);
  });
  foreign.join();
}

TEST_P(HostTest, ChildOfAForkHasNoSockets) {
  const int fd = tcp();
  const pid_t child = fork();
  if (child == 0) {
    const bool refused = lp_listen(fd, 1) == -1 && errno == EBADF && lp_socket(AF_INET, SOCK_STREAM, 0) == -1 &&
                         lp_host_use(&place.host()) == nullptr && lp_socket(AF_INET, SOCK_STREAM, 0) == -1;
    _exit(refused ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(lp_listen(fd, 1), 0) << "the parent is as it was";
  calls.close(fd);
}

TEST_P(HostTest, StandardDescriptorsAreTheProcessesOwn) {
  EXPECT_EQ(lp_write(1, "", 0), 0);
  EXPECT_GE(tcp(), 3);
}

TEST_P(HostTest, StopEndsEveryWait) {
  const auto [client, server] = pair();
  const int listening = listener();
  std::atomic<int> ended = 0;
  auto reader = thread([&] {
    EXPECT_EQ(receive(server), "<ECANCELED>");
    ++ended;
  });
  auto accepter = thread([&] {
    EXPECT_EQ(calls.accept(listening, nullptr, nullptr), -1);
    EXPECT_EQ(errno, ECANCELED);
    ++ended;
  });
  auto poller = thread([&] {
    pollfd fd{server, POLLIN, 0};
    EXPECT_EQ(calls.poll(&fd, 1, -1), -1);
    EXPECT_EQ(errno, ECANCELED);
    ++ended;
  });
  auto sleeper = thread([&] {
    const timespec hour{.tv_sec = 3600, .tv_nsec = 0};
    EXPECT_EQ(calls.nanosleep(&hour, nullptr), -1);
    ++ended;
  });
  pause(std::chrono::milliseconds(30));
  lp_host_stop(&place.host());
  reader.join();
  accepter.join();
  poller.join();
  sleeper.join();
  EXPECT_EQ(ended, 4);
  EXPECT_EQ(send(client, "x"), 1) << "what need not wait goes on";
  for (const int fd : {client, server, listening}) calls.close(fd);
}

TEST_P(HostTest, EventDescriptorTellsOfNews) {
  const auto [client, server] = pair();
  const int events = lp_event_fd();
  ASSERT_GE(events, 0);
  uint64_t count = 0;
  (void)!::read(events, &count, sizeof count);
  pollfd kernel{events, POLLIN, 0};
  EXPECT_EQ(::poll(&kernel, 1, 0), 0);
  EXPECT_EQ(send(client, "news"), 4);
  EXPECT_EQ(::poll(&kernel, 1, 1000), 1);
  EXPECT_EQ(::read(events, &count, sizeof count), 8);
  EXPECT_EQ(poll(server, POLLIN), POLLIN);
  calls.close(client);
  calls.close(server);
}

TEST_P(HostTest, DrainsWhatWasClosed) {
  const auto [client, server] = narrow_pair();
  EXPECT_EQ(send(client, std::string(100'000, 'd')), 100'000);
  calls.close(client);
  EXPECT_EQ(lp_host_drain(&place.host(), 50), 1) << "the reader does not read";
  auto reader = thread([&] {
    std::vector<char> into(1 << 16);
    while (calls.recv(server, into.data(), into.size(), 0) > 0) {
    }
    calls.close(server);
  });
  EXPECT_EQ(lp_host_drain(&place.host(), 5000), 0);
}

// Many threads, each with conversations of its own, over one host.
// req: SOCK-thr-1
TEST_P(HostTest, ManyThreadsAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 40;
  const int listening = listener(64);
  std::atomic<bool> over = false;
  auto server = thread([&] {
    std::vector<std::unique_ptr<Thread>> conversations;
    while (!over) {
      const int fd = calls.accept(listening, nullptr, nullptr);
      if (fd < 0) break;
      conversations.push_back(std::make_unique<Thread>(calls, [this, fd] {
        char text[512];
        for (ssize_t n = 0; (n = calls.recv(fd, text, sizeof text, 0)) > 0;)
          if (calls.send(fd, text, static_cast<size_t>(n), MSG_NOSIGNAL) != n) break;
        calls.close(fd);
      }));
    }
  });
  std::vector<std::unique_ptr<Thread>> clients;
  for (int t = 0; t < kThreads; ++t) {
    clients.push_back(std::make_unique<Thread>(calls, [&, t] {
      for (int i = 0; i < kRounds; ++i) {
        const int fd = tcp();
        ASSERT_EQ(connect(fd, name(listening)), 0) << std::strerror(errno);
        const std::string text = std::to_string(t * 1000 + i);
        EXPECT_EQ(send(fd, text), static_cast<ssize_t>(text.size()));
        EXPECT_EQ(receive(fd, text.size(), MSG_WAITALL), text);
        calls.close(fd);
      }
    }));
  }
  clients.clear();
  over = true;
  calls.shutdown(listening, SHUT_RDWR);
  server.join();
  calls.close(listening);
}

// Two threads send on one socket: the bytes of one call stay together.
// req: SOCK-thr-1
TEST_P(HostTest, SendsOfTwoThreadsDoNotMix) {
  const auto [client, server] = narrow_pair();
  const size_t length = 50'000;
  auto a = thread([&] { EXPECT_EQ(send(client, std::string(length, 'a')), static_cast<ssize_t>(length)); });
  auto b = thread([&] { EXPECT_EQ(send(client, std::string(length, 'b')), static_cast<ssize_t>(length)); });
  std::string all(2 * length, '\0');
  EXPECT_EQ(calls.recv(server, all.data(), all.size(), MSG_WAITALL), static_cast<ssize_t>(all.size()));
  EXPECT_EQ(all.find_last_of(all[0]), length - 1);
  a.join();
  b.join();
  calls.close(client);
  calls.close(server);
}

// --- signals --------------------------------------------------------------------------------------------------------

namespace {
void ignore_it(int) {}
}  // namespace

void HostTest::expect_interrupted_unless_it_restarts() {
  const auto [client, server] = pair();
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = ignore_it;
  sigaction(SIGUSR1, &action, &before);
  std::atomic<pthread_t> reader_id{};
  std::atomic<bool> interrupted = false;
  std::atomic<bool> restarts = false;
  std::string first;
  std::string second;
  auto reader = thread([&] {
    reader_id = pthread_self();
    first = receive(server);
    interrupted = true;
    while (!restarts) pause(std::chrono::milliseconds(1));
    second = receive(server);
  });
  // Only a reader that waits is interrupted, and when it waits cannot be seen from here.
  while (!interrupted) {
    pause(std::chrono::milliseconds(30));
    if (reader_id != pthread_t{}) pthread_kill(reader_id, SIGUSR1);
  }
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  restarts = true;
  pause(std::chrono::milliseconds(30));
  pthread_kill(reader_id, SIGUSR1);
  pause(std::chrono::milliseconds(30));
  EXPECT_EQ(send(client, "at last"), 7);
  reader.join();
  EXPECT_EQ(first, "<EINTR>");
  EXPECT_EQ(second, "at last");
  sigaction(SIGUSR1, &before, nullptr);
  calls.close(client);
  calls.close(server);
}

// req: SOCK-recv-6
TEST_P(HostTest, SignalInterruptsAReaderUnlessItRestarts) { expect_interrupted_unless_it_restarts(); }

// The program has a handler of the other kind, too, and changes this one's between two calls.
TEST_P(HostTest, SignalInterruptsAReaderUnlessItRestartsBesideOneThatInterrupts) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = ignore_it;
  sigaction(SIGUSR2, &action, &before);
  expect_interrupted_unless_it_restarts();
  sigaction(SIGUSR2, &before, nullptr);
}

// A program may have handlers of both kinds, and each signal does what its own handler asks for.
// req: SOCK-recv-6
TEST_P(HostTest, EachSignalDoesWhatItsOwnHandlerAsksFor) {
  const auto [client, server] = pair();
  struct sigaction restarting{};
  struct sigaction interrupting{};
  struct sigaction before_usr1{};
  struct sigaction before_usr2{};
  restarting.sa_handler = ignore_it;
  restarting.sa_flags = SA_RESTART;
  interrupting.sa_handler = ignore_it;
  sigaction(SIGUSR1, &restarting, &before_usr1);
  sigaction(SIGUSR2, &interrupting, &before_usr2);
  std::atomic<pthread_t> reader_id{};
  std::atomic<bool> over = false;
  std::string first;
  std::string second;
  auto reader = thread([&] {
    reader_id = pthread_self();
    first = receive(server);
    second = receive(server);
    over = true;
  });
  pause(std::chrono::milliseconds(30));
  for (int i = 0; i < 10; ++i) {
    pthread_kill(reader_id, SIGUSR1);
    pause(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(send(client, "at last"), 7);
  while (!over) {
    pause(std::chrono::milliseconds(30));
    pthread_kill(reader_id, SIGUSR2);
  }
  reader.join();
  EXPECT_EQ(first, "at last");
  EXPECT_EQ(second, "<EINTR>");
  sigaction(SIGUSR1, &before_usr1, nullptr);
  sigaction(SIGUSR2, &before_usr2, nullptr);
  calls.close(client);
  calls.close(server);
}

// req: SOCK-send-5
TEST_P(HostTest, SignalDuringASendTellsWhatWasQueuedOrInterrupts) {
  const auto [client, server] = narrow_pair();
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = ignore_it;
  sigaction(SIGUSR1, &action, &before);
  std::atomic<pthread_t> writer_id{};
  std::atomic<bool> over = false;
  ssize_t first = 0;
  ssize_t second = 0;
  int error = 0;
  auto writer = thread([&] {
    writer_id = pthread_self();
    first = send(client, std::string(64 << 20, 's'));
    while (send(client, "fill", MSG_DONTWAIT) > 0) {
    }
    second = send(client, "more");
    error = errno;
    over = true;
  });
  // Only a call that waits is interrupted, and when it waits cannot be seen from here: signals come until both have
  // ended.
  while (!over) {
    pause(std::chrono::milliseconds(100));
    if (writer_id != pthread_t{}) pthread_kill(writer_id, SIGUSR1);
  }
  writer.join();
  EXPECT_GT(first, 0);
  EXPECT_LT(first, 64 << 20);
  EXPECT_EQ(second, -1);
  EXPECT_EQ(error, EINTR);
  sigaction(SIGUSR1, &before, nullptr);
  calls.close(client);
  calls.close(server);
}

// A listener whose queue is full leaves a client waiting; a signal ends the call, not the attempt.
// req: SOCK-connect-5
TEST_P(HostTest, SignalDuringAConnectLeavesTheAttemptGoingOn) {
  if (place.has_queues()) GTEST_SKIP() << "each stack has a queue of its own for the listener";
  const int listening = listener(0);
  const int first = tcp();
  EXPECT_EQ(connect(first, name(listening)), 0);
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = ignore_it;
  sigaction(SIGUSR1, &action, &before);
  std::atomic<pthread_t> id{};
  std::atomic<bool> over = false;
  const int client = tcp();
  int result = 0;
  int error = 0;
  auto caller = thread([&] {
    id = pthread_self();
    result = connect(client, name(listening));
    error = errno;
    over = true;
  });
  while (!over) {
    pause(std::chrono::milliseconds(30));
    if (id != pthread_t{}) pthread_kill(id, SIGUSR1);
  }
  caller.join();
  EXPECT_EQ(result, -1);
  EXPECT_EQ(error, EINTR);
  set_nonblocking(client);
  EXPECT_EQ(connect(client, name(listening)), -1);
  EXPECT_EQ(errno, EALREADY);
  calls.close(calls.accept(listening, nullptr, nullptr));  // room again
  EXPECT_EQ(poll(client, POLLOUT, 10'000), POLLOUT);
  EXPECT_EQ(get(client, SOL_SOCKET, SO_ERROR), 0);
  const int server = calls.accept(listening, nullptr, nullptr);
  EXPECT_EQ(send(server, "hello"), 5);
  EXPECT_EQ(poll(client, POLLIN, 10'000), POLLIN);
  EXPECT_EQ(receive(client), "hello");
  sigaction(SIGUSR1, &before, nullptr);
  for (const int fd : {listening, first, client, server}) calls.close(fd);
}

// --- the clock ------------------------------------------------------------------------------------------------------

namespace {

// What a process of its own measures on the stack's clock between two of its lines, while we stop it for a second.
Duration stack_time_over_a_stop() {
  int out[2];
  EXPECT_EQ(pipe(out), 0);
  const pid_t child = fork();
  if (child == 0) {
    RealWorld world;
    RealMachine& machine = world.add_machine({}, 3);
    machine.start();
    usleep(150'000);
    const Time began = Hold(machine).now();
    (void)!write(out[1], "x", 1);
    usleep(400'000);  // stopped in here
    const Duration passed = Hold(machine).now() - began;
    (void)!write(out[1], &passed, sizeof passed);
    _exit(0);
  }
  char ready = 0;
  EXPECT_EQ(read(out[0], &ready, 1), 1);
  usleep(100'000);
  kill(child, SIGSTOP);
  usleep(1'000'000);
  kill(child, SIGCONT);
  Duration passed{};
  EXPECT_EQ(read(out[0], &passed, sizeof passed), static_cast<ssize_t>(sizeof passed));
  waitpid(child, nullptr, 0);
  close(out[0]);
  close(out[1]);
  return passed;
}

}  // namespace

TEST(StackClock, StandsStillWhileTheProcessIsStopped) {
  // A second of it was spent in the stop; a slice of 100 ms at most is not noticed.
  const Duration passed = stack_time_over_a_stop();
  EXPECT_LT(passed, 700ms);
  EXPECT_GE(passed, 90ms);
}

TEST(StackClock, ALongHoldWithoutAStopIsTime) {
  StackClockSource clock;
  const Time began = clock.lock();
  usleep(50'000);
  clock.unlock();
  const Duration passed = clock.lock() - began;
  clock.unlock();
  EXPECT_GE(passed, 50ms);
  EXPECT_EQ(clock.report().freezes, 0u);
  EXPECT_EQ(clock.report().stalls, 1u);
  EXPECT_GE(clock.report().stalled, 45ms);
}

TEST(StackClock, ASliceThatLastsTooLongWithoutAStopIsTime) {
  StackClockSource clock;
  const Time began = clock.lock();
  clock.unlock();
  clock.begin_wait(ClockWait::devices, 10ms);
  usleep(60'000);
  const Time ended = clock.end_wait(ClockWait::devices, false);
  clock.unlock();
  EXPECT_GE(ended - began, 60ms);
  EXPECT_EQ(clock.report().freezes, 0u);
  EXPECT_EQ(clock.report().stalls, 1u);
}

// The I/O thread may sleep for as long as another leads. It is woken when that one leaves; a stop that comes before it
// runs is noticed by whoever takes the lock first.
TEST(StackClock, AStopRightBehindTheEndOfALongWaitIsNoticed) {
  watch_continue_signals();
  StackClockSource clock;
  const Duration queued = ThreadUse::of_this_thread().run_queue;
  const Time began = clock.lock();
  clock.unlock();
  clock.begin_wait(ClockWait::watch, std::chrono::hours(1));
  clock.lock();
  clock.cut_short(ClockWait::watch);
  clock.unlock();
  usleep(60'000);
  raise(SIGCONT);
  const Time after = clock.lock();
  clock.unlock();
  EXPECT_LT(after - began, 40ms + (ThreadUse::of_this_thread().run_queue - queued));
  EXPECT_EQ(clock.report().freezes, 1u);
}

TEST(StackClock, WithATracerTheSameGapsAreDropped) {
  StackClockSource clock;
  const Duration queued = ThreadUse::of_this_thread().run_queue;
  const Time began = clock.lock();
  clock.unlock();
  clock.begin_wait(ClockWait::devices, 10ms);
  usleep(60'000);
  const Time ended = clock.end_wait(ClockWait::devices, true);
  clock.unlock();
  // A busy machine lets the thread wait for its turn: that is time.
  EXPECT_LT(ended - began, 40ms + (ThreadUse::of_this_thread().run_queue - queued));
  EXPECT_EQ(clock.report().freezes, 1u);
}

}  // namespace limpid::api
