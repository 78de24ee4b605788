// Where bursts end and PSH stands (RFC 9293 §3.9.1.2; burst.h, unsent_chunks.h), and how far the send buffer grows.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

// RTT 100 ms: bursts of two.
SocketId slow_path(TcpDialogue& t, const std::string& window) {
  const SocketId id = t.establish_passively({}, window + " mss 1000 sackOK");
  return id;
}

// Without a second segment in its burst, and no SEND ended there: none. But half of the peer's largest window behind
// the last one it is due again.
TEST(TcpPush, IsDueOnceHalfTheLargestWindowWasWritten) {
  Config config;
  config.tcp.initial_window_segments = 1;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively({}, "win 8000 mss 1000");
  t.send(id, 12'000);
  t.expect(". 1:1001(1000) ack 1");
  std::vector<int> pushed;
  for (int n = 1; n < 12; ++n) {
    t.peer(". 1:1(0) ack " + std::to_string(1000 * n + 1) + " win 8000");
    for (const auto& sent : t.take_all()) {
      if ((sent.header.flags & tcp_flag::psh) != 0)
        pushed.push_back(static_cast<int>((sent.header.sequence - t.our_isn - 1 + sent.text.size()) / 1000));
    }
    if (!pushed.empty() && pushed.back() == 12) break;
  }
  EXPECT_EQ(pushed.back(), 12);
  EXPECT_GE(pushed.size(), 2u);
}

// What was lost in one piece goes again in one piece, with PSH on its end; a single segment goes without.
TEST(TcpPush, EndsABurstThatGoesAgain) {
  TcpDialogue t;
  const SocketId id = slow_path(t, "win 65535");
  t.send(id, 10'000);
  t.take_all();
  t.pass(100ms);
  t.peer(". 1:1(0) ack 1 win 65535 sack 4001:10001");
  const auto sent = t.take_words();
  ASSERT_GE(sent.size(), 1u);
  EXPECT_EQ(sent[0], ". 1:1001(1000) ack 1");
}

// Linux's way, where it is configured: a burst that the window cuts short waits for the ACK that is near.
TEST(TcpBurst, ACutOneMayWaitForTheNextAcknowledgment) {
  for (const uint32_t divisor : {0u, 3u}) {
    Config config;
    config.tcp.burst_window_divisor = divisor;
    config.tcp.least_burst_segments = 10;
    TcpDialogue t(config);
    const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
    t.send(id, 60'000);
    t.take_all();
    t.pass(20ms);
    t.peer(". 1:1(0) ack 5001 win 65535");  // ten may go
    t.take_all();
    t.peer(". 1:1(0) ack 6001 win 65535");  // two, with text sent just now and an ACK that is near
    EXPECT_EQ(t.pending(), divisor == 0 ? 2u : 0u);
    t.peer(". 1:1(0) ack 10001 win 65535");
    EXPECT_GE(t.pending(), 10u);
  }
}

// As Linux: only where the user fills it, and the congestion window would take more.
TEST(TcpSendBuffer, GrowsWhereItIsWhatHoldsBack) {
  Config config;
  config.tcp.send_buffer = 20'000;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000 wscale 7");
  t.send(id, 5000);
  t.take_all();
  t.peer(". 1:1(0) ack 5001 win 65535");
  EXPECT_EQ(t.status(id).send_buffer, 20'000u);  // nobody waits
}

// --- TCP_QUICKACK, probes, SACK of octets
// -------------------------------------------------------------------------------------

// Linux probes a closed window without text, if so configured: an octet number that the peer has.
TEST(TcpWindowProbe, MayBeEmpty) {
  Config config;
  config.tcp.empty_window_probes = true;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively();
  t.send(id, 1000);
  t.take_all();
  t.peer(". 1:1(0) ack 1001 win 0");
  t.send(id, 500);
  t.expect_nothing();
  for (const Duration wait : {300ms, 400ms}) {
    t.pass(wait);
    t.expect(". 1000:1000(0) ack 1");
    t.expect_nothing();
    t.peer(". 1:1(0) ack 1001 win 0");
  }
  t.peer(". 1:1(0) ack 1001 win 65535");
  t.expect("P. 1001:1501(500) ack 1");
}

}  // namespace
}  // namespace limpid
