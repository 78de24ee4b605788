// The routing table of a host: networks, and the interface and gateway that lead there.
#pragma once

#include <vector>

#include "stack/net/ip.h"
#include "stack/wire/address.h"

namespace limpid {

struct Route {
  IpAddress network;
  int prefix = 0;
  InterfaceId interface = 0;
  IpAddress gateway;  // unset: the network is on the link itself
};

// Kept longest prefix first, and within a prefix in the order of arrival, so that a look-up is a walk to the first
// match. A host has a handful of routes; a router would want a trie here.
class RouteTable {
 public:
  void add(const Route& route);
  const Route* lookup(const IpAddress& destination) const;  // null: no route
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace limpid
