// Events in words: the one place that turns the stream into text for the dialogue, the pcapng comments and the tests.
// It reads the tables (event_kinds.h, rules.h, counters.h) and knows nothing of TCP beyond the names of its values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stack/base/trace.h"

namespace limpid {

// One word of an event: its name and format from event_kinds.h, its value, and the value in words.
struct EventField {
  std::string_view name;
  std::string_view format;
  uint32_t value = 0;
  std::string text;
};
std::vector<EventField> fields_of(const Event& e);

// "seq 1 ack 1 len 1460 flags PSH,ACK window 65535 state ESTABLISHED"
std::string describe_fields(const Event& e);
// "recovery.rto: the retransmission timer expired (RFC 6298 §5.4)"; empty for Rule::none.
std::string describe(Rule rule);
// " [stack/tcp/output.cc:123]", with the space in front; empty when the rule's place is not known.
std::string place_of(Rule rule);
// "#12 tcp:packet_sent seq 1 … because recovery.rto: … (RFC 6298 §5.4) [stack/tcp/output.cc:123]"
std::string describe(const Event& e);

std::string tcp_flags_text(uint32_t flags);  // "SYN,ACK"; "none"
std::string_view tcp_state_text(uint32_t state);
std::string_view timer_text(uint32_t timer);
std::string_view congestion_state_text(uint32_t state);
std::string_view limit_text(uint32_t limit);
std::string_view error_text(uint32_t error);
std::string address_text(uint32_t host_order);  // "10.77.0.2"
std::string seconds_text(Time t);               // "0.040000": microseconds, rounded down

}  // namespace limpid
