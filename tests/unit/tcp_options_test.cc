// Options that are broken, repeated, unknown or out of place, on connections that agreed on everything: they never hurt
// (RFC 9293 §3.2). The parser alone: wire_tcp_test.cc.
#include "stack/base/rng.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// A segment of the peer's: options as they come, then text.
struct Raw {
  uint8_t flags = tcp_flag::ack;
  uint32_t seq = 1;
  uint32_t ack = 1;
  std::vector<uint8_t> options{};  // a multiple of four
  std::string text{};
};

void peer(TcpDialogue& t, const Raw& r) {
  std::vector<std::byte> s(20 + r.options.size() + r.text.size());
  store32(s, 4, TcpDialogue::kPeerIsn + r.seq);
  if (r.flags & tcp_flag::ack) store32(s, 8, t.our_isn + r.ack);
  store8(s, 12, static_cast<uint8_t>((5 + r.options.size() / 4) << 4));
  store8(s, 13, r.flags);
  store16(s, 14, 65535);
  for (size_t i = 0; i < r.options.size(); ++i) store8(s, 20 + i, r.options[i]);
  for (size_t i = 0; i < r.text.size(); ++i) store8(s, 20 + r.options.size() + i, static_cast<uint8_t>(r.text[i]));
  t.peer_raw(s);
}

SocketId establish(TcpDialogue& t) { return t.establish_passively({}, "win 65535 mss 1460 wscale 2 sackOK ts 100"); }

// Kinds that mean something and such that do not, with right, wrong and impossible lengths, and anything as values.
std::vector<uint8_t> soup(Rng& rng) {
  constexpr uint8_t kKinds[] = {0, 1, 2, 3, 4, 5, 8, 19, 28, 30, 34, 69, 253, 255};
  constexpr uint8_t kLengths[] = {0, 1, 2, 3, 4, 6, 8, 10, 12, 18, 26, 34, 40, 255};
  std::vector<uint8_t> bytes;
  const size_t size = 4 * rng.below(11);
  while (bytes.size() < size) {
    bytes.push_back(kKinds[rng.below(std::size(kKinds))]);
    const uint8_t length = kLengths[rng.below(std::size(kLengths))];
    bytes.push_back(length);
    for (int i = 2; i < length && bytes.size() < size; ++i) bytes.push_back(static_cast<uint8_t>(rng.below(256)));
  }
  bytes.resize(size);
  return bytes;
}

// req: 9293-MUST-5, 9293-MUST-6, 9293-MUST-7
TEST(TcpOptions, NoBytesInTheirPlaceHurtAConnection) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    Rng rng(seed);
    TcpDialogue t;
    const SocketId id = establish(t);
    t.send(id, 2896);  // something that SACK blocks could speak of
    for (int i = 0; i < 4; ++i)
      peer(t, {.seq = static_cast<uint32_t>(1 + rng.below(30)), .options = soup(rng), .text = std::string(3, 'x')});
    ASSERT_EQ(t.state(id), established) << "seed " << seed;
    peer(t, {.text = std::string(40, 'y')});  // without options: whatever timestamp it believed, this is taken
    ASSERT_EQ(t.read(id).size(), 40u) << "seed " << seed;
    peer(t, {.seq = 41, .ack = 2897});
    t.pass(5s);
    ASSERT_EQ(t.status(id).send_queue, 0u) << "seed " << seed;
  }
}

TEST(TcpOptions, NoBytesInTheirPlaceHurtAHandshake) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    Rng rng(seed);
    TcpDialogue t;
    t.listen();
    peer(t, {.flags = tcp_flag::syn, .seq = 0, .options = soup(rng)});
    t.expect("S. 0:0(0) ack 1");
    peer(t, {.text = "xyz"});
    ASSERT_EQ(t.read(t.accept()), "xyz") << "seed " << seed;

    TcpDialogue active;
    const SocketId id = active.connect();
    active.take();
    peer(active, {.flags = tcp_flag::syn | tcp_flag::ack, .seq = 0, .options = soup(rng)});
    // Some bytes are a timestamp that echoes what we never said: an old SYN,ACK, refused. The right one may still come.
    if (active.state(id) == TcpState::syn_sent) {
      ASSERT_TRUE(active.take().header.has(tcp_flag::rst)) << "seed " << seed;
      peer(active, {.flags = tcp_flag::syn | tcp_flag::ack, .seq = 0});
    }
    peer(active, {.text = "xyz"});
    ASSERT_EQ(active.read(id), "xyz") << "seed " << seed;
  }
}

// A length that its kind does not have makes the option an unknown one.
TEST(TcpOptions, OfAWrongLengthSayNothing) {
  TcpDialogue t;
  t.listen();
  // mss of 3, wscale of 4, sackOK of 3, TS of 9
  peer(t, {.flags = tcp_flag::syn, .seq = 0, .options = {2, 3, 9, 3, 4, 7, 7, 4, 3, 0, 8, 9, 1, 2, 3, 4, 5, 6, 7, 1}});
  const TcpOptionSet o = t.take().header.options;
  EXPECT_EQ(o.size(), 4u) << "only our MSS";
  peer(t, {});
  const TcpStatus s = t.status(t.accept());
  EXPECT_EQ(s.peer_mss, 536u);
  EXPECT_FALSE(s.timestamps);
  EXPECT_FALSE(s.sack);
  EXPECT_FALSE(s.window_scaling);
}

// The last of its kind counts, as on Linux.
TEST(TcpOptions, ThatComeTwiceCountOnce) {
  TcpDialogue t;
  const SocketId id = establish(t);
  peer(t, {.options = {8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 8, 10, 0, 0, 0, 200, 0, 0, 0, 0}, .text = "x"});
  EXPECT_EQ(t.read(id), "x");
  t.take_all();
  t.send(id, 1);
  t.expect("P. 1:2(1) ack 2 ts 0 ecr 200");
}

// Behind a broken option nothing is read, and before it everything is.
TEST(TcpOptions, BeforeABrokenOneCount) {
  TcpDialogue t;
  const SocketId id = establish(t);
  peer(t, {.options = {8, 10, 0, 0, 0, 150, 0, 0, 0, 0, 253, 0}, .text = "x"});
  EXPECT_EQ(t.read(id), "x");
  peer(t,
       {.seq = 2, .options = {253, 0, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0}, .text = "y"});  // its old timestamp is not seen
  EXPECT_EQ(t.read(id), "y");
  t.take_all();
  t.send(id, 1);
  t.expect("P. 1:2(1) ack 3 ts 0 ecr 150");
}

}  // namespace
}  // namespace limpid
