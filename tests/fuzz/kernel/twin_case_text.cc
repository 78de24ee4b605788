// A case as text, and back.
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "stack/wire/tcp.h"
#include "tests/fuzz/kernel/twin_case.h"

namespace limpid::twin {
namespace {

constexpr std::array<std::string_view, size_t(SeqBase::count_)> kSeqBases = {"next", "irs", "edge"};
constexpr std::array<std::string_view, size_t(AckBase::count_)> kAckBases = {"end", "isn"};
constexpr std::array<std::string_view, size_t(Call::count_)> kCalls = {
    "connect",       "accept", "write", "read",  "peek",          "shutdown_write",
    "shutdown_read", "close",  "abort", "error", "close_listener"};
constexpr std::array<std::pair<char, uint8_t>, 8> kFlags = {{{'S', tcp_flag::syn},
                                                             {'F', tcp_flag::fin},
                                                             {'R', tcp_flag::rst},
                                                             {'P', tcp_flag::psh},
                                                             {'A', tcp_flag::ack},
                                                             {'U', tcp_flag::urg},
                                                             {'E', tcp_flag::ece},
                                                             {'C', tcp_flag::cwr}}};

std::string hex_of(const RawOptions& raw) {
  std::string text;
  char two[3];
  for (uint8_t byte : raw) {
    std::snprintf(two, sizeof two, "%02x", byte);
    text += two;
  }
  return text;
}

RawOptions bytes_of(const std::string& hex) {
  RawOptions raw;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    raw.push_back(static_cast<uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  return raw;
}

std::string flags_text(uint8_t flags) {
  std::string text;
  for (const auto& [letter, bit] : kFlags)
    if ((flags & bit) != 0) text += letter;
  return text.empty() ? "-" : text;
}

uint8_t flags_of(const std::string& text) {
  uint8_t flags = 0;
  for (char letter : text)
    for (const auto& [known, bit] : kFlags)
      if (letter == known) flags |= bit;
  return flags;
}

std::string place_text(std::string_view base, int32_t offset) {
  return std::string(base) + (offset < 0 ? "" : "+") + std::to_string(offset);
}

template <class Names>
size_t index_of(const Names& names, std::string_view word) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == word) return i;
  throw std::invalid_argument("not known: " + std::string(word));
}

// "next+10" -> the base's index and 10
template <class Base, class Names>
void parse_place(const Names& names, const std::string& text, Base& base, int32_t& offset) {
  const size_t sign = text.find_first_of("+-");
  base = static_cast<Base>(index_of(names, text.substr(0, sign)));
  offset = sign == std::string::npos ? 0 : static_cast<int32_t>(std::stol(text.substr(sign)));
}

// "name=value" -> both; "name" -> an empty value
std::pair<std::string, std::string> field_of(const std::string& word) {
  const size_t is = word.find('=');
  return {word.substr(0, is), is == std::string::npos ? "" : word.substr(is + 1)};
}

void parse_peer(std::istringstream& words, Case& c) {
  c.mss.reset();
  for (std::string word; words >> word;) {
    const auto [name, value] = field_of(word);
    if (name == "irs") c.irs = static_cast<uint32_t>(std::stoul(value));
    if (name == "mss") c.mss = static_cast<uint16_t>(std::stoul(value));
    if (name == "ws") c.scale = static_cast<uint8_t>(std::stoul(value));
    if (name == "sack") c.sack = true;
    if (name == "ts") c.stamps = true;
    if (name == "raw") c.raw = bytes_of(value);
  }
}

CaseStep parse_segment(std::istringstream& words) {
  CaseStep s;
  std::string word;
  words >> word;
  s.flags = flags_of(word);
  while (words >> word) {
    const auto [name, value] = field_of(word);
    if (name == "seq") parse_place(kSeqBases, value, s.seq_base, s.seq_offset);
    if (name == "ack") parse_place(kAckBases, value, s.ack_base, s.ack_offset);
    if (name == "len") s.length = static_cast<uint32_t>(std::stoul(value));
    if (name == "win") s.window = static_cast<uint16_t>(std::stoul(value));
    if (name == "ts" && value == "none") s.stamped = false;
    if (name == "ts" && value != "none") s.ts_offset = static_cast<int32_t>(std::stol(value));
    if (name == "raw") s.raw = bytes_of(value);
    if (name == "nobody") s.nobody = true;
  }
  return s;
}

CaseStep parse_call(std::istringstream& words) {
  CaseStep s{.kind = CaseStep::Kind::call};
  std::string word;
  words >> word >> s.count;
  s.call = static_cast<Call>(index_of(kCalls, word));
  return s;
}

}  // namespace

std::string text_of(const CaseStep& s) {
  if (s.kind == CaseStep::Kind::probe) return "probe";
  if (s.kind == CaseStep::Kind::call) {
    const bool counts = s.call == Call::write || s.call == Call::read || s.call == Call::peek;
    return "call " + std::string(kCalls[size_t(s.call)]) + (counts ? " " + std::to_string(s.count) : "");
  }
  std::string text = "segment " + flags_text(s.flags) +
                     " seq=" + place_text(kSeqBases[size_t(s.seq_base)], s.seq_offset) +
                     " ack=" + place_text(kAckBases[size_t(s.ack_base)], s.ack_offset) +
                     " len=" + std::to_string(s.length) + " win=" + std::to_string(s.window);
  if (!s.stamped) text += " ts=none";
  if (s.stamped && s.ts_offset != 0) text += " ts=" + std::to_string(s.ts_offset);
  if (!s.raw.empty()) text += " raw=" + hex_of(s.raw);
  if (s.nobody) text += " nobody";
  return text;
}

std::string text_of(const Case& c) {
  std::string text = std::string("role ") + (c.client ? "client" : "server") + "\npeer irs=" + std::to_string(c.irs);
  if (c.mss) text += " mss=" + std::to_string(*c.mss);
  if (c.scale) text += " ws=" + std::to_string(*c.scale);
  if (c.sack) text += " sack";
  if (c.stamps) text += " ts";
  if (!c.raw.empty()) text += " raw=" + hex_of(c.raw);
  text += "\n";
  for (const CaseStep& s : c.steps) text += text_of(s) + "\n";
  return text;
}

Case parse_case(const std::string& text) {
  Case c;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word[0] == '#') continue;
    if (word == "role") {
      words >> word;
      c.client = word == "client";
    } else if (word == "peer") {
      parse_peer(words, c);
    } else if (word == "segment") {
      c.steps.push_back(parse_segment(words));
    } else if (word == "probe") {
      c.steps.push_back({.kind = CaseStep::Kind::probe});
    } else if (word == "call") {
      c.steps.push_back(parse_call(words));
    } else {
      throw std::invalid_argument("not known: " + line);
    }
  }
  return c;
}

}  // namespace limpid::twin
