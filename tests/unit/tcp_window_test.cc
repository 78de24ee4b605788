// Windows: RFC 9293 §3.8.6 (zero windows, probes, silly windows on both sides, shrinking) and RFC 7323 §2 (scaling).
#include <array>

#include "stack/base/rng.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

TcpOptions small_buffer(uint32_t bytes) {
  TcpOptions o;
  o.receive_buffer = bytes;
  return o;
}

Config wide_cwnd() {  // so that the peer's window alone is the subject
  Config c;
  c.tcp.initial_window_segments = 100;
  return c;
}

// Octets of new text that wait to be looked at, and their right end.
struct Flight {
  size_t octets = 0;
  int64_t end = 0;
};
Flight flight(TcpDialogue& t) {
  Flight f;
  for (const auto& s : t.take_all()) {
    f.octets += s.text.size();
    f.end = std::max<int64_t>(
        f.end, static_cast<int32_t>(s.header.sequence - t.our_isn) + static_cast<int64_t>(s.text.size()));
  }
  return f;
}

// --- what the peer allows
// --------------------------------------------------------------------------------------------------

// req: 9293-MUST-1
TEST(TcpSendWindow, AWindowOf32768OrMoreIsLargeAndNotNegative) {
  for (const auto& [window, mss] : {std::pair<int, int>{32'768, 1024}, {65'535, 1285}}) {
    TcpDialogue t(wide_cwnd());
    const std::string w = " win " + std::to_string(window);
    t.listen();
    t.peer("S 0:0(0)" + w + " mss " + std::to_string(mss));
    t.expect("S. 0:0(0) ack 1");
    t.peer(". 1:1(0) ack 1" + w);
    t.send(t.accept(), 100'000);
    EXPECT_EQ(flight(t).octets, static_cast<size_t>(window));
  }
}

// req: 9293-MUST-34, 9293-SHLD-15, 9293-SHLD-16
TEST(TcpSendWindow, AShrunkWindowStopsWhatIsNewAndWhatIsInsideIsSentAgain) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 30'000);
  EXPECT_EQ(flight(t).end, 14'601);
  t.peer(". 1:1(0) ack 1 win 1460");  // nine segments lie beyond the edge now
  t.expect_nothing();
  t.pass(1s);
  t.expect(". 1:1461(1460) ack 1");
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1461 win 1460");
  for (const auto& s : t.take_all())
    EXPECT_LE(static_cast<int32_t>(s.header.sequence - t.our_isn) + static_cast<int64_t>(s.text.size()), 14'601);
  t.peer(". 1:1(0) ack 14601 win 65535");
  t.pass(10s);
  EXPECT_GT(flight(t).end, 14'601);
}

// The peer acknowledges what its window held, and shuts it over the rest: however long, that is no reason to give up.
// req: 9293-SHLD-17
TEST(TcpSendWindow, WhatLiesBeyondAShrunkEdgeTimesNothingOut) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 30'000);
  EXPECT_EQ(flight(t).end, 14'601);
  for (int second = 0; second < 3 * 3600; ++second) {
    t.peer(". 1:1(0) ack 1461 win 0");
    t.pass(1s);
    t.take_all();
  }
  EXPECT_EQ(t.state(id), established);
}

// A peer that opens its window by an octet at a time, for ever, gets a segment when the override timer says so: five a
// second, and not one for each of its ACKs.
// req: ATK-slowread
TEST(TcpSillyWindow, APeerThatReadsByTheOctetCostsFewSegments) {
  for (int window : {1, 5, 10}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively();
    const std::string win = " win " + std::to_string(window);
    t.peer(". 1:1(0) ack 1" + win);
    t.send(id, 100'000);
    int64_t acked = 1;
    size_t segments = 0;
    for (int step = 0; step < 6000; ++step) {  // a minute of an ACK each 10 ms
      for (const auto& s : t.take_all()) {
        ++segments;
        acked =
            std::max(acked, static_cast<int32_t>(s.header.sequence - t.our_isn) + static_cast<int64_t>(s.text.size()));
      }
      t.peer(". 1:1(0) ack " + std::to_string(acked) + win);
      t.pass(10ms);
    }
    EXPECT_LE(segments, 301u) << window;
    EXPECT_GT(segments, 250u) << window;
    EXPECT_LE(acked - 1, static_cast<int64_t>(segments) * window);
  }
}

// req: 9293-MUST-35, 9293-MUST-34
TEST(TcpSendWindow, AWindowShrunkToNothingIsProbed) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 30'000);
  t.take_all();
  t.peer(". 1:1(0) ack 1 win 0");
  t.expect_nothing();
  t.pass(1s);
  t.expect(". 1:2(1) ack 1");  // one octet, sent before
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1 win 65535");
  EXPECT_EQ(t.take().words, ". 1:1461(1460) ack 1");  // what the zero window refused
  EXPECT_EQ(t.status(id).send_window, 65'535u);
}

// req: 9293-MUST-36, 9293-SHLD-29, 9293-SHLD-30
TEST(TcpZeroWindow, IsProbedAfterOneRtoAndThenEverMoreRarely) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 1:1(0) ack 1 win 0");
  t.send(id, 1000);
  t.expect_nothing();
  const Time closed_at = t.now;
  t.pass(1h);
  const auto probes = t.take_all();
  ASSERT_GE(probes.size(), 12u);
  EXPECT_EQ(probes[0].at - closed_at, 1s);
  for (size_t i = 0; i < probes.size(); ++i) {
    EXPECT_EQ(probes[i].words, ". 1:2(1) ack 1");
    const Duration gap = i > 0 ? probes[i].at - probes[i - 1].at : Duration{1s};
    EXPECT_EQ(gap, std::min<Duration>(1s * (1 << i), 120s)) << i;
  }
  // None was answered: the connection is given up after R2, as for data.
  EXPECT_EQ(probes.size(), 15u);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
}

// req: 9293-MUST-37, 6429-4-a
TEST(TcpZeroWindow, WhileProbesAreAcknowledgedTheConnectionLives) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 1:1(0) ack 1 win 0");
  t.send(id, 1000);
  size_t probes = 0;
  for (int second = 0; second < 24 * 3600; ++second) {
    t.pass(1s);
    for (; t.pending() > 0; ++probes) {
      t.take();
      t.peer(". 1:1(0) ack 1 win 0");
    }
  }
  EXPECT_EQ(t.state(id), established);
  EXPECT_GT(probes, 700u);
  t.peer(". 1:1(0) ack 1 win 65535");
  EXPECT_EQ(t.take().words, ". 1:2(1) ack 1");  // the octet of the probes, and the rest
  t.peer(". 1:1(0) ack 2 win 65535");
  EXPECT_EQ(flight(t).end, 1001);
}

// req: 9293-MUST-36
TEST(TcpZeroWindow, ALostWindowUpdateIsMadeUpForByTheAnswerToAProbe) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 1:1(0) ack 1 win 0");
  t.send(id, 1000);
  t.pass(1s);
  t.expect(". 1:2(1) ack 1");
  t.peer(". 1:1(0) ack 2 win 65535");  // the peer took the octet and has room
  t.expect("P. 2:1001(999) ack 1");
}

// The path lost nothing: a zero window is no timeout, and costs no congestion window.
TEST(TcpZeroWindow, WhatItRefusedIsNotTakenForLost) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 30'000);
  t.take_all();
  const uint32_t cwnd = t.status(id).cwnd;
  t.peer(". 1:1(0) ack 1 win 0");
  for (int probe = 0; probe < 8; ++probe) {
    t.pass(probe == 0 ? 1s : 1s * (1 << probe));
    t.expect(". 1:2(1) ack 1");
    t.expect_nothing();
    t.peer(". 1:1(0) ack 1 win 0");
  }
  EXPECT_EQ(t.count(Counter::tcp_timeouts), 0u);
  EXPECT_EQ(t.status(id).cwnd, cwnd);
}

// A window that closes in the middle of a recovery stops that too.
TEST(TcpZeroWindow, NothingIsResentIntoItButProbes) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  t.send(id, 10'000);
  t.take_all();
  t.pass(1s);
  t.expect(". 1:1001(1000) ack 1");
  t.peer(". 1:1(0) ack 1001 win 0");
  t.expect_nothing();
  t.pass(30s);
  for (const auto& words : t.take_words()) EXPECT_EQ(words, ". 1001:1002(1) ack 1");
  t.peer(". 1:1(0) ack 1001 win 65535");
  t.expect(". 1001:2001(1000) ack 1");
}

// Two ends whose windows are both shut probe each other: each sees the other's ACKs one octet beyond its window, and
// must believe what they say of windows and octets, or both would wait for ever.
// req: 9293-A.2-a
TEST(TcpZeroWindow, TwoEndsThatProbeEachOtherComeFree) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(1000));
  t.peer("P. 1:1001(1000) ack 1 win 0");
  t.pass(1s);
  t.take_all();
  t.send(id, 500);
  t.pass(1s);
  t.expect(". 1:2(1) ack 1001");         // our probe; the peer's, sent before, was refused:
  t.peer(". 1001:1002(1) ack 1 win 0");  // so that it stands at 1002 now,
  t.take_all();
  t.peer(". 1002:1002(0) ack 2 win 65535");  // and takes our octet from there
  EXPECT_EQ(t.take_all().back().words, "P. 2:501(499) ack 1001");
}

// A FIN just behind a full window is let in; the peer's ACKs then come from behind it.
TEST(TcpZeroWindow, AfterAFinBehindAFullWindowAcksAreStillTaken) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(1000));
  t.send(id, 100);
  t.take_all();
  t.peer("FP. 1:1001(1000) ack 1");
  t.expect(". 101:101(0) ack 1002 win 0");
  EXPECT_EQ(t.state(id), close_wait);
  t.peer(". 1002:1002(0) ack 101");
  t.expect_nothing();
  EXPECT_EQ(t.status(id).bytes_acked, 100u);
}

TEST(TcpZeroWindow, AFinProbesToo) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 1:1(0) ack 1 win 0");
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect_nothing();
  t.pass(1s);
  t.expect("F. 1:1(0) ack 1");
  t.peer(". 1:1(0) ack 2 win 0");
  EXPECT_EQ(t.state(id), fin_wait_2);
}

// req: 9293-MUST-38, 9293-3.8.6-c
TEST(TcpSillyWindow, TinyOpeningsAreNotUsedBeforeTheOverrideTimer) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 1:1(0) ack 1 win 0");
  t.send(id, 5000);
  for (int window = 1; window <= 10; ++window) {
    t.peer(". 1:1(0) ack 1 win " + std::to_string(window));
    t.pass(10ms);
  }
  t.expect_nothing();
  t.pass(110ms);
  t.expect(". 1:11(10) ack 1");  // 200 ms after the first opening
  t.peer(". 1:1(0) ack 11 win 1460");
  t.expect(". 11:1471(1460) ack 1");
}

// req: 9293-MUST-38
TEST(TcpSillyWindow, HalfOfTheLargestWindowEverSeenIsWorthASegment) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) win 1000 mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1 win 1000");
  const SocketId id = t.accept();
  t.send(id, 5000);
  t.expect(". 1:1001(1000) ack 1");
  t.peer(". 1:1(0) ack 1001 win 499");
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1001 win 500");
  t.expect(". 1001:1501(500) ack 1");
}

// req: 9293-3.10.7.4-h
TEST(TcpSendWindow, APureUpdateIsTaken) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 1:1(0) ack 1 win 1460");
  t.send(id, 4000);
  t.expect(". 1:1461(1460) ack 1");
  t.peer(". 1:1(0) ack 1 win 2920");
  t.expect(". 1461:2921(1460) ack 1");
}

// req: 9293-3.10.7.4-i
TEST(TcpSendWindow, AnOlderSegmentDoesNotChangeIt) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 1 win 6000");
  t.peer("P. 11:21(10) ack 1 win 5000");
  t.take_all();
  t.peer("P. 1:11(10) ack 1 win 50");  // equal ACK, older sequence number: overtaken on the way
  EXPECT_EQ(t.status(id).send_window, 5000u);
  t.send(id, 100);
  t.peer(". 21:21(0) ack 101 win 4000");
  t.peer(". 21:21(0) ack 1 win 60000");
  EXPECT_EQ(t.status(id).send_window, 4000u);
}

// req: ATK-shrink, 5681-2-a
TEST(TcpSendWindow, AnyWindowAtAnyTimeIsSurvivedAndNeverOverrun) {
  Rng rng(3);
  constexpr std::array<uint32_t, 8> kWindows = {0, 1, 2, 100, 1460, 5000, 65'534, 65'535};
  for (uint8_t shift : {uint8_t{0}, uint8_t{7}, uint8_t{14}}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively({}, "win 65535 mss 1460 wscale " + std::to_string(shift));
    int64_t una = 1;
    int64_t nxt = 1;
    uint64_t edge = 1 + 65'535;
    for (int step = 0; step < 3000; ++step) {
      (void)t.stack.tcp_send(id, std::vector<std::byte>(rng.below(20'000)), {}, t.now);
      t.pass(Duration{std::chrono::milliseconds(rng.below(400))});
      for (const auto& s : t.take_all()) {
        const int64_t end = static_cast<int32_t>(s.header.sequence - t.our_isn) + static_cast<int64_t>(s.text.size());
        ASSERT_LE(static_cast<uint64_t>(end), std::max(edge, static_cast<uint64_t>(nxt) + 1)) << step;  // or a probe
        nxt = std::max(nxt, end);
      }
      una += static_cast<int64_t>(rng.below(static_cast<uint64_t>(nxt - una) + 1));
      const uint32_t window = kWindows[rng.below(kWindows.size())];
      t.peer(". 1:1(0) ack " + std::to_string(una) + " win " + std::to_string(window));
      edge = std::max(edge, static_cast<uint64_t>(una) + (uint64_t{window} << shift));
      ASSERT_EQ(t.state(id), established);
    }
  }
}

// --- what we allow
// -----------------------------------------------------------------------------------------------------------

// req: 9293-MUST-39, 9293-3.8.6-b
TEST(TcpReceiveWindow, OpensAgainByASegmentAtLeastAndThenAtOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(14'600));
  for (int64_t from = 1; from < 14'601; from += 1460)
    t.peer(". " + std::to_string(from) + ":" + std::to_string(from + 1460) + "(1460) ack 1");
  EXPECT_EQ(t.take_all().back().header.window, 0);
  for (int octet = 0; octet < 1459; ++octet) t.read(id, 1);
  t.expect_nothing();
  t.read(id, 1);
  t.expect(". 1:1(0) ack 14601 win 1460");
  t.read(id);
  t.expect(". 1:1(0) ack 14601 win 14600");
}

// req: 9293-MUST-39
TEST(TcpReceiveWindow, OfASmallBufferOpensByHalfOfIt) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(2800));
  t.peer(". 1:1401(1400) ack 1");
  t.peer("P. 1401:2801(1400) ack 1");
  t.expect(". 1:1(0) ack 2801 win 0");
  for (int octet = 0; octet < 1399; ++octet) t.read(id, 1);
  t.expect_nothing();
  t.read(id, 1);
  t.expect(". 1:1(0) ack 2801 win 1400");
}

// req: 9293-MUST-39
TEST(TcpReceiveWindow, AnAckOnItsWayDoesNotAnnounceAFewOctetsEither) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(14'600));
  for (int64_t from = 1; from < 14'601; from += 1460)
    t.peer(". " + std::to_string(from) + ":" + std::to_string(from + 1460) + "(1460) ack 1");
  t.take_all();
  t.read(id, 1000);
  t.peer(". 14601:14602(1) ack 1");  // a probe
  t.expect(". 1:1(0) ack 14601 win 0");
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 14601 win 0");
}

// req: 9293-SHLD-14
TEST(TcpReceiveWindow, ItsRightEdgeNeverMovesLeft) {
  for (const char* syn : {"win 65535 mss 1460", "win 65535 mss 1460 wscale 3"}) {
    Rng rng(5);
    TcpDialogue t;
    const SocketId id = t.establish_passively(small_buffer(20'000), syn);
    const unsigned shift = t.status(id).receive_window_shift;
    int64_t nxt = 1;
    int64_t edge = 1;
    TcpOptions options = small_buffer(20'000);
    for (int step = 0; step < 5000; ++step) {
      const auto window = static_cast<int64_t>(t.status(id).receive_window);
      const int64_t n = std::min<int64_t>(window, static_cast<int64_t>(rng.between(1, 1460)));
      if (n > 0)
        t.peer(". " + std::to_string(nxt) + ":" + std::to_string(nxt + n) + "(" + std::to_string(n) + ") ack 1");
      nxt += n;
      if (rng.chance(400'000)) t.read(id, rng.between(1, 5000));
      if (rng.chance(20'000)) {
        options.receive_buffer = static_cast<uint32_t>(rng.between(2000, 40'000));
        t.stack.tcp_set_options(id, options, t.now).value();
      }
      t.pass(50ms);
      for (const auto& s : t.take_all()) {
        const int64_t now_edge =
            static_cast<int32_t>(s.header.acknowledgment - TcpDialogue::kPeerIsn) + (int64_t{s.header.window} << shift);
        ASSERT_GE(now_edge + (1 << shift) - 1, edge) << step;
        edge = std::max(edge, now_edge);
      }
    }
  }
}

// Segments shorter than the unit of a scaled window must not keep it open for a user who does not read.
TEST(TcpReceiveWindow, ClosesUnderTinySegmentsToo) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(4000), "win 65535 mss 1460 wscale 7");
  for (int64_t nxt = 1; nxt < 30'000; ++nxt)
    t.peer(". " + std::to_string(nxt) + ":" + std::to_string(nxt + 1) + "(1) ack 1");
  EXPECT_EQ(t.take_all().back().header.window, 0);
  EXPECT_LE(t.status(id).receive_queue, 8200u);
}

// req: 9293-MAY-8, 9293-3.8.6-a
TEST(TcpReceiveWindow, MayStayClosedForHoursAndEveryProbeIsAnswered) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(1000));
  t.peer("P. 1:1001(1000) ack 1");
  t.pass(1s);
  t.take_all();
  for (int minute = 0; minute < 600; ++minute) {
    t.pass(1min);
    t.peer(". 1001:1002(1) ack 1");
    t.expect(". 1:1(0) ack 1001 win 0");
    t.expect_nothing();
  }
  EXPECT_EQ(t.state(id), established);
}

// --- RFC 7323: window scaling
// ---------------------------------------------------------------------------------------------------

// req: 7323-2.2-a
TEST(TcpWindowScale, IsUsedOnlyIfBothSynsCarryIt) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1460");
  EXPECT_FALSE(t.take().header.options.window_scale.has_value());
  t.peer(". 1:1(0) ack 1");
  const SocketId id = t.accept();
  EXPECT_FALSE(t.status(id).window_scaling);
  t.peer("P. 1:2(1) ack 1");
  t.pass(1s);
  EXPECT_EQ(t.take().header.window, 65'535);  // of a buffer of 1 MiB

  TcpDialogue active;
  const SocketId c = active.connect();
  EXPECT_TRUE(active.take().header.options.window_scale.has_value());
  active.peer("S. 0:0(0) ack 1 mss 1460");
  EXPECT_EQ(active.take().header.window, 65'535);
  EXPECT_FALSE(active.status(c).window_scaling);
}

// req: 7323-2.2-c, 7323-2.3-a
TEST(TcpWindowScale, TheWindowsOfTheSynsAreNotScaledAllLaterOnesAre) {
  TcpDialogue t;
  const SocketId id = t.connect();
  const auto syn = t.take();
  EXPECT_EQ(syn.header.window, 65'535);
  EXPECT_EQ(syn.header.options.window_scale, 8);
  t.peer("S. 0:0(0) ack 1 win 65535 mss 1460 wscale 7");
  EXPECT_EQ(t.status(id).send_window, 65'535u);
  EXPECT_EQ(t.take().header.window, 512);  // 128 KiB by 256
  t.peer(". 1:1(0) ack 1 win 1000");
  EXPECT_EQ(t.status(id).send_window, 128'000u);
}

// req: 7323-2.3-a
TEST(TcpWindowScale, OurShiftIsWhatTheBufferNeeds) {
  for (const auto& [buffer, shift] : {std::pair<uint32_t, int>{65'535, 8}, {16u << 20, 9}, {32u << 20, 10}}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively(small_buffer(buffer), "win 65535 mss 1460 wscale 2");
    EXPECT_EQ(t.status(id).receive_window_shift, shift);
    EXPECT_EQ(t.status(id).send_window_shift, 2);
    EXPECT_EQ(t.status(id).send_window, 65'535u << 2);  // of the ACK that ended the handshake
  }
}

// req: 7323-2.3-b, 9293-REC-1
TEST(TcpWindowScale, AShiftAbove14IsUsedAs14AndAGibibyteFits) {
  for (int shift : {14, 15, 255}) {
    TcpDialogue t;
    const SocketId id = t.establish_passively({}, "win 65535 mss 1460 wscale " + std::to_string(shift));
    EXPECT_EQ(t.status(id).send_window, 65'535u << 14);
    t.send(id, 20'000);
    EXPECT_EQ(flight(t).octets, 14'600u);  // only the congestion window holds back
  }
}

// req: 7323-2.3-c
TEST(TcpWindowScale, TheShiftNeverChangesAfterTheSyns) {
  TcpDialogue t;
  t.listen();
  t.peer("S 0:0(0) mss 1460 wscale 3");
  const auto first = t.take();
  t.pass(1s);
  const auto again = t.take();
  EXPECT_EQ(first.header.options, again.header.options);
  t.peer("S 0:0(0) mss 1460 wscale 3");
  EXPECT_EQ(t.take().header.options, first.header.options);
  t.peer(". 1:1(0) ack 1");
  const SocketId id = t.accept();
  t.stack.tcp_set_options(id, small_buffer(32u << 20), t.now).value();
  EXPECT_EQ(t.status(id).receive_window_shift, 8);
  t.peer("P. 1:2(1) ack 1");
  t.pass(1s);
  EXPECT_EQ(t.take_all().back().header.window, 65'535);  // as much as the old shift can say
}

// req: 7323-2.2-d
TEST(TcpWindowScale, AShiftOfZeroIsOfferedToo) {
  Config config;
  config.tcp.largest_receive_buffer = 8000;
  TcpDialogue active(config);
  active.connect(small_buffer(8000));
  EXPECT_EQ(active.take().header.options.window_scale, 0);
  TcpDialogue passive(config);
  passive.listen(small_buffer(8000));
  passive.peer("S 0:0(0) mss 1460 wscale 3");
  EXPECT_EQ(passive.take().header.options.window_scale, 0);
}

// A user who does not read, and octets that come one by one: at last the window loses less than a unit of its scale.
// What it promised before is taken all the same.
// req: 7323-2.4-a, 7323-2.4-b
TEST(TcpWindowScale, TextUpToTheGreatestEdgeIsTakenThoughRoundingTookItBack) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(1000), "win 65535 mss 1460 wscale 0");
  int64_t greatest = 0;
  int64_t next = 1;
  bool taken_back = false;
  for (; next < 3000 && !taken_back; ++next) {
    t.peer("P. " + std::to_string(next) + ":" + std::to_string(next + 1) + "(1) ack 1");
    t.pass(50ms);
    for (const auto& s : t.take_all()) {
      const auto edge = int64_t{s.header.acknowledgment - TcpDialogue::kPeerIsn} + (int64_t{s.header.window} << 7);
      taken_back |= edge < greatest;
      greatest = std::max(greatest, edge);
    }
  }
  ASSERT_TRUE(taken_back);
  ASSERT_LT(next, greatest);
  t.peer("P. " + std::to_string(next) + ":" + std::to_string(greatest) + "(" + std::to_string(greatest - next) +
         ") ack 1");
  t.pass(50ms);
  EXPECT_EQ(t.status(id).bytes_received, static_cast<uint64_t>(greatest - 1));
}

// req: 7323-2.4-c
TEST(TcpWindowScale, NewTextStaysInsideTheLatestWindowThoughAnEarlierOneReachedFarther) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1280 wscale 7");
  t.peer(". 1:1(0) ack 1 win 20");  // 2560
  t.send(id, 10'000);
  EXPECT_EQ(flight(t).octets, 2560u);
  t.peer(". 1:1(0) ack 1281 win 5");  // 640: the edge went back from 2561 to 1921
  t.expect_nothing();
  t.peer(". 1:1(0) ack 2561 win 1");
  t.pass(250ms);  // silly-window avoidance gives in
  t.expect(". 2561:2689(128) ack 1");
  t.expect_nothing();
}

}  // namespace
// The field of the header holds 64 KiB: a larger buffer without scaling gives no reason to tell of every read.
TEST(TcpWindowUpdate, AnUnscaledWindowOfALargeBufferIsNotAnnouncedWithEveryRead) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1460");
  for (int i = 0; i < 4; ++i) {
    t.peer("P. " + std::to_string(1 + i * 1460) + ":" + std::to_string(1461 + i * 1460) + "(1460) ack 1");
    t.pass(50ms);
    t.take_all();
    EXPECT_EQ(t.read(id).size(), 1460u);
    t.expect_nothing();
  }
}

}  // namespace limpid
