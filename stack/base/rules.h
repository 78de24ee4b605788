// The rules of the stack: each decision that it takes has a name, the clause that it follows and a sentence.
//
// An event names its rule, so that a line of the dialogue, a comment in the pcapng file and a row of the live page can
// say why. Where a rule is applied (file and line) is found in the sources by cmake/rule_sites.cmake at build time.
// X(rule, "name", "clause", "because"): the sentence ends what "the stack did this because …" begins.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace limpid {

// clang-format off: a table reads best as one
#define LIMPID_RULES(X)                                                                                              \
  X(none, "none", "", "")                                                                                            \
  /* --- link, ARP --- */                                                                                            \
  X(link_input, "link.input", "", "a frame came in")                                                                 \
  X(link_drop, "link.drop", "RFC 894", "the frame is not for us, or not whole")                                      \
  X(arp_resolve, "arp.resolve", "RFC 826", "the next hop's link address is not known yet")                           \
  X(arp_answer, "arp.answer", "RFC 826", "somebody asks for an address of ours")                                     \
  X(arp_learn, "arp.learn", "RFC 826", "a neighbor told its link address")                                           \
  X(arp_drop, "arp.drop", "RFC 826", "the ARP packet is malformed, or its sender cannot be believed")                \
  X(arp_give_up, "arp.give-up", "RFC 1122 §2.3.2.2", "the neighbor did not answer")                                  \
  /* --- IP, ICMP --- */                                                                                             \
  X(ip_validate, "ip.validate", "RFC 1122 §3.2.1", "the datagram is not valid or not for us")                        \
  X(ip_source_route, "ip.source-route", "RFC 1122 §3.2.1.8", "source-routed datagrams are refused")                  \
  X(ip_output, "ip.output", "RFC 1122 §3.3", "the datagram cannot be sent from here")                                \
  X(ip_fragment, "ip.fragment", "RFC 791 §3.2", "fragments are not taken")                                           \
  X(icmp_echo_reply, "icmp.echo-reply", "RFC 1122 §3.2.2.6", "every host answers echo requests")                     \
  X(icmp_unreachable, "icmp.unreachable", "RFC 1122 §3.2.2.1", "nobody here takes such a datagram")                  \
  X(icmp_silent, "icmp.silent", "RFC 1122 §3.2.2", "an error must not be sent in answer to this")                    \
  X(icmp_rate_limit, "icmp.rate-limit", "RFC 1812 §4.3.2.8", "errors are limited in rate")                           \
  X(icmp_error_delivered, "icmp.error", "RFC 1122 §3.2.2", "the error belongs to the transport that it quotes")      \
  X(icmp_ignored, "icmp.ignored", "RFC 1122 §3.2.2", "the message has no meaning for us")                            \
  /* --- UDP --- */                                                                                                  \
  X(udp_output, "udp.output", "RFC 768", "the application sent a datagram")                                          \
  X(udp_deliver, "udp.deliver", "RFC 768", "a socket is bound to the port")                                          \
  X(udp_drop, "udp.drop", "RFC 1122 §4.1.3", "no socket takes the datagram")                                         \
  /* --- TCP: opening --- */                                                                                         \
  X(tcp_active_open, "open.active", "RFC 9293 §3.10.1", "the application connects")                                  \
  X(tcp_passive_open, "open.passive", "RFC 9293 §3.10.7.2", "a SYN reached a listener")                              \
  X(tcp_syn_ack, "open.syn-ack", "RFC 9293 §3.10.7.2", "a SYN is answered with SYN,ACK")                             \
  X(tcp_simultaneous_open, "open.simultaneous", "RFC 9293 §3.5", "both ends sent a SYN at once")                     \
  X(tcp_syn_acked, "open.syn-acked", "RFC 9293 §3.10.7.3", "the peer answered our SYN")                              \
  X(tcp_established, "open.established", "RFC 9293 §3.10.7.4", "the peer acknowledged our SYN,ACK")                  \
  X(tcp_syn_queue_full, "open.syn-queue-full", "RFC 4987 §3.2", "the listener holds as many half-open ones as it may") \
  X(tcp_fast_open, "open.fast", "RFC 7413 §4.2.2", "the SYN brought a good cookie, so its text is taken at once")    \
  X(tcp_fast_open_text, "open.fast-text", "RFC 7413 §4.2.1", "this server's cookie lets the SYN carry text")         \
  X(tcp_fast_open_request, "open.fast-request", "RFC 7413 §4.1.2", "the SYN asks for a cookie for the next time")     \
  X(tcp_fast_open_refused, "recovery.syn-text", "RFC 7413 §4.2.1", "the server did not take the text of the SYN")     \
  X(tcp_syn_cookie, "open.syn-cookie", "RFC 4987 §3.6", "there is no room for the SYN, so the SYN,ACK itself remembers it") \
  X(tcp_syn_cookie_good, "open.syn-cookie-good", "RFC 4987 §3.6", "the ACK brings back a cookie of ours")             \
  X(tcp_deferred, "open.deferred", "tcp(7) TCP_DEFER_ACCEPT", "the application wants to hear of it when there is text") \
  X(tcp_accept_queue_full, "open.accept-queue-full", "listen(2)", "the application does not accept fast enough")     \
  X(tcp_options, "open.options", "RFC 9293 §3.2", "options were exchanged on the SYNs")                              \
  /* --- TCP: checks on arrival --- */                                                                               \
  X(tcp_validate, "check.header", "RFC 9293 §3.1", "the header or checksum is wrong")                                \
  X(tcp_address, "check.address", "RFC 9293 §3.9.2.3", "TCP speaks only between unicast addresses")                  \
  X(tcp_flags, "check.flags", "RFC 9293 §3.10.7", "such flags open nothing")                                         \
  X(tcp_arrived, "check.arrived", "RFC 9293 §3.10.7", "a segment arrived")                                           \
  X(tcp_paws, "check.paws", "RFC 7323 §5.3", "the segment's timestamp is older than the last one")                   \
  X(tcp_unstamped, "check.unstamped", "RFC 7323 §3.2", "the segment has no timestamp though both sides agreed on them") \
  X(tcp_sequence, "check.sequence", "RFC 9293 §3.10.7.4 first", "the segment lies outside the receive window")       \
  X(tcp_ack_out_of_window, "check.ack-out-of-window", "RFC 9293 §3.10.7.4 first", "an unacceptable segment draws an ACK") \
  X(tcp_reset_taken, "check.rst", "RFC 5961 §3.2", "a RST came exactly at RCV.NXT")                                  \
  X(tcp_reset_challenged, "check.rst-challenge", "RFC 5961 §3.2", "a RST in the window, not at RCV.NXT, may be forged") \
  X(tcp_syn_challenged, "check.syn-challenge", "RFC 5961 §4.2", "a SYN on a synchronized connection may be forged")  \
  X(tcp_ack_challenged, "check.ack-challenge", "RFC 5961 §5.2", "the ACK lies outside what we could have sent")      \
  X(tcp_no_ack, "check.no-ack", "RFC 9293 §3.10.7.4 fifth", "every segment of a connection carries an ACK")          \
  X(tcp_no_connection, "reset.no-connection", "RFC 9293 §3.5.2 group 1", "the segment belongs to no connection")     \
  X(tcp_bad_ack_reset, "reset.bad-ack", "RFC 9293 §3.5.2 group 2", "it acknowledges what was never sent")            \
  X(tcp_syn_sent_refused, "reset.refused", "RFC 9293 §3.10.7.3", "the peer refused our SYN")                         \
  X(tcp_limited, "check.rate-limit", "RFC 5961 §7", "such answers are limited in rate")                              \
  /* --- TCP: acknowledgments and text --- */                                                                        \
  X(tcp_ack_new, "ack.new", "RFC 9293 §3.10.7.4 fifth", "new data is acknowledged")                                  \
  X(tcp_ack_duplicate, "ack.duplicate", "RFC 5681 §2", "the same ACK came again")                                    \
  X(tcp_window_update_taken, "window.update", "RFC 9293 §3.10.7.4 fifth", "the segment is newer than WL1, WL2")      \
  X(tcp_text, "text.in-order", "RFC 9293 §3.10.7.4 seventh", "the next bytes arrived")                               \
  X(tcp_text_out_of_order, "text.out-of-order", "RFC 9293 §3.10.7.4", "bytes are missing before it, so it is held")  \
  X(tcp_text_duplicate, "text.duplicate", "RFC 9293 §3.10.7.4", "these bytes were received before")                  \
  X(tcp_text_refused, "text.refused", "RFC 2525 §2.17", "the application no longer reads")                           \
  X(tcp_delayed_ack, "ack.delayed", "RFC 9293 §3.8.6.3", "an ACK may wait for company")                              \
  X(tcp_ack_now, "ack.now", "RFC 5681 §4.2", "a gap appeared or closed, so the sender must know at once")            \
  X(tcp_ack_quick, "ack.quick", "RFC 5681 §4.2", "the peer only begins to send, and each ACK opens its window")        \
  X(tcp_ack_second, "ack.every-second", "RFC 9293 §3.8.6.3", "two full segments arrived")                            \
  X(tcp_ack_timer, "ack.timer", "RFC 9293 §3.8.6.3", "an ACK waited as long as it may")                              \
  X(tcp_ack_keepalive, "ack.keep-alive", "RFC 9293 §3.8.4", "a keep-alive asks whether we live")                     \
  X(tcp_peer_delays_ack, "ack.peer-delays", "RFC 9293 §3.8.6.3", "the ACK came later than the path takes")             \
  X(tcp_window_opened, "window.opened", "RFC 9293 §3.8.6.2.2", "the application read, so the window opens")          \
  X(tcp_urgent, "urgent", "RFC 9293 §3.8.5", "the peer's urgent pointer moved on")                                   \
  /* --- TCP: sending --- */                                                                                         \
  X(tcp_new_data, "send.data", "RFC 9293 §3.10.2", "there is data, and both windows allow it")                       \
  X(tcp_nagle, "send.nagle", "RFC 9293 §3.7.4", "a small segment waits until all before it is acknowledged")         \
  X(tcp_cork, "send.cork", "", "the application holds back what does not fill a segment")                           \
  X(tcp_sws, "send.sws", "RFC 9293 §3.8.6.2.1", "the window is too small to be worth a segment")                     \
  X(tcp_sws_override, "send.sws-override", "RFC 9293 §3.8.6.2.1", "it waited long enough for a larger window")       \
  X(tcp_cwnd_limited, "send.cwnd", "RFC 5681 §3.1", "the congestion window is full")                                 \
  X(tcp_paced, "send.pacing", "draft-ietf-ccwg-bbr §5.6.2", "the next burst is not due yet at the pacing rate")      \
  X(tcp_rwnd_limited, "send.rwnd", "RFC 9293 §3.8.6", "the peer's window is full")                                   \
  X(tcp_zero_window_probe, "probe.window", "RFC 9293 §3.8.6.1", "the peer's window has been zero for a while")       \
  X(tcp_retransmit_timeout, "recovery.rto", "RFC 6298 §5.4", "the retransmission timer expired")                     \
  X(tcp_retransmit_syn, "recovery.syn", "RFC 6298 §5.4", "the SYN was not answered")                                 \
  X(tcp_fast_retransmit, "recovery.fast", "RFC 5681 §3.2", "three duplicate ACKs point at the first missing segment") \
  X(tcp_window_reopened, "recovery.window", "RFC 9293 §3.8.6.1", "the window that refused these bytes is open again")  \
  X(tcp_partial_ack, "recovery.partial-ack", "RFC 6582 §3.2", "the ACK stopped at the next hole")                    \
  X(tcp_rack_lost, "recovery.rack", "RFC 8985 §6.2", "what was sent sufficiently later has been delivered")           \
  X(tcp_rack_timer, "recovery.rack-timer", "RFC 8985 §6.2", "the reordering window has passed without an ACK")        \
  X(tcp_sack_lost, "recovery.sack", "RFC 6675 §4", "enough octets above it were SACKed")                             \
  X(tcp_hole, "recovery.hole", "RFC 6675 §4", "it may be lost, and there is nothing new to send")                    \
  X(tcp_rescue, "recovery.rescue", "RFC 6675 §4", "the end of the flight once more: nothing else tells of it")      \
  X(tcp_tail_probe, "recovery.tail-probe", "RFC 8985 §7.3", "ACKs are overdue, and one segment more asks for one")   \
  X(tcp_probe_repaired, "recovery.probe-repaired", "RFC 8985 §7.4.2", "the probe repaired a loss that nobody noticed") \
  X(tcp_undo_dsack, "recovery.undo-dsack", "RFC 3708", "the receiver had all that was sent again")                   \
  X(tcp_undo_eifel, "recovery.undo-eifel", "RFC 4015 §3.2", "the ACK answers what was sent before the retransmission") \
  X(tcp_undo_frto, "recovery.undo-f-rto", "RFC 5682 §3", "what was sent before the timeout arrived after all")       \
  X(tcp_recovered, "recovery.done", "RFC 6582 §3.2", "all that was in flight at the loss is acknowledged")           \
  X(tcp_slow_start, "cwnd.slow-start", "RFC 5681 §3.1", "below ssthresh the window grows by what is acknowledged")   \
  X(tcp_avoidance, "cwnd.avoidance", "RFC 5681 §3.1", "above ssthresh the window grows by a segment a round trip")   \
  X(tcp_cubic, "cwnd.cubic", "RFC 9438 §4.2", "the window follows the cubic of the time since the loss")              \
  X(tcp_reno_friendly, "cwnd.reno-friendly", "RFC 9438 §4.3", "Reno would have a larger window here")                \
  X(tcp_css, "cwnd.conservative", "RFC 9406 §4.2", "round trips take longer, so slow start is slowed down")          \
  X(tcp_css_done, "cwnd.slow-start-left", "RFC 9406 §4.2", "round trips stayed longer: the queue fills")             \
  X(tcp_hystart_train, "cwnd.ack-train", "HyStart (Ha, Rhee 2008)", "the ACKs of a flight fill half of the round trip") \
  X(tcp_hystart_delay, "cwnd.delay-rose", "HyStart (Ha, Rhee 2008)", "round trips take longer: the queue fills")      \
  X(tcp_cwnd_unused, "cwnd.unused", "RFC 7661 §4", "the window was not what held the sender back")                   \
  X(tcp_bbr, "cwnd.bbr", "draft-ietf-ccwg-bbr §5.6", "the window follows the modelled rate and delay of the path")    \
  X(tcp_ecn_echo, "cwnd.ecn", "RFC 3168 §6.1.2", "a router marked our packets, and the peer echoes it")              \
  X(tcp_ecn_marked, "ack.ecn", "RFC 3168 §6.1.3", "a router marked the packet")                                      \
  X(tcp_prr, "cwnd.proportional", "RFC 6937 §3", "the window comes down with what leaves the network")               \
  X(tcp_idle_restart, "cwnd.idle-restart", "RFC 5681 §4.1", "the connection was idle for more than an RTO")          \
  X(tcp_rtt, "rtt.sample", "RFC 6298 §2", "a segment sent once was acknowledged")                                    \
  X(tcp_rtt_echo, "rtt.echo", "RFC 7323 §4.1", "the peer echoes when what it acknowledges was sent")                 \
  X(tcp_give_up, "give-up", "RFC 9293 §3.8.3", "the peer did not answer for as long as R2 allows")                   \
  X(tcp_keepalive_probe, "probe.keep-alive", "RFC 9293 §3.8.4", "the connection was silent for long")                \
  X(tcp_keepalive_dead, "keep-alive.dead", "RFC 9293 §3.8.4", "no keep-alive probe was answered")                    \
  X(tcp_device_full, "send.device", "", "the device refused the frame for now")                                      \
  X(tcp_icmp_hard, "icmp.hard", "RFC 9293 §3.9.2.2", "the destination cannot be reached")                            \
  X(tcp_path_mtu, "path-mtu", "RFC 1191 §6.4", "a router says how large a packet the path takes")                     \
  X(tcp_path_mtu_doubted, "path-mtu.doubted", "RFC 5927 §7.2", "larger segments came through: only if nothing advances") \
  X(tcp_black_hole, "path-mtu.black-hole", "RFC 4821 §7.7", "large segments vanish, and no router says why")           \
  X(tcp_icmp_soft, "icmp.soft", "RFC 5927 §5.2", "on a synchronized connection the error is only a hint")            \
  /* --- TCP: closing --- */                                                                                         \
  X(tcp_close, "close.fin", "RFC 9293 §3.10.4", "the application closed its direction")                              \
  X(tcp_fin_acked, "close.fin-acked", "RFC 9293 §3.10.7.4 fifth", "the peer acknowledged our FIN")                   \
  X(tcp_fin_received, "close.fin-received", "RFC 9293 §3.10.7.4 eighth", "the peer closed its direction")            \
  X(tcp_abort, "close.abort", "RFC 9293 §3.10.5", "the application aborted")                                         \
  X(tcp_unread_data, "close.unread", "RFC 2525 §2.17", "the application closed with bytes unread")                   \
  X(tcp_time_wait_ack, "close.time-wait-ack", "RFC 9293 §3.10.7.4", "the peer sent its FIN again")                   \
  X(tcp_time_wait_rst, "close.time-wait-rst", "RFC 1337", "a RST must not end TIME-WAIT early")                      \
  X(tcp_time_wait_over, "close.time-wait-over", "RFC 9293 §3.10.8", "2 MSL have passed")                             \
  X(tcp_time_wait_reopened, "close.time-wait-reopened", "RFC 9293 §3.6.1", "a new SYN with a larger sequence number came") \
  X(tcp_time_wait_stamped, "close.time-wait-stamped", "RFC 6191 §2", "a new SYN with a later timestamp came")          \
  X(tcp_time_wait_syn, "close.time-wait-syn", "RFC 6191 §2", "the SYN may be an old duplicate")                       \
  X(tcp_orphan_shed, "close.orphan-shed", "tcp(7) tcp_max_orphans", "more connections linger than may, and this one longest") \
  X(tcp_orphan_timeout, "close.fin-wait-2", "tcp(7) tcp_fin_timeout", "nobody reads any more and the peer does not close") \
  X(tcp_listener_closed, "close.listener", "RFC 9293 §3.10.4", "the listener was closed before the connection was accepted") \
  /* --- simulated links, clock --- */                                                                               \
  X(sim_impairment, "sim.impairment", "", "the simulated link was told to")                                          \
  X(clock_debugger, "clock.debugger", "", "the process was stopped by a debugger or signal")                         \
  X(clock_gap, "clock.gap", "", "the process did not run for a while")
// clang-format on

enum class Rule : uint16_t {
#define X(rule, name, clause, because) rule,
  LIMPID_RULES(X)
#undef X
      count_
};

struct RuleInfo {
  std::string_view name;
  std::string_view clause;
  std::string_view because;
};

inline constexpr std::array<RuleInfo, static_cast<size_t>(Rule::count_)> kRuleInfo = {{
#define X(rule, name, clause, because) {name, clause, because},
    LIMPID_RULES(X)
#undef X
}};

constexpr const RuleInfo& info(Rule rule) { return kRuleInfo[static_cast<size_t>(rule)]; }

}  // namespace limpid
