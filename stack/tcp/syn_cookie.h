// SYN cookies (RFC 4987 §3.6): where there is no room to remember a SYN, our SYN,ACK does it. Its sequence number comes
// back with the peer's ACK, and so does its timestamp, if the peer uses them.
//
//   sequence number   | minute, 5 | MSS, 3 | MAC of addresses, ports, the peer's number, minute and MSS, 24 |
//   timestamp         | our clock                            | ECN, 1 | SACK, 1 | window scale, 4 |
//
// What fits nowhere is not offered: without timestamps neither window scale, SACK nor ECN.
#pragma once

#include <cstdint>
#include <optional>

#include "stack/base/siphash.h"
#include "stack/base/time.h"
#include "stack/tcp/demux.h"
#include "stack/tcp/negotiated.h"
#include "stack/tcp/seq.h"

namespace limpid {

class SynCookie {
 public:
  // Good for the minute that it was made in and the next one; so long a listener believes in them after it sent one.
  static constexpr Duration kLifetime = std::chrono::minutes{2};

  explicit SynCookie(const SipKey& key) : key_(key) {}

  // The initial sequence number of a SYN,ACK. `peer_mss` becomes the next smaller one that a cookie can tell.
  Seq make(const FourTuple& tuple, Seq irs, uint16_t& peer_mss, Time now) const;
  // The MSS that the peer's SYN named, if we made this number for it, lately.
  std::optional<uint16_t> check(const FourTuple& tuple, Seq irs, Seq cookie, Time now) const;

  // Our timestamp, at most 64 ms late, with what was agreed on in its lowest bits; and back, into `agreed`.
  static uint32_t stamp(uint32_t clock, const Negotiated& agreed);
  static void read_stamp(uint32_t echo, Negotiated& agreed);

 private:
  uint32_t mac(const FourTuple& tuple, Seq irs, int64_t minute, uint32_t mss_index) const;
  SipKey key_;
};

}  // namespace limpid
