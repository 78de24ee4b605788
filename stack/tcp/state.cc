// RFC 9293 §3.3.2, Figure 5, as a table: rows are states, columns are events. A blank means "stays".
#include "stack/tcp/state.h"

namespace limpid {
namespace {

using enum TcpState;

struct Row {
  TcpState state;
  std::array<TcpState, kTcpEventCount> after;
};

// Linux's habit, kept here: the close of a connection that has not sent its SYN,ACK yet goes through FIN-WAIT-1 too.
// clang-format off
constexpr std::array<Row, kTcpStateCount> kTable = {{
  // state          active_open   passive_open  rcv_syn       rcv_syn_ack   rcv_ack_of_syn close        rcv_fin       rcv_ack_of_fin rcv_fin_ack  rcv_rst       abort         timeout
  {closed,        {{syn_sent,     listen,       closed,       closed,       closed,        closed,      closed,       closed,        closed,      closed,       closed,       closed}}},
  {listen,        {{syn_sent,     listen,       syn_received, listen,       listen,        closed,      listen,       listen,        listen,      listen,       closed,       listen}}},
  {syn_sent,      {{syn_sent,     syn_sent,     syn_received, established,  syn_sent,      closed,      syn_sent,     syn_sent,      syn_sent,    closed,       closed,       closed}}},
  {syn_received,  {{syn_received, syn_received, syn_received, syn_received, established,   fin_wait_1,  close_wait,   syn_received,  close_wait,  closed,       closed,       closed}}},
  {established,   {{established,  established,  established,  established,  established,   fin_wait_1,  close_wait,   established,   close_wait,  closed,       closed,       closed}}},
  {fin_wait_1,    {{fin_wait_1,   fin_wait_1,   fin_wait_1,   fin_wait_1,   fin_wait_1,    fin_wait_1,  closing,      fin_wait_2,    time_wait,   closed,       closed,       closed}}},
  {fin_wait_2,    {{fin_wait_2,   fin_wait_2,   fin_wait_2,   fin_wait_2,   fin_wait_2,    fin_wait_2,  time_wait,    fin_wait_2,    time_wait,   closed,       closed,       closed}}},
  {close_wait,    {{close_wait,   close_wait,   close_wait,   close_wait,   close_wait,    last_ack,    close_wait,   close_wait,    close_wait,  closed,       closed,       closed}}},
  {closing,       {{closing,      closing,      closing,      closing,      closing,       closing,     closing,      time_wait,     time_wait,   closed,       closed,       closed}}},
  {last_ack,      {{last_ack,     last_ack,     last_ack,     last_ack,     last_ack,      last_ack,    last_ack,     closed,        closed,      closed,       closed,       closed}}},
  // RFC 1337: a RST does not end TIME-WAIT early.
  {time_wait,     {{time_wait,    time_wait,    time_wait,    time_wait,    time_wait,     time_wait,   time_wait,    time_wait,     time_wait,   time_wait,    closed,       closed}}},
}};
// clang-format on

constexpr bool rows_are_in_order() {
  for (size_t i = 0; i < kTable.size(); ++i)
    if (static_cast<size_t>(kTable[i].state) != i) return false;
  return true;
}
static_assert(rows_are_in_order());

constexpr std::array<std::string_view, kTcpStateCount> kStateNames = {
    "CLOSED",     "LISTEN",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
    "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT"};
constexpr std::array<std::string_view, kTcpEventCount> kEventNames = {
    "active OPEN", "passive OPEN",   "rcv SYN",     "rcv SYN,ACK", "rcv ACK of SYN", "CLOSE",
    "rcv FIN",     "rcv ACK of FIN", "rcv FIN,ACK", "rcv RST",     "ABORT",          "timeout"};

}  // namespace

TcpState transition(TcpState state, TcpEvent event) {
  return kTable[static_cast<size_t>(state)].after[static_cast<size_t>(event)];
}

std::string_view name(TcpState state) { return kStateNames[static_cast<size_t>(state)]; }
std::string_view name(TcpEvent event) { return kEventNames[static_cast<size_t>(event)]; }

}  // namespace limpid
