// The eleven states of RFC 9293 §3.3.2 and the transitions between them, as data.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace limpid {

enum class TcpState : uint8_t {
  closed,
  listen,
  syn_sent,
  syn_received,
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
  time_wait,
};
inline constexpr size_t kTcpStateCount = 11;

std::string_view name(TcpState state);  // "SYN-SENT", as the RFC writes it

// What moves a connection from state to state.
enum class TcpEvent : uint8_t {
  active_open,     // the user connects
  passive_open,    // the user listens
  rcv_syn,         // a SYN without an ACK of ours
  rcv_syn_ack,     // a SYN that acknowledges our SYN
  rcv_ack_of_syn,  // our SYN is acknowledged (in SYN-RECEIVED)
  close,           // the user closes its sending direction
  rcv_fin,         // the peer's FIN was reached
  rcv_ack_of_fin,  // our FIN is acknowledged
  rcv_fin_ack,     // FIN-WAIT-1 only: one segment brought both
  rcv_rst,         // an acceptable RST
  abort,           // the user aborts, or the stack gives up
  timeout,         // 2 MSL have passed
};
inline constexpr size_t kTcpEventCount = 12;

// The state after `event` in `state`; the same state when the event means nothing there.
TcpState transition(TcpState state, TcpEvent event);
std::string_view name(TcpEvent event);

// RFC 9293 §3.3.2's "synchronized states": both ends know both sequence numbers.
constexpr bool synchronized(TcpState s) { return s >= TcpState::established; }
// The peer may still send: its FIN has not been reached.
constexpr bool may_receive(TcpState s) {
  return s == TcpState::established || s == TcpState::fin_wait_1 || s == TcpState::fin_wait_2;
}
// The user may still send: it has not closed.
constexpr bool may_send(TcpState s) { return s == TcpState::established || s == TcpState::close_wait; }

}  // namespace limpid
