#include "tests/fuzz/kernel/twin_compare.h"

#include <poll.h>

#include <algorithm>

#include "tests/fuzz/kernel/twin_exemptions.h"

namespace limpid::twin {
namespace {

std::string joined(const std::set<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text.empty() ? "nothing" : text;
}

std::string ready_text(int events) {
  std::string text;
  const auto add = [&](int bit, const char* name) {
    if ((events & bit) != 0) text += (text.empty() ? "" : "|") + std::string(name);
  };
  add(POLLIN, "IN");
  add(POLLOUT, "OUT");
  add(POLLRDHUP, "RDHUP");
  add(POLLHUP, "HUP");
  add(POLLERR, "ERR");
  return text.empty() ? "none" : text;
}

struct Field {
  std::string what, ours, kernels;
};

std::vector<Field> fields_of(const Observation& o, const Observation& k) {
  const auto yes = [](bool b) { return std::string(b ? "yes" : "no"); };
  std::vector<Field> fields = {
      {"result", o.result, k.result},
      {"RST", joined(o.resets), joined(k.resets)},
      {"SYN", joined(o.syns), joined(k.syns)},
      {"answered", yes(o.answered), yes(k.answered)},
      {"ack", std::to_string(o.ack), std::to_string(k.ack)},
      {"sent", std::to_string(o.sent_end), std::to_string(k.sent_end)},
      {"FIN", yes(o.fin), yes(k.fin)},
      {"text", o.wrong, k.wrong},
      {"state", o.state, k.state},
      {"ready", ready_text(o.ready), ready_text(k.ready)},
      {"listener ready", ready_text(o.listener_ready), ready_text(k.listener_ready)},
  };
  std::erase_if(fields, [](const Field& f) { return f.ours == f.kernels; });
  return fields;
}

}  // namespace

std::optional<Difference> compare(const Case& c, const std::vector<Observation>& ours,
                                  const std::vector<Observation>& kernels) {
  for (size_t i = 0; i < std::min(ours.size(), kernels.size()); ++i) {
    const std::string before_it = i > 0 ? ours[i - 1].state : "-";
    for (const Field& f : fields_of(ours[i], kernels[i])) {
      const Exemption* exemption = exemption_of({c, i, c.steps[i], ours[i], kernels[i], f.what, before_it});
      if (exemption != nullptr && exemption->effect == Effect::none) continue;
      return Difference{i, f.what, f.ours, f.kernels, exemption != nullptr ? exemption->name : nullptr};
    }
    if (const Exemption* parted = parting_of({c, i, c.steps[i], ours[i], kernels[i], "", before_it}))
      return Difference{i, "", "", "", parted->name};
  }
  return std::nullopt;
}

std::string dialogue_of(const Case& c, const std::vector<Observation>& ours, const std::vector<Observation>& kernels) {
  std::string text = text_of(Case{c.client, c.irs, c.mss, c.scale, c.sack, c.stamps, c.raw, {}});
  const auto side = [&](const char* name, const Observation& o) {
    text += "      " + std::string(name);
    if (!o.result.empty()) text += " = " + o.result;
    for (const std::string& packet : o.packets) text += "  < " + packet;
    text += "   (" + o.state + ", " + ready_text(o.ready) + ")\n";
  };
  for (size_t i = 0; i < std::min(ours.size(), kernels.size()); ++i) {
    text += std::to_string(i) + "  " + text_of(c.steps[i]) + "\n";
    side("ours  ", ours[i]);
    side("kernel", kernels[i]);
  }
  return text;
}

}  // namespace limpid::twin
