// A listener: one local endpoint, the half-open connections that its SYNs made, and the established ones that wait for
// accept().
//
//    SYN ──> half-open list (bounded; the oldest makes room) ──ACK──> accept queue (bounded by the backlog) ──>
//    accept()
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "stack/base/slab.h"
#include "stack/config.h"
#include "stack/tcp/demux.h"
#include "stack/tcp/half_open.h"
#include "stack/tcp/status.h"

namespace limpid {

class Connection;

// SYNs with text whose handshake goes on, at one listener (RFC 7413 §5.1): bounded, since they cost a connection each.
struct FastOpenQueue {
  uint32_t pending = 0;
  // Those that a RST ended hold their place for a while, or forged SYNs and RSTs in turn would find no bound.
  std::deque<Time> reset_until;
  std::optional<FastOpenKeys> keys;  // TCP_FASTOPEN_KEY
};

class Listener {
 public:
  Listener(BindId claim, const Endpoint& at, uint32_t limit, const TcpOptions& inherited)
      : bind(claim), local(at), backlog(limit), options(inherited) {}

  BindId bind;
  Endpoint local;
  uint32_t backlog;
  TcpOptions options;
  SocketId id;
  IntrusiveList<HalfOpen> half_open;  // oldest first
  uint32_t half_open_count = 0;
  std::deque<Handle<Connection>> accept_queue;
  FastOpenQueue fast_open;
  Time cookies_until{};  // ACKs may bring SYN cookies until then

  // As on Linux: a backlog of n lets n + 1 connections wait.
  bool accept_queue_full() const { return accept_queue.size() > backlog; }
};

// Listeners by port: (address, port) before (any, port); those that share a port (SO_REUSEPORT) share its connections.
class ListenerTable {
 public:
  void insert(const Endpoint& local, Handle<Listener> listener) {
    by_port_[local.port].push_back({local.address, listener});
  }
  void remove(const Endpoint& local, Handle<Listener> listener);
  // The hash of the segment's four-tuple picks among those that share.
  Handle<Listener> find(const FourTuple& tuple, const TupleHash& share) const;

 private:
  struct Entry {
    IpAddress address;  // unset: any
    Handle<Listener> listener;
  };
  std::map<uint16_t, std::vector<Entry>> by_port_;
};

}  // namespace limpid
