// Events in words: what the dialogue and the pcapng comments are made of.
#include "stack/base/trace_text.h"

#include <gtest/gtest.h>

#include <vector>

#include "stack/base/counters.h"
#include "stack/base/rule_sites.h"
#include "stack/base/trace.h"

namespace limpid {
namespace {

struct Recorder : TraceSink {
  void event(const Event& e) override { events.push_back(e); }
  std::vector<Event> events;
};

Event event(EventKind kind, Rule rule, std::initializer_list<uint32_t> words) {
  Recorder recorder;
  Tracer tracer;
  tracer.set_sink(&recorder);
  tracer.emit(kind, rule, 1, Time{40ms}, words);
  return recorder.events.at(0);
}

// What stands before the source line, which moves with every edit.
std::string without_place(std::string text) { return text.substr(0, text.rfind(" [")); }

TEST(TraceText, ASegmentSentSaysWhatAndWhy) {
  const Event e =
      event(EventKind::tcp_packet_sent, Rule::tcp_retransmit_timeout, {1461, 78, 1460, 0x18, 65535, 4, 1, 80, 40000});
  EXPECT_EQ(without_place(describe(e)),
            "#1 tcp:packet_sent seq 1461 ack 78 len 1460 flags PSH,ACK window 65535 state ESTABLISHED retransmission 1 "
            "sport 80 dport 40000 because recovery.rto: the retransmission timer expired (RFC 6298 §5.4)");
}

TEST(TraceText, StatesTimersAddressesAndReasonsAreNamed) {
  EXPECT_EQ(describe_fields(event(EventKind::tcp_state_updated, Rule::none, {2, 4})), "old SYN-SENT new ESTABLISHED");
  EXPECT_EQ(describe_fields(event(EventKind::tcp_timer_set, Rule::none, {0, 204'500})),
            "timer_type rto delta 204.500 ms");
  EXPECT_EQ(
      describe_fields(event(EventKind::ip_dropped, Rule::none,
                            {0x0a4d0001, 0x0a4d0002, 17, 40, static_cast<uint32_t>(Counter::ip4_drop_bad_checksum)})),
      "source 10.77.0.1 destination 10.77.0.2 protocol 17 len 40 reason header checksum does not verify");
  EXPECT_EQ(describe_fields(event(EventKind::recovery_congestion_state_updated, Rule::none, {0, 1})),
            "old open new disorder");
  EXPECT_EQ(describe_fields(event(EventKind::tcp_connection_closed, Rule::none, {0, 4})), "state CLOSED error reset");
}

TEST(TraceText, ValuesOutOfTheirTableDoNotBreakIt) {
  EXPECT_EQ(describe_fields(event(EventKind::tcp_state_updated, Rule::none, {99, 4})), "old ? new ESTABLISHED");
  EXPECT_EQ(tcp_flags_text(0), "none");
  EXPECT_EQ(tcp_flags_text(0x12), "SYN,ACK");
  EXPECT_EQ(tcp_flags_text(0x11), "FIN,ACK");
  EXPECT_EQ(seconds_text(Time{1234567890ns}), "1.234567");
}

TEST(TraceText, EveryKindHasNoMoreFieldsThanAnEventHasWords) {
  for (size_t k = 0; k < kEventKindInfo.size(); ++k) {
    Event e;
    e.kind = static_cast<EventKind>(k);
    size_t named = kEventKindInfo[k].fields.empty() ? 0 : 1;
    for (char c : kEventKindInfo[k].fields) named += c == ' ' ? 1 : 0;
    EXPECT_EQ(fields_of(e).size(), named) << kEventKindInfo[k].name;
  }
}

TEST(TraceText, ARuleThatIsAppliedSomewhereNamesThePlace) {
  const RuleSite where = site(Rule::sim_impairment);
  EXPECT_EQ(where.file, "drivers/sim_link.cc");
  EXPECT_GT(where.line, 0);
  EXPECT_EQ(place_of(Rule::none), "");
}

}  // namespace
}  // namespace limpid
