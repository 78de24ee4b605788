// Prints events as they come, one a line.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "stack/base/trace.h"
#include "stack/base/trace_text.h"

namespace limpid::sim {

class EventPrinter final : public TraceSink {
 public:
  explicit EventPrinter(std::string who) : who_(std::move(who)) {}
  void event(const Event& e) override {
    fmt::print("{:>14} {:<6} c{} {}\n", seconds_text(e.time), who_, e.connection, describe(e));
  }

 private:
  std::string who_;
};

}  // namespace limpid::sim
