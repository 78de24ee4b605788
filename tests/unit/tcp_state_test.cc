// The table of transitions against RFC 9293 §3.3.2, Figure 5, written out here a second time, edge by edge.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

#include "stack/tcp/state.h"

namespace limpid {
namespace {

using enum TcpState;
using Edges = std::map<std::pair<TcpState, TcpEvent>, TcpState>;

// The arrows of Figure 5, and what the text of §3.10 adds to them.
const Edges& figure_5() {
  static const Edges edges = {
      {{closed, TcpEvent::passive_open}, listen},
      {{closed, TcpEvent::active_open}, syn_sent},
      {{listen, TcpEvent::rcv_syn}, syn_received},
      {{listen, TcpEvent::active_open}, syn_sent},  // SEND or OPEN on a listening socket
      {{listen, TcpEvent::close}, closed},
      {{syn_sent, TcpEvent::rcv_syn}, syn_received},  // simultaneous open
      {{syn_sent, TcpEvent::rcv_syn_ack}, established},
      {{syn_sent, TcpEvent::close}, closed},
      {{syn_received, TcpEvent::rcv_ack_of_syn}, established},
      {{syn_received, TcpEvent::close}, fin_wait_1},
      {{established, TcpEvent::close}, fin_wait_1},
      {{established, TcpEvent::rcv_fin}, close_wait},
      {{fin_wait_1, TcpEvent::rcv_ack_of_fin}, fin_wait_2},
      {{fin_wait_1, TcpEvent::rcv_fin}, closing},
      {{fin_wait_1, TcpEvent::rcv_fin_ack}, time_wait},  // §3.10.7.4, eighth: "if our FIN has been ACKed"
      {{fin_wait_2, TcpEvent::rcv_fin}, time_wait},
      {{close_wait, TcpEvent::close}, last_ack},
      {{closing, TcpEvent::rcv_ack_of_fin}, time_wait},
      {{last_ack, TcpEvent::rcv_ack_of_fin}, closed},
      {{time_wait, TcpEvent::timeout}, closed},
      // §3.10.7.4, eighth: "SYN-RECEIVED, ESTABLISHED: enter CLOSE-WAIT"
      {{syn_received, TcpEvent::rcv_fin}, close_wait},
      // One segment with FIN and the ACK of ours counts as a FIN wherever there is nothing of ours to acknowledge, or
      // as both.
      {{syn_received, TcpEvent::rcv_fin_ack}, close_wait},
      {{established, TcpEvent::rcv_fin_ack}, close_wait},
      {{fin_wait_2, TcpEvent::rcv_fin_ack}, time_wait},
      {{closing, TcpEvent::rcv_fin_ack}, time_wait},
      {{last_ack, TcpEvent::rcv_fin_ack}, closed},
  };
  return edges;
}

TcpState expected(TcpState from, TcpEvent event) {
  const bool alive = from != closed && from != listen;
  if (event == TcpEvent::abort && from != closed) return closed;                      // §3.10.5
  if (event == TcpEvent::rcv_rst && alive) return from == time_wait ? from : closed;  // RFC 1337 in TIME-WAIT
  if (event == TcpEvent::timeout && alive) return closed;                             // §3.10.8
  const auto edge = figure_5().find({from, event});
  return edge == figure_5().end() ? from : edge->second;
}

TEST(TcpStateTable, EveryPairOfStateAndEventIsFigure5) {
  for (size_t s = 0; s < kTcpStateCount; ++s)
    for (size_t e = 0; e < kTcpEventCount; ++e) {
      const auto state = static_cast<TcpState>(s);
      const auto event = static_cast<TcpEvent>(e);
      EXPECT_EQ(name(transition(state, event)), name(expected(state, event))) << name(state) << ", " << name(event);
    }
}

TEST(TcpStateTable, EveryStateIsReachedAndCanEnd) {
  std::set<TcpState> reached = {closed};
  for (size_t round = 0; round < kTcpStateCount; ++round)
    for (size_t s = 0; s < kTcpStateCount; ++s)
      for (size_t e = 0; e < kTcpEventCount; ++e)
        if (reached.contains(static_cast<TcpState>(s)))
          reached.insert(transition(static_cast<TcpState>(s), static_cast<TcpEvent>(e)));
  EXPECT_EQ(reached.size(), kTcpStateCount);
  for (TcpState s : reached) EXPECT_EQ(transition(s, TcpEvent::abort), closed) << name(s);
}

TEST(TcpStateTable, ThePredicatesSayWhoMaySpeakAndWhoMayListen) {
  const std::set<TcpState> synced = {established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack, time_wait};
  for (size_t s = 0; s < kTcpStateCount; ++s) {
    const auto state = static_cast<TcpState>(s);
    EXPECT_EQ(synchronized(state), synced.contains(state)) << name(state);
    EXPECT_EQ(may_send(state), state == established || state == close_wait) << name(state);
    EXPECT_EQ(may_receive(state), state == established || state == fin_wait_1 || state == fin_wait_2) << name(state);
  }
}

TEST(TcpStateTable, EachStateAndEventHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (size_t s = 0; s < kTcpStateCount; ++s) names.insert(name(static_cast<TcpState>(s)));
  for (size_t e = 0; e < kTcpEventCount; ++e) names.insert(name(static_cast<TcpEvent>(e)));
  EXPECT_EQ(names.size(), kTcpStateCount + kTcpEventCount);
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(name(fin_wait_1), "FIN-WAIT-1");
  EXPECT_EQ(name(TcpEvent::rcv_ack_of_fin), "rcv ACK of FIN");
}

}  // namespace
}  // namespace limpid
