// The object as packetdrill uses it: loaded, asked for its table, and driven through it in virtual time.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/packetdrill/interface.h"
#include "tests/support/packets.h"

namespace limpid {
namespace {

const IpAddress kOurs = IpAddress::v4(192, 168, 0, 1);
const IpAddress kPeers = IpAddress::v4(192, 0, 2, 1);
constexpr uint16_t kPort = 8080;
constexpr uint32_t kPeerIsn = 7000;

packetdrill_interface load_table() {
  packetdrill_interface table{};
  void* object = dlopen(LIMPID_PACKETDRILL_OBJECT, RTLD_NOW | RTLD_LOCAL);
  EXPECT_NE(object, nullptr) << dlerror();
  if (object == nullptr) return table;
  using Init = void (*)(const char*, packetdrill_interface*);
  reinterpret_cast<Init>(dlsym(object, "packetdrill_interface_init"))(nullptr, &table);
  return table;
}

uint16_t peer_port = 40'000;  // another one for each connection

// One for the process, as in packetdrill.
const packetdrill_interface& table() {
  static const packetdrill_interface loaded = load_table();
  return loaded;
}

void* self() { return table().userdata; }

int64_t clock_us() {
  timeval now{};
  EXPECT_EQ(table().gettimeofday(self(), &now, nullptr), 0);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_usec;
}

// A segment of the peer's.
void arrives(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view text = "") {
  const TcpHeader header{.source_port = peer_port,
                         .destination_port = kPort,
                         .sequence = kPeerIsn + seq,
                         .acknowledgment = ack,
                         .flags = flags,
                         .window = 30'000};
  const Bytes packet = ip_packet(ip_header(kPeers, kOurs, IpProtocol::tcp), tcp_segment(kPeers, kOurs, header, text));
  ASSERT_EQ(table().netdev_send(self(), packet.data(), packet.size()), 0);
}

struct Seen {
  TcpHeader tcp;
  std::string text;
  int64_t at_us = 0;
};

// The next segment that our stack sends.
Seen sent() {
  std::byte room[2000];
  size_t length = sizeof room;
  long long at = 0;
  EXPECT_EQ(table().netdev_receive(self(), room, &length, &at), 0);
  const ByteSpan packet(room, length);
  const auto ip = parse_ipv4(packet);
  if (!ip) {
    ADD_FAILURE() << "no packet was sent";
    return {};
  }
  const ByteSpan segment = packet.subspan(ip->header_size, ip->payload_size);
  const auto tcp = parse_tcp(segment, ip->header.source, ip->header.destination);
  if (!tcp) {
    ADD_FAILURE() << "not a TCP segment";
    return {};
  }
  const ByteSpan text = segment.subspan(tcp->header_size);
  return {tcp->header, {reinterpret_cast<const char*>(text.data()), text.size()}, at};
}

struct Accepted {
  int listener;
  int connection;
  uint32_t iss;  // ours
};

// A listener, and the handshake of a peer.
Accepted accept_one() {
  ++peer_port;
  const int listener = table().socket(self(), AF_INET, SOCK_STREAM, IPPROTO_TCP);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(kPort);
  local.sin_addr.s_addr = htonl(kOurs.v4_bits());
  const int on = 1;
  EXPECT_EQ(table().setsockopt(self(), listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  EXPECT_EQ(table().bind(self(), listener, reinterpret_cast<sockaddr*>(&local), sizeof local), 0);
  EXPECT_EQ(table().listen(self(), listener, 1), 0);

  arrives(tcp_flag::syn, 0, 0);
  const Seen answer = sent();
  EXPECT_EQ(answer.tcp.flags, tcp_flag::syn | tcp_flag::ack);
  EXPECT_EQ(answer.tcp.acknowledgment, kPeerIsn + 1);
  arrives(tcp_flag::ack, 1, answer.tcp.sequence + 1);

  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  const int connection = table().accept(self(), listener, reinterpret_cast<sockaddr*>(&peer), &length);
  EXPECT_GE(connection, 0);
  EXPECT_EQ(ntohl(peer.sin_addr.s_addr), kPeers.v4_bits());
  return {listener, connection, answer.tcp.sequence};
}

TEST(PacketdrillObject, HandshakeDataAndCloseThroughTheTable) {
  const Accepted open = accept_one();
  // Descriptors of the kernel's, so that packetdrill can tell them from those of files.
  EXPECT_GE(::fcntl(open.connection, F_GETFD), 0);

  EXPECT_EQ(table().write(self(), open.connection, "hello", 5), 5);
  const Seen data = sent();
  EXPECT_EQ(data.text, "hello");
  EXPECT_EQ(data.tcp.sequence, open.iss + 1);
  EXPECT_TRUE(data.tcp.has(tcp_flag::psh));
  arrives(tcp_flag::ack | tcp_flag::psh, 1, open.iss + 6, "world");
  char room[16] = {};
  EXPECT_EQ(table().read(self(), open.connection, room, sizeof room), 5);
  EXPECT_STREQ(room, "world");

  EXPECT_EQ(table().close(self(), open.connection), 0);
  Seen fin = sent();
  if (!fin.tcp.has(tcp_flag::fin)) fin = sent();  // the acknowledgment of "world" went first
  EXPECT_TRUE(fin.tcp.has(tcp_flag::fin));
  EXPECT_EQ(fin.tcp.acknowledgment, kPeerIsn + 6);
  arrives(tcp_flag::fin | tcp_flag::ack, 6, open.iss + 7);
  EXPECT_EQ(sent().tcp.acknowledgment, kPeerIsn + 7);

  EXPECT_EQ(table().write(self(), open.connection, "x", 1), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(table().close(self(), open.listener), 0);
}

// A retransmission after a second of silence, and an hour of sleep, cost nothing.
TEST(PacketdrillObject, TimeIsVirtual) {
  const auto began = std::chrono::steady_clock::now();
  const Accepted open = accept_one();
  EXPECT_EQ(table().write(self(), open.connection, "lost", 4), 4);
  const Seen first = sent();
  const Seen again = sent();
  EXPECT_EQ(again.tcp.sequence, first.tcp.sequence);
  EXPECT_EQ(again.text, "lost");
  EXPECT_GT(again.at_us, first.at_us);
  arrives(tcp_flag::ack, 1, open.iss + 5);

  const int64_t before = clock_us();
  EXPECT_GT(clock_us(), before);
  EXPECT_EQ(table().usleep(self(), 3'600'000'000u), 0);
  EXPECT_GE(clock_us(), before + 3'600'000'000);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));

  arrives(tcp_flag::rst, 1, 0);
  EXPECT_EQ(table().close(self(), open.connection), 0);
  EXPECT_EQ(table().close(self(), open.listener), 0);
}

// A second thread sleeps in its call, and goes on at the very moment at which its bytes arrive.
TEST(PacketdrillObject, ABlockingReadEndsWhenItsBytesArrive) {
  const Accepted open = accept_one();
  int64_t ended = 0;
  ssize_t got = 0;
  char room[16] = {};
  std::atomic<bool> asked = false;
  std::thread reader([&] {
    asked = true;
    got = table().read(self(), open.connection, room, sizeof room);
    ended = clock_us();
  });
  while (!asked) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(table().usleep(self(), 500'000), 0);
  const int64_t before = clock_us();
  arrives(tcp_flag::ack | tcp_flag::psh, 1, open.iss + 1, "late");
  const int64_t after = clock_us();
  reader.join();
  EXPECT_EQ(got, 4);
  EXPECT_STREQ(room, "late");
  EXPECT_GE(ended, before);
  EXPECT_LE(ended, after);

  arrives(tcp_flag::rst, 5, 0);
  EXPECT_EQ(table().close(self(), open.connection), 0);
  EXPECT_EQ(table().close(self(), open.listener), 0);
}

}  // namespace
}  // namespace limpid
