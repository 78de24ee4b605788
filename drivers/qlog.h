// The event stream as qlog (draft-ietf-quic-qlog-main-schema), in its sequential form: a file of JSON records, each
// behind an RS character, that tools for QUIC logs read too. The schema of our events is stack/base/event_kinds.h,
// under its own URI.
//
//   {"time": 80.070000, "name": "tcp:packet_sent", "group_id": "1", "tuple": "10.0.0.1:60519 10.0.0.2:80",
//    "data": {"seq": 1, "ack": 1, "len": 84, "flags": "PSH,ACK", …, "trigger": "send.data"},
//    "n": 12, "cause": 9, "why": {"because": "…", "clause": ["RFC 9293 §3.10.2"], "at": "stack/tcp/output.cc:80"}}
//
// Times are milliseconds since the stack was made, with six decimals.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "stack/base/trace.h"

namespace limpid {

// Where the file was made: shown by viewers.
struct QlogOptions {
  std::string title = "limpid";
  std::string host;  // the name of the vantage point: our address
};

class QlogWriter final : public TraceSink {
 public:
  // Throws std::system_error when the file cannot be made.
  QlogWriter(const std::string& path, const QlogOptions& options);

  void event(const Event& e) override;

  // One record, without its RS and newline.
  std::string record(const Event& e);

 private:
  void write(const std::string& json);

  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::map<uint32_t, std::string> tuples_;  // of the connections that live, by number
};

}  // namespace limpid
