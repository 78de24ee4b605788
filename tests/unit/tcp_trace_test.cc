// What the trace says of a connection: each drop with its reason, each turn of loss recovery with the clause that
// called for it. (The sentences made of it: dialogue_test, trace_text_test.)
#include <algorithm>

#include "stack/base/trace.h"
#include "tests/unit/recovery_flow.h"

namespace limpid {
namespace {

using enum TcpState;

class Events final : public TraceSink {
 public:
  void event(const Event& e) override { all.push_back(e); }
  std::vector<Event> of(EventKind kind) const {
    std::vector<Event> some;
    std::ranges::copy_if(all, std::back_inserter(some), [&](const Event& e) { return e.kind == kind; });
    return some;
  }
  std::vector<Event> all;
};

// Rule, counter and state of each segment that was dropped.
struct Dropped {
  Rule why;
  Counter reason;
  TcpState state;
  friend bool operator==(const Dropped&, const Dropped&) = default;
};

std::vector<Dropped> drops(const Events& events) {
  std::vector<Dropped> all;
  for (const Event& e : events.of(EventKind::tcp_packet_dropped))
    all.push_back({e.rule, static_cast<Counter>(e.words[4]), static_cast<TcpState>(e.words[5])});
  return all;
}

TEST(TcpTrace, ADroppedSegmentIsToldWithItsReasonAndState) {
  Events events;
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.stack.set_trace_sink(&events);
  t.peer("P. 100000:100005(5) ack 1");  // beyond the window
  t.peer("0 1:1(0)");                   // no ACK
  t.stack.tcp_close(id, t.now);
  t.peer("F. 1:1(0) ack 2");
  t.peer("R 2:2(0)");  // in TIME-WAIT
  TcpHeader stray{.source_port = 9, .destination_port = 9, .flags = tcp_flag::ack, .window = 1, .options = {}};
  t.peer_header(stray);  // nobody's
  t.stack.set_trace_sink(nullptr);
  EXPECT_EQ(drops(events), (std::vector<Dropped>{{Rule::tcp_sequence, Counter::tcp_drop_unacceptable, established},
                                                 {Rule::tcp_no_ack, Counter::tcp_drop_no_ack, established},
                                                 {Rule::tcp_time_wait_rst, Counter::tcp_drop_blind_rst, time_wait},
                                                 {Rule::tcp_no_connection, Counter::tcp_drop_no_connection, closed}}));
}

TEST(TcpTrace, ASynAckWithACookieIsToldWithNumbersThatCountFromTheSyns) {
  Config c;
  c.tcp.syn_cookies = SynCookies::always;
  Events events;
  TcpDialogue t(c);
  t.listen();
  t.stack.set_trace_sink(&events);
  t.peer("S 0:0(0) mss 1460");
  t.stack.set_trace_sink(nullptr);
  const auto sent = events.of(EventKind::tcp_packet_sent);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].rule, Rule::tcp_syn_cookie);
  EXPECT_EQ(sent[0].words[0], 0u);
  EXPECT_EQ(sent[0].words[1], 1u);
}

Config without_probes() {
  Config c;
  c.tcp.tail_loss_probe = false;
  return c;
}

TEST(TcpTrace, ATimeoutAndItsUndoingAreToldWithTheirClauses) {
  Events events;
  RecoveryFlow f("win 65535 mss 1012 sackOK ts 1", without_probes());
  f.t.send(f.id, 4000);
  const uint32_t original = f.t.take().header.options.timestamps->value - f.t.our_clock;
  f.t.take_all();
  f.t.stack.set_trace_sink(&events);
  f.t.pass(f.status().rto);
  const auto lost = events.of(EventKind::recovery_packet_lost);
  ASSERT_FALSE(lost.empty());
  EXPECT_EQ(lost[0].rule, Rule::tcp_retransmit_timeout);
  EXPECT_EQ(lost[0].words[0], 1001u);
  EXPECT_EQ(lost[0].words[1], 4000u);
  auto states = events.of(EventKind::recovery_congestion_state_updated);
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(static_cast<CaState>(states[0].words[1]), CaState::loss);
  f.t.peer(". 1:1(0) ack 2001 ts 2 ecr " + std::to_string(original));
  f.t.stack.set_trace_sink(nullptr);
  const auto spurious = events.of(EventKind::recovery_spurious_loss);
  ASSERT_EQ(spurious.size(), 1u);
  EXPECT_EQ(spurious[0].rule, Rule::tcp_undo_eifel);
  states = events.of(EventKind::recovery_congestion_state_updated);
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(static_cast<CaState>(states[1].words[1]), CaState::open);
  EXPECT_EQ(states[1].rule, Rule::tcp_undo_eifel);
}

TEST(TcpTrace, ASmallerPathIsToldWithWhatItTookAndTheStateItLeadsTo) {
  Events events;
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 2920);
  t.take_all();
  t.stack.set_trace_sink(&events);
  t.peer_icmp(3, 4, 1, 1200, 1500);
  t.stack.set_trace_sink(nullptr);
  const auto mss = events.of(EventKind::tcp_mss_updated);
  ASSERT_EQ(mss.size(), 1u);
  EXPECT_EQ(mss[0].words[0], 1460u);
  EXPECT_EQ(mss[0].words[1], 1160u);
  const auto lost = events.of(EventKind::recovery_packet_lost);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].rule, Rule::tcp_path_mtu);
  const auto states = events.of(EventKind::recovery_congestion_state_updated);
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].rule, Rule::tcp_path_mtu);
  EXPECT_EQ(static_cast<CaState>(states[0].words[1]), CaState::loss);
}

// RFC 8985 §7.4.2: an ACK beyond the probe, and no report that the probe came twice.
TEST(TcpTrace, ATailLossThatTheProbeRepairedIsTold) {
  Events events;
  RecoveryFlow f;
  f.t.send(f.id, 2000);
  f.t.take_all();
  f.t.stack.set_trace_sink(&events);
  f.t.pass(300ms);
  f.t.expect("P. 2001:3001(1000) ack 1");
  f.t.send(f.id, 1000);
  f.t.take_all();
  f.ack(4001);
  f.t.stack.set_trace_sink(nullptr);
  const auto lost = events.of(EventKind::recovery_packet_lost);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].rule, Rule::tcp_probe_repaired);
  EXPECT_EQ(lost[0].words[1], 1000u);
}

}  // namespace
}  // namespace limpid
