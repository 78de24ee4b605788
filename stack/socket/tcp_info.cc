// TCP_INFO. In a file of its own because Linux's struct is in <linux/tcp.h>, which <netinet/tcp.h> cannot stand beside.
#include <linux/tcp.h>

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

// TCP_CA_Open, TCP_CA_Recovery, TCP_CA_Loss.
uint8_t linux_congestion_state(const TcpStatus& status) {
  if (status.in_loss) return 4;
  return status.in_recovery ? 3 : 0;
}

uint32_t us(Duration d) { return static_cast<uint32_t>(std::max<int64_t>(to_us(d), 0)); }

uint32_t ms_since(Time then, Time now) { return then == Time{} ? 0 : static_cast<uint32_t>(to_ms(now - then)); }

// Linux counts congestion windows in segments.
uint32_t segments(uint32_t bytes, uint32_t mss) { return mss != 0 && bytes != UINT32_MAX ? bytes / mss : bytes; }

void fill(tcp_info& info, const TcpStatus& s, const TcpOptions& options, const TcpConfig& config, Time now) {
  info.tcpi_state = linux_state(s.state);
  info.tcpi_ca_state = linux_congestion_state(s);
  info.tcpi_retransmits = static_cast<uint8_t>(std::min<uint32_t>(s.retransmits, 255));
  info.tcpi_probes = static_cast<uint8_t>(std::min<uint32_t>(s.probes, 255));
  info.tcpi_backoff = info.tcpi_retransmits;
  info.tcpi_options = static_cast<uint8_t>((s.window_scaling ? TCPI_OPT_WSCALE : 0) |
                                           (s.timestamps ? TCPI_OPT_TIMESTAMPS : 0) | (s.sack ? TCPI_OPT_SACK : 0));
  info.tcpi_snd_wscale = s.send_window_shift & 0xf;
  info.tcpi_rcv_wscale = s.receive_window_shift & 0xf;
  info.tcpi_rto = us(s.rto);
  info.tcpi_ato = us(config.delayed_ack);
  info.tcpi_snd_mss = s.mss;
  info.tcpi_rcv_mss = s.advertised_mss;
  info.tcpi_unacked = segments(s.in_flight, s.mss) + (s.mss != 0 && s.in_flight % s.mss != 0 ? 1 : 0);
  info.tcpi_last_data_sent = ms_since(s.last_sent, now);
  info.tcpi_last_data_recv = ms_since(s.last_received, now);
  info.tcpi_last_ack_recv = ms_since(s.last_received, now);
  info.tcpi_rtt = us(s.srtt);
  info.tcpi_rttvar = us(s.rttvar);
  info.tcpi_min_rtt = us(s.min_rtt);
  info.tcpi_snd_ssthresh = segments(s.ssthresh, s.mss);
  info.tcpi_snd_cwnd = segments(s.cwnd, s.mss);
  info.tcpi_advmss = s.advertised_mss;
  info.tcpi_reordering = 3;  // duplicate ACKs that count as loss (RFC 5681 §3.2)
  info.tcpi_rcv_space = options.receive_buffer;
  info.tcpi_total_retrans = static_cast<uint32_t>(s.total_retransmits);
  info.tcpi_bytes_acked = s.bytes_acked;
  info.tcpi_bytes_received = s.bytes_received;
  info.tcpi_segs_out = static_cast<uint32_t>(s.segments_out);
  info.tcpi_segs_in = static_cast<uint32_t>(s.segments_in);
  info.tcpi_notsent_bytes = s.unsent;
  info.tcpi_snd_wnd = s.send_window;
}

}  // namespace

int get_tcp_info(Hold& hold, const OpenSocket& socket, OptionOut& out) {
  tcp_info info{};
  info.tcpi_state = linux_state(TcpState::closed);
  const Config& config = hold.stack().config();
  if (socket.id) {
    const TcpStatus status = hold.stack().tcp_status(socket.id).value_or(TcpStatus{});
    fill(info, status, tcp_options_of(hold, socket), config.tcp, hold.now());
    if (socket.is_listener()) {  // as Linux: waiting connections, and the backlog
      info.tcpi_unacked = status.receive_queue;
      info.tcpi_sacked = status.send_queue;
    }
  }
  return out.write(info);
}

}  // namespace limpid
