// Idle connections are kept as small records, and nobody can tell. (Every dialogue of the other tests folds, too:
// tcp_dialogue.h; and so does every simulated network.)
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "stack/base/piece_store.h"
#include "stack/base/rng.h"
#include "stack/buffer/loan.h"
#include "stack/tcp/fold_coder.h"
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

// All but so many.
Config folding(uint32_t whole = 0) {
  Config c;
  c.tcp.whole_connections = whole;
  return c;
}

int64_t folded(const TcpDialogue& t) {
  return static_cast<int64_t>(t.count(Counter::tcp_folds)) - static_cast<int64_t>(t.count(Counter::tcp_unfolds));
}

TEST(TcpFold, AQuietConnectionBecomesARecordAndComesBack) {
  TcpDialogue t(folding());
  const SocketId id = t.establish_passively();
  t.pass(1s);  // accept() used it
  EXPECT_EQ(folded(t), 1);
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.status(id).remote, (Endpoint{TcpDialogue::kPeer, TcpDialogue::kPeerPort}));
  EXPECT_EQ(folded(t), 1) << "whoever only looks at it leaves it as it is";
  t.peer("P. 1:6(5) ack 1");
  EXPECT_EQ(folded(t), 0);
  EXPECT_EQ(t.read(id).size(), 5u);
}

TEST(TcpFold, NoneEverIsIfTheConfigurationSaysSo) {
  TcpDialogue t(folding(UINT32_MAX));
  t.establish_passively();
  t.pass(1h);
  EXPECT_EQ(t.count(Counter::tcp_folds), 0u);
}

// Connections from one port after the other, all idle.
std::vector<SocketId> open_many(TcpDialogue& t, uint16_t count) {
  t.listen({}, count);
  std::vector<SocketId> ids;
  for (uint16_t i = 0; i < count; ++i) {
    TcpHeader h;
    h.source_port = static_cast<uint16_t>(5000 + i);
    h.destination_port = TcpDialogue::kOurPort;
    h.flags = tcp_flag::syn;
    h.window = 65'535;
    t.peer_header(h);
    h.sequence = 1;
    h.acknowledgment = t.take().header.sequence + 1;
    h.flags = tcp_flag::ack;
    t.peer_header(h);
    ids.push_back(t.accept());
  }
  return ids;
}

TEST(TcpFold, ThoseUsedLongestAgoAreFolded) {
  TcpDialogue t(folding(10));
  const auto ids = open_many(t, 100);
  EXPECT_GE(folded(t), 80);
  t.pass(1s);
  EXPECT_EQ(folded(t), 90);
  const auto unfolds = t.count(Counter::tcp_unfolds);
  for (size_t i = 91; i < 100; ++i) t.stack.tcp_options(ids[i]);
  EXPECT_EQ(t.count(Counter::tcp_unfolds), unfolds) << "the last ones are whole";
  t.stack.tcp_options(ids[0]);
  EXPECT_EQ(t.count(Counter::tcp_unfolds), unfolds + 1);
}

TEST(TcpFold, OneThatIsUsedAgainAndAgainStaysWhole) {
  TcpDialogue t(folding(10));
  const auto ids = open_many(t, 50);
  t.stack.tcp_options(ids[7]);
  const auto unfolds = t.count(Counter::tcp_unfolds);
  for (size_t i = 10; i < 50; ++i) {
    t.stack.tcp_options(ids[7]);
    t.stack.tcp_options(ids[i]);
    t.pass(1ms);
  }
  EXPECT_LE(t.count(Counter::tcp_unfolds), unfolds + 40);
}

// It comes back for them a few times, and then sleeps.
TEST(TcpFold, AnIdleStackHasNoDeadline) {
  TcpDialogue t(folding(10));
  open_many(t, 20);
  t.pass(1s);
  EXPECT_EQ(folded(t), 10);
  EXPECT_EQ(t.stack.next_deadline(), kNever);
  TcpDialogue few(folding(10));
  open_many(few, 10);
  EXPECT_EQ(few.stack.next_deadline(), kNever) << "with so few it never comes back";
}

// --- what waits stays whole -----------------------------------------------------------------------------------------

class TcpFoldNot : public testing::Test {
 protected:
  void expect_whole() {
    t.pass(10ms);
    EXPECT_EQ(folded(t), 0);
  }
  TcpDialogue t{folding()};
  SocketId id = t.establish_passively();
};

TEST_F(TcpFoldNot, WithTextThatWasNotRead) {
  t.peer("P. 1:6(5) ack 1");
  expect_whole();
  t.read(id);
  t.pass(1s);  // and the ACK has gone
  EXPECT_EQ(folded(t), 1);
}

TEST_F(TcpFoldNot, WithTextThatWasNotAcknowledged) {
  t.send(id, 5);
  expect_whole();
  t.take_all();
  t.peer(". 1:1(0) ack 6");
  t.pass(10ms);
  EXPECT_EQ(folded(t), 1);
}

TEST_F(TcpFoldNot, WithTextBeyondAGap) {
  t.peer("P. 11:16(5) ack 1");
  expect_whole();
}

TEST_F(TcpFoldNot, WithTextThatIsOnLoan) {
  t.peer("P. 1:6(5) ack 1");
  LentText lent;
  ASSERT_EQ(t.stack.tcp_borrow(id, 5, lent, t.now).value_or(0), 5u);
  expect_whole();
  t.stack.tcp_give_back(id, lent, t.now);
  t.pass(1s);
  EXPECT_EQ(folded(t), 1);
}

TEST_F(TcpFoldNot, WithRoomThatTheUserIsWriting) {
  SendRoom room;
  ASSERT_TRUE(t.stack.tcp_reserve(id, 1000, room, t.now));
  expect_whole();
  t.stack.tcp_give_back(id, room, t.now);
  t.pass(10ms);
  EXPECT_EQ(folded(t), 1);
}

TEST_F(TcpFoldNot, WithSomethingThatTheDeviceRefused) {
  t.refuse = true;
  t.peer("P. 1:6(5) ack 1");
  t.read(id);
  expect_whole();
  t.writable();
  t.pass(1s);
  EXPECT_EQ(folded(t), 1);
}

// --- what a record remembers ----------------------------------------------------------------------------------------

// The same dialogue with a stack that folds nothing and one that folds at once.
struct Twins {
  explicit Twins(const TcpOptions& options = {}, CongestionChoice congestion = CongestionChoice::cubic)
      : whole(with(UINT32_MAX, congestion)), small(with(0, congestion)) {
    whole_id = whole.establish_passively(options, kSyn);
    small_id = small.establish_passively(options, kSyn);
  }
  static constexpr const char* kSyn = "win 65535 mss 1460 wscale 7 sackOK ts 1 ecr 0";
  static Config with(uint32_t keep, CongestionChoice congestion) {
    Config c = folding(keep);
    c.tcp.congestion = congestion;
    return c;
  }

  template <class Step>
  void both(Step&& step) {
    step(whole, whole_id);
    step(small, small_id);
    EXPECT_EQ(whole.take_words(), small.take_words());
    expect_equal(whole.status(whole_id), small.status(small_id));
  }
  static void expect_equal(const TcpStatus& a, const TcpStatus& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.state, b.state);
    EXPECT_EQ(a.send_window, b.send_window);
    EXPECT_EQ(a.receive_window, b.receive_window);
    EXPECT_EQ(a.cwnd, b.cwnd);
    EXPECT_EQ(a.ssthresh, b.ssthresh);
    EXPECT_EQ(a.srtt, b.srtt);
    EXPECT_EQ(a.rttvar, b.rttvar);
    EXPECT_EQ(a.min_rtt, b.min_rtt);
    EXPECT_EQ(a.rto, b.rto);
    EXPECT_EQ(a.pacing_rate, b.pacing_rate);
    EXPECT_EQ(a.delivery_rate, b.delivery_rate);
    EXPECT_EQ(a.bytes_acked, b.bytes_acked);
    EXPECT_EQ(a.bytes_received, b.bytes_received);
    EXPECT_EQ(a.segments_in, b.segments_in);
    EXPECT_EQ(a.segments_out, b.segments_out);
    EXPECT_EQ(a.totals.data_segments_in, b.totals.data_segments_in);
    EXPECT_EQ(a.limits.sent, b.limits.sent);
    EXPECT_EQ(a.limits.sending_since, b.limits.sending_since);
    EXPECT_EQ(a.last_text, b.last_text);
    EXPECT_EQ(a.last_received, b.last_received);
    EXPECT_EQ(a.last_sent, b.last_sent);
    EXPECT_STREQ(a.timer, b.timer);
    EXPECT_EQ(a.timer_deadline, b.timer_deadline);
  }
  TcpDialogue whole, small;
  SocketId whole_id, small_id;
};

void converse(Twins& twins) {
  uint32_t peer_nxt = 1;
  uint32_t our_nxt = 1;
  for (uint32_t round = 1; round <= 12; ++round) {
    twins.both([&](TcpDialogue& t, SocketId) { t.pass(7ms * round * round); });
    const std::string stamps = fmt::format("ts {} ecr {}", 10 * round, to_ms(twins.whole.now.time_since_epoch()));
    twins.both([&](TcpDialogue& t, SocketId id) {
      t.peer(fmt::format("P. {}:{}(100) ack {} win 512 {}", peer_nxt, peer_nxt + 100, our_nxt, stamps));
      t.read(id);
      t.send(id, 1000 * round);
    });
    peer_nxt += 100;
    twins.both([&](TcpDialogue& t, SocketId) { t.pass(3ms); });
    our_nxt += 1000 * round;
    twins.both([&](TcpDialogue& t, SocketId) {
      t.peer(fmt::format(". {}:{}(0) ack {} win 512 {}", peer_nxt, peer_nxt, our_nxt, stamps));
    });
  }
  EXPECT_GT(twins.small.count(Counter::tcp_unfolds), 10u);
}

TEST(TcpFoldTwins, AConversationWithPausesLooksTheSame) {
  Twins twins;
  converse(twins);
}

TEST(TcpFoldTwins, WithReno) {
  Twins twins({}, CongestionChoice::reno);
  converse(twins);
}

TEST(TcpFoldTwins, WithBbrsModel) {
  Twins twins({}, CongestionChoice::bbr);
  converse(twins);
}

TEST(TcpFoldTwins, WithOptionsOfItsOwn) {
  TcpOptions o;
  o.no_delay = true;
  o.ttl = 9;
  o.receive_buffer = 20'000;
  o.user_timeout = 5s;
  Twins twins(o);
  converse(twins);
  twins.both([&](TcpDialogue& t, SocketId id) {
    EXPECT_EQ(t.stack.tcp_options(id)->ttl, 9);
    EXPECT_EQ(t.stack.tcp_options(id)->user_timeout, 5s);
  });
}

// The configuration is what a new connection begins with, not what an old one remembers.
TEST(TcpFoldTwins, AChangeOfConfigurationDoesNotReachARecord) {
  Twins twins;
  twins.both([&](TcpDialogue& t, SocketId) {
    TcpConfig c = t.stack.config().tcp;
    c.receive_buffer = 5000;
    c.initial_rto = 7s;
    c.initial_window_segments = 2;
    t.stack.set_tcp_config(c);
    t.pass(1s);
  });
  converse(twins);
}

// --- timers of records ----------------------------------------------------------------------------------------------

TEST(TcpFold, KeepAliveProbesARecord) {
  TcpDialogue t(folding());
  TcpOptions o;
  o.keepalive = true;
  const SocketId id = t.establish_passively(o);
  t.pass(7199s);
  t.expect_nothing();
  EXPECT_EQ(folded(t), 1);
  EXPECT_STREQ(t.status(id).timer, "keepalive");
  EXPECT_EQ(t.stack.next_deadline(), t.status(id).timer_deadline);
  t.pass(1s);
  t.expect(". 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1");
  t.pass(7200s);
  t.expect(". 0:0(0) ack 1");
}

TEST(TcpFold, ARecordThatNobodyHoldsEndsByItsTimer) {
  TcpDialogue t(folding());
  const SocketId id = t.establish_passively();
  t.stack.tcp_close(id, t.now);
  t.expect("F. 1:1(0) ack 1");
  t.peer(". 1:1(0) ack 2");
  t.pass(2s);
  EXPECT_EQ(folded(t), 1);
  EXPECT_EQ(t.listed(), fin_wait_2);
  EXPECT_EQ(t.stack.tcp_unfinished(), 0u);
  t.pass(58s);
  EXPECT_EQ(t.listed(), closed);
}

TEST(TcpFold, AnErrorForARecordIsTold) {
  TcpDialogue t(folding());
  const SocketId id = t.establish_passively();
  t.peer("R. 1:1(0) ack 1");
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::reset);
  EXPECT_EQ(t.listed(), closed);
}

TEST(TcpFold, AHandleThatOutlivedItsConnectionFindsNoRecord) {
  TcpDialogue t(folding());
  const SocketId id = t.establish_passively();
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 1:1(0) ack 1");
  EXPECT_FALSE(t.stack.tcp_status(id));
  EXPECT_EQ(t.stack.tcp_options(id), nullptr);
  EXPECT_EQ(t.send(id, 1), t.send(SocketId{}, 1));
}

// --- the parts ------------------------------------------------------------------------------------------------------

TEST(PieceStore, PiecesAreReusedBySizeAndKeepTheirBytes) {
  PieceStore store;
  Rng rng(3);
  struct Held {
    PieceStore::Name name;
    size_t size;
    std::byte fill;
  };
  std::vector<Held> held;
  for (int i = 0; i < 20'000; ++i) {
    if (held.size() > 500 || (!held.empty() && rng.chance(400'000))) {
      const size_t at = rng.below(held.size());
      for (size_t k = 0; k < held[at].size; ++k) ASSERT_EQ(store.at(held[at].name)[k], held[at].fill);
      store.give_back(held[at].name);
      held[at] = held.back();
      held.pop_back();
      continue;
    }
    const Held h{.name = {}, .size = 1 + rng.below(PieceStore::kLargest), .fill = static_cast<std::byte>(i)};
    held.push_back(h);
    held.back().name = store.take(h.size);
    std::fill_n(store.at(held.back().name), h.size, h.fill);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(store.at(held.back().name)) % PieceStore::kAlignment, 0u);
  }
  const size_t bytes = store.bytes_in_pages();
  for (const Held& h : held) store.give_back(h.name);
  for (const Held& h : held) store.take(h.size);
  EXPECT_EQ(store.bytes_in_pages(), bytes);
}

TEST(FoldStream, WhatIsWrittenIsReadAndZerosCostABit) {
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint64_t> numbers(rng.below(300));
    for (uint64_t& n : numbers) n = rng.chance(700'000) ? 0 : rng.next() >> rng.below(64);
    std::array<std::byte, 4096> bytes;
    FoldWriter writer(bytes);
    for (const uint64_t n : numbers) writer.number(n);
    const size_t size = writer.finish();
    FoldReader reader(ByteSpan(bytes).first(size));
    for (const uint64_t n : numbers) ASSERT_EQ(reader.number(0), n);
    EXPECT_EQ(reader.position(), size);
  }
  std::array<std::byte, 8> few;
  FoldWriter zeros(few);
  for (int i = 0; i < 256; ++i) zeros.number(0);
  EXPECT_EQ(zeros.finish(), 4u);
  FoldWriter too_much(few);
  for (int i = 0; i < 9; ++i) too_much.number(1);
  EXPECT_EQ(too_much.finish(), 0u);
}

}  // namespace
}  // namespace limpid
