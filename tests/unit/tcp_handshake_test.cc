// Opening: RFC 9293 §3.5, §3.10.1, §3.10.7.2, §3.10.7.3.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// req: 9293-3.10.7.2-a, 9293-3.4-a, SOCK-listen-1
TEST(TcpHandshake, APassiveOpenAnswersASynAndIsEstablishedByItsAck) {
  TcpDialogue t;
  const SocketId listener = t.listen();
  t.peer("S 0:0(0) win 65535 mss 1460");
  t.expect("S. 0:0(0) ack 1");
  EXPECT_FALSE(t.stack.tcp_accept(listener, t.now).has_value());
  t.peer(". 1:1(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.state(t.accept()), established);
}

// req: 9293-MUST-14, 9293-MUST-65, 9293-MUST-67, 9293-SHLD-5
TEST(TcpHandshake, AnActiveOpenSendsASynWithItsMss) {
  TcpDialogue t;
  const SocketId id = t.connect();
  const auto syn = t.take();
  EXPECT_EQ(syn.words, "S 0:0(0)");
  EXPECT_EQ(syn.header.options.mss, 1460);
  t.peer("S. 0:0(0) ack 1 mss 1000");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.raised(id) & kConnected, kConnected);
  t.send(id, 3000);
  const auto first = t.take();
  EXPECT_EQ(first.words, ". 1:1001(1000) ack 1");
  EXPECT_FALSE(first.header.options.mss.has_value());
}

// req: 9293-3.10.7.3-a
TEST(TcpHandshake, AWrongAckInSynSentDrawsAResetAndChangesNothing) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer(". 0:0(0) ack 77");
  t.expect("R 77:77(0)");
  EXPECT_EQ(t.state(id), syn_sent);
  t.peer("S. 0:0(0) ack 1");
  t.expect(". 1:1(0) ack 1");
}

// req: 9293-MUST-10, 9293-A.2-a
TEST(TcpHandshake, BothEndsOpenAtOnce) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  EXPECT_EQ(t.state(id), syn_received);
  t.peer("S. 0:0(0) ack 1");
  EXPECT_EQ(t.state(id), established);
}

// req: 9293-3.10.7.3-b, 5961-3.2-d
TEST(TcpHandshake, InSynSentAResetCountsOnlyIfItAcknowledgesOurSyn) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer("R 0:0(0)");
  t.peer("R. 0:0(0) ack 0");
  t.peer("R. 0:0(0) ack 2");
  t.peer("R. 0:0(0) ack 77777");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), syn_sent);
  t.peer("R. 0:0(0) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), closed);
  EXPECT_EQ(t.raised(id) & (kError | kHangUp), kError | kHangUp);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::refused);
}

// req: 9293-3.10.7.3-c
TEST(TcpHandshake, InSynSentASegmentWithNeitherSynNorResetIsDropped) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer(". 1:1(0) ack 1");
  t.peer("P. 1:11(10) ack 1");
  t.peer("F. 1:1(0) ack 1");
  t.peer("P 1:11(10)");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), syn_sent);
  t.peer("S. 0:0(0) ack 1 mss 1460");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.read(id), "error 1");
}

// req: 9293-3.10.7.3-a
TEST(TcpHandshake, ASynAckWithAWrongAckDrawsAResetAndTheRightOneStillConnects) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  for (int wrong : {0, 2, -1000, 1'000'000}) {
    t.peer("S. 0:0(0) ack " + std::to_string(wrong));
    const std::string n = std::to_string(wrong);
    t.expect("R " + n + ":" + n + "(0)");
  }
  EXPECT_EQ(t.state(id), syn_sent);
  t.peer("S. 0:0(0) ack 1 mss 1460");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(id), established);
}

TEST(TcpHandshake, TheSynAckMayBringTextAndAFin) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer("SFP. 0:10(10) ack 1 mss 1460");  // the text behind the SYN: 1 to 10
  t.expect(". 1:1(0) ack 12");
  EXPECT_EQ(t.state(id), close_wait);
  EXPECT_EQ(t.read(id).size(), 10u);
  EXPECT_EQ(t.read(id), "");
}

// RFC 9293 §3.5, Figure 7, with losses.
// req: 9293-MUST-10
TEST(TcpHandshake, BothEndsOpenAtOnceThoughSegmentsAreLost) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.pass(1s);
  t.expect("S 0:0(0)");
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer("S 0:0(0) mss 1460");  // ours was lost: asked again
  t.expect("S. 0:0(0) ack 1");
  t.peer("S. 0:0(0) ack 1 mss 1460");  // the answer of one that had our SYN,ACK
  EXPECT_EQ(t.state(id), established);
  t.take_all();
  t.peer("P. 1:11(10) ack 1");
  EXPECT_EQ(t.read(id), "abcdefghij");
}

// Options at odd places, with NOPs, EOL and what nobody knows between them.
// req: 9293-MUST-4, 9293-MUST-6, 9293-MUST-64, 9293-MUST-69
TEST(TcpHandshake, TheOptionsOfASynAreUnderstoodAtAnyAlignment) {
  const std::vector<std::vector<uint8_t>> layouts = {
      {2, 4, 3, 0xe8},
      {1, 2, 4, 3, 0xe8, 0, 0, 0},
      {1, 1, 1, 2, 4, 3, 0xe8, 0},
      {99, 3, 7, 2, 4, 3, 0xe8, 0},
      {253, 5, 1, 2, 3, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 2, 4, 3, 0xe8, 0},
      {2, 4, 3, 0xe8, 0, 2, 4, 1},  // junk behind the end of the list
  };
  for (const auto& options : layouts) {
    TcpDialogue t;
    t.listen();
    std::vector<std::byte> syn(20 + options.size());
    store32(syn, 4, TcpDialogue::kPeerIsn);
    store8(syn, 12, static_cast<uint8_t>(syn.size() / 4 << 4));
    store8(syn, 13, tcp_flag::syn);
    store16(syn, 14, 65'535);
    for (size_t i = 0; i < options.size(); ++i) store8(syn, 20 + i, options[i]);
    t.peer_raw(syn);
    t.expect("S. 0:0(0) ack 1");
    t.peer(". 1:1(0) ack 1");
    EXPECT_EQ(t.status(t.accept()).peer_mss, 1000u);
  }
}

// Both numbers pass 2^32 in the handshake, in the text, and in the FIN. (The peer's always do: kPeerIsn.)
// req: 9293-3.4-c
TEST(TcpHandshake, SequenceNumbersWrapAnywhere) {
  for (uint32_t isn : {0xffffffffu, 0xfffffffeu, 0xfffffff0u, 0xffffff9au, 0x7fffffffu, 0u}) {
    Config config;
    config.tcp.isn_for_tests = isn;
    TcpDialogue t(config);
    const SocketId id = t.establish_passively();
    EXPECT_EQ(t.our_isn, isn);
    t.send(id, 100);
    t.expect("P. 1:101(100) ack 1");
    t.peer(". 1:1(0) ack 51");
    t.peer("P. 1:4501(4500) ack 101");  // from 0xfffff000: across the wrap
    t.pass(1s);
    t.take_all();
    t.peer("P. 9001:13501(4500) ack 101");
    t.peer("P. 4501:9001(4500) ack 101");
    EXPECT_EQ(t.read(id).size(), 13'500u);
    t.take_all();
    t.stack.tcp_shutdown_send(id, t.now).value();
    t.expect("F. 101:101(0) ack 13501");
    t.peer("F. 13501:13501(0) ack 102");
    t.expect(". 102:102(0) ack 13502");
    EXPECT_EQ(t.state(id), time_wait);
  }
}

// What we do not offer we do not use.
// req: 2018-3-a, 2018-2-a
TEST(TcpHandshake, NoSackIsSentToAPeerThatDidNotAskForIt) {
  TcpDialogue t;
  t.establish_passively();
  t.peer(". 101:201(100) ack 1");
  t.peer(". 301:401(100) ack 1");
  for (const auto& s : t.take_all()) {
    EXPECT_EQ(s.words, ". 1:1(0) ack 1");
    EXPECT_EQ(s.header.options.sack_count, 0);
    EXPECT_FALSE(s.header.options.sack_permitted);
  }
}

// Text on a SYN is not taken before the handshake is through: the SYN,ACK covers the SYN alone, and the peer sends it
// again.
// req: 9293-3.10.7.2-b
TEST(TcpHandshake, TextOnASynIsDeliveredOnce) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:10(10) win 65535 mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer("P. 1:11(10) ack 1");
  const SocketId id = t.accept();
  EXPECT_EQ(t.read(id), "abcdefghij");
  EXPECT_EQ(t.read(id), "error 1");
}

}  // namespace
}  // namespace limpid
