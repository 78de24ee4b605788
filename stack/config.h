// Every tunable of the stack, its default, and where the default comes from. Plain data; a change of it is an input.
#pragma once

#include <cstdint>
#include <optional>

#include "stack/base/siphash.h"
#include "stack/base/time.h"
#include "stack/congestion_choice.h"

namespace limpid {

struct IpConfig {
  uint8_t ttl = 64;                        // RFC 1122 §3.2.1.7 (configurable), RFC 1700's value; Linux ip_default_ttl
  bool answer_echo = true;                 // RFC 1122 §3.2.2.6; Linux icmp_echo_ignore_all = 0
  uint32_t icmp_errors_per_second = 1000;  // Linux icmp_msgs_per_sec
  uint32_t icmp_burst = 50;                // Linux icmp_msgs_burst
  Duration icmp_per_peer_interval = 1s;    // Linux icmp_ratelimit: 1000 ms a peer, a burst of 6
  uint32_t icmp_per_peer_burst = 6;
  Duration neighbor_reachable_time = 30s;  // Linux base_reachable_time_ms
  Duration neighbor_retry = 1s;            // RFC 1122 §2.3.2.1: at most one request a second a destination
  uint32_t neighbor_tries = 3;             // Linux mcast_solicit
  uint32_t neighbor_queue_packets = 64;    // packets that wait for one neighbor
  uint32_t neighbor_entries = 1024;        // Linux gc_thresh3
  uint32_t least_path_mtu = 552;           // no ICMP message lowers a path's MTU below it; Linux min_pmtu
  Duration path_mtu_expires = 600s;        // RFC 1191 §6.3: 10 min; Linux mtu_expires
  // TCP's work is done once for a row of packets, also where the device does not help (frame_offload.h):
  bool cut_bursts = true;      // a burst comes down in one piece and is cut in front of the device; Linux GSO
  bool merge_segments = true;  // segments that come in a row go up in one piece (net/merge.h); Linux GRO
};

struct UdpConfig {
  uint32_t receive_buffer = 212'992;  // bytes charged to a socket's queue; Linux rmem_default
  uint32_t send_buffer = 212'992;     // Linux wmem_default
  uint32_t memberships = 20;          // multicast groups that a socket may join; Linux igmp_max_memberships
};

// What TCP Fast Open (RFC 7413) is allowed to do; the bits of Linux tcp_fastopen.
namespace fast_open_bit {
inline constexpr uint32_t client = 1;                     // a program may send text with its SYN
inline constexpr uint32_t server = 2;                     // a listener may take it
inline constexpr uint32_t client_without_cookie = 4;      // also to a server that has given us no cookie
inline constexpr uint32_t server_without_cookie = 0x200;  // also from anybody
inline constexpr uint32_t every_listener = 0x400;         // also where the program has not asked for it
}  // namespace fast_open_bit

// With these a server makes its cookies; those of the backup key are good still (RFC 7413 §4.1.2).
struct FastOpenKeys {
  SipKey primary;
  std::optional<SipKey> backup{};
};

// Linux tcp_syncookies (RFC 4987 §3.6).
enum class SynCookies : uint8_t { off, when_full, always };

struct TcpConfig {
  // Bytes of text, unless SO_SNDBUF or SO_RCVBUF say otherwise: what a connection begins with, and the most that it
  // grows to where the path needs it. Linux tcp_wmem, tcp_rmem, second and third value. The largest receive buffer
  // decides the window scale (8 here).
  uint32_t send_buffer = 64 << 10;
  uint32_t largest_send_buffer = 32 << 20;
  uint32_t receive_buffer = 128 << 10;
  uint32_t largest_receive_buffer = 15 << 20;
  uint32_t send_buffer_percent = 200;      // of the congestion window: how far it grows; Linux in effect 460 to 600
  bool tune_receive_buffer = true;         // Linux tcp_moderate_rcvbuf
  uint32_t unsent_low_water = UINT32_MAX;  // bytes; Linux tcp_notsent_lowat
  uint32_t max_buffer = 32 << 20;          // bound of SO_SNDBUF and SO_RCVBUF
  bool offer_window_scale = true;          // RFC 7323 §2
  bool offer_timestamps = true;            // RFC 7323 §3; Linux tcp_timestamps
  bool require_timestamps = false;         // RFC 7323 §3.2 says drop what lacks them; Linux takes it
  bool offer_sack = true;                  // RFC 2018 §2; Linux tcp_sack
  bool send_dsack = true;                  // RFC 2883; Linux tcp_dsack
  uint16_t default_mss = 536;              // RFC 9293 §3.7.1, when the peer names none
  uint16_t minimum_mss = 48;               // below this a peer's MSS is not believed; Linux tcp_min_snd_mss
  bool find_black_holes = false;           // RFC 4821 §7.7; Linux tcp_mtu_probing = 0 (true: 1)
  uint32_t black_hole_timeouts = 3;        // in a row, before smaller segments are tried; Linux tcp_retries1
  uint16_t base_mss = 1024;                // the first of them; Linux tcp_base_mss
  uint16_t least_probe_mss = 48;           // and the smallest; Linux tcp_mtu_probe_floor
  uint32_t initial_window_segments = 10;   // RFC 6928
  uint32_t least_burst_segments = 2;       // that go out together, the last with PSH; Linux tcp_min_tso_segs
  uint32_t burst_window_divisor = 0;  // of a window: less waits for more; 0: it goes; Linux tcp_tso_win_divisor (3)
  bool rack = true;                   // RFC 8985 §6, else RFC 6675; Linux tcp_recovery
  bool tail_loss_probe = true;        // RFC 8985 §7; Linux tcp_early_retrans = 3
  bool frto = true;                   // RFC 5682; Linux tcp_frto
  uint16_t reordering = 3;            // DupThresh of RFC 6675 §4 to begin with; Linux tcp_reordering
  Duration probe_ack_delay = 200ms;   // RFC 8985 §7.2, TLP.max_ack_delay; Linux TCP_RTO_MIN
  Duration reordering_slack{};        // added to the reordering timer; Linux TCP_TIMEOUT_MIN: two ticks
  Duration probe_slack = 2ms;         // added to a PTO of 2 SRTT; Linux TCP_TIMEOUT_MIN
  Duration initial_rto = 1s;          // RFC 6298 §2.1
  Duration minimum_rto = 200ms;       // above the round trip; RFC 6298 §2.4 says 1 s; Linux TCP_RTO_MIN
  Duration maximum_rto = 120s;        // RFC 6298 §2.5: at least 60 s; Linux TCP_RTO_MAX
  Duration clock_granularity = 1ms;   // G of RFC 6298 §2
  Duration delayed_ack = 40ms;        // RFC 9293 §3.8.6.3: below 500 ms; Linux TCP_DELACK_MIN
  uint8_t quick_acks = 16;            // ACKs at once when text begins; Linux TCP_MAX_QUICKACKS
  bool empty_window_probes = false;   // RFC 9293 §3.8.6.1 says one octet at least; Linux sends none
  Duration sws_override = 200ms;      // RFC 9293 §3.8.6.2.1: 0.1 to 1 s
  Duration msl = 30s;                 // RFC 9293 §3.4.2 says 2 min; 2 MSL = 60 s is Linux TCP_TIMEWAIT_LEN
  Duration fin_wait_2 = 60s;          // Linux tcp_fin_timeout, for connections nobody holds any more
  uint32_t syn_retries = 6;           // Linux tcp_syn_retries: 127 s in all
  uint32_t syn_ack_retries = 5;       // Linux tcp_synack_retries
  uint32_t retries_r1 = 3;            // R1, at least 3 (SHLD-10); Linux tcp_retries1
  uint32_t retries_r2 = 15;           // R2, at least 100 s (SHLD-11); Linux tcp_retries2: 924 s
  uint32_t orphan_retries = 8;        // Linux tcp_orphan_retries: R2 of connections nobody holds any more
  Duration keepalive_time = 7200s;    // RFC 9293 §3.8.4 (MUST-28); Linux tcp_keepalive_time
  Duration keepalive_interval = 75s;  // Linux tcp_keepalive_intvl
  uint32_t keepalive_probes = 9;      // Linux tcp_keepalive_probes
  SynCookies syn_cookies = SynCookies::when_full;  // RFC 4987 §3.6; Linux tcp_syncookies (1)
  uint32_t fast_open = fast_open_bit::client;      // RFC 7413; Linux tcp_fastopen (1)
  std::optional<FastOpenKeys> fast_open_keys;      // none: from the seed; Linux tcp_fastopen_key
  uint32_t fast_open_cookies = 1024;               // destinations whose cookie is remembered
  uint32_t max_orphans = 65'536;                   // connections that nobody holds any more; Linux tcp_max_orphans
  uint32_t syn_queue = 1024;                       // half-open connections a listener; Linux tcp_max_syn_backlog
  uint32_t max_accept_queue = 4096;                // Linux somaxconn
  uint32_t max_connections = 1'048'576;            // of one stack, half-open and TIME-WAIT not counted
  uint32_t max_time_wait = 262'144;                // Linux tcp_max_tw_buckets; past it the oldest goes
  // Beyond so many, connections on which nothing happens are kept as small records until something does (tcp/fold.h):
  // those first that were used longest ago. Some 1.4 KB each; UINT32_MAX: none ever is.
  uint32_t whole_connections = 1024;
  uint32_t challenge_acks_per_second = 1000;  // RFC 5961 §7; Linux tcp_challenge_ack_limit was 1000
  uint32_t resets_per_second = 10'000;        // to segments of nobody; FreeBSD icmplim (200), Linux has no bound
  Duration invalid_ack_interval = 500ms;      // answers to out-of-window segments; Linux tcp_invalid_ratelimit
  std::optional<uint32_t> isn_for_tests;      // every initial sequence number, to start near the wrap
  uint16_t ephemeral_first = 32'768;          // Linux ip_local_port_range
  uint16_t ephemeral_last = 60'999;

  // Unless TCP_CONGESTION says otherwise; Linux tcp_congestion_control.
  CongestionChoice congestion = CongestionChoice::cubic;
  bool classic_hystart = false;       // not HyStart++ (RFC 9406), and Reno's window 32 times a second: Linux's CUBIC
  bool pacing = false;                // also of algorithms that do not ask for it; Linux: the fq queueing discipline
  EcnMode ecn = EcnMode::passive;     // RFC 3168; Linux tcp_ecn (2)
  bool slow_start_after_idle = true;  // RFC 5681 §4.1; Linux tcp_slow_start_after_idle
  // BBR: what a path without a queue loses is not taken for congestion, up to so many in a hundred. Linux's BBR, which
  // is version 1, takes no loss for it.
  uint32_t bbr_path_loss_percent = 5;
};

struct Config {
  IpConfig ip;
  UdpConfig udp;
  TcpConfig tcp;
  uint64_t frame_memory = uint64_t{512} << 20;  // bytes of frames that may exist at once
};

}  // namespace limpid
