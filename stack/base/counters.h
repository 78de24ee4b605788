// One counter for each thing that happens to a packet, each drop by its reason. `limpid ss --counters` prints them all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace limpid {

// X(name, what it counts). A name that begins with its protocol and has "drop" in it is a packet that went no further.
// clang-format off: a table reads best as one
#define LIMPID_COUNTERS(X)                                                                             \
  /* link */                                                                                           \
  X(link_frames_in, "frames given to the stack")                                                       \
  X(link_bytes_in, "bytes of those frames")                                                            \
  X(link_frames_out, "frames the device took")                                                         \
  X(link_bytes_out, "bytes of those frames")                                                           \
  X(link_refused, "frames the device refused for now")                                                 \
  X(link_drop_truncated, "frame shorter than its link header")                                         \
  X(link_drop_not_ours, "frame for another link address")                                              \
  X(link_drop_unknown_type, "EtherType or IP version not spoken")                                      \
  X(link_drop_no_frame, "no free frame in the pool")                                                   \
  X(link_drop_refused, "frame of IP's own (ARP, ICMP) lost because the device refused it")             \
  X(link_drop_loopback_full, "datagram to ourselves lost because too many wait already")               \
  /* ARP */                                                                                            \
  X(arp_in, "ARP packets read")                                                                        \
  X(arp_out, "ARP packets sent")                                                                       \
  X(arp_drop_malformed, "ARP packet truncated or of another hardware or protocol type")                \
  X(arp_drop_bad_sender, "ARP sender address is broadcast, multicast or one of ours")                  \
  X(arp_drop_queue_full, "packet waiting for a neighbor pushed out by a newer one")                    \
  X(arp_drop_unresolved, "packet given up because its neighbor did not answer")                        \
  /* IPv4 */                                                                                           \
  X(ip4_in, "datagrams read")                                                                          \
  X(ip4_delivered, "datagrams given to a transport")                                                   \
  X(ip4_out, "datagrams sent")                                                                         \
  X(ip4_drop_truncated, "header cut, or shorter than its length fields say")                           \
  X(ip4_drop_bad_header, "version or header length is wrong")                                          \
  X(ip4_drop_bad_checksum, "header checksum does not verify")                                          \
  X(ip4_drop_bad_option, "option length 0, 1 or beyond the header")                                    \
  X(ip4_drop_source_route, "source-routed datagram refused")                                           \
  X(ip4_drop_bad_offload, "what the device left undone does not fit the datagram (virtio-net header)")   \
  X(ip4_drop_fragment, "fragment refused (no reassembly yet)")                                         \
  X(ip4_drop_bad_source, "source is broadcast, multicast, loopback from the wire, or ours")            \
  X(ip4_drop_not_ours, "destination is no address of ours")                                            \
  X(ip4_drop_loopback_on_wire, "127/8 seen on, or bound for, the wire")                                \
  X(ip4_drop_unknown_protocol, "no transport for this protocol number")                                \
  X(ip4_drop_no_route, "nothing to send, the destination has no route")                                \
  X(ip4_drop_too_big, "larger than the MTU and not to be fragmented")                                  \
  /* ICMP */                                                                                           \
  X(icmp_in, "messages read")                                                                          \
  X(icmp_out, "messages sent")                                                                         \
  X(icmp_echo_replies, "echo requests answered")                                                       \
  X(icmp_errors_delivered, "errors handed to the transport they quote")                                \
  X(icmp_drop_truncated, "message shorter than 8 bytes, or its quotation cut")                         \
  X(icmp_drop_bad_checksum, "checksum does not verify")                                                \
  X(icmp_drop_unknown_type, "type not spoken")                                                         \
  X(icmp_drop_broadcast_echo, "echo request to a broadcast or multicast address")                      \
  X(icmp_drop_ignored, "source quench or redirect, which have no effect (RFC 6633, RFC 1122)")         \
  X(icmp_drop_no_socket, "error or reply that no socket waits for")                                    \
  X(icmp_limited, "errors not sent because of the rate limit")                                         \
  X(icmp_forbidden, "errors not sent because RFC 1122 section 3.2.2 forbids an answer")                \
  /* UDP */                                                                                            \
  X(udp_in, "datagrams read")                                                                          \
  X(udp_out, "datagrams sent")                                                                         \
  X(udp_drop_bad_length, "length below 8 or beyond the IP payload")                                    \
  X(udp_drop_bad_checksum, "checksum does not verify")                                                 \
  X(udp_drop_no_port, "nobody is bound to the port")                                                   \
  X(udp_drop_queue_full, "receive queue of the socket is full")                                        \
  X(udp_drop_shut, "socket no longer receives")                                                        \
  /* raw sockets */                                                                                    \
  X(raw_drop_queue_full, "receive queue of the raw socket is full")                                    \
  /* TCP */                                                                                            \
  X(tcp_in, "segments read")                                                                           \
  X(tcp_out, "segments sent")                                                                          \
  X(tcp_drop_truncated, "shorter than a TCP header")                                                   \
  X(tcp_drop_bad_offset, "data offset below 5 or beyond the segment")                                  \
  X(tcp_drop_bad_checksum, "checksum does not verify")                                                 \
  X(tcp_drop_bad_address, "to or from a broadcast or multicast address")                               \
  X(tcp_drop_bad_flags, "SYN with FIN or RST, or other flags that open nothing")                       \
  X(tcp_drop_no_connection, "segment that belongs to no connection")                                   \
  X(tcp_drop_unacceptable, "sequence number outside the window")                                       \
  X(tcp_drop_no_ack, "no ACK bit in a synchronized state")                                             \
  X(tcp_drop_paws, "timestamp older than the connection's last (RFC 7323 PAWS)")                       \
  X(tcp_drop_unstamped, "no timestamp on a connection that agreed on them")                              \
  X(tcp_drop_bad_ack, "acknowledges what was not sent")                                                \
  X(tcp_drop_blind_rst, "RST in the window but not at RCV.NXT (RFC 5961)")                             \
  X(tcp_drop_syn_in_window, "SYN on a synchronized connection (RFC 5961)")                             \
  X(tcp_drop_syn_queue_full, "SYN queue of the listener is full")                                      \
  X(tcp_drop_accept_queue_full, "accept queue of the listener is full")                                \
  X(tcp_drop_text_after_fin, "text beyond the peer's FIN")                                             \
  X(tcp_drop_after_close, "text for a socket that no longer reads")                                    \
  X(tcp_drop_out_of_order_full, "out-of-order text above the bound")                                   \
  X(tcp_drop_memory, "text above the stack's memory bound")                                            \
  X(tcp_drop_icmp_out_of_window, "ICMP error whose quoted sequence number is not in flight")           \
  X(tcp_path_mtu_lowered, "path MTUs lowered by an ICMP message (RFC 1191)")                           \
  X(tcp_path_mtu_ignored, "ICMP messages that would not have lowered a path's MTU")                    \
  X(tcp_fast_opens, "SYNs whose text was taken at once (RFC 7413)")                                    \
  X(tcp_fast_open_fallbacks, "SYNs with a bad cookie, or beyond a listener's bound of such SYNs")      \
  X(tcp_fast_open_refused, "SYNs of ours whose text the server did not take")                          \
  X(tcp_syn_cookies_sent, "SYNs answered without remembering them (RFC 4987)")                         \
  X(tcp_syn_cookies_taken, "connections opened by a SYN cookie")                                       \
  X(tcp_drop_bad_syn_cookie, "ACK to a listener under flood that brings no cookie of ours")            \
  X(tcp_drop_deferred, "bare ACK where the application wants text first (TCP_DEFER_ACCEPT)")            \
  X(tcp_orphans_shed, "connections that nobody held any more, reset because there were too many")      \
  X(tcp_challenge_acks, "challenge ACKs sent (RFC 5961)")                                              \
  X(tcp_challenge_acks_limited, "challenge ACKs not sent because of the rate limit")                   \
  X(tcp_acks_limited, "answers to out-of-window segments not sent because of the rate limit")          \
  X(tcp_resets_sent, "RST segments sent")                                                              \
  X(tcp_resets_limited, "RST segments to nobody's segments not sent because of the rate limit")            \
  X(tcp_resets_received, "RST segments that ended a connection")                                       \
  X(tcp_active_opens, "connections opened by us")                                                      \
  X(tcp_passive_opens, "connections opened by a peer and established")                                 \
  X(tcp_retransmits, "segments sent again")                                                            \
  X(tcp_timeouts, "retransmission timer expiries")                                                     \
  X(tcp_fast_retransmits, "fast retransmits (RFC 5681)")                                               \
  X(tcp_duplicate_acks, "duplicate ACKs received")                                                     \
  X(tcp_keepalive_probes, "keep-alive probes sent")                                                    \
  X(tcp_window_probes, "zero-window probes sent")                                                      \
  X(tcp_folds, "idle connections that became small records")                                           \
  X(tcp_unfolds, "and those of them that something happened on again")                                 \
  X(tcp_time_waits, "connections that went through TIME-WAIT")
// clang-format on

enum class Counter : uint16_t {
#define X(name, text) name,
  LIMPID_COUNTERS(X)
#undef X
      count_
};

inline constexpr size_t kCounterCount = static_cast<size_t>(Counter::count_);

struct CounterInfo {
  std::string_view name;
  std::string_view text;
};

inline constexpr std::array<CounterInfo, kCounterCount> kCounterInfo = {{
#define X(name, text) {#name, text},
    LIMPID_COUNTERS(X)
#undef X
}};

class Counters {
 public:
  void add(Counter c, uint64_t n = 1) { values_[static_cast<size_t>(c)] += n; }
  uint64_t operator[](Counter c) const { return values_[static_cast<size_t>(c)]; }

 private:
  std::array<uint64_t, kCounterCount> values_{};
};

}  // namespace limpid
