#include "tests/packetdrill/knobs.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <vector>

namespace limpid::packetdrill {
namespace {

std::vector<int64_t> numbers(const std::string& file) {
  std::vector<int64_t> found;
  std::ifstream in(file);
  for (int64_t n = 0; in >> n;) found.push_back(n);
  return found;
}

std::string word(const std::string& file) {
  std::string found;
  std::ifstream(file) >> found;
  return found;
}

// When the process began, before any script had set it: the machine's own choice, which says nothing of the script's.
// (A kernel refuses algorithms that a namespace may not choose, and then it stands on as it was.)
const std::string kInheritedCongestion = word("/proc/sys/net/ipv4/tcp_congestion_control");

// The scripts' times are those of kernels whose clock ticks 250 times a second.
constexpr Duration kTwoTicks = 8ms;

EcnMode ecn_mode(int64_t value) {
  if (value == 0) return EcnMode::off;
  return value == 1 ? EcnMode::on : EcnMode::passive;
}

// "a0bf63f7-ed803d81-cd641d30-cebc4a90", perhaps a second one behind a comma: words of four octets, the least
// significant one first.
std::optional<SipKey> fast_open_key(const std::string& text) {
  std::array<unsigned, 4> words{};
  if (std::sscanf(text.c_str(), "%x-%x-%x-%x", &words[0], &words[1], &words[2], &words[3]) != 4) return std::nullopt;
  const auto both = [&](size_t i) { return uint64_t{words[i + 1]} << 32 | words[i]; };
  return SipKey{.k0 = both(0), .k1 = both(2)};
}

std::optional<FastOpenKeys> fast_open_keys(const std::string& text) {
  const auto primary = fast_open_key(text);
  if (!primary) return std::nullopt;
  const size_t comma = text.find(',');
  return FastOpenKeys{.primary = *primary,
                      .backup = comma == std::string::npos ? std::nullopt : fast_open_key(text.substr(comma + 1))};
}

}  // namespace

void read_knobs(TcpConfig& config, const std::string& folder) {
  const auto value = [&](const char* name) -> std::optional<int64_t> {
    const auto all = numbers(folder + "/" + name);
    return all.empty() ? std::nullopt : std::optional(all.front());
  };
  if (const auto rmem = numbers(folder + "/tcp_rmem"); rmem.size() == 3) {
    config.receive_buffer = static_cast<uint32_t>(rmem[1]);
    config.largest_receive_buffer = static_cast<uint32_t>(rmem[2]);
  }
  if (const auto wmem = numbers(folder + "/tcp_wmem"); wmem.size() == 3) {
    config.send_buffer = static_cast<uint32_t>(wmem[1]);
    config.largest_send_buffer = static_cast<uint32_t>(wmem[2]);
  }
  if (const auto on = value("tcp_moderate_rcvbuf")) config.tune_receive_buffer = *on != 0;
  if (const auto on = value("tcp_window_scaling")) config.offer_window_scale = *on != 0;
  if (const auto n = value("tcp_notsent_lowat")) config.unsent_low_water = static_cast<uint32_t>(*n);
  if (const auto n = value("tcp_min_tso_segs")) config.least_burst_segments = static_cast<uint32_t>(*n);
  if (const auto n = value("tcp_tso_win_divisor")) config.burst_window_divisor = static_cast<uint32_t>(*n);
  if (const auto on = value("tcp_timestamps")) config.offer_timestamps = *on != 0;
  if (const auto on = value("tcp_sack")) config.offer_sack = *on != 0;
  if (const auto mode = value("tcp_ecn")) config.ecn = ecn_mode(*mode);
  if (const auto on = value("tcp_slow_start_after_idle")) config.slow_start_after_idle = *on != 0;
  const std::string congestion = word(folder + "/tcp_congestion_control");
  if (const auto choice = congestion_choice(congestion); choice && congestion != kInheritedCongestion)
    config.congestion = *choice;
  config.reordering_slack = kTwoTicks;
  config.classic_hystart = config.empty_window_probes = true;
  config.send_buffer_percent = 461;
  if (std::getenv("LIMPID_PACKETDRILL_FQ") != nullptr) config.pacing = true;
  if (const auto mode = value("tcp_mtu_probing")) config.find_black_holes = *mode != 0;
  if (const auto n = value("tcp_base_mss")) config.base_mss = static_cast<uint16_t>(*n);
  if (const auto bits = value("tcp_fastopen")) config.fast_open = static_cast<uint32_t>(*bits);
  if (const auto keys = fast_open_keys(word(folder + "/tcp_fastopen_key"))) config.fast_open_keys = keys;
  if (const auto n = value("tcp_syncookies"))
    config.syn_cookies = static_cast<SynCookies>(std::clamp<int64_t>(*n, 0, 2));
  if (const auto n = value("tcp_syn_retries")) config.syn_retries = static_cast<uint32_t>(*n);
  if (const auto n = value("tcp_synack_retries")) config.syn_ack_retries = static_cast<uint32_t>(*n);
  if (const auto n = value("tcp_retries2")) config.retries_r2 = static_cast<uint32_t>(*n);
}

}  // namespace limpid::packetdrill
