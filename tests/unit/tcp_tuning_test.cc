// Buffers that follow the path: the receive buffer what the user copies in a round trip, the send buffer the
// congestion window; both within their bounds, and not where the user has set a size.
#include <fmt/format.h>

#include "stack/runtime/sim_net.h"
#include "stack/tcp/receive_tuning.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

constexpr uint32_t kMss = 1460;

// --- the receive buffer: dynamic right-sizing

TEST(TcpReceiveTuning, TwiceWhatWasCopiedInARoundTripAndMoreWhileItGrows) {
  ReceiveTuning tuning;
  Time now{};
  tuning.on_text(SeqPos{1461}, 60'000, {}, now);
  EXPECT_EQ(tuning.on_copied(1460, kMss, 100ms, now), 0u);  // the round has only begun
  now += 100ms;
  EXPECT_EQ(tuning.on_copied(29'200, kMss, 100ms, now), 3 * (2 * 29'200 + 16 * kMss));  // the rate doubled
  now += 100ms;
  EXPECT_EQ(tuning.on_copied(58'400, kMss, 100ms, now), 0u);  // as much as before
  EXPECT_EQ(tuning.space(), 29'200u);
  now += 100ms;
  const uint32_t wanted = 2 * 43'800 + 16 * kMss;
  EXPECT_EQ(tuning.on_copied(58'400 + 43'800, kMss, 100ms, now), wanted + wanted);  // half as much again
}

TEST(TcpReceiveTuning, TheRoundTripIsTheEchosTheHandshakesOrThatOfAWholeWindow) {
  ReceiveTuning by_echo;
  by_echo.on_text(SeqPos{1}, 60'000, 1000, Time{1080ms});
  EXPECT_EQ(by_echo.rtt(50ms), 80ms);
  by_echo.on_text(SeqPos{2}, 60'000, 1000, Time{1500ms});  // the same stamp again says nothing new
  EXPECT_EQ(by_echo.rtt(50ms), 80ms);
  by_echo.on_text(SeqPos{3}, 60'000, 1400, Time{1560ms});
  EXPECT_EQ(by_echo.rtt(50ms), 160ms / 8 + 80ms * 7 / 8);

  ReceiveTuning by_window;
  EXPECT_EQ(by_window.rtt(50ms), 50ms);
  EXPECT_EQ(by_window.rtt(100us), Duration{});  // too short to be believed: a loaded path takes longer
  by_window.on_text(SeqPos{1}, 10'000, {}, Time{});
  by_window.on_text(SeqPos{10'000}, 10'000, {}, Time{200us});
  EXPECT_EQ(by_window.rtt(100us), Duration{});
  by_window.on_text(SeqPos{10'001}, 10'000, {}, Time{300us});
  EXPECT_EQ(by_window.rtt(100us), 300us);
  by_window.on_text(SeqPos{20'001}, 10'000, {}, Time{900us});
  EXPECT_EQ(by_window.rtt(100us), 300us);  // the least
}

// One round of `segments` from the peer, read at once, 50 ms after the last.
struct Reader {
  explicit Reader(const TcpOptions& options = {}) : id(t.establish_passively(options, "win 65535 mss 1000 wscale 7")) {}
  void round(uint32_t segments) {
    t.pass(50ms);
    for (uint32_t i = 0; i < segments; ++i) {
      t.peer("P. " + std::to_string(at) + ":" + std::to_string(at + 1000) + "(1000) ack 1");
      at += 1000;
      t.read(id);
    }
  }
  TcpDialogue t;
  SocketId id;
  uint32_t at = 1;
};

TEST(TcpReceiveTuning, TheWindowIsToldAsSoonAsItGrows) {
  Reader r;
  for (uint32_t segments = 10; segments <= 160; segments *= 2) r.round(segments);
  r.round(1);
  const uint32_t buffer = r.t.status(r.id).receive_buffer;
  EXPECT_GT(buffer, 320'000u);
  const uint32_t told = uint32_t{r.t.take_all().back().header.window} << 8;
  EXPECT_LE(told, buffer);
  EXPECT_GT(told + 2 * kMss, buffer);  // what is not worth a segment need not be told
}

// A gap holds the user up, and not the sender.
TEST(TcpReceiveTuning, WhatIsHeldBeyondAGapComesOnTop) {
  Reader r;
  for (uint32_t segments = 10; segments <= 160; segments *= 2) r.round(segments);
  const TcpStatus before = r.t.status(r.id);
  r.at += 1000;  // lost, and lost again: it counts, too
  const uint32_t held = before.receive_buffer / 1000 - 20;
  r.round(held);
  const uint32_t wanted = 2 * before.receive_space + 16 * kMss + (held + 1) * 1000;
  EXPECT_GT(wanted, before.receive_buffer);
  EXPECT_EQ(r.t.status(r.id).receive_buffer, wanted);
}

// A connection whose handshake took a round trip of that length.
SocketId established_over(TcpDialogue& t, Duration round_trip, const std::string& options) {
  t.listen();
  t.peer("S 0:0(0) win 65535 " + options);
  t.take_all();
  t.pass(round_trip);
  t.peer(". 1:1(0) ack 1 win 65535");
  return t.accept();
}

// A user that reads at once what comes ever faster: what its buffer has come to.
uint32_t receive_buffer_grown_over(Duration round_trip) {
  TcpDialogue t;
  const SocketId id = established_over(t, round_trip, "mss 1000");
  uint32_t at = 1;
  for (uint32_t segments = 10; segments <= 5120; segments *= 2) {
    t.pass(round_trip);
    for (uint32_t i = 0; i < segments; ++i) {
      t.peer("P. " + std::to_string(at) + ":" + std::to_string(at + 1000) + "(1000) ack 1");
      at += 1000;
      t.read(id);
    }
  }
  return t.status(id).receive_buffer;
}

TEST(TcpReceiveTuning, OnlyALongPathGetsTheLargestBuffer) {
  EXPECT_EQ(receive_buffer_grown_over(50us), uint32_t{8} << 20);
  EXPECT_EQ(receive_buffer_grown_over(3ms), 3000u * 4096);
  EXPECT_GT(receive_buffer_grown_over(20ms), uint32_t{14} << 20);
}

TEST(TcpReceiveTuning, ASizeThatTheUserHasSetStays) {
  TcpOptions o;
  o.receive_buffer = 200'000;
  Reader r(o);
  for (uint32_t segments = 10; segments <= 160; segments *= 2) r.round(segments);
  EXPECT_EQ(r.t.status(r.id).receive_buffer, 200'000u);
}

// --- the send buffer

// It grows where the user fills it and the congestion window would take more, and only then.
TEST(TcpSendTuning, TheBufferGrowsToTwiceTheCongestionWindowWithinItsBounds) {
  Config config;
  config.tcp.send_buffer = 30'000;
  config.tcp.largest_send_buffer = 50'000;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  EXPECT_EQ(t.status(id).send_buffer, 30'000u);
  uint32_t acked = 1;
  const auto round = [&](size_t bytes) {
    t.send(id, bytes);
    uint32_t sent = 0;
    for (const auto& segment : t.take_all()) sent += static_cast<uint32_t>(segment.text.size());
    acked += sent;
    t.peer(". 1:1(0) ack " + std::to_string(acked) + " win 65535");
  };
  for (int i = 0; i < 4; ++i) round(10'000);
  EXPECT_EQ(t.status(id).send_buffer, 30'000u);  // never filled
  uint32_t before = 30'000;
  for (int i = 0; i < 6; ++i) {
    round(100'000);
    EXPECT_GE(t.status(id).send_buffer, before);
    before = t.status(id).send_buffer;
    EXPECT_LE(before, std::clamp(2 * t.status(id).cwnd, 30'000u, 50'000u));
  }
  EXPECT_GT(before, 30'000u);
  TcpOptions o = *t.stack.tcp_options(id);
  o.send_buffer = 5000;
  t.stack.tcp_set_options(id, o, t.now).value();
  EXPECT_EQ(t.status(id).send_buffer, 5000u);
}

// What has arrived behind a hole is still kept; what may be sent meanwhile must not run out.
TEST(TcpSendTuning, TheBufferGrowsWithWhatAHoleHoldsBack) {
  Config config;
  config.tcp.send_buffer = 20'000;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000 sack");
  while (t.send(id, 1000) == "taken 1000") continue;
  for (uint32_t sacked = 2000; sacked <= 30'000; sacked += 1000) {
    t.peer(". 1:1(0) ack 1 sack 1001:" + std::to_string(sacked + 1));
    while (t.send(id, 1000) == "taken 1000") continue;
  }
  const TcpStatus s = t.status(id);
  EXPECT_GT(s.send_buffer, 2 * s.cwnd);
  EXPECT_GT(s.send_queue, 31'000u);
}

// A writer that never lets go, on a path without losses.
SocketId grow_buffer(TcpDialogue& t, Duration round_trip) {
  const SocketId id = established_over(t, round_trip, "mss 1460 wscale 14");
  uint32_t acked = 1;
  for (int i = 0; i < 14; ++i) {
    while (t.send(id, 100'000).starts_with("taken")) continue;
    t.pass(round_trip);
    for (const auto& segment : t.take_all()) acked += static_cast<uint32_t>(segment.text.size());
    t.peer(". 1:1(0) ack " + std::to_string(acked) + " win 65535");
  }
  EXPECT_GE(2 * t.status(id).cwnd, t.status(id).send_buffer);  // it is the bound that held it
  return id;
}

uint32_t buffer_grown_over(Duration round_trip) {
  TcpDialogue t;
  const SocketId id = grow_buffer(t, round_trip);
  return t.status(id).send_buffer;
}

// What its buffer is while another connection's holds 3 MiB, and when that one is gone.
std::pair<uint32_t, uint32_t> buffer_beside_another(Duration round_trip) {
  TcpDialogue t;
  const SocketId id = grow_buffer(t, round_trip);
  TcpOptions large;
  large.send_buffer = 3 << 20;
  const SocketId other = t.connect(large);
  EXPECT_EQ(t.send(other, 3 << 20), fmt::format("taken {}", 3 << 20));
  const uint32_t beside = t.status(id).send_buffer;
  t.take_all();
  t.stack.tcp_abort(other, t.now);
  return {beside, t.status(id).send_buffer};
}

TEST(TcpSendTuning, OnlyALongPathGetsTheLargestBuffer) {
  EXPECT_EQ(buffer_grown_over(50us), uint32_t{1} << 20);
  EXPECT_EQ(buffer_grown_over(1ms), 4'096'000u);
  EXPECT_GT(buffer_grown_over(100ms), uint32_t{20} << 20);
}

// What it holds itself is not counted.
TEST(TcpSendTuning, ABufferAloneIsNotShared) {
  TcpDialogue t;
  const SocketId id = grow_buffer(t, 1ms);
  while (t.send(id, 100'000).starts_with("taken")) continue;
  EXPECT_GT(t.status(id).send_queue, uint32_t{3} << 20);
  EXPECT_EQ(t.status(id).send_buffer, 4'096'000u);
}

TEST(TcpSendTuning, BuffersOfShortPathsShareTheCache) {
  EXPECT_EQ(buffer_beside_another(50us), std::pair(uint32_t{64} << 10, uint32_t{1} << 20));
  EXPECT_EQ(buffer_beside_another(400us), std::pair(50u * 4096, 400u * 4096));
}

// No octet is taken out, but the window opens: that makes room, and the writer must hear of it.
TEST(TcpSendTuning, AWriterIsToldOfRoomThatALargerWindowMakes) {
  Config config;
  config.tcp.send_buffer = 25'000;
  TcpDialogue t(config);
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000");
  while (t.send(id, 1000) == "taken 1000") continue;
  const uint32_t queued = t.status(id).send_queue;
  t.raised(id);
  uint32_t acked = 1;
  while ((t.raised(id) & kWritable) == 0 && acked < 40'000) {
    acked += 2000;
    t.peer(". 1:1(0) ack " + std::to_string(acked));
  }
  EXPECT_EQ(t.send(id, 1000), "taken 1000");
  EXPECT_LE(queued + 1 - acked, 2 * t.status(id).send_buffer / 3);
}

// --- both, over a path

class Wakes final : public ReadySink {
 public:
  void raise(SocketId, ReadyEvents) override {}
};

// a sends to b as fast as it may, and b reads at once.
struct Path {
  explicit Path(const SimLinkConfig& link) : net(1, SimHash::none) {
    a = net.add_host("a", {}, wakes);
    b = net.add_host("b", {}, wakes);
    net.connect(a, IpAddress::v4(10, 0, 0, 1), b, to.address, link);
    const BindId bind = net.stack(b).tcp_bind(to, {}, net.now()).value();
    const SocketId listener = net.stack(b).tcp_listen(bind, 8, {}, net.now()).value();
    sender = net.stack(a).tcp_connect(to, {}, {}, net.now()).value();
    net.run_until([&] {
      const auto accepted = net.stack(b).tcp_accept(listener, net.now());
      if (accepted) receiver = *accepted;
      return accepted.has_value();
    });
  }
  uint64_t run(Duration duration) {
    const uint64_t before = read;
    const Time until = net.now() + duration;
    while (net.now() < until) {
      while (net.stack(a).tcp_send(sender, text, {}, net.now())) continue;
      while (const auto n = net.stack(b).tcp_receive(receiver, into, {}, net.now())) read += *n;
      net.step(until);
    }
    return read - before;
  }
  Endpoint to{IpAddress::v4(10, 0, 0, 2), 80};
  Wakes wakes;
  SimNet net;
  SimNet::HostId a = 0, b = 0;
  SocketId sender, receiver;
  uint64_t read = 0;
  std::vector<std::byte> text = std::vector<std::byte>(100'000);
  std::vector<std::byte> into = std::vector<std::byte>(1'000'000);
};

SimLinkConfig link_of(uint64_t rate, Duration one_way, uint32_t queue) {
  SimLinkConfig link = SimLinkConfig::symmetric({.delay = one_way, .rate = rate, .queue_bytes = queue});
  link.mtu = 9000;
  return link;
}

TEST(TcpTuning, ALongFatPathIsFilledWithoutConfiguration) {
  Path path(link_of(1'000'000'000, 50ms, 12'500'000));
  path.run(2s);
  EXPECT_GT(path.run(1s), 125'000'000u * 9 / 10);
}

TEST(TcpTuning, AShortPathKeepsSmallBuffers) {
  Path path(link_of(1'000'000'000, 50us, 250'000));
  path.run(50ms);
  EXPECT_GT(path.run(100ms), 12'500'000u * 9 / 10);
  EXPECT_LE(path.net.stack(path.b).tcp_status(path.receiver)->receive_buffer, 1u << 20);
}

}  // namespace
}  // namespace limpid
