// What routers said about how large a packet may be on the way to a destination (RFC 1191 §6.3).
//
// Shared by all that send there. What is learned only ever lowers the estimate, never below a floor, and is forgotten
// after a while, so that a path that became wider is found out. A fixed number of places by keyed hash: forged messages
// cost no memory, and cannot aim at another's place.
#pragma once

#include <vector>

#include "stack/base/siphash.h"
#include "stack/base/time.h"
#include "stack/config.h"
#include "stack/wire/address.h"

namespace limpid {

// RFC 1191 §7.1: the next lower MTU that is common on some link, for routers that do not name theirs.
uint32_t plateau_below(uint32_t mtu);

struct PathMtu {
  uint32_t mtu = UINT32_MAX;  // largest IP datagram, bytes; none was named
  Time until = kNever;        // when this is forgotten
};

class PathMtuCache {
 public:
  PathMtuCache(const IpConfig& config, const SipKey& key) : config_(config), key_(key) {}

  PathMtu find(const IpAddress& destination, Time now) const;
  // A router says that this much gets through. The estimate, if it came down by that.
  bool learn(const IpAddress& destination, uint32_t mtu, uint32_t link_mtu, Time now);
  // Changes with every learn(): whoever keeps an estimate looks again.
  uint32_t version() const { return version_; }

 private:
  static constexpr size_t kPlaces = 1024;

  struct Entry {
    IpAddress destination;
    PathMtu path;
  };

  size_t place_of(const IpAddress& destination) const;

  const IpConfig& config_;
  SipKey key_;
  std::vector<Entry> entries_;  // none until something is learned
  uint32_t version_ = 0;
};

}  // namespace limpid
