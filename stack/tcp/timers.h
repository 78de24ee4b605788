// The deadlines of one connection: a table of named times, and one lazily moved entry of it in the stack's queue.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "stack/base/time.h"

namespace limpid {

enum class TcpTimer : uint8_t {
  rto,          // retransmission (RFC 6298), of SYN, text and FIN
  reordering,   // what may only be late is lost then (RFC 8985 §6.2); one of these three runs at a time
  tail_probe,   // ACKs are overdue (RFC 8985 §7.2)
  pacing,       // the next burst is not due yet (pacer.h)
  delayed_ack,  // an ACK that waits for company (RFC 9293 §3.8.6.3)
  persist,      // zero-window probes, and the override of silly-window avoidance (§3.8.6.1, §3.8.6.2.1)
  keepalive,    // §3.8.4
  fin_wait_2,   // nobody holds the connection and the peer does not close
};
inline constexpr size_t kTcpTimerCount = 8;
inline constexpr std::array<std::string_view, kTcpTimerCount> kTcpTimerNames = {
    "rto", "reordering", "tail-probe", "pacing", "delack", "persist", "keepalive", "fin-wait-2"};

class TimerTable {
 public:
  TimerTable() { at_.fill(kNever); }

  bool running(TcpTimer t) const { return at(t) != kNever; }
  Time at(TcpTimer t) const { return at_[static_cast<size_t>(t)]; }
  void set(TcpTimer t, Time when) {
    Time& at = at_[static_cast<size_t>(t)];
    if (at == when) return;
    if (at == first_) first_ = kUnknown;
    if (first_ != kUnknown) first_ = std::min(first_, when);
    at = when;
  }
  void cancel(TcpTimer t) { set(t, kNever); }
  void cancel_all() {
    at_.fill(kNever);
    first_ = kNever;
  }

  TcpTimer next() const {
    size_t first = 0;
    for (size_t i = 1; i < kTcpTimerCount; ++i)
      if (at_[i] < at_[first]) first = i;
    return static_cast<TcpTimer>(first);
  }
  Time next_deadline() const {
    if (first_ == kUnknown) first_ = at(next());
    return first_;
  }

 private:
  static constexpr Time kUnknown = Time::min();
  std::array<Time, kTcpTimerCount> at_;
  mutable Time first_ = kNever;  // of them all: asked after every step, and rarely another one

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&TimerTable::at_, &TimerTable::first_);
  }
};

}  // namespace limpid
