// ACKs that do not wait while a connection is young (RFC 5681 §4.2 lets a receiver; Linux's quick-ack mode).
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

Config quick(uint8_t acks) {
  Config config;
  config.tcp.quick_acks = acks;
  return config;
}

std::string text(uint32_t n, uint32_t size = 100) {
  const uint32_t at = 1 + n * size;
  return "P. " + std::to_string(at) + ":" + std::to_string(at + size) + "(" + std::to_string(size) + ") ack 1";
}

TEST(TcpQuickAck, TheFirstSegmentsAreAcknowledgedAtOnce) {
  TcpDialogue t(quick(4));
  t.establish_passively();
  for (uint32_t n = 0; n < 4; ++n) {
    t.peer(text(n));
    t.expect(". 1:1(0) ack " + std::to_string(101 + 100 * n));
  }
  t.peer(text(4));  // from here on an ACK waits for company
  t.expect_nothing();
  t.pass(40ms);
  t.expect(". 1:1(0) ack 501");
}

// A batch is still one ACK.
TEST(TcpQuickAck, ABatchIsAcknowledgedOnce) {
  TcpDialogue t(quick(4));
  t.establish_passively();
  t.peer_batch({text(0), text(1), text(2)});
  t.expect(". 1:1(0) ack 301");
  t.expect_nothing();
}

// Whoever answers what it reads sends its ACKs with the answers.
TEST(TcpQuickAck, AnAnswerEndsThem) {
  TcpDialogue t(quick(15));
  const SocketId id = t.establish_passively();
  t.peer(text(0));
  t.expect(". 1:1(0) ack 101");
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 101");
  t.peer("P. 101:201(100) ack 11");
  t.expect_nothing();
  t.send(id, 10);
  t.expect("P. 11:21(10) ack 201");
  // An answer that does not come in time: quick again.
  t.peer("P. 201:301(100) ack 21");
  t.pass(40ms);
  t.expect(". 21:21(0) ack 301");
  t.peer("P. 301:401(100) ack 21");
  t.expect(". 21:21(0) ack 401");
}

TEST(TcpQuickAck, APauseBringsThemBack) {
  TcpDialogue t(quick(2));
  t.establish_passively();
  for (uint32_t n = 0; n < 3; ++n) t.peer(text(n));
  t.pass(50ms);
  t.take_all();
  t.pass(10s);
  t.peer(text(3));
  t.expect(". 1:1(0) ack 401");
}

// No more than half a small window's worth, but two.
TEST(TcpQuickAck, AreFewInASmallWindow) {
  TcpDialogue t(quick(15));
  TcpOptions options;
  options.receive_buffer = 4000;
  t.establish_passively(options);
  for (uint32_t n = 0; n < 3; ++n) t.peer(text(n));
  t.expect(". 1:1(0) ack 101");
  t.expect(". 1:1(0) ack 201");
  t.expect(". 1:1(0) ack 301");
  t.peer(text(3));
  t.expect_nothing();
}

}  // namespace
}  // namespace limpid
