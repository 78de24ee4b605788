// What a descriptor of ours leads to: the socket of the stack, and all that POSIX adds to it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "stack/runtime/world.h"
#include "stack/stack.h"

namespace limpid {

class EpollSet;
struct EpollEntry;

// Who waits for a socket, and which of its wake-ups matter: a call (then this is on the caller's stack), or an entry of
// an epoll set.
struct SocketWait {
  Waiter* waiter = nullptr;
  EpollEntry* entry = nullptr;
  ReadyEvents interest = 0;
  bool exclusive = false;  // one of those is woken at a time
  SocketWait* next = nullptr;
};

// A connection that waits to be accepted: at which machine, and which listener there has it.
struct Arrival {
  uint16_t at;
  SocketId listener;
};

// What a stream socket that is bound has at all machines of its host, where there are several: by their numbers.
struct Everywhere {
  std::vector<BindId> claims;
  std::vector<SocketId> listeners;
  bool listens = false;          // or is about to: connections may come before all listeners are known
  std::deque<Arrival> arrivals;  // in the order of their coming
};

// Everything under the lock of the socket's home, but for `references`.
struct OpenSocket {
  enum class Kind : uint8_t { stream, datagram, raw, epoll };

  explicit OpenSocket(uint16_t at);
  ~OpenSocket();
  OpenSocket(const OpenSocket&) = delete;
  OpenSocket& operator=(const OpenSocket&) = delete;

  // The number of its machine in the host. It never changes once others can find the socket.
  uint16_t home;
  Kind kind = Kind::stream;
  uint8_t protocol = 0;

  // The stack's name for it. A stream socket has none until connect or listen, and then a listener's or a connection's.
  SocketId id;
  // A stream socket's claim on its port from bind to connect or listen, which take it over; and what was asked for, so
  // that a second connect after a failed one can claim it again.
  BindId bind;
  bool bound = false;
  Endpoint bound_to;
  bool connecting = false;  // connect was called, and its outcome has not been told yet
  bool was_connected = false;
  int told_error = 0;  // why the connection went, when the stack has forgotten it

  // What was set on a stream socket while it had no id to set it on, and what a datagram socket is like: in memory of
  // their own, since most sockets of a server with many have neither.
  std::unique_ptr<TcpOptions> tcp_wishes;
  std::unique_ptr<UdpOptions> udp_options;
  std::unique_ptr<Everywhere> everywhere;  // set once, by bind or listen
  ReusePolicy reuse;

  bool fast_open_connect = false;                // TCP_FASTOPEN_CONNECT
  std::unique_ptr<FastOpenKeys> fast_open_keys;  // TCP_FASTOPEN_KEY, kept for the day it listens

  bool nonblocking = false;
  Duration receive_timeout{};  // zero: none
  Duration send_timeout{};
  Duration busy_poll{};  // SO_BUSY_POLL; zero: as the machine is set
  bool linger = false;
  Duration linger_time{};
  bool shut_receive = false;
  bool shut_send = false;
  bool wants_packet_info = false;  // IP_PKTINFO
  bool wants_ttl = false;          // IP_RECVTTL
  bool wants_tos = false;          // IP_RECVTOS
  bool wants_in_queue = false;     // TCP_INQ

  // One reader and one writer at a time; the others wait for their turn.
  bool reading = false;
  bool writing = false;
  bool closed = false;  // lp_close() was called: those who wait give up
  SocketWait* waits = nullptr;

  std::unique_ptr<EpollSet> epoll;  // what an epoll descriptor has instead of all the above

  std::atomic<uint32_t> references{1};  // the table's, and one for each call in progress

  TcpOptions tcp() const { return tcp_wishes ? *tcp_wishes : TcpOptions{}; }
  void set_tcp(const TcpOptions& options) { tcp_wishes = std::make_unique<TcpOptions>(options); }
  UdpOptions& udp() {
    if (!udp_options) udp_options = std::make_unique<UdpOptions>();
    return *udp_options;
  }
  UdpOptions udp() const { return udp_options ? *udp_options : UdpOptions{}; }

  bool is_stream() const { return kind == Kind::stream; }
  bool is_listener() const { return id.kind == SocketId::Kind::listener; }
  bool is_epoll() const { return kind == Kind::epoll; }
  bool has_connection() const { return id.kind == SocketId::Kind::tcp; }

  void join(SocketWait& wait) {
    wait.next = waits;
    waits = &wait;
  }
  void leave(SocketWait& wait) {
    SocketWait** at = &waits;
    while (*at != &wait) at = &(*at)->next;
    *at = wait.next;
  }
};

}  // namespace limpid
