// What crosses the border between TCP and the world above: options, flags, and a snapshot for ss and TCP_INFO.
#pragma once

#include <cstdint>
#include <optional>

#include "stack/base/error.h"
#include "stack/base/time.h"
#include "stack/congestion_choice.h"
#include "stack/net/port_table.h"
#include "stack/socket_id.h"
#include "stack/tcp/ca_state.h"
#include "stack/tcp/limits.h"
#include "stack/tcp/state.h"
#include "stack/tcp/traffic.h"
#include "stack/wire/address.h"

namespace limpid {

// Settable at any time; an accepted connection inherits its listener's. Zero or unset: the stack's configuration.
struct TcpOptions {
  uint32_t send_buffer = 0;        // bytes (SO_SNDBUF); 0: as the path needs it
  uint32_t receive_buffer = 0;     // bytes (SO_RCVBUF); 0: as the path needs it
  uint32_t receive_low_water = 1;  // SO_RCVLOWAT
  bool no_delay = false;           // TCP_NODELAY: Nagle off
  bool push_pending = false;       // TCP_NODELAY was set just now: what waits goes, even from under a cork (as Linux)
  bool cork = false;               // TCP_CORK: only full segments, for at most 200 ms
  bool quick_ack = true;           // TCP_QUICKACK: ACKs do not wait for an answer; until the user gives one (as Linux)
  bool quick_ack_set = false;      // just now: an ACK that waits goes
  bool keepalive = false;          // SO_KEEPALIVE
  Duration keepalive_time{};       // TCP_KEEPIDLE
  Duration keepalive_interval{};   // TCP_KEEPINTVL
  uint32_t keepalive_probes = 0;   // TCP_KEEPCNT
  uint16_t max_segment = 0;        // TCP_MAXSEG: the MSS that we advertise and do not exceed
  uint32_t syn_retries = 0;        // TCP_SYNCNT
  Duration user_timeout{};         // TCP_USER_TIMEOUT (RFC 5482)
  uint32_t unsent_low_water = 0;   // TCP_NOTSENT_LOWAT: a writer is woken when so many bytes or fewer wait, bytes
  bool dont_fragment = true;       // IP_MTU_DISCOVER
  bool linger_reset = false;       // SO_LINGER {on, 0}: close sends RST
  bool urgent_inline = false;      // SO_OOBINLINE
  uint16_t fast_open_queue = 0;  // TCP_FASTOPEN: SYNs with text that a listener lets wait for their handshake; 0: none
  bool fast_open_no_cookie = false;  // TCP_FASTOPEN_NO_COOKIE: of both roles
  uint8_t defer_accept = 0;          // TCP_DEFER_ACCEPT: SYN,ACKs to wait for text; 0: connections are accepted without
  uint8_t ttl = 0;                   // IP_TTL
  uint8_t tos = 0;                   // IP_TOS
  CongestionChoice congestion = CongestionChoice::unset;  // TCP_CONGESTION
  uint64_t max_pacing_rate = UINT64_MAX;                  // SO_MAX_PACING_RATE: bytes a second; UINT64_MAX: no bound
  ReusePolicy reuse;                                      // kept here so that accepted connections inherit it

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&TcpOptions::send_buffer, &TcpOptions::receive_buffer, &TcpOptions::receive_low_water,
             &TcpOptions::no_delay, &TcpOptions::push_pending, &TcpOptions::cork, &TcpOptions::quick_ack,
             &TcpOptions::quick_ack_set, &TcpOptions::keepalive, &TcpOptions::keepalive_time,
             &TcpOptions::keepalive_interval, &TcpOptions::keepalive_probes, &TcpOptions::max_segment,
             &TcpOptions::syn_retries, &TcpOptions::user_timeout, &TcpOptions::unsent_low_water,
             &TcpOptions::dont_fragment, &TcpOptions::linger_reset, &TcpOptions::urgent_inline,
             &TcpOptions::fast_open_queue, &TcpOptions::fast_open_no_cookie, &TcpOptions::defer_accept,
             &TcpOptions::ttl, &TcpOptions::tos, &TcpOptions::congestion, &TcpOptions::max_pacing_rate,
             &TcpOptions::reuse);
  }
};

// What an active OPEN does with its SYN (RFC 7413 §4.2.1).
enum class SynText : uint8_t {
  none,
  // If the server's cookie is known, or none is needed, the SYN waits for the first SEND and takes its text along; else
  // it goes at once and asks for one.
  wanted,
};

struct TcpSendFlags {
  bool urgent = false;  // MSG_OOB: the last byte is urgent
  bool more = false;    // MSG_MORE: as cork, for this call
  bool gather = false;  // a SYN that waits for text waits on: another piece of the same call follows
  // Amid bulk what is left over, less than a burst, may wait for the next SEND until Stack::release_held().
  bool tail_may_wait = false;
};

// Which ACKs wait in a flush (Stack::flush), for better ones or until Stack::release_held().
struct AcksWait {
  bool for_user = false;    // our user runs next: those that his words may carry
  bool for_frames = false;  // the device has more: those amid bulk, as one for all of it will do
};

// What goes beside what has been held for kHeldForLong (Stack::release_held).
struct Release {
  bool tails = true;
  bool bulk_acks = true;  // else, of those amid bulk, only what its sender may need soon
};

inline constexpr Duration kHeldForLong = std::chrono::microseconds(500);

struct TcpReceiveFlags {
  bool peek = false;    // MSG_PEEK: leave the bytes and the window as they are
  bool urgent = false;  // MSG_OOB: the urgent byte
};

// What BBR believes of the path (TCP_CC_INFO).
struct BbrFigures {
  uint64_t bandwidth = 0;  // bytes a second
  Duration min_rtt{};
  uint32_t pacing_percent = 0;
  uint32_t window_percent = 0;
};

struct TcpStatus {
  SocketId id;
  uint32_t connection = 0;  // its number in the trace
  TcpState state = TcpState::closed;
  Endpoint local;
  Endpoint remote;
  uint32_t receive_queue = 0;   // bytes not read yet; a listener: connections not accepted yet
  uint32_t send_queue = 0;      // bytes not acknowledged yet; a listener: its backlog
  uint32_t unsent = 0;          // of these, not sent yet
  bool at_urgent_mark = false;  // the next octet to read is the urgent one (SIOCATMARK)
  uint32_t out_of_order = 0;    // bytes held behind a gap
  uint32_t memory = 0;          // bytes charged
  uint32_t mss = 0;             // of what we send
  uint32_t advertised_mss = 0;
  uint32_t peer_mss = 0;
  uint8_t send_window_shift = 0;
  uint8_t receive_window_shift = 0;
  bool window_scaling = false;
  bool timestamps = false;
  bool sack = false;
  uint32_t send_window = 0;     // what the peer allows, bytes
  uint32_t receive_window = 0;  // what we allow
  uint32_t cwnd = 0;            // bytes
  uint32_t ssthresh = 0;        // bytes; UINT32_MAX: not set yet
  uint32_t in_flight = 0;       // bytes
  Duration srtt{};
  Duration rttvar{};
  Duration min_rtt{};
  Duration rto{};
  uint32_t retransmits = 0;        // consecutive timeouts now
  uint32_t probes = 0;             // unanswered window or keep-alive probes now
  uint64_t total_retransmits = 0;  // segments
  uint64_t segments_out = 0;
  uint64_t segments_in = 0;
  uint64_t bytes_acked = 0;
  uint64_t bytes_received = 0;
  LimitTimes limits;
  bool syn_text_acked = false;  // the SYN carried text, and the other end took it (Fast Open)
  CaState congestion_state = CaState::open;
  uint32_t unacked_segments = 0;  // sent and not acknowledged
  uint32_t sacked_segments = 0;   // of these, SACKed; without SACK the duplicate ACKs
  uint32_t lost_segments = 0;     // of these, believed lost
  uint32_t resent_segments = 0;   // of these, sent again and believed in the network
  uint32_t reordering = 3;        // segments that may overtake another before it counts as lost
  bool in_recovery = false;       // fast recovery
  bool in_loss = false;           // after a timeout
  uint64_t pacing_rate = 0;       // bytes a second, bounded by SO_MAX_PACING_RATE; 0: not known
  bool paced = false;             // text goes out at that rate, not in bursts of a window
  bool pacing_holds = false;      // the next burst is not due yet
  uint64_t delivery_rate = 0;     // bytes a second, of the last sample worth showing
  bool app_limited = false;       // it is a lower bound: the application sent too little
  uint64_t delivered = 0;         // bytes that left the network on the other side
  uint32_t delivered_segments = 0;
  std::optional<BbrFigures> bbr;
  TrafficTotals totals;
  Duration receive_rtt{};      // as the receiver estimates it
  uint32_t receive_space = 0;  // bytes that the user copied in a round trip
  uint32_t peer_segment = 0;   // the largest text that came in a segment
  uint32_t path_mtu = 0;       // bytes
  uint32_t send_buffer = 0;    // as they are now, bytes
  uint32_t receive_buffer = 0;
  bool ecn = false;
  Time opened{};
  Time last_text{};  // received
  Time last_received{};
  Time last_sent{};
  const char* timer = "";  // which runs: "rto", "delack", "persist", "keepalive", "time-wait", …
  Time timer_deadline = kNever;
};

}  // namespace limpid
