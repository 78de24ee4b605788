// The kinds of events and what their words mean: the schema of the stream, in qlog's names (seeing is in
// docs/architecture.md).
//
// X(kind, "category:name", "field field …"). A field is name[:format]; one 32-bit word each, in order. Formats:
//   (none) unsigned   i signed   us microseconds   flags TCP flags   state TCP state   addr IPv4 address (host order)
//   port   reason Counter   iface interface   timer timer name   cstate congestion state   err Error   call socket call
//   limit what limits the sender (with `late`: so much of the time just past belongs to the new one)   hex
// The flags of tcp:options_negotiated: 1 window scaling, 2 timestamps, 4 SACK.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace limpid {

// clang-format off: a table reads best as one
#define LIMPID_EVENT_KINDS(X)                                                                                       \
  X(link_frame_in, "link:frame_in", "iface:iface len hash:hex")                                                     \
  X(link_frame_out, "link:frame_out", "iface:iface len hash:hex refused")                                           \
  X(link_dropped, "link:packet_dropped", "iface:iface len reason:reason")                                           \
  X(arp_sent, "arp:packet_sent", "operation target:addr")                                                           \
  X(arp_received, "arp:packet_received", "operation sender:addr")                                                   \
  X(arp_dropped, "arp:packet_dropped", "reason:reason")                                                             \
  X(ip_dropped, "ip:packet_dropped", "source:addr destination:addr protocol len reason:reason")                     \
  X(icmp_sent, "icmp:packet_sent", "type code destination:addr len")                                                \
  X(icmp_received, "icmp:packet_received", "type code source:addr len")                                             \
  X(icmp_dropped, "icmp:packet_dropped", "type code source:addr reason:reason")                                     \
  X(udp_sent, "udp:packet_sent", "source:port destination_address:addr destination:port len")                       \
  X(udp_received, "udp:packet_received", "source_address:addr source:port destination:port len")                    \
  X(udp_dropped, "udp:packet_dropped", "source_address:addr source:port destination:port len reason:reason")        \
  X(tcp_connection_started, "tcp:connection_started", "local:addr remote:addr local_port:port remote_port:port")    \
  X(tcp_connection_closed, "tcp:connection_closed", "state:state error:err")                                        \
  X(tcp_state_updated, "tcp:state_updated", "old:state new:state")                                                  \
  X(tcp_packet_sent, "tcp:packet_sent", "seq ack len flags:flags window state:state retransmission sport:port dport:port") \
  X(tcp_packet_received, "tcp:packet_received", "seq ack len flags:flags window state:state urgent sport:port dport:port") \
  X(tcp_packet_dropped, "tcp:packet_dropped", "seq ack len flags:flags reason:reason state:state sport:port dport:port") \
  X(tcp_packets_acked, "tcp:packets_acked", "una_before una_after in_flight")                                       \
  X(tcp_reassembly_updated, "tcp:reassembly_updated", "hole_at held")                                               \
  X(tcp_ack_scheduled, "tcp:ack_scheduled", "delay:us")                                                             \
  X(tcp_window_updated, "tcp:window_updated", "window_before window_after")                                         \
  X(tcp_timer_set, "tcp:timer_updated", "timer_type:timer delta:us")                                                \
  X(tcp_timer_expired, "tcp:timer_updated", "timer_type:timer late:us")                                             \
  X(tcp_timer_cancelled, "tcp:timer_updated", "timer_type:timer")                                                   \
  X(tcp_limit_updated, "tcp:limit_updated", "old:limit new:limit late:us")                                          \
  X(tcp_socket_call, "tcp:socket_call", "call:call len")                                                            \
  X(tcp_socket_return, "tcp:socket_return", "call:call result:i error:err")                                         \
  X(tcp_options_negotiated, "tcp:options_negotiated", "mss window_scale_in window_scale_out flags:hex")             \
  X(tcp_mss_updated, "tcp:mss_updated", "old new path_mtu")                                                         \
  X(tcp_invariant_failed, "tcp:invariant_failed", "check")                                                          \
  X(recovery_metrics_updated, "recovery:metrics_updated",                                                           \
    "congestion_window bytes_in_flight ssthresh smoothed_rtt:us latest_rtt:us min_rtt:us rtt_variance:us rto:us rwnd") \
  X(recovery_congestion_state_updated, "recovery:congestion_state_updated", "old:cstate new:cstate")                \
  X(recovery_packet_lost, "recovery:packet_lost", "seq len")                                                        \
  X(recovery_marked_for_retransmit, "recovery:marked_for_retransmit", "seq len")                                    \
  X(recovery_spurious_loss, "recovery:spurious_loss", "seq len")                                                    \
  X(sim_lost, "sim:loss", "len index")                                                                              \
  X(sim_delayed, "sim:delay", "len delay:us")                                                                       \
  X(sim_reordered, "sim:reordering", "len delay:us")                                                                \
  X(sim_duplicated, "sim:duplication", "len")                                                                       \
  X(sim_corrupted, "sim:corruption", "len offset")                                                                  \
  X(sim_queue_full, "sim:queue_full", "len queued")                                                                 \
  X(clock_frozen, "clock:frozen", "real_ms")                                                                        \
  X(clock_stall, "clock:stall", "real_ms")                                                                          \
  X(session_started, "session:started", "seed_high:hex seed_low:hex")                                               \
  X(session_checkpoint, "session:checkpoint", "hash_high:hex hash_low:hex")
// clang-format on

enum class EventKind : uint16_t {
#define X(kind, name, fields) kind,
  LIMPID_EVENT_KINDS(X)
#undef X
      count_
};

struct EventKindInfo {
  std::string_view name;
  std::string_view fields;
};

inline constexpr std::array<EventKindInfo, static_cast<size_t>(EventKind::count_)> kEventKindInfo = {{
#define X(kind, name, fields) {name, fields},
    LIMPID_EVENT_KINDS(X)
#undef X
}};

}  // namespace limpid
