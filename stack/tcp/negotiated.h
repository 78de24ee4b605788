// What the two SYNs agreed on (RFC 9293 §3.7.1, 7323 §2 and §3.2, 2018 §2). Fixed from then on.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/config.h"
#include "stack/wire/tcp_options.h"

namespace limpid {

struct Negotiated {
  uint16_t advertised_mss = 536;  // the largest text that we take in a segment
  uint16_t peer_mss = 536;        // the peer's MSS option, or the default
  bool window_scaling = false;    // both SYNs carried the option
  uint8_t send_shift = 0;         // how far left the peer's windows are shifted
  uint8_t receive_shift = 0;      // how far right ours are
  bool timestamps = false;        // both SYNs carried the option: every segment does
  bool sack = false;              // both SYNs permitted selective acknowledgments
  bool ecn = false;               // explicit congestion notification: an ECN-setup SYN and SYN,ACK (RFC 3168 §6.1.1)

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&Negotiated::advertised_mss, &Negotiated::peer_mss, &Negotiated::window_scaling, &Negotiated::send_shift,
             &Negotiated::receive_shift, &Negotiated::timestamps, &Negotiated::sack, &Negotiated::ecn);
  }

  // MMS_R - 20 (RFC 9293 §3.7.1, MUST-67), or less if the user says so (TCP_MAXSEG).
  static uint16_t mss_to_advertise(uint32_t path_mtu, uint32_t header_bytes, uint16_t user_limit) {
    const uint32_t most = std::min<uint32_t>(path_mtu - header_bytes, 65'495);
    return static_cast<uint16_t>(user_limit > 0 ? std::min<uint32_t>(user_limit, most) : most);
  }

  static constexpr uint32_t kTimestampBytes = 12;  // of every segment, its two NOPs included

  // The largest text that we send: what the peer takes and the path carries (RFC 9293 §3.7.1, MUST-16), less the
  // options that every segment carries: an MSS counts none (RFC 6691 §3). `user_limit`: TCP_MAXSEG, 0 for none.
  uint32_t send_mss(uint32_t path_mtu, uint32_t header_bytes, uint16_t user_limit) const {
    uint32_t most = std::min<uint32_t>(peer_mss, path_mtu - header_bytes);
    if (user_limit > 0) most = std::min<uint32_t>(most, user_limit);
    return most - (timestamps ? kTimestampBytes : 0);
  }

  // Until the peer's SYN has come, the three say what ours offers: the configuration may change meanwhile.
  void offer(const TcpConfig& config) {
    window_scaling = config.offer_window_scale;
    timestamps = config.offer_timestamps;
    sack = config.offer_sack;
  }
  void read_peer_syn(const TcpOptionSet& options, const TcpConfig& config) {
    peer_mss = std::max(options.mss.value_or(config.default_mss), config.minimum_mss);
    window_scaling = window_scaling && options.window_scale.has_value();
    send_shift = window_scaling ? std::min<uint8_t>(*options.window_scale, 14) : 0;  // RFC 7323 §2.3
    if (!window_scaling) receive_shift = 0;
    timestamps = timestamps && options.timestamps.has_value();
    sack = sack && options.sack_permitted;
  }

  // As the trace has them.
  uint32_t flags() const {
    return (window_scaling ? 1u : 0u) | (timestamps ? 2u : 0u) | (sack ? 4u : 0u) | (ecn ? 8u : 0u);
  }
};

// The smallest shift with which the whole buffer can be promised, and the largest that it may grow to.
inline uint8_t shift_for_buffer(uint32_t buffer, const TcpConfig& config) {
  if (!config.offer_window_scale) return 0;
  buffer = std::max(buffer, config.largest_receive_buffer);
  uint8_t shift = 0;
  while (shift < 14 && (uint64_t{65'535} << shift) < buffer) ++shift;
  return shift;
}

}  // namespace limpid
