#include "stack/net/interface.h"

#include <algorithm>

namespace limpid {

LocalAddress::LocalAddress(const IpAddress& own, int prefix_length) : address(own), prefix(prefix_length) {
  if (own.is_v4() && prefix >= 1 && prefix <= 30) broadcast = IpAddress::v4(own.v4_bits() | (UINT32_MAX >> prefix));
}

bool Interface::has_members(const IpAddress& group) const {
  constexpr IpAddress kAllHosts = IpAddress::v4(224, 0, 0, 1);  // RFC 1122 §3.3.7: joined from the start
  return group == kAllHosts || std::ranges::find(groups, group, &JoinedGroup::group) != groups.end();
}

void Interface::join(const IpAddress& group) {
  const auto found = std::ranges::find(groups, group, &JoinedGroup::group);
  ++(found != groups.end() ? *found : groups.emplace_back(group)).members;
}

void Interface::leave(const IpAddress& group) {
  const auto found = std::ranges::find(groups, group, &JoinedGroup::group);
  if (found != groups.end() && --found->members == 0) groups.erase(found);
}

std::optional<IpAddress> Interface::source_for(const IpAddress& next_hop) const {
  if (addresses.empty()) return std::nullopt;
  for (const LocalAddress& a : addresses)
    if (same_prefix(a.address, next_hop, a.prefix)) return a.address;
  return addresses.front().address;
}

}  // namespace limpid
