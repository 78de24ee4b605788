// An interface: where it leads, and the addresses that are ours on it.
#pragma once

#include <optional>
#include <vector>

#include "stack/net/ip.h"
#include "stack/net/link_port.h"
#include "stack/wire/address.h"

namespace limpid {

struct LocalAddress {
  LocalAddress(const IpAddress& own, int prefix_length);

  IpAddress address;
  int prefix = 32;
  // The address with all host bits one; unset in networks of one or two hosts (/32, /31: RFC 3021), which have none.
  IpAddress broadcast;
};

// A multicast group that somebody here listens to on an interface (RFC 1112 §6.1, JoinHostGroup).
struct JoinedGroup {
  IpAddress group;
  uint32_t members = 0;  // sockets
};

struct Interface {
  InterfaceId id = 0;
  InterfaceConfig config;
  LinkPort* port = nullptr;  // null: loopback
  std::vector<LocalAddress> addresses{};
  std::vector<JoinedGroup> groups{};
  bool frames_wait = false;  // resolved packets that the device refused wait in the neighbor table

  bool owns(const IpAddress& address) const {
    for (const LocalAddress& a : addresses)
      if (a.address == address) return true;
    return false;
  }
  bool is_directed_broadcast(const IpAddress& address) const {
    for (const LocalAddress& a : addresses)
      if (a.broadcast == address) return address.is_set();
    return false;
  }
  bool has_members(const IpAddress& group) const;
  void join(const IpAddress& group);
  void leave(const IpAddress& group);
  // The address to speak from to `next_hop`: of its network if there is one, else the first.
  std::optional<IpAddress> source_for(const IpAddress& next_hop) const;
};

}  // namespace limpid
