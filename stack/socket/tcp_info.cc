// TCP_INFO: what the stack tells of a connection, in Linux's words.
#include <linux/inet_diag.h>

#include "stack/socket/linux_tcp_info.h"
#include "stack/socket/options.h"

namespace limpid {

namespace {

// Linux's numbers for the states (include/net/tcp_states.h).
uint8_t linux_state(TcpState state) {
  switch (state) {
    case TcpState::established:
      return 1;
    case TcpState::syn_sent:
      return 2;
    case TcpState::syn_received:
      return 3;
    case TcpState::fin_wait_1:
      return 4;
    case TcpState::fin_wait_2:
      return 5;
    case TcpState::time_wait:
      return 6;
    case TcpState::closed:
      return 7;
    case TcpState::close_wait:
      return 8;
    case TcpState::last_ack:
      return 9;
    case TcpState::listen:
      return 10;
    case TcpState::closing:
      return 11;
  }
  return 7;
}

uint32_t us(Duration d) { return static_cast<uint32_t>(std::max<int64_t>(to_us(d), 0)); }

uint32_t ms_since(Time then, Time now) { return then == Time{} ? 0 : static_cast<uint32_t>(to_ms(now - then)); }

// Linux counts congestion windows in segments.
uint32_t segments(uint32_t bytes, uint32_t mss) { return mss != 0 && bytes != UINT32_MAX ? bytes / mss : bytes; }

uint8_t linux_options(const TcpStatus& s) {
  unsigned options = 0;
  if (s.timestamps) options |= LinuxTcpInfo::kTimestamps;
  if (s.sack) options |= LinuxTcpInfo::kSack;
  if (s.window_scaling) options |= LinuxTcpInfo::kWindowScaling;
  if (s.ecn) options |= LinuxTcpInfo::kEcn;
  if (s.totals.marked_in > 0) options |= LinuxTcpInfo::kEcnSeen;
  if (s.syn_text_acked) options |= LinuxTcpInfo::kSynData;
  return static_cast<uint8_t>(options);
}

void fill_path(LinuxTcpInfo& info, const TcpStatus& s, uint64_t max_pacing_rate) {
  info.rto_us = us(s.rto);
  info.rtt_us = us(s.srtt);
  info.rttvar_us = us(s.rttvar);
  info.min_rtt_us = us(s.min_rtt);
  info.snd_mss = s.mss;
  info.advmss = s.advertised_mss;
  info.snd_ssthresh = s.ssthresh == UINT32_MAX ? INT32_MAX : segments(s.ssthresh, s.mss);  // TCP_INFINITE_SSTHRESH
  info.snd_cwnd = segments(s.cwnd, s.mss);
  info.snd_wnd = s.send_window;
  info.rcv_wnd = s.receive_window;
  info.unacked = s.unacked_segments;
  info.sacked = s.sacked_segments;
  info.lost = s.lost_segments;
  info.retrans = s.resent_segments;
  info.reordering = s.reordering;
  info.pacing_rate = s.pacing_rate;
  info.max_pacing_rate = max_pacing_rate;
  info.delivery_rate = s.delivery_rate;
  info.delivered = s.delivered_segments;
  if (s.app_limited) info.flags |= LinuxTcpInfo::kRateAppLimited;
}

void fill_history(LinuxTcpInfo& info, const TcpStatus& s, Time now) {
  info.last_data_sent_ms = ms_since(s.last_sent, now);
  info.last_data_recv_ms = ms_since(s.last_text, now);
  info.last_ack_recv_ms = ms_since(s.last_received, now);
  info.total_retrans = static_cast<uint32_t>(s.total_retransmits);
  info.bytes_acked = s.bytes_acked;
  info.bytes_received = s.bytes_received;
  info.segs_out = static_cast<uint32_t>(s.segments_out);
  info.segs_in = static_cast<uint32_t>(s.segments_in);
  info.notsent_bytes = s.unsent;
  info.data_segs_in = s.totals.data_segments_in;
  info.data_segs_out = s.totals.data_segments_out;
  info.bytes_sent = s.totals.bytes_sent;
  info.bytes_retrans = s.totals.bytes_resent;
  info.delivered_ce = s.totals.marked_out;
  info.received_ce = s.totals.marked_in;
  info.dsack_dups = s.totals.duplicates_told;
  info.reord_seen = s.totals.reorderings;
  info.rcv_ooopack = s.totals.out_of_order_in;
  info.total_rto = static_cast<uint16_t>(s.totals.timeouts);
  info.total_rto_recoveries = static_cast<uint16_t>(s.totals.timeout_recoveries);
  info.total_rto_ms = static_cast<uint32_t>(to_ms(s.totals.timeout_time));
  info.busy_us = static_cast<uint64_t>(to_us(s.limits.busy(now)));
  info.rwnd_limited_us = static_cast<uint64_t>(to_us(s.limits.by_peer_window(now)));
  info.sndbuf_limited_us = static_cast<uint64_t>(to_us(s.limits.spent(SendLimit::sndbuf, now)));
}

void fill_receiver(LinuxTcpInfo& info, const TcpStatus& s) {
  constexpr uint32_t kDefaultMss = 536;  // until text has come
  const uint32_t mss = s.advertised_mss;
  info.rcv_mss = std::min(s.peer_segment > 0 ? s.peer_segment : kDefaultMss, mss);
  info.rcv_rtt_us = us(s.receive_rtt);
  info.rcv_space = std::max(s.receive_space, std::min(10 * mss, s.receive_buffer));
  info.rcv_ssthresh = s.receive_buffer;
  info.pmtu = s.path_mtu;
}

void fill(LinuxTcpInfo& info, const TcpStatus& s, const TcpOptions& options, const TcpConfig& config, Time now) {
  info.state = linux_state(s.state);
  info.ca_state = static_cast<uint8_t>(s.congestion_state);
  info.retransmits = static_cast<uint8_t>(std::min<uint32_t>(s.retransmits, 255));
  info.probes = static_cast<uint8_t>(std::min<uint32_t>(s.probes, 255));
  info.backoff = info.retransmits;
  info.options = linux_options(s);
  info.window_shifts = static_cast<uint8_t>((s.send_window_shift & 0xf) | (s.receive_window_shift & 0xf) << 4);
  info.ato_us = us(config.delayed_ack);
  fill_receiver(info, s);
  fill_path(info, s, options.max_pacing_rate);
  fill_history(info, s, now);
}

}  // namespace

// TCP_CC_INFO (<linux/inet_diag.h>): struct tcp_bbr_info, and nothing for algorithms that have nothing to tell.
int get_congestion_info(Hold& hold, const OpenSocket& socket, OptionOut& out) {
  const TcpStatus status = hold.stack().tcp_status(socket.id).value_or(TcpStatus{});
  if (!status.bbr) return out.write_nothing();
  const BbrFigures& bbr = *status.bbr;
  return out.write(tcp_bbr_info{.bbr_bw_lo = static_cast<uint32_t>(bbr.bandwidth),
                                .bbr_bw_hi = static_cast<uint32_t>(bbr.bandwidth >> 32),
                                .bbr_min_rtt = us(bbr.min_rtt),
                                .bbr_pacing_gain = (bbr.pacing_percent << 8) / 100,
                                .bbr_cwnd_gain = (bbr.window_percent << 8) / 100});
}

int get_tcp_info(Hold& hold, const OpenSocket& socket, OptionOut& out) {
  LinuxTcpInfo info{};
  info.state = linux_state(TcpState::closed);
  const Config& config = hold.stack().config();
  if (socket.id) {
    const TcpStatus status = hold.stack().tcp_status(socket.id).value_or(TcpStatus{});
    fill(info, status, tcp_options_of(hold, socket), config.tcp, hold.now());
    if (socket.is_listener()) {  // as Linux: waiting connections, and the backlog
      info.unacked = status.receive_queue;
      info.sacked = status.send_queue;
    }
  }
  return out.write(info);
}

}  // namespace limpid
