#include "tests/sim/shrink.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>

namespace limpid::sim {
namespace {

// "link0.1.loss" as words: "link" 0, "1", "loss".
struct CutName {
  std::string_view what;
  size_t index = 0;
  std::vector<std::string_view> rest;
};

std::optional<CutName> parse(std::string_view name) {
  CutName cut;
  const size_t digits = name.find_first_of("0123456789");
  if (digits == std::string_view::npos) return std::nullopt;
  cut.what = name.substr(0, digits);
  const auto [end, error] = std::from_chars(name.data() + digits, name.data() + name.size(), cut.index);
  if (error != std::errc{}) return std::nullopt;
  name.remove_prefix(static_cast<size_t>(end - name.data()));
  while (!name.empty()) {
    name.remove_prefix(1);  // the dot, or the hyphen of a range
    const size_t dot = std::min(name.find('.'), name.size());
    cut.rest.push_back(name.substr(0, dot));
    name.remove_prefix(dot);
  }
  return cut;
}

size_t number(std::string_view digits) {
  size_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

// Sets it to what it is by default; false if it was that.
template <class T>
bool clear(T& value, const T& plain = T{}) {
  if (value == plain) return false;
  value = plain;
  return true;
}

// All are cut, whichever of them changed something.
bool any(std::initializer_list<bool> cut) { return std::ranges::find(cut, true) != cut.end(); }

bool cut_way(SimImpairments& way, std::string_view what) {
  if (what == "loss") return clear(way.loss_ppm);
  if (what == "lose") return clear(way.lose);
  if (what == "jitter") return clear(way.jitter);
  if (what == "delay") return clear(way.delay);
  if (what == "rate") return clear(way.rate);
  if (what == "reorder") return clear(way.reorder_ppm);
  if (what == "duplicate") return clear(way.duplicate_ppm);
  if (what == "corrupt") return clear(way.corrupt_ppm);
  if (what != "cuts" || way.cuts.empty()) return false;
  way.cuts.clear();
  return true;
}

bool cut_box(MiddleboxPlan& box, std::string_view what) {
  if (what == "all") return clear(box);
  if (what == "options")
    return any({clear(box.strip_window_scale), clear(box.strip_timestamps), clear(box.strip_sack)});
  if (what == "mss") return clear(box.clamp_mss);
  if (what == "ecn") return any({clear(box.refuse_ecn), clear(box.bleach_ecn), clear(box.mark_ppm)});
  return false;
}

bool cut_host(TcpConfig& tcp, std::string_view what) {
  const TcpConfig plain;
  if (what == "isn") return clear(tcp.isn_for_tests);
  if (what == "ecn") return clear(tcp.ecn, EcnMode::off);
  if (what == "sack") return clear(tcp.offer_sack, false);
  if (what == "timestamps") return clear(tcp.offer_timestamps, false);
  if (what == "scale") return clear(tcp.offer_window_scale, false);
  if (what == "congestion") return clear(tcp.congestion, CongestionChoice::reno);
  if (what == "delayed-ack") return clear(tcp.delayed_ack, plain.delayed_ack);
  if (what == "folding") return clear(tcp.whole_connections, UINT32_MAX);
  if (what == "quick-acks") return clear(tcp.quick_acks, plain.quick_acks);
  return what == "window" && clear(tcp.initial_window_segments, plain.initial_window_segments);
}

bool cut_options(TcpOptions& options) {
  TcpOptions plain;
  plain.urgent_inline = options.urgent_inline;
  plain.congestion = options.congestion;
  const bool odd = options.receive_buffer != 0 || options.send_buffer != 0 || options.max_segment != 0 ||
                   options.no_delay || options.cork || !options.quick_ack || options.keepalive;
  options = plain;
  return odd;
}

bool cut_talker(TalkerPlan& talker, const std::vector<std::string_view>& rest) {
  const std::string_view what = rest[1];
  if (what == "calls") {
    const bool any = !talker.calls.empty();
    talker.calls.clear();
    return any;
  }
  if (what == "call" && rest.size() > 2) {
    const size_t index = number(rest[2]);
    if (index >= talker.calls.size()) return false;
    talker.calls.erase(talker.calls.begin() + static_cast<ptrdiff_t>(index));
    return true;
  }
  if (what == "bytes") return clear(talker.bytes);
  if (what == "half") return clear(talker.bytes, talker.bytes / 2);
  if (what == "pauses") return any({clear(talker.write_pause), clear(talker.read_pause), clear(talker.read_after)});
  if (what == "habits")
    return any({clear(talker.peeks), clear(talker.in_place), clear(talker.tails_wait), clear(talker.changes_options)});
  if (what == "congestion") return clear(talker.options.congestion);
  return what == "options" && cut_options(talker.options);
}

bool cut_talks(Scenario& scenario, size_t from, size_t to) {
  bool any = false;
  for (size_t i = from; i <= to && i < scenario.conversations.size(); ++i)
    any |= clear(scenario.conversations[i].absent, true);
  return any;
}

bool cut_talk(Scenario& scenario, size_t index, const std::vector<std::string_view>& rest) {
  if (index >= scenario.conversations.size()) return false;
  ConversationPlan& talk = scenario.conversations[index];
  if (rest.empty()) return cut_talks(scenario, index, index);
  if (talk.absent) return false;
  if (rest[0] == "start") return clear(talk.start);
  if (rest.size() < 2) return false;
  return cut_talker(rest[0] == "client" ? talk.client : talk.server, rest);
}

void add_talker_cuts(std::vector<std::string>& cuts, const TalkerPlan& talker, const std::string& who) {
  for (const char* what : {"calls", "bytes", "half", "pauses", "habits", "options", "congestion"})
    cuts.push_back(who + what);
  for (size_t i = talker.calls.size(); i-- > 0;) cuts.push_back(fmt::format("{}call.{}", who, i));
}

// Halves, quarters, … and single ones of the conversations.
void add_talk_cuts(std::vector<std::string>& cuts, size_t count) {
  for (size_t piece = count / 2; piece > 1; piece /= 2)
    for (size_t from = 0; from < count; from += piece)
      cuts.push_back(fmt::format("talks{}-{}", from, from + piece - 1));
  for (size_t i = 0; i < count; ++i) cuts.push_back(fmt::format("talk{}", i));
}

}  // namespace

std::vector<std::string> cuts_of(const Scenario& scenario) {
  std::vector<std::string> cuts;
  add_talk_cuts(cuts, scenario.conversations.size());
  for (size_t i = 0; i < scenario.datagrams.size(); ++i) cuts.push_back(fmt::format("datagrams{}", i));
  for (size_t i = 0; i < scenario.links.size(); ++i) {
    for (size_t side : {size_t{0}, size_t{1}})
      for (const char* what : {"all", "options", "mss", "ecn"})
        cuts.push_back(fmt::format("box{}.{}.{}", i, side, what));
    for (size_t way : {size_t{0}, size_t{1}})
      for (const char* what : {"cuts", "lose", "corrupt", "duplicate", "reorder", "loss", "jitter", "rate", "delay"})
        cuts.push_back(fmt::format("link{}.{}.{}", i, way, what));
  }
  for (size_t i = 0; i < scenario.conversations.size(); ++i) {
    const ConversationPlan& talk = scenario.conversations[i];
    if (talk.absent) continue;
    cuts.push_back(fmt::format("talk{}.start", i));
    add_talker_cuts(cuts, talk.client, fmt::format("talk{}.client.", i));
    add_talker_cuts(cuts, talk.server, fmt::format("talk{}.server.", i));
  }
  for (size_t i = 0; i < scenario.hosts.size(); ++i)
    for (const char* what :
         {"folding", "ecn", "timestamps", "sack", "scale", "congestion", "isn", "delayed-ack", "quick-acks", "window"})
      cuts.push_back(fmt::format("host{}.{}", i, what));
  return cuts;
}

bool make_cut(Scenario& scenario, std::string_view name) {
  const auto cut = parse(name);
  if (!cut) return false;
  const size_t i = cut->index;
  const auto& rest = cut->rest;
  if (cut->what == "talk") return cut_talk(scenario, i, rest);
  if (cut->what == "talks") return !rest.empty() && cut_talks(scenario, i, number(rest[0]));
  if (cut->what == "datagrams") return i < scenario.datagrams.size() && clear(scenario.datagrams[i].count);
  if (cut->what == "host")
    return i < scenario.hosts.size() && !rest.empty() && cut_host(scenario.hosts[i].config.tcp, rest[0]);
  if (i >= scenario.links.size() || rest.size() < 2) return false;
  const size_t side = rest[0] == "1" ? 1 : 0;
  if (cut->what == "box") return cut_box(scenario.links[i].middleboxes[side], rest[1]);
  return cut->what == "link" && cut_way(scenario.links[i].config.direction[side], rest[1]);
}

Shrunk shrink(const Scenario& scenario, const std::function<bool(const Scenario&)>& fails, unsigned most_runs) {
  Shrunk best{.scenario = scenario, .cuts = {}, .runs = 0};
  for (bool smaller = true; smaller && best.runs < most_runs;) {
    smaller = false;
    for (const std::string& name : cuts_of(best.scenario)) {
      Scenario candidate = best.scenario;
      if (!make_cut(candidate, name)) continue;
      if (++best.runs > most_runs) break;
      if (!fails(candidate)) continue;
      best.scenario = std::move(candidate);
      best.cuts.push_back(name);
      smaller = true;
    }
  }
  return best;
}

}  // namespace limpid::sim
