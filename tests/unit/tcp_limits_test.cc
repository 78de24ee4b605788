// Why a connection is slow: for each limit of sending and receiving, a dialogue that runs into it, what it is charged,
// and that nothing else is. That both accounts sum up to the age is an invariant, checked after every step.
#include <fmt/format.h>

#include "stack/base/trace_text.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

// All that was charged but the time without anything to send: "handshake 5000000 cwnd 100000003", nanoseconds.
std::string sending(const TcpDialogue& t, SocketId id) {
  std::string text;
  const LimitTimes times = t.status(id).limits;
  for (size_t i = 0; i < kSendLimits; ++i) {
    const auto limit = static_cast<SendLimit>(i);
    const Duration d = times.spent(limit, t.now);
    if (limit == SendLimit::app_idle || d == Duration{}) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", name(limit), d.count());
  }
  return text;
}

std::string receiving(const TcpDialogue& t, SocketId id) {
  const LimitTimes times = t.status(id).limits;
  return fmt::format("app {} hole {}", times.spent(ReceiveLimit::app, t.now).count(),
                     times.spent(ReceiveLimit::hole, t.now).count());
}

Duration age(const TcpDialogue& t, SocketId id) { return t.now - t.status(id).opened; }

TEST(TcpLimits, TheHandshakeIsTheFirst) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.send(id, 100);
  t.pass(30ms + 1ns);
  EXPECT_EQ(sending(t, id), "handshake 30000001");
  t.take_all();
  t.peer("S. 0:0(0) ack 1 win 65535 mss 1000");
  t.pass(20ms);
  t.peer(". 1:1(0) ack 101");
  t.pass(1s);
  EXPECT_EQ(sending(t, id), "handshake 30000001 tail 20000000");
  EXPECT_EQ(t.status(id).limits.spent(SendLimit::app_idle, t.now), 1s);
  EXPECT_EQ(age(t, id), 1s + 50ms + 1ns);
}

TEST(TcpLimits, TheDeviceThatRefusesAFrame) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.refuse = true;
  t.send(id, 100);
  t.pass(7ms);
  t.writable();
  t.pass(3ms);
  EXPECT_EQ(sending(t, id), "device 7000000 tail 3000000");
}

TEST(TcpLimits, TheSendBufferThatAWriterWaitsFor) {
  TcpDialogue t;
  TcpOptions o;
  o.send_buffer = 3000;
  const SocketId id = t.establish_passively(o, "win 65535 mss 1000");
  t.send(id, 3000);
  t.pass(4ms);
  EXPECT_EQ(t.send(id, 1), "error 1");
  t.pass(6ms);
  t.peer(". 1:1(0) ack 3001");
  t.pass(1s);
  EXPECT_EQ(sending(t, id), "sndbuf 6000000 tail 4000000");
}

TEST(TcpLimits, NagleAndTheCorkHoldSmallSegmentsBack) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 100);
  t.pass(1ms);
  t.send(id, 100);
  t.pass(8ms);
  EXPECT_EQ(sending(t, id), "tail 1000000 nagle 8000000");
  t.peer(". 1:1(0) ack 101");
  t.pass(9ms);
  t.peer(". 1:1(0) ack 201");
  t.send(id, 100, {.more = true});
  t.pass(50ms);
  t.send(id, 900);
  EXPECT_EQ(sending(t, id), "tail 10000000 nagle 8000000 cork 50000000");
}

TEST(TcpLimits, ThePeersWindowFullTooSmallAndZero) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 4000 mss 1000");
  t.peer(". 1:1(0) ack 1 win 4000");
  t.send(id, 20'000);  // 4000 of it go
  t.pass(5ms);
  EXPECT_EQ(sending(t, id), "rwnd 5000000");
  t.peer(". 1:1(0) ack 4001 win 500");
  t.pass(6ms);
  EXPECT_EQ(sending(t, id), "rwnd 5000000 rwnd.sws 6000000");
  t.peer(". 1:1(0) ack 4001 win 0");
  t.pass(100ms);
  t.peer(". 1:1(0) ack 4001 win 4000");
  EXPECT_EQ(sending(t, id), "rwnd 5000000 rwnd.zero_window 100000000 rwnd.sws 6000000");
  EXPECT_EQ(t.status(id).limits.by_peer_window(t.now), 111ms);
  EXPECT_EQ(t.status(id).limits.busy(t.now), 111ms);
}

// The smaller right edge binds, and a tie is the congestion window's: ten segments here.
TEST(TcpLimits, TheCongestionWindow) {
  for (const char* window : {"win 60000", "win 10000"}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively({}, std::string(window) + " mss 1000");
    t.peer(std::string(". 1:1(0) ack 1 ") + window);
    t.send(id, 20'000);
    t.pass(30ms + 3ns);
    EXPECT_EQ(sending(t, id), "cwnd 30000003") << window;
  }
}

struct Flow {
  Flow() : id(t.establish_passively({}, "win 65535 mss 1000 sackOK")) {
    t.send(id, 1000);
    t.pass(100ms);
    t.peer(". 1:1(0) ack 1001");
    t.take_all();
  }
  TcpDialogue t;
  SocketId id;
};

TEST(TcpLimits, FastRecovery) {
  Flow f;
  f.t.send(f.id, 10'000);
  f.t.pass(100ms);
  f.t.peer(". 1:1(0) ack 1001 sack 2001:5001");
  f.t.pass(60ms);
  f.t.peer(". 1:1(0) ack 11001");
  EXPECT_EQ(sending(f.t, f.id), "tail 200000000 recovery.fast 60000000");
}

// All is lost. Since the answer was due it was the timers that were waited for: 100 ms of the path, then until the
// probe at 202 ms; another 100 ms for its answer, which was lost as well, then until the timeout.
TEST(TcpLimits, TimersThatWereWaitedForAreChargedAfterwards) {
  Flow f;
  f.t.send(f.id, 3000);
  f.t.pass(201ms);
  EXPECT_EQ(sending(f.t, f.id), "tail 301000000");
  f.t.pass(1ms);
  EXPECT_EQ(sending(f.t, f.id), "tail 200000000 recovery.tlp_wait 102000000");
  const Time probe = f.t.now;
  while (f.t.count(Counter::tcp_timeouts) == 0) f.t.pass(1ms);
  const int64_t timeout = (f.t.now - probe).count();
  EXPECT_EQ(sending(f.t, f.id),
            fmt::format("tail 200000000 recovery.rto_wait {} recovery.tlp_wait 202000000", timeout - 100'000'000));
  f.t.pass(50ms);  // and after it, until the answer is there
  f.t.peer(". 1:1(0) ack 4001");
  EXPECT_EQ(f.t.status(f.id).limits.spent(SendLimit::rto_wait, f.t.now), Duration{timeout} - 50ms);
}

// One segment was out, and its ACK came later than the path and half of it: more than 10 ms beyond a short one.
TEST(TcpLimits, ThePeersDelayedAckIsChargedAfterwards) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 1000);
  t.pass(2ms);
  t.peer(". 1:1(0) ack 1001");
  t.send(id, 500);
  t.pass(5ms);
  t.send(id, 500);  // Nagle's and the peer's waiting meet
  t.pass(37ms);
  t.peer(". 1:1(0) ack 1501");
  EXPECT_EQ(sending(t, id), "tail 7000000 nagle 7000000 delayed_ack 30000000");
}

TEST(TcpLimits, TheClosing) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 100);
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.pass(10ms);
  t.peer(". 1:1(0) ack 101");
  t.pass(20ms);
  t.peer(". 1:1(0) ack 102");
  t.pass(30ms);
  EXPECT_EQ(sending(t, id), "tail 10000000 closing 50000000");
}

TEST(TcpLimits, ReceivingWaitsForTheUserForAHoleOrForThePeer) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:101(100) ack 1");
  t.pass(3ms);
  t.peer("P. 201:301(100) ack 1");
  t.pass(4ms);
  EXPECT_EQ(receiving(t, id), "app 7000000 hole 0");
  t.read(id);
  t.pass(5ms);
  EXPECT_EQ(receiving(t, id), "app 7000000 hole 5000000");
  t.peer("P. 101:201(100) ack 1");
  t.read(id);
  t.pass(1s);
  EXPECT_EQ(receiving(t, id), "app 7000000 hole 5000000");
  EXPECT_EQ(t.status(id).limits.spent(ReceiveLimit::wait, t.now), 1s);
}

TEST(TcpLimits, TheTraceNamesThemAsTheAccountDoes) {
  for (size_t i = 0; i < kSendLimits; ++i)
    EXPECT_EQ(limit_text(static_cast<uint32_t>(i)), name(static_cast<SendLimit>(i)));
  EXPECT_EQ(limit_text(kSendLimits), "?");
}

TEST(TcpLimits, ASentenceSaysItLargestFirst) {
  LimitTimes t;
  t.sending = SendLimit::app_idle;
  t.sending_since = Time{12'300ms};
  t.sent[static_cast<size_t>(SendLimit::rwnd)] = 7749ms;
  t.sent[static_cast<size_t>(SendLimit::cwnd)] = 3690ms;
  t.sent[static_cast<size_t>(SendLimit::tail)] = 861ms;
  EXPECT_EQ(sending_in_words(t, Time{12'300ms}),
            "limited by the peer's window 63 % of 12.300 s, by the congestion window 30 %, by the answer to the last "
            "bytes 7 %");
  t.received[static_cast<size_t>(ReceiveLimit::app)] = 3s;
  EXPECT_EQ(receiving_in_words(t, Time{1s}),
            "receiving waited for the application to read 75 % of 4.000 s, for the peer 25 %");
  EXPECT_EQ(sending_in_words({}, Time{}), "");
}

}  // namespace
}  // namespace limpid
