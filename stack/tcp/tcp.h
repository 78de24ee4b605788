// TCP of one stack: all its connections, and what is decided before a segment has found its own (RFC 9293 §3.10.7.1,
// §3.10.7.2).
//
//   receive()  tcp.cc           demux -> connection | half-open | TIME-WAIT -> listener -> nobody (RST)
//   passive_open.cc             LISTEN and SYN-RECEIVED: SYN queue and accept queue
//   cookie_open.cc              SYNs that are answered and not remembered
//   fast_open_server.cc         SYNs whose text is taken at once
//   closing.cc                  what becomes of a connection that left the network; TIME-WAIT
//   calls.cc                    the user calls, by SocketId
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "stack/base/slab.h"
#include "stack/net/flow_owner.h"
#include "stack/net/port_table.h"
#include "stack/tcp/connection.h"
#include "stack/tcp/connection_table.h"
#include "stack/tcp/demux.h"
#include "stack/tcp/environment.h"
#include "stack/tcp/fast_open.h"
#include "stack/tcp/half_open.h"
#include "stack/tcp/isn.h"
#include "stack/tcp/listener.h"
#include "stack/tcp/syn_cookie.h"
#include "stack/tcp/time_wait.h"

namespace limpid {

class Tcp {
 public:
  Tcp(const TcpConfig& config, Rng rng, Ip& ip, Counters& counters, Tracer& tracer, ReadySink& ready);
  ~Tcp();

  void set_config(const TcpConfig& config) { config_ = config; }
  void share_flows(const FlowOwner& owner, uint16_t own) {
    flow_owner_ = owner;
    own_share_ = own;
  }
  const FlowOwner& flow_owner() const { return flow_owner_; }

  // --- the world moves ---
  void receive(Delivery& delivery, Time now);
  void icmp_error(const Delivery& error, Time now);
  void flush(Time now, AcksWait acks);
  bool has_work() const;                      // flush() has something to do
  void release_held(Release what, Time now);  // what is held for users' next words is flush()'s work again
  void advance(Time now);
  void link_writable(InterfaceId interface);
  Time next_deadline() const { return std::min(env_.timers.next_deadline(), connections_.next_look()); }
  // At the end of a step: connections on which nothing happens become small.
  void fold_idle(Time now) { connections_.fold_idle(now); }

  // --- user calls; documented in stack/stack.h ---
  Result<SocketId> connect(const Endpoint& remote, BindId bind, const TcpOptions& options, SynText text, Time now);
  std::optional<uint32_t> syn_text_room(SocketId id) const;
  Result<SocketId> listen(BindId bind, uint32_t backlog, const TcpOptions& options);
  void set_backlog(SocketId listener, uint32_t backlog);
  void set_fast_open_keys(SocketId listener, const FastOpenKeys& keys);
  FastOpenKeys fast_open_keys(SocketId listener) const;
  Result<SocketId> accept(SocketId listener);
  void put_back(SocketId listener, SocketId connection);
  Result<size_t> send(SocketId id, ByteSpan bytes, TcpSendFlags flags, Time now);
  Result<size_t> receive_bytes(SocketId id, MutableByteSpan into, TcpReceiveFlags flags, Time now);
  Result<size_t> reserve(SocketId id, size_t most, SendRoom& room, Time now);
  Result<void> commit(SocketId id, SendRoom& room, size_t length, TcpSendFlags flags, Time now);
  void give_back(SocketId id, SendRoom& room, Time now);
  Result<size_t> borrow(SocketId id, size_t most, LentText& into, Time now);
  void give_back(SocketId id, LentText& text, Time now);
  Result<void> shutdown_send(SocketId id, Time now);
  Result<void> shutdown_receive(SocketId id, Time now);
  void close(SocketId id, Time now);
  void abort(SocketId id, Time now);
  Result<void> set_options(SocketId id, const TcpOptions& options, Time now);
  const TcpOptions* options(SocketId id);
  Result<TcpStatus> status(SocketId id) const;
  ReadyEvents readiness(SocketId id) const;
  Error take_error(SocketId id);
  Connection* find(SocketId id);
  PortTable& ports() { return ports_; }
  const PortTable& ports() const { return ports_; }

  // --- looking in ---
  std::vector<TcpStatus> list() const;
  size_t unfinished() const;
  std::string check_invariants(Time now) const;

 private:
  using ConnectionHandle = Handle<Connection>;

  // --- tcp.cc ---
  void receive_row(Delivery& d, Time now);
  inline void deliver_to_connection(uint32_t index, const TcpHeader& h, const Delivery& d, SliceChain text, Time now);
  void refuse(const Connection& c, const TcpHeader& header, Rule why, Time now);
  void answer_nobody(const Delivery& d, const TcpHeader& header, uint32_t text_length, Rule why, Time now);
  // A segment that belongs to no connection of ours (any more): RST, SYN,ACK, the ACK of TIME-WAIT.
  struct Control {
    FourTuple tuple{};
    uint32_t connection = 0;
    Seq seq{};
    Seq ack{};
    uint8_t flags = 0;
    uint16_t window = 0;
    uint8_t ttl = 0;
    TcpOptionSet options{};
    Rule why = Rule::none;
    TcpState state = TcpState::closed;
    bool again = false;
    Seq seq_base{};     // for the trace, which shows relative numbers
    Seq ack_base{};     //
    uint8_t shift = 0;  // and windows in bytes
  };
  void send_control(const Control& control, Time now);
  void drop(const FourTuple& tuple, const TcpHeader& header, uint32_t text_length, uint32_t connection, Counter reason,
            Rule why, TcpState state, Time now);
  void trace_arrival(const FourTuple& tuple, const TcpHeader& header, uint32_t text_length, uint32_t connection,
                     TcpState state, Seq seq_base, Seq ack_base, uint8_t shift, Time now);

  // --- passive_open.cc ---
  // `isn`: the initial sequence number, when an old connection in TIME-WAIT wants it beyond its own.
  void arrives_at_listener(Handle<Listener> handle, const Delivery& d, const TcpHeader& header, Slice text, Time now,
                           std::optional<Seq> isn = {});
  // A SYN that a listener takes, and how we are to answer it.
  struct Opening {
    Handle<Listener> listener;
    FourTuple tuple;
    Path path;
    const TcpHeader& header;
    uint8_t tos = 0;
    Seq isn;
    std::optional<FastOpenOption> fast_open{};  // of our SYN,ACK
  };
  Negotiated agree(const Opening& opening) const;
  void open_half(const Opening& opening, Time now);
  void send_syn_ack(HalfOpen& half, const std::optional<FastOpenOption>& fast_open, Time now);
  Connection& adopt(Handle<Connection> handle, Handle<Listener> listener);
  std::optional<TcpTimestamps> timestamps_of(const HalfOpen& half, Time now) const;
  void arrives_at_half_open(uint32_t index, const TcpHeader& header, uint8_t tos, Slice text, Time now);
  // A handshake that is through.
  struct Ready {
    Connection::Handshake handshake;
    uint32_t number = 0;
    FourTuple tuple;
    Path path;
    Handle<Listener> listener;
  };
  Ready ready_of(const HalfOpen& half, Time now) const;
  void establish(const Ready& ready, const TcpHeader& header, uint8_t tos, Slice text, Time now);
  void trace_opening(uint32_t number, const FourTuple& tuple, const Negotiated& agreed, Rule why, Time now);
  uint16_t syn_window(const TcpOptions& options) const;
  uint8_t shift_to_offer(const TcpOptions& options) const;
  void set_half_open_timer(HalfOpen& half, Time now);
  void on_half_open_timer(uint32_t index, Time now);
  void drop_half_open(HalfOpen& half);
  void reset_half_open(HalfOpen& half, Time now);
  void challenge_half_open(const HalfOpen& half, Rule why, Time now);
  void close_listener(Handle<Listener> handle, Time now);

  // --- cookie_open.cc: RFC 4987 §3.6 ---
  bool wants_cookie(const Listener& listener) const;
  void answer_with_cookie(const Opening& opening, Time now);
  std::optional<Negotiated> read_cookie(const Opening& opening, Time now) const;
  bool take_cookie(const Opening& opening, Slice& text, Time now);

  // --- fast_open_server.cc: RFC 7413 §4.2.2 ---
  // Whether the text of this SYN may be taken at once; and what our SYN,ACK says of cookies, in `opening`.
  bool may_open_fast(Opening& opening, uint32_t text_length, Time now);
  bool check_cookie(const Listener& listener, Opening& opening);
  bool fast_open_has_room(Listener& listener, Time now);
  void open_fast(const Opening& opening, Slice text, Time now);
  void leave_fast_open(Connection& c, Time now);

  // --- closing.cc ---
  void settle(Connection& c, Time now);  // if it has left the network, take it off
  void enter_time_wait(Connection& c, Time now);
  void arrives_in_time_wait(uint32_t index, const Delivery& d, const TcpHeader& header, Slice text, Time now);
  void acknowledge_in_time_wait(const TimeWait& t, Rule why, Time now);
  void challenge_in_time_wait(const TimeWait& t, Rule why, Time now);
  // The rule by which a SYN opens the connection anew, or tcp_time_wait_syn.
  Rule may_reopen(const TimeWait& t, const TcpHeader& syn, bool beyond_old_numbers) const;
  void end_time_wait(TimeWait& t, Rule why, Time now);
  void give_up_port(PortHold& hold, const Endpoint& local);
  void forget(Connection& c);
  void note_orphan(Connection& c, Time now);

  Listener* find_listener(SocketId id) const;
  static TcpStatus status_of(const Listener& listener);
  ConnectionHandle handle_of(const Connection& c) const { return connections_.handle_at(c.demux_.owner.index); }
  static ConnectionHandle handle_of(SocketId id) {
    return id.kind == SocketId::Kind::tcp ? ConnectionHandle{id.index, id.generation} : ConnectionHandle{};
  }
  static SocketId id_of(ConnectionHandle h) { return {SocketId::Kind::tcp, h.index, h.generation}; }
  Seq initial_sequence(const FourTuple& tuple, Time now) const;
  bool owns(const FourTuple& tuple) const { return flow_owner_.of(tuple) == own_share_; }

  TcpConfig config_;
  TcpEnvironment env_;
  FlowOwner flow_owner_;    // among the stacks of this host …
  uint16_t own_share_ = 0;  // … and which of them this is
  PortTable ports_;
  Demux demux_;
  IsnGenerator isn_;
  SynCookie syn_cookie_;
  FastOpenKeys fast_open_keys_;  // unless the configuration or a listener has its own
  TupleHash share_;              // picks among listeners that share a port
  ListenerTable listener_table_;
  ConnectionTable connections_;
  Slab<HalfOpen> half_open_;
  Slab<TimeWait> time_wait_;
  Slab<Listener> listeners_;
  IntrusiveList<TimeWait> oldest_time_wait_;
  std::deque<ConnectionHandle> orphans_;  // the oldest first, and some that have gone since
  size_t orphan_count_ = 0;
};

}  // namespace limpid
