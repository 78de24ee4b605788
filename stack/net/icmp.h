// ICMP as the rest of the stack uses it: what an error means to a transport, and how many we send.
#pragma once

#include <array>

#include "stack/base/error.h"
#include "stack/base/siphash.h"
#include "stack/base/time.h"
#include "stack/config.h"
#include "stack/wire/address.h"

namespace limpid {

// How a transport reads an ICMP error (RFC 1122 §4.1.3.3, §4.2.3.9; errors and hardness as on Linux). A hard error ends
// a connection attempt, or reaches the user of a connected datagram socket; a soft one is a hint.
struct IcmpMeaning {
  Error error = Error::none;  // none: nothing a user need know (source quench, redirect)
  bool hard = false;
};
IcmpMeaning icmp_meaning(uint8_t type, uint8_t code);

// Tokens that come back with time, `cost` each, at most `burst` of them saved.
struct TokenBucket {
  Duration credit{};
  Time last{};
  bool fresh = true;  // never used: full

  void refill(Duration cost, uint32_t burst, Time now);
  bool affords(Duration cost) const { return credit >= cost; }
  void pay(Duration cost) { credit -= cost; }
};

// How many ICMP errors we may send: 1,000 a second in all in bursts of 50, and to one peer one a second in bursts of 6
// (RFC 1812 §4.3.2.8, with Linux's numbers). Peers share a fixed number of buckets by keyed hash, so that forged
// sources cost no memory.
class IcmpLimiter {
 public:
  IcmpLimiter(const IpConfig& config, const SipKey& key) : config_(config), key_(key) {}
  bool allow(const IpAddress& peer, Time now);

 private:
  const IpConfig& config_;
  SipKey key_;
  TokenBucket all_;
  std::array<TokenBucket, 256> peers_;
};

}  // namespace limpid
