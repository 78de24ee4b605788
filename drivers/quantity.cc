#include "drivers/quantity.h"

#include <charconv>
#include <optional>

namespace limpid {
namespace {

// A decimal number with its unit, in millionths: "0.5%" gives 500000 and "%".
struct Quantity {
  uint64_t millionths = 0;
  std::string_view unit;
};

std::optional<Quantity> parse_quantity(std::string_view text) {
  uint64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc{} || whole > 1'000'000'000'000) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  uint64_t fraction = 0;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    uint64_t scale = 100'000;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), scale /= 10)
      fraction += scale * static_cast<uint64_t>(text.front() - '0');
  }
  return Quantity{whole * 1'000'000 + fraction, text};
}

}  // namespace

bool parse_share(std::string_view text, uint32_t& ppm) {
  const auto q = parse_quantity(text);
  if (!q) return false;
  uint64_t value = 0;
  if (q->unit == "%")
    value = q->millionths / 100;
  else if (q->unit == "ppm")
    value = q->millionths / 1'000'000;
  else
    return false;
  if (value > 1'000'000) return false;
  ppm = static_cast<uint32_t>(value);
  return true;
}

bool parse_duration(std::string_view text, Duration& duration) {
  const auto q = parse_quantity(text);
  if (!q) return false;
  uint64_t nanoseconds = 0;
  if (q->unit == "us")
    nanoseconds = q->millionths / 1000;
  else if (q->unit == "ms")
    nanoseconds = q->millionths;
  else if (q->unit == "s")
    nanoseconds = q->millionths * 1000;
  else
    return false;
  if (nanoseconds > 3'600'000'000'000) return false;  // more is a slip of the pen
  duration = Duration(static_cast<int64_t>(nanoseconds));
  return true;
}

bool parse_rate(std::string_view text, uint64_t& rate) {
  const auto q = parse_quantity(text);
  if (!q) return false;
  uint64_t value = 0;
  if (q->unit == "bit")
    value = q->millionths / 1'000'000;
  else if (q->unit == "kbit")
    value = q->millionths / 1000;
  else if (q->unit == "mbit")
    value = q->millionths;
  else if (q->unit == "gbit")
    value = q->millionths * 1000;
  if (value == 0) return false;
  rate = value;
  return true;
}

bool parse_count(std::string_view text, uint32_t& count) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) return false;
  count = value;
  return true;
}

bool parse_size(std::string_view text, uint32_t& bytes) {
  const auto q = parse_quantity(text);
  if (!q) return false;
  uint64_t unit = 0;
  if (q->unit.empty()) unit = 1;
  if (q->unit == "k") unit = 1000;
  if (q->unit == "ki") unit = 1024;
  if (q->unit == "m") unit = 1'000'000;
  if (q->unit == "mi") unit = 1024 * 1024;
  if (unit == 0 || q->millionths > uint64_t{UINT32_MAX} * 1'000'000 / unit) return false;
  const uint64_t value = q->millionths * unit / 1'000'000;
  if (value == 0) return false;
  bytes = static_cast<uint32_t>(value);
  return true;
}

}  // namespace limpid
