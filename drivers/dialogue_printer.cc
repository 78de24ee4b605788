#include "drivers/dialogue_printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "stack/base/trace_text.h"

namespace limpid {
namespace {

constexpr size_t kWire = 54;   // columns between the two hosts
constexpr size_t kState = 27;  // "SYN-RECEIVED -> ESTABLISHED"

constexpr std::string_view kPlain = "", kReset = "\033[0m", kBold = "\033[1m", kDim = "\033[2m", kRed = "\033[31m",
                           kYellow = "\033[33m", kCyan = "\033[36m";

// Columns that a text takes: code points, since "…" and "§" are more than one byte.
size_t columns(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

std::string padded(std::string_view text, size_t width, bool right = false) {
  const size_t used = columns(text);
  const std::string space(used < width ? width - used : 0, ' ');
  return right ? space + std::string(text) : std::string(text) + space;
}

std::string reason(const DialogueLine& line) {
  std::string text;
  if (line.why != Rule::none) {
    const RuleInfo& rule = info(line.why);
    text = rule.clause.empty() ? std::string(rule.because) : fmt::format("{} ({})", rule.because, rule.clause);
  }
  if (!line.more.empty()) text += (text.empty() ? "" : "; ") + line.more;
  return text;
}

bool same_run(const DialogueLine& a, const DialogueLine& b) {
  return a.host == b.host && a.kind == b.kind && a.why == b.why && a.text == b.text;
}

}  // namespace

size_t DialoguePrinter::add_host(const std::string& name) {
  hosts_.push_back(name);
  return hosts_.size() - 1;
}

void DialoguePrinter::add(DialogueLine line) {
  if (!options_.fold) return print(line);
  if (!line.ordinary) {
    flush(kNeighbors);
    print(line);
    neighbors_due_ = kNeighbors;
    return;
  }
  if (neighbors_due_ > 0) {
    --neighbors_due_;
    return print(line);
  }
  if (!waiting_.empty() && (line.time - waiting_.back().time > kPause || waiting_.size() >= kMaxWaiting)) flush(0);
  waiting_.push_back(std::move(line));
}

void DialoguePrinter::finish() { flush(0); }

void DialoguePrinter::flush(size_t keep_last) {
  // Three lines that become two are not worth a fold.
  const size_t folded = waiting_.size() > keep_last + 3 ? waiting_.size() - keep_last : 0;
  std::vector<Run> runs;  // in the order in which they began
  for (size_t i = 0; i < folded; ++i) {
    const DialogueLine& line = waiting_[i];
    auto run = std::ranges::find_if(runs, [&](const Run& r) { return same_run(r.first, line); });
    if (run == runs.end()) run = runs.insert(runs.end(), Run{.first = line});
    ++run->lines;
    run->last = line.time;
    run->to = std::max(run->to, line.to);
    if (line.text) run->bytes += line.to - line.from;
  }
  for (const Run& run : runs) run.lines == 1 ? print(run.first) : print(run);
  for (size_t i = folded; i < waiting_.size(); ++i) print(waiting_[i]);
  waiting_.clear();
}

void DialoguePrinter::print(const Run& run) {
  DialogueLine line = run.first;
  line.what = fmt::format("… {} segments, ", run.lines);
  if (line.text)
    line.what += fmt::format("{} bytes, {}:{}", run.bytes, line.from, run.to);
  else
    line.what += line.to == run.to ? fmt::format("ack {}", run.to) : fmt::format("ack {} to {}", line.to, run.to);
  line.state = fmt::format("until {}", seconds_text(run.last));
  print(line);
}

std::string DialoguePrinter::ladder(const DialogueLine& line) const {
  const bool right = line.host > 0;
  if (line.kind == DialogueLine::Kind::note) return padded(right ? line.what + " *" : "* " + line.what, kWire, right);
  // The arrow is on the far side of the text, and points the way the packet goes.
  const bool away = line.kind == DialogueLine::Kind::sent;
  const std::string_view arrow = !line.mark.empty() && away ? (right ? "x--" : "--x") : (away != right ? "-->" : "<--");
  const std::string what = line.mark.empty() ? line.what : line.what + ", " + line.mark;
  return right ? padded(fmt::format("{} {}", arrow, what), kWire, true)
               : padded(fmt::format("{} {}", what, arrow), kWire);
}

std::string_view DialoguePrinter::paint(const DialogueLine& line) const {
  if (!options_.colour) return kPlain;
  if (!line.mark.empty()) return kRed;
  if (line.again || line.kind == DialogueLine::Kind::note) return kYellow;
  if (line.state.find("->") != std::string::npos) return kBold;
  return line.kind == DialogueLine::Kind::sent ? kCyan : kPlain;
}

void DialoguePrinter::print(const DialogueLine& line) {
  size_t width = 0;
  for (const std::string& name : hosts_) width = std::max(width, columns(name));
  const bool right = line.host > 0;
  const std::string_view name = line.host < hosts_.size() ? std::string_view(hosts_[line.host]) : "";
  const std::string_view colour = paint(line);
  const std::string_view end = options_.colour ? kReset : kPlain;

  std::string text = fmt::format("{:>11} {} |{}{}{}|", seconds_text(line.time), padded(right ? "" : name, width, true),
                                 colour, ladder(line), end);
  if (hosts_.size() > 1) text += " " + padded(right ? name : "", width);
  text += " " + padded(line.state, kState);
  const std::string why = reason(line);
  if (!why.empty()) text += fmt::format(" {}{}{}", options_.colour ? kDim : kPlain, why, end);
  text.erase(text.find_last_not_of(' ') + 1);
  out_(text);
}

}  // namespace limpid
