// What TCP_INFO gives on Linux, in the layout of a kernel of 2025 (tcp(7); <linux/tcp.h> of an older one ends earlier):
// callers take as much of it as they know. Times in the unit that their name says, windows and queues that Linux counts
// in segments are in segments.
#pragma once

#include <cstdint>

namespace limpid {

struct LinuxTcpInfo {
  uint8_t state;
  uint8_t ca_state;
  uint8_t retransmits;
  uint8_t probes;
  uint8_t backoff;
  uint8_t options;        // kTimestamps and so on, below
  uint8_t window_shifts;  // low half: of the peer's windows; high half: of ours
  uint8_t flags;          // bit 0: the delivery rate was limited by the application; bits 1, 2: fast open's failure

  uint32_t rto_us;
  uint32_t ato_us;
  uint32_t snd_mss;
  uint32_t rcv_mss;

  uint32_t unacked;  // segments, as the next four
  uint32_t sacked;
  uint32_t lost;
  uint32_t retrans;
  uint32_t fackets;

  uint32_t last_data_sent_ms;  // ago
  uint32_t last_ack_sent_ms;   // Linux does not remember it: zero
  uint32_t last_data_recv_ms;
  uint32_t last_ack_recv_ms;

  uint32_t pmtu;
  uint32_t rcv_ssthresh;
  uint32_t rtt_us;
  uint32_t rttvar_us;
  uint32_t snd_ssthresh;  // segments
  uint32_t snd_cwnd;      // segments
  uint32_t advmss;
  uint32_t reordering;
  uint32_t rcv_rtt_us;
  uint32_t rcv_space;
  uint32_t total_retrans;

  uint64_t pacing_rate;  // bytes a second
  uint64_t max_pacing_rate;
  uint64_t bytes_acked;
  uint64_t bytes_received;
  uint32_t segs_out;
  uint32_t segs_in;
  uint32_t notsent_bytes;
  uint32_t min_rtt_us;
  uint32_t data_segs_in;
  uint32_t data_segs_out;
  uint64_t delivery_rate;

  uint64_t busy_us;
  uint64_t rwnd_limited_us;
  uint64_t sndbuf_limited_us;

  uint32_t delivered;
  uint32_t delivered_ce;
  uint64_t bytes_sent;
  uint64_t bytes_retrans;
  uint32_t dsack_dups;
  uint32_t reord_seen;
  uint32_t rcv_ooopack;
  uint32_t snd_wnd;
  uint32_t rcv_wnd;
  uint32_t rehash;
  uint16_t total_rto;
  uint16_t total_rto_recoveries;
  uint32_t total_rto_ms;
  uint32_t received_ce;
  uint32_t accurate_ecn_bytes[6];  // of Accurate ECN, which we do not speak
  uint32_t accurate_ecn_modes;

  static constexpr uint8_t kRateAppLimited = 1;  // of flags
  static constexpr uint8_t kTimestamps = 1, kSack = 2, kWindowScaling = 4, kEcn = 8, kEcnSeen = 16, kSynData = 32;
};
static_assert(sizeof(LinuxTcpInfo) == 280);

}  // namespace limpid
