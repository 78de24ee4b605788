// What crosses the border between datagram sockets (UDP, raw) and the world above.
#pragma once

#include <cstdint>
#include <optional>

#include "stack/base/error.h"
#include "stack/base/time.h"
#include "stack/socket_id.h"
#include "stack/wire/address.h"

namespace limpid {

struct UdpOptions {
  uint32_t receive_buffer = 212'992;  // bytes that may wait, headers and memory overhead included
  uint32_t send_buffer = 212'992;     // the largest datagram above 65,507 is refused by this or by UDP itself
  uint8_t ttl = 64;
  uint8_t tos = 0;
  bool broadcast = false;        // SO_BROADCAST
  bool dont_fragment = false;    // IP_MTU_DISCOVER
  bool receive_errors = false;   // IP_RECVERR: ICMP errors reach an unconnected socket too
  bool header_included = false;  // IP_HDRINCL, raw sockets
  uint8_t multicast_ttl = 1;     // IP_MULTICAST_TTL (RFC 1112 §6.1); 0: members on this host only
  bool multicast_loop = true;    // IP_MULTICAST_LOOP
  bool multicast_all = true;     // IP_MULTICAST_ALL: groups too that other sockets of this host joined
  IpAddress multicast_own{};     // IP_MULTICAST_IF, by its address; unset: as the routes say

  uint8_t ttl_to(const IpAddress& destination) const { return destination.is_multicast() ? multicast_ttl : ttl; }
};

struct DatagramSend {
  std::optional<Endpoint> to;       // none: the connected peer
  std::optional<IpAddress> source;  // IP_PKTINFO: send from this address of ours
  std::optional<uint8_t> ttl;       // IP_TTL of this one datagram
};

struct DatagramReceived {
  size_t copied = 0;  // bytes that were put into the buffer
  size_t length = 0;  // bytes that the datagram has; more than copied: the rest is lost (MSG_TRUNC)
  Endpoint from;
  IpAddress destination;  // which address of ours it came to (IP_PKTINFO)
  uint8_t interface = 0;
  uint8_t ttl = 0;
  uint8_t tos = 0;
  Time arrived{};
};

struct UdpStatus {
  SocketId id;
  Endpoint local;
  Endpoint remote;  // unset address: not connected
  uint8_t protocol = 17;
  uint32_t queued_bytes = 0;
  uint32_t queued_datagrams = 0;
  uint64_t dropped = 0;  // datagrams that found the queue full
};

}  // namespace limpid
