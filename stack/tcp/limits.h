// Why a connection is slow: after every step it is in exactly one limit of sending and in one of receiving, and the
// time until the next step is charged to them. Each of the two accounts sums up to the connection's age, to the
// nanosecond.
//
//   sending     | handshake | cwnd | cwnd | rwnd | tail | app_idle              |
//   receiving   | rcv_wait               | rcv_app | rcv_wait | rcv_hole        |
//               opened                                                        now
//
// An idle connection was charged to its handshake and waits since: it has no table yet.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "stack/base/time.h"

namespace limpid {

// X(name, "as told", "what limits, in words"), in the order in which they are looked for.
// clang-format off: a table reads best as one
#define LIMPID_SEND_LIMITS(X)                                                 \
  X(handshake, "handshake", "the handshake")                                  \
  X(device, "device", "the device")                                           \
  X(sndbuf, "sndbuf", "the send buffer")                                      \
  X(tail, "tail", "the answer to the last bytes")                             \
  X(app_idle, "app_idle", "an application with nothing to send")              \
  X(nagle, "nagle", "Nagle's algorithm")                                      \
  X(cork, "cork", "the cork")                                                 \
  X(pacing, "pacing", "pacing")                                               \
  X(rwnd, "rwnd", "the peer's window")                                        \
  X(zero_window, "rwnd.zero_window", "the peer's zero window")                \
  X(sws, "rwnd.sws", "the peer's small window")                               \
  X(cwnd, "cwnd", "the congestion window")                                    \
  X(recovery_fast, "recovery.fast", "fast recovery")                          \
  X(rto_wait, "recovery.rto_wait", "retransmission timeouts")                 \
  X(tlp_wait, "recovery.tlp_wait", "tail loss probes")                        \
  X(closing, "closing", "the closing")                                        \
  X(peer_delayed_ack, "delayed_ack", "the peer's delayed ACKs")
// clang-format on

enum class SendLimit : uint8_t {
#define X(limit, name, words) limit,
  LIMPID_SEND_LIMITS(X)
#undef X
      count_
};

enum class ReceiveLimit : uint8_t {
  wait,  // for the peer: there is nothing to read, and no gap
  app,   // for the user, who has not read what is there
  hole,  // for what is missing before text that has arrived
  count_,
};

inline constexpr size_t kSendLimits = static_cast<size_t>(SendLimit::count_);
inline constexpr size_t kReceiveLimits = static_cast<size_t>(ReceiveLimit::count_);

std::string_view name(SendLimit limit);
std::string_view name(ReceiveLimit limit);  // "rcv_wait"

// What an account says, to be read at any later time.
struct LimitTimes {
  std::array<Duration, kSendLimits> sent{};  // charged until the last change
  std::array<Duration, kReceiveLimits> received{};
  SendLimit sending = SendLimit::handshake;
  ReceiveLimit receiving = ReceiveLimit::wait;
  Time sending_since{};
  Time receiving_since{};

  Duration spent(SendLimit limit, Time now) const {
    return sent[static_cast<size_t>(limit)] + (limit == sending ? now - sending_since : Duration{});
  }
  Duration spent(ReceiveLimit limit, Time now) const {
    return received[static_cast<size_t>(limit)] + (limit == receiving ? now - receiving_since : Duration{});
  }
  Duration by_peer_window(Time now) const;
  Duration busy(Time now) const;  // as Linux: all that is not waiting for the user or the handshakes
};

// "limited by the congestion window 63 % of 12.3 s, by the peer's window 30 %, …": the largest first, those below one
// percent left out.
std::string sending_in_words(const LimitTimes& times, Time now);
std::string receiving_in_words(const LimitTimes& times, Time now);

class LimitAccount {
 public:
  void open(Time now) { sending_since_ = receiving_since_ = now; }
  SendLimit sending() const { return sending_; }
  ReceiveLimit receiving() const { return receiving_; }

  // From now on it is this.
  void send(SendLimit limit, Time now);
  void receive(ReceiveLimit limit, Time now);
  // Now it is known that the last part of the time spent in the present limit was due to another; how much of it.
  Duration charge_late(SendLimit to, Duration late, Time now);

  LimitTimes times() const;
  // What both must sum up to: the age.
  Duration sum_of_sending(Time now) const;
  Duration sum_of_receiving(Time now) const;

 private:
  struct Sums {
    std::array<Duration, kSendLimits> sent{};
    std::array<Duration, kReceiveLimits> received{};

    template <class V>
    static constexpr auto members(V&& v) {
      return v(&Sums::sent, &Sums::received);
    }
  };
  Sums& sums() {
    if (!sums_) sums_ = std::make_unique<Sums>();
    return *sums_;
  }
  void charge(SendLimit limit, Duration time);

  std::unique_ptr<Sums> sums_;
  Duration handshake_{};
  Time sending_since_{};
  Time receiving_since_{};
  SendLimit sending_ = SendLimit::handshake;
  ReceiveLimit receiving_ = ReceiveLimit::wait;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&LimitAccount::sums_, &LimitAccount::handshake_, &LimitAccount::sending_since_,
             &LimitAccount::receiving_since_, &LimitAccount::sending_, &LimitAccount::receiving_);
  }
};

}  // namespace limpid
