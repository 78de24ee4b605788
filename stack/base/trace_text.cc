#include "stack/base/trace_text.h"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <span>

#include "stack/base/counters.h"
#include "stack/base/error.h"
#include "stack/base/rule_sites.h"

namespace limpid {
namespace {

using Names = std::span<const std::string_view>;

// The order of enum class TcpState, of TcpTimer, of CaState and of SendLimit; a test holds the tables together.
constexpr std::array<std::string_view, 11> kStates = {"CLOSED",      "LISTEN",     "SYN-SENT",   "SYN-RECEIVED",
                                                      "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
                                                      "CLOSING",     "LAST-ACK",   "TIME-WAIT"};
constexpr std::array<std::string_view, 9> kTimers = {"rto",     "reordering", "tail-probe", "pacing",   "delack",
                                                     "persist", "keepalive",  "fin-wait-2", "time-wait"};
constexpr std::array<std::string_view, 5> kCongestionStates = {"open", "disorder", "cwr", "recovery", "loss"};
constexpr std::array<std::string_view, 17> kLimits = {"handshake",
                                                      "device",
                                                      "sndbuf",
                                                      "tail",
                                                      "app_idle",
                                                      "nagle",
                                                      "cork",
                                                      "pacing",
                                                      "rwnd",
                                                      "rwnd.zero_window",
                                                      "rwnd.sws",
                                                      "cwnd",
                                                      "recovery.fast",
                                                      "recovery.rto_wait",
                                                      "recovery.tlp_wait",
                                                      "closing",
                                                      "delayed_ack"};
constexpr std::array<std::string_view, 8> kFlags = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
constexpr std::array<std::string_view, 21> kErrors = {"none",
                                                      "would block",
                                                      "in progress",
                                                      "refused",
                                                      "reset",
                                                      "timed out",
                                                      "aborted",
                                                      "network unreachable",
                                                      "host unreachable",
                                                      "protocol unreachable",
                                                      "closing",
                                                      "not connected",
                                                      "already connected",
                                                      "address in use",
                                                      "address not available",
                                                      "destination required",
                                                      "permission denied",
                                                      "message too long",
                                                      "no buffers",
                                                      "invalid argument",
                                                      "stale handle"};
static_assert(kErrors.size() == static_cast<size_t>(Error::stale_handle) + 1);

std::string_view lookup(Names names, uint32_t value) { return value < names.size() ? names[value] : "?"; }

std::string microseconds_text(uint32_t us) {
  if (us >= 1'000'000 && us % 1000 == 0) return fmt::format("{}.{:03} s", us / 1'000'000, us / 1000 % 1000);
  if (us >= 1000) return fmt::format("{}.{:03} ms", us / 1000, us % 1000);
  return fmt::format("{} us", us);
}

std::string value_text(std::string_view format, uint32_t value) {
  if (format == "i") return fmt::format("{}", static_cast<int32_t>(value));
  if (format == "us") return microseconds_text(value);
  if (format == "flags") return tcp_flags_text(value);
  if (format == "state") return std::string(tcp_state_text(value));
  if (format == "addr") return address_text(value);
  if (format == "timer") return std::string(timer_text(value));
  if (format == "limit") return std::string(limit_text(value));
  if (format == "cstate") return std::string(congestion_state_text(value));
  if (format == "err") return std::string(error_text(value));
  if (format == "hex") return fmt::format("{:#x}", value);
  if (format == "reason") return value < kCounterCount ? std::string(kCounterInfo[value].text) : "?";
  return fmt::format("{}", value);
}

}  // namespace

std::vector<EventField> fields_of(const Event& e) {
  std::vector<EventField> fields;
  std::string_view rest = kEventKindInfo[static_cast<size_t>(e.kind)].fields;
  for (int i = 0; !rest.empty() && i < Event::kWords; ++i) {
    const size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view format = field.substr(std::min(colon + 1, field.size()));
    fields.push_back({field.substr(0, colon), format, e.words[i], value_text(format, e.words[i])});
  }
  return fields;
}

std::string describe_fields(const Event& e) {
  std::string text;
  for (const EventField& f : fields_of(e))
    fmt::format_to(std::back_inserter(text), "{}{} {}", text.empty() ? "" : " ", f.name, f.text);
  return text;
}

std::string describe(Rule rule) {
  if (rule == Rule::none) return {};
  const RuleInfo& r = info(rule);
  return r.clause.empty() ? fmt::format("{}: {}", r.name, r.because)
                          : fmt::format("{}: {} ({})", r.name, r.because, r.clause);
}

std::string place_of(Rule rule) {
  const RuleSite where = site(rule);
  return where.file.empty() ? std::string() : fmt::format(" [{}:{}]", where.file, where.line);
}

std::string describe(const Event& e) {
  std::string text = fmt::format("#{} {}", e.number, kEventKindInfo[static_cast<size_t>(e.kind)].name);
  const std::string fields = describe_fields(e);
  if (!fields.empty()) text += " " + fields;
  if (e.rule != Rule::none) text += " because " + describe(e.rule) + place_of(e.rule);
  return text;
}

std::string tcp_flags_text(uint32_t flags) {
  std::string text;
  // SYN, FIN and RST first: what the segment is; ACK after it, as in "SYN,ACK".
  for (const size_t bit : {1u, 0u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    if ((flags >> bit & 1) == 0) continue;
    if (!text.empty()) text += ',';
    text += kFlags[bit];
  }
  return text.empty() ? "none" : text;
}

std::string_view tcp_state_text(uint32_t state) { return lookup(kStates, state); }
std::string_view timer_text(uint32_t timer) { return lookup(kTimers, timer); }
std::string_view congestion_state_text(uint32_t state) { return lookup(kCongestionStates, state); }
std::string_view limit_text(uint32_t limit) { return lookup(kLimits, limit); }
std::string_view error_text(uint32_t error) { return lookup(kErrors, error); }

std::string address_text(uint32_t a) {
  return fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

std::string seconds_text(Time t) {
  const int64_t us = to_us(t.time_since_epoch());
  return fmt::format("{}.{:06}", us / 1'000'000, us % 1'000'000);
}

}  // namespace limpid
