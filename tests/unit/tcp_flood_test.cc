// A million forged packets: what a flood may cost, and that it ends nothing (RFC 4987, RFC 5961, RFC 5927). At raw
// speed, through the stack's own door.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "stack/base/rng.h"
#include "stack/stack.h"
#include "stack/tcp/environment.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"

#ifdef __has_feature
#define LIMPID_HAS_FEATURE(x) __has_feature(x)
#else
#define LIMPID_HAS_FEATURE(x) 0
#endif

namespace limpid {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || LIMPID_HAS_FEATURE(address_sanitizer) || \
    LIMPID_HAS_FEATURE(thread_sanitizer) || LIMPID_HAS_FEATURE(memory_sanitizer)
constexpr int kMillion = 50'000;
#else
constexpr int kMillion = 1'000'000;
#endif

constexpr IpAddress kUs = IpAddress::v4(10, 0, 0, 1);
constexpr IpAddress kFriend = IpAddress::v4(10, 1, 0, 2);
constexpr uint16_t kPort = 80;

// A host under fire. Of what it sends only the last segment to its friend is kept.
class Target : public LinkPort, public ReadySink {
 public:
  explicit Target(const Config& config = {}) : stack(config, 1, *this) {
    interface_ = stack.add_interface({.name = "flood", .kind = LinkKind::ip, .mtu = 1500, .mac = {}}, *this);
    stack.add_address(interface_, kUs, 8);
    listener = stack.tcp_listen(stack.tcp_bind({{}, kPort}, {}, now).value(), 4096, {}, now).value();
  }

  void segment(const IpAddress& from, const TcpHeader& header, size_t text = 0) {
    std::array<std::byte, 256> packet{};
    const size_t size = 20 + header.size() + text;
    const ByteSpan body = ByteSpan(packet).subspan(20 + header.size(), text);
    header.write(MutableByteSpan(packet).subspan(20, header.size()), from, kUs, std::span(&body, 1));
    deliver(MutableByteSpan(packet).first(size), IpProtocol::tcp, from);
  }

  // Unreachable, fragmentation needed and the like, quoting a segment of ours with this number.
  void icmp(uint8_t type, uint8_t code, uint16_t friends_port, uint32_t sequence) {
    std::array<std::byte, 56> packet{};
    const MutableByteSpan quoted = MutableByteSpan(packet).subspan(28);
    Ipv4Header{.total_length = 40, .protocol = IpProtocol::tcp, .source = kUs, .destination = kFriend}.write(
        quoted.first(20));
    store16(quoted, 20, kPort);
    store16(quoted, 22, friends_port);
    store32(quoted, 24, sequence);
    const ByteSpan rest(quoted);
    Icmp4Header{.type = type, .code = code, .rest = 296}.write(MutableByteSpan(packet).subspan(20, 8),
                                                               std::span(&rest, 1));
    deliver(packet, IpProtocol::icmp, IpAddress::v4(10, 2, 0, 1));
  }

  // The friend connects: the id of our end, none if the handshake did not come off.
  SocketId friend_connects(uint16_t port, uint32_t isn = 77) {
    last_to_friend = {};
    TcpHeader h{.source_port = port,
                .destination_port = kPort,
                .sequence = isn,
                .flags = tcp_flag::syn,
                .window = 65'535,
                .options = {}};
    h.options.mss = 1460;
    segment(kFriend, h);
    if (!last_to_friend.has(tcp_flag::syn)) return {};
    h.sequence = isn + 1;
    h.acknowledgment = last_to_friend.sequence + 1;
    h.flags = tcp_flag::ack;
    h.options = {};
    segment(kFriend, h);
    return stack.tcp_accept(listener, now).value_or(SocketId{});
  }

  TcpState state(SocketId id) const { return stack.tcp_status(id).value_or(TcpStatus{}).state; }

  Time now{1h};
  Stack stack;
  SocketId listener;
  TcpHeader last_to_friend{};

 private:
  void deliver(MutableByteSpan packet, IpProtocol protocol, const IpAddress& from) {
    Ipv4Header{
        .total_length = static_cast<uint16_t>(packet.size()), .protocol = protocol, .source = from, .destination = kUs}
        .write(packet.first(20));
    stack.receive(interface_, stack.frames().copy(packet), now);
    stack.flush(now);
  }

  Transmit transmit(const TxFrame& frame, Time) override {
    const auto ip = parse_ipv4(frame.head);
    if (ip && ip->header.destination == kFriend && ip->header.protocol == IpProtocol::tcp)
      last_to_friend = parse_tcp_unverified(frame.head.subspan(ip->header_size)).value_or(ParsedTcp{}).header;
    return Transmit::taken;
  }
  void raise(SocketId, ReadyEvents) override {}

  InterfaceId interface_ = 0;
};

// req: ATK-synflood, 4987-3.2-a
TEST(TcpFlood, AMillionSynsLeaveLegitimateConnectsSucceedingAndMemoryBounded) {
  Target t;
  Rng rng(1);
  const SocketId before = t.friend_connects(999);
  uint16_t port = 1000;
  for (int i = 0; i < kMillion; ++i) {
    TcpHeader h{.source_port = static_cast<uint16_t>(rng.between(1, 65'535)),
                .destination_port = kPort,
                .sequence = static_cast<uint32_t>(rng.next()),
                .flags = tcp_flag::syn,
                .window = 65'535,
                .options = {}};
    h.options.mss = 1460;
    t.segment(IpAddress::v4(0x0a030000 + static_cast<uint32_t>(rng.below(65'536))), h);
    if (i % (kMillion / 100) == 0) {
      t.now += 1s;
      t.stack.advance(t.now);
      ASSERT_EQ(t.state(t.friend_connects(++port)), TcpState::established) << "after " << i;
    }
  }
  EXPECT_EQ(t.state(before), TcpState::established);
  EXPECT_LE(t.stack.tcp_list().size(), 1u + 1024 + 101);
  EXPECT_EQ(t.stack.frames().frames_out(), 0u);
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
  EXPECT_GT(t.stack.counters()[Counter::tcp_syn_cookies_sent], static_cast<uint64_t>(kMillion) / 2);
}

// Whoever guesses the four-tuple and comes near the window with all that he has: RST, SYN, text and ICMP errors by
// turns. The exact number of RCV.NXT alone he does not hit.
// req: ATK-blindrst, ATK-blindsyn, ATK-blinddata, ATK-icmpreset, 5961-3.2-b, 5961-4.2-a, 5961-5.2-a, 5927-5.2-a
TEST(TcpFlood, AMillionBlindSegmentsNearTheWindowEndNoConnection) {
  Target t;
  Rng rng(2);
  constexpr uint16_t kFriendsPort = 4000;
  const SocketId id = t.friend_connects(kFriendsPort);
  ASSERT_EQ(t.state(id), TcpState::established);
  const std::array<std::byte, 100> text{};
  ASSERT_TRUE(t.stack.tcp_send(id, text, {}, t.now));
  const uint32_t rcv_nxt = t.last_to_friend.acknowledgment;
  const uint32_t una = t.last_to_friend.sequence;
  for (int i = 0; i < kMillion; ++i) {
    const auto off = static_cast<uint32_t>(rng.between(1, 200'000)) - 100'000;
    const uint32_t near = rcv_nxt + (off == 0 ? 1 : off);
    TcpHeader h{
        .source_port = kFriendsPort, .destination_port = kPort, .sequence = near, .window = 65'535, .options = {}};
    switch (i % 4) {
      case 0:
        h.flags = tcp_flag::rst;
        t.segment(kFriend, h);
        break;
      case 1:
        h.flags = tcp_flag::syn;
        t.segment(kFriend, h);
        break;
      case 2:
        h.flags = tcp_flag::ack;
        h.acknowledgment = static_cast<uint32_t>(rng.next()) | 0x80000000;
        h.acknowledgment += una;  // half of all numbers, those that we did not send
        t.segment(kFriend, h, 20);
        break;
      default:
        t.icmp(3, static_cast<uint8_t>(rng.below(16)), kFriendsPort,
               una + static_cast<uint32_t>(rng.below(2000)) - 1000);
        break;
    }
    if (i % 1000 == 0) {
      t.now += 1ms;
      t.stack.advance(t.now);
    }
  }
  EXPECT_EQ(t.state(id), TcpState::established);
  EXPECT_EQ(t.stack.tcp_readable_bytes(id), 0u) << "no octet of theirs is in the stream";
  (void)t.stack.tcp_take_error(id);  // what ICMP said is told as a hint, and ends nothing
  // The true peer goes on where it was.
  TcpHeader h{.source_port = kFriendsPort,
              .destination_port = kPort,
              .sequence = rcv_nxt,
              .acknowledgment = una + 100,
              .flags = tcp_flag::ack,
              .window = 65'535,
              .options = {}};
  t.segment(kFriend, h, 20);
  EXPECT_EQ(t.stack.tcp_readable_bytes(id), 20u);
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
}

// req: ATK-rstrate
TEST(TcpFlood, ResetsToNobodysSegmentsAreLimitedInRateAndANormalRefusalIsNot) {
  Target t;
  const auto resets = [&] { return t.stack.counters()[Counter::tcp_resets_sent]; };
  TcpHeader h{.source_port = 4000, .destination_port = 9, .flags = tcp_flag::syn, .window = 1000, .options = {}};
  for (int i = 0; i < 1000; ++i) t.segment(kFriend, h);
  EXPECT_EQ(resets(), 1000u);
  for (int i = 0; i < 100'000; ++i) t.segment(kFriend, h);
  EXPECT_EQ(resets(), 10'000u);
  EXPECT_EQ(t.stack.counters()[Counter::tcp_resets_limited], 91'000u);
  t.now += 1s;
  t.segment(kFriend, h);
  EXPECT_EQ(resets(), 10'001u);
}

// req: 5961-7-a, 5961-7-b, ATK-challrate
TEST(TcpFlood, ChallengeAcksAreLimitedByConnectionSoThatOneTellsNothingOfAnother) {
  Target t;
  const SocketId a = t.friend_connects(4000);
  const SocketId b = t.friend_connects(4001);
  const auto challenges = [&] { return t.stack.counters()[Counter::tcp_challenge_acks]; };
  const auto blind_reset = [&](uint16_t port) {
    TcpHeader h{
        .source_port = port, .destination_port = kPort, .sequence = 1000, .flags = tcp_flag::rst, .options = {}};
    t.segment(kFriend, h);
  };
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 1000; ++i) blind_reset(4000);
    t.now += 1s;
  }
  EXPECT_LE(challenges(), 20u);
  const uint64_t before = challenges();
  for (int i = 0; i < 1000; ++i) blind_reset(4000);
  blind_reset(4001);
  EXPECT_EQ(challenges(), before + 2) << "one each";
  EXPECT_EQ(t.state(a), TcpState::established);
  EXPECT_EQ(t.state(b), TcpState::established);
}

// Over the whole stack the bound is another number in each second, so that what one gets of it tells nothing of the
// rest.
// req: 5961-7-a, 5961-7-b, ATK-challrate
TEST(TcpFlood, TheBoundOfTheWholeStackIsASecret) {
  SecretPerSecondLimit limit(1000, Rng(3));
  std::set<int> seen;
  for (int second = 0; second < 20; ++second) {
    int allowed = 0;
    while (limit.allow(Time{std::chrono::seconds(second)})) ++allowed;
    EXPECT_GE(allowed, 500);
    EXPECT_LE(allowed, 1500);
    seen.insert(allowed);
  }
  EXPECT_GT(seen.size(), 15u);
}

// req: ATK-finflood, SOCK-fork-1, 9293-3.6-f
TEST(TcpFlood, ConnectionsThatNobodyHoldsAnyMoreAreBoundedTheOldestGoesFirst) {
  Config config;
  config.tcp.max_orphans = 100;
  Target t(config);
  for (uint16_t port = 5000; port < 6000; ++port) {
    const SocketId id = t.friend_connects(port);
    t.stack.tcp_close(id, t.now);  // its peer says nothing more
    t.now += 1ms;
    t.stack.advance(t.now);
  }
  std::vector<uint16_t> left;
  for (const TcpStatus& s : t.stack.tcp_list())
    if (s.state == TcpState::fin_wait_1) left.push_back(s.remote.port);
  std::ranges::sort(left);
  ASSERT_EQ(left.size(), 100u);
  EXPECT_EQ(left.front(), 5900);
  EXPECT_EQ(t.stack.counters()[Counter::tcp_orphans_shed], 900u);
  for (Time next = t.stack.next_deadline(); next != kNever; next = t.stack.next_deadline())
    t.stack.advance(t.now = next);
  EXPECT_EQ(t.stack.tcp_list().size(), 1u) << "in the end only the listener is left";
  EXPECT_EQ(t.stack.tcp_unfinished(), 0u);
}

}  // namespace
}  // namespace limpid
