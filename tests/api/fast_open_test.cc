// TCP Fast Open as a program asks for it: options, and the calls that connect and send in one. Nobody serves it here (a
// server has to be configured for it), so the text follows the handshake; that it goes with the SYN is shown by
// tests/unit/tcp_fast_open_client_test.cc.
#include <array>

#include "tests/api/worlds.h"

namespace limpid::api {

API_TEST_SUITE(FastOpen);

TEST_P(FastOpen, OptionsAreKept) {
  run([&] {
    const int listening = listener(8);
    EXPECT_EQ(get(listening, IPPROTO_TCP, TCP_FASTOPEN), 0);
    EXPECT_EQ(set(listening, IPPROTO_TCP, TCP_FASTOPEN, 5), 0);
    EXPECT_EQ(get(listening, IPPROTO_TCP, TCP_FASTOPEN), 5);
    EXPECT_EQ(set(listening, IPPROTO_TCP, TCP_FASTOPEN, -1), -1);
    EXPECT_EQ(errno, EINVAL);
    const int client = tcp();
    for (int option : {TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE}) {
      EXPECT_EQ(get(client, IPPROTO_TCP, option), 0);
      EXPECT_EQ(set(client, IPPROTO_TCP, option, 2), -1);
      EXPECT_EQ(errno, EINVAL);
      EXPECT_EQ(set(client, IPPROTO_TCP, option, 1), 0);
      EXPECT_EQ(get(client, IPPROTO_TCP, option), 1);
    }
    calls.close(client);
    calls.close(listening);
  });
}

TEST_P(FastOpen, AnOpenConnectionTakesNoneOfThem) {
  run([&] {
    const Pair p = pair();
    for (int option : {TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE}) {
      EXPECT_EQ(set(p.client, IPPROTO_TCP, option, 1), -1) << option;
      EXPECT_EQ(errno, EINVAL) << option;
    }
    calls.close(p.client);
    calls.close(p.server);
  });
}

TEST_P(FastOpen, AListenerHasKeysOfItsOwn) {
  run([&] {
    const int listening = listener();
    std::array<char, 32> keys{};
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<char>(i + 1);
    EXPECT_EQ(calls.setsockopt(listening, IPPROTO_TCP, TCP_FASTOPEN_KEY, keys.data(), 15), -1);
    EXPECT_EQ(errno, EINVAL);
    for (socklen_t length : {16U, 32U}) {  // the second with a backup key
      EXPECT_EQ(calls.setsockopt(listening, IPPROTO_TCP, TCP_FASTOPEN_KEY, keys.data(), length), 0);
      std::array<char, 32> got{};
      socklen_t room = got.size();
      EXPECT_EQ(calls.getsockopt(listening, IPPROTO_TCP, TCP_FASTOPEN_KEY, got.data(), &room), 0);
      EXPECT_EQ(room, length);
      EXPECT_EQ(std::memcmp(got.data(), keys.data(), length), 0);
    }
    calls.close(listening);
  });
}

TEST_P(FastOpen, ASendMayConnect) {
  run([&] {
    const int listening = listener();
    const SocketAddress to = name(listening);
    const int client = tcp();
    EXPECT_EQ(calls.sendto(client, "hello", 5, MSG_FASTOPEN, to.data(), to.size()), 5) << std::strerror(errno);
    const int server = calls.accept(listening, nullptr, nullptr);
    EXPECT_EQ(receive(server), "hello");
    EXPECT_EQ(calls.sendto(client, "again", 5, MSG_FASTOPEN, to.data(), to.size()), -1);
    EXPECT_EQ(errno, EISCONN);
    for (int fd : {client, server, listening}) calls.close(fd);
  });
}

TEST_P(FastOpen, AConnectMayLeaveTheSynToTheFirstSend) {
  run([&] {
    const int listening = listener();
    const int client = tcp();
    EXPECT_EQ(set(client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), 0);
    EXPECT_EQ(connect(client, name(listening)), 0) << std::strerror(errno);
    EXPECT_EQ(send(client, "hello"), 5);
    const int server = calls.accept(listening, nullptr, nullptr);
    EXPECT_EQ(receive(server), "hello");
    for (int fd : {client, server, listening}) calls.close(fd);
  });
}

}  // namespace limpid::api
