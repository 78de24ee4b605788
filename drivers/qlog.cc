#include "drivers/qlog.h"

#include <fmt/format.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "stack/base/rule_sites.h"
#include "stack/base/trace_text.h"

namespace limpid {
namespace {

using Json = nlohmann::ordered_json;

// What a reader computes with stays a number; names, flags and addresses are text.
Json value_of(const EventField& f) {
  if (f.format == "i") return static_cast<int32_t>(f.value);
  if (f.format == "us") return f.value / 1000.0;  // qlog's unit is the millisecond
  if (f.format.empty() || f.format == "port" || f.format == "iface") return f.value;
  return f.text;
}

// ssthresh is "arbitrarily high" until something was lost: qlog says infinity by leaving it out.
bool is_infinite(const EventField& f) { return f.name == "ssthresh" && f.value == UINT32_MAX; }

Json why_of(Rule rule) {
  Json why;
  why["because"] = info(rule).because;
  why["clause"] = info(rule).clause.empty() ? Json::array() : Json::array({info(rule).clause});
  const RuleSite where = site(rule);
  if (!where.file.empty()) why["at"] = fmt::format("{}:{}", where.file, where.line);
  return why;
}

std::string tuple_of(const Event& e) {  // of tcp:connection_started
  return fmt::format("{}:{} {}:{}", address_text(e.words[0]), e.words[2], address_text(e.words[1]), e.words[3]);
}

}  // namespace

QlogWriter::QlogWriter(const std::string& path, const QlogOptions& options)
    : file_(std::fopen(path.c_str(), "w"), std::fclose) {
  if (!file_) throw std::system_error(errno, std::generic_category(), "--qlog " + path);
  Json head;
  head["file_schema"] = "urn:ietf:params:qlog:file:sequential";
  head["serialization_format"] = "application/qlog+json-seq";
  head["title"] = options.title;
  Json& trace = head["trace"];
  trace["common_fields"] = {{"time_format", "relative_to_epoch"},
                            {"reference_time", {{"clock_type", "monotonic"}, {"epoch", "unknown"}}}};
  trace["vantage_point"] = {{"name", options.host}, {"type", "unknown"}};
  trace["event_schemas"] = {"urn:limpid:qlog:events#1"};
  write(head.dump());
}

void QlogWriter::event(const Event& e) { write(record(e)); }

std::string QlogWriter::record(const Event& e) {
  if (e.kind == EventKind::tcp_connection_started) tuples_[e.connection] = tuple_of(e);
  Json json;
  // Six decimals, as a number: dumped from text, since a double would show 17 digits or lose some.
  const int64_t ns = e.time.time_since_epoch().count();
  json["name"] = kEventKindInfo[static_cast<size_t>(e.kind)].name;
  if (e.connection != 0) {
    json["group_id"] = std::to_string(e.connection);
    if (const auto tuple = tuples_.find(e.connection); tuple != tuples_.end()) json["tuple"] = tuple->second;
  }
  Json& data = json["data"] = Json::object();
  for (const EventField& f : fields_of(e))
    if (!is_infinite(f)) data[std::string(f.name)] = value_of(f);
  if (e.rule != Rule::none) data["trigger"] = info(e.rule).name;
  json["n"] = e.number;
  if (e.cause != 0) json["cause"] = e.cause;
  if (e.rule != Rule::none) json["why"] = why_of(e.rule);
  if (e.kind == EventKind::tcp_connection_closed) tuples_.erase(e.connection);
  return fmt::format("{{\"time\":{}.{:06},{}", ns / 1'000'000, ns % 1'000'000, json.dump().substr(1));
}

void QlogWriter::write(const std::string& json) { fmt::print(file_.get(), "\x1e{}\n", json); }

}  // namespace limpid
