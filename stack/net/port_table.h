// Who owns which local port: the claims behind bind(), for one transport protocol (TCP and UDP have a table each).
//
// A port holds groups: claims and connections that agree in (address, reuse flags, listening) are one group with two
// counts. So ten thousand accepted connections of one listener cost one group, and a look at a port costs the few
// different groups on it, however many sockets there are.
//
//   port 80 -> [ *:80        reuse-address  listening   claims 1  connections     0 ]
//           -> [ 10.77.0.2   reuse-address  -           claims 0  connections 9,421 ]
//
// A port in use costs one group, 32 bytes, and a port that was never used nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "stack/base/error.h"
#include "stack/base/paged_array.h"
#include "stack/base/rng.h"
#include "stack/base/slab.h"
#include "stack/wire/address.h"

namespace limpid {

struct ReusePolicy {
  bool address = false;  // SO_REUSEADDR
  bool port = false;     // SO_REUSEPORT

  template <class V>
  static constexpr auto members(V&& v) {
    return v(&ReusePolicy::address, &ReusePolicy::port);
  }
  friend bool operator==(const ReusePolicy&, const ReusePolicy&) = default;
};

// What one bind() holds.
struct PortClaim {
  Endpoint local;
  ReusePolicy reuse;
  bool listening = false;
};
using BindId = Handle<PortClaim>;

struct PortRange {
  uint16_t first = 32'768;
  uint16_t last = 60'999;
  uint32_t size() const { return uint32_t{last} - first + 1; }
};

class PortTable {
 public:
  PortTable(PortRange ephemeral, Rng rng);

  // bind(2). Two claims of one port conflict when their addresses overlap (equal, or one is "any"), unless both allow
  // it:
  //   both have SO_REUSEADDR, and the older one does not listen (UDP never listens); or both have SO_REUSEPORT.
  // Connections hold their port with the flags of the listener that they came from. Port 0 picks a port, at random
  // (RFC 6056 §3.3.1), that nobody holds at an overlapping address. Error: address_in_use.
  Result<BindId> claim(const Endpoint& local, ReusePolicy reuse);
  void release(BindId id);

  Endpoint endpoint(BindId id) const;  // unset when the id is stale
  const PortClaim* find(BindId id) const { return claims_.get(id); }
  void set_reuse(BindId id, ReusePolicy reuse);
  // A UDP socket that connects narrows its claim from "any" to one address, and widens it again when it disconnects.
  void set_address(BindId id, const IpAddress& address);

  // listen(2): as Linux does, the claim is checked once more, now against those that came to listen since it was made:
  // SO_REUSEADDR lets two sockets bind, but only the first may listen. Error: address_in_use.
  Result<void> mark_listening(BindId id);
  void unmark_listening(BindId id);  // the listener was shut down but is still bound

  // Connections that hold their port without a claim of their own: accepted, in TIME-WAIT, or connected without bind.
  // Counted; what was added must be removed with the same arguments.
  void add_connection(const Endpoint& local, ReusePolicy reuse);
  void remove_connection(const Endpoint& local, ReusePolicy reuse);

  // connect(2) without bind: RFC 6056 §3.3.4 (double hash): a walk from a place that depends on the destination, so
  // that ports are shared between destinations and an outsider cannot foretell them. Ports that somebody bound are
  // passed over, and those for which is_free(port) (the four-tuple is not in use) says no. The caller then adds the
  // connection. Error: address_not_available when all are taken.
  template <class IsFree>
  Result<uint16_t> choose_ephemeral(const IpAddress& local, const Endpoint& remote, IsFree&& is_free) {
    const Walk walk = begin_walk(local, remote);
    for (uint32_t i = 0; i < range_.size(); ++i) {
      const uint16_t port = step(walk);
      if (!is_claimed(port) && is_free(port)) return port;
    }
    return std::unexpected(Error::address_not_available);
  }

  bool is_claimed(uint16_t port) const;  // by any bind, at any address
  size_t group_count(uint16_t port) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Group {
    IpAddress address;
    ReusePolicy reuse;
    bool listening = false;
    uint32_t claims = 0;
    uint32_t connections = 0;
    uint32_t next = kNone;  // of the same port, or among the free ones
  };
  static constexpr size_t kPage = 256;
  using Page = std::array<uint32_t, kPage>;  // the first group of each port

  struct Walk {
    uint32_t offset;   // RFC 6056: F(local, remote, key)
    uint32_t counter;  // which of the counters G(local, remote, key) names
  };
  Walk begin_walk(const IpAddress& local, const Endpoint& remote) const;
  uint16_t step(const Walk& walk);

  static bool overlap(const IpAddress& a, const IpAddress& b);
  static bool both_allow(ReusePolicy wanted, const Group& held);
  uint32_t first(uint16_t port) const {
    const auto& page = pages_[port / kPage];
    return page ? (*page)[port % kPage] : kNone;
  }
  template <class Predicate>
  bool any_of(uint16_t port, Predicate&& is) const {
    for (uint32_t g = first(port); g != kNone; g = groups_[g].next)
      if (is(groups_[g])) return true;
    return false;
  }
  bool conflicts(const PortClaim& wanted, bool already_counted) const;
  bool untouched(uint16_t port, const IpAddress& address) const;
  Result<uint16_t> pick_free(const IpAddress& address);
  Group& group(uint16_t port, const IpAddress& address, ReusePolicy reuse, bool listening);
  uint32_t add_group(uint16_t port);
  void count(const PortClaim& claim) {
    ++group(claim.local.port, claim.local.address, claim.reuse, claim.listening).claims;
  }
  void uncount(const PortClaim& claim);
  void drop_if_empty(uint16_t port, const Group& g);

  PortRange range_;
  Rng rng_;
  SipKey key_;
  Slab<PortClaim> claims_;
  std::array<std::unique_ptr<Page>, 65'536 / kPage> pages_;  // made when a port of theirs is used
  PagedArray<Group, 64> groups_;
  uint32_t free_group_ = kNone;
  std::array<uint32_t, 64> counters_{};
};

}  // namespace limpid
