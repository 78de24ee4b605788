// The congestion control algorithms by name, as TCP_CONGESTION and the configuration speak of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace limpid {

enum class CongestionChoice : uint8_t { unset, reno, cubic, bbr };

inline constexpr std::array<std::string_view, 4> kCongestionNames = {"", "reno", "cubic", "bbr"};

constexpr std::string_view name(CongestionChoice choice) { return kCongestionNames[static_cast<size_t>(choice)]; }

constexpr std::optional<CongestionChoice> congestion_choice(std::string_view wanted) {
  for (size_t i = 1; i < kCongestionNames.size(); ++i)
    if (kCongestionNames[i] == wanted) return static_cast<CongestionChoice>(i);
  return std::nullopt;
}

// When to use Explicit Congestion Notification (RFC 3168): never, offering it and taking offers, or taking offers only.
enum class EcnMode : uint8_t { off, on, passive };

constexpr std::string_view name(EcnMode mode) {
  return mode == EcnMode::off ? "off" : mode == EcnMode::on ? "on" : "passive";
}

}  // namespace limpid
