// Which UDP socket a datagram is for: one keyed hash, asked at most three times, the most specific first.
//
//   (local address, port, remote address, port)   connected sockets
//   (local address, port)                          bound to one address
//   (any, port)                                    bound to all
//
// An unconnected socket is known by its local address alone, whoever sends. Sockets with the same key make a group:
// those with SO_REUSEPORT share its datagrams by hash of the sender, else the one that came last gets them.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "stack/base/siphash.h"
#include "stack/wire/address.h"

namespace limpid {

class UdpDemux {
 public:
  explicit UdpDemux(const SipKey& key) : hasher_{key}, groups_(16, hasher_) {}

  // `key` has a remote end when the socket is connected; an unset local address means any.
  void add(const FourTuple& key, uint32_t socket, bool shares);
  void remove(const FourTuple& key, uint32_t socket);

  std::optional<uint32_t> find(const FourTuple& datagram) const;
  // All that a broadcast or multicast is for, in a fixed order: bound to its address or to any.
  std::vector<uint32_t> find_all(const FourTuple& datagram) const;

 private:
  struct Hasher {
    SipKey key;
    size_t operator()(const FourTuple& tuple) const;
  };
  struct Group {
    std::vector<uint32_t> single;
    std::vector<uint32_t> shared;  // SO_REUSEPORT
  };
  const Group* group(const FourTuple& key) const;
  uint32_t pick(const Group& group, const FourTuple& datagram) const;

  Hasher hasher_;
  std::unordered_map<FourTuple, Group, Hasher> groups_;  // never iterated
};

}  // namespace limpid
