#include "stack/net/route.h"

#include <algorithm>

namespace limpid {

void RouteTable::add(const Route& route) {
  const auto shorter = std::ranges::find_if(routes_, [&](const Route& r) { return r.prefix < route.prefix; });
  routes_.insert(shorter, route);
}

const Route* RouteTable::lookup(const IpAddress& destination) const {
  const auto match =
      std::ranges::find_if(routes_, [&](const Route& r) { return same_prefix(r.network, destination, r.prefix); });
  return match == routes_.end() ? nullptr : &*match;
}

}  // namespace limpid
