// Multicast (RFC 1112): who has joined, who hears, and which way a datagram to a group takes.
#include <algorithm>

#include "stack/udp/udp_sockets.h"

namespace limpid {

Result<void> UdpSockets::join(SocketId id, const Membership& membership) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (std::ranges::find(socket->groups, membership) != socket->groups.end())
    return std::unexpected(Error::address_in_use);
  if (socket->groups.size() >= config_.memberships) return std::unexpected(Error::no_buffers);
  socket->groups.push_back(membership);
  ip_.join(membership.interface, membership.group);
  return {};
}

Result<void> UdpSockets::leave(SocketId id, const Membership& membership) {
  UdpSocket* socket = find(id);
  if (socket == nullptr) return std::unexpected(Error::stale_handle);
  if (std::erase(socket->groups, membership) == 0) return std::unexpected(Error::address_not_available);
  ip_.leave(membership.interface, membership.group);
  return {};
}

// ip(7), IP_MULTICAST_ALL: a membership is the host's, and a socket on the port hears of all of them unless it wants
// its own only. What comes over loopback was looped back on its way out of the interface that was joined.
bool UdpSocket::hears(const Membership& arrived) const {
  return options.multicast_all || std::ranges::any_of(groups, [&](const Membership& m) {
           return m.group == arrived.group && (arrived.interface == 0 || m.interface == arrived.interface);
         });
}

std::vector<uint32_t> UdpSockets::audience(const Delivery& delivery, const FourTuple& tuple) {
  std::vector<uint32_t> all = demux_.find_all(tuple);
  if (!delivery.destination.is_multicast()) return all;
  const Membership arrived{.group = delivery.destination, .interface = delivery.interface};
  std::erase_if(all, [&](uint32_t index) { return !sockets_.at(index)->hears(arrived); });
  return all;
}

// Who is bound to a broadcast address or a group speaks from an address of the way. A multicast goes out where
// IP_MULTICAST_IF says, from that address unless the socket has one of its own.
Result<Path> UdpSockets::path_to(const UdpSocket& socket, const IpAddress& to, std::optional<IpAddress> source) const {
  const IpAddress& local = socket.local.address;
  const IpAddress own = source.value_or(ip_.is_broadcast(local) || local.is_multicast() ? IpAddress{} : local);
  if (!to.is_multicast()) return ip_.path(to, own);
  if (!own.is_any() && !ip_.is_local(own)) return std::unexpected(Error::address_not_available);
  const IpAddress& chosen = socket.options.multicast_own;
  Result<Path> path = ip_.path(to, chosen.is_set() ? chosen : own);
  if (!path) return path;
  if (!own.is_any()) path->source = own;
  path->echo = socket.options.multicast_loop;
  return path;
}

}  // namespace limpid
