// The internet layer of one host: interfaces, addresses, routes and neighbors; datagrams in and out (RFC 791, 1122 §3).
//
// Input does not call up into the transports: receive() returns what is left for one, as a value, and Stack passes it
// on. So the call path stays flat (Stack::receive -> Ip::receive, then Stack::receive -> tcp), and net includes nobody
// above it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stack/base/counters.h"
#include "stack/base/error.h"
#include "stack/base/frame_offload.h"
#include "stack/base/rng.h"
#include "stack/base/trace.h"
#include "stack/buffer/slice.h"
#include "stack/net/header_buffer.h"
#include "stack/net/link_port.h"
#include "stack/wire/address.h"

namespace limpid {

using InterfaceId = uint8_t;  // in the order they were added; 0 is always loopback

enum class LinkKind : uint8_t { loopback, ip /* TUN: no link header */, ethernet /* TAP, veth: Ethernet and ARP */ };

struct InterfaceConfig {
  std::string name;
  LinkKind kind = LinkKind::ip;
  uint32_t mtu = 1500;          // largest IP datagram, bytes
  MacAddress mac;               // Ethernet only
  bool offloads = false;        // the device takes open checksums and super-segments (frame_offload.h)
  bool open_checksums = false;  // or only the former
};

// Where a packet to some destination goes.
struct Path {
  InterfaceId interface = 0;
  IpAddress source;    // one of ours: the caller's, or the one that belongs to the interface
  IpAddress next_hop;  // the destination itself, or a gateway
  uint32_t mtu = 0;    // largest IP datagram, bytes
  bool broadcast = false;
  bool echo = false;            // multicast: members on this host hear it too (IP_MULTICAST_LOOP)
  bool offloads = false;        // checksums and segmentation may be left to the device there
  bool open_checksums = false;  // checksums may
  bool in_one_piece = false;    // super-segments are taken: by the device, or by IP, which cuts them for it
};

// What the transport wants of the IP header.
struct IpSend {
  IpAddress source;
  IpAddress destination;
  IpProtocol protocol{};
  uint8_t ttl = 64;
  uint8_t tos = 0;
  bool dont_fragment = true;
  EventNumber event = 0;
  FrameOffload offload{};  // if the path takes it; checksum_begin counts from the transport header
};

enum class SendOutcome : uint8_t {
  sent,      // taken by the device, or queued behind neighbor resolution or for loopback
  refused,   // the device has no room: undo, and wait for link_writable
  partly,    // as refused, but the first packets of a super-segment have gone (Ip::packets_taken)
  no_route,  // nothing was sent
  too_big,   // above the MTU and not to be fragmented
};

// What is left of a received frame for a transport.
struct Delivery {
  enum class Kind : uint8_t { none, datagram, icmp_error } kind = Kind::none;
  InterfaceId interface = 0;

  // kind datagram: its header fields, and its payload; `header` stays valid as long as payload's frame.
  IpAddress source;
  IpAddress destination;
  IpProtocol protocol{};
  uint8_t ttl = 0;
  uint8_t tos = 0;
  bool broadcast = false;  // destination (IP or link) is broadcast or multicast
  Slice packet;            // the IP packet, header first: what raw sockets get and ICMP errors quote
  Slice payload;           // what follows the IP header
  FrameOffload offload;    // what was left undone on it: whether somebody vouches for its checksum, what it stands for
  std::span<Slice> more;   // TCP segments that were merged with it, header first (merge.h) …
  uint8_t last_flags = 0;  // … and which of PSH and FIN the last one has

  // kind icmp_error: `source`/`destination`/`protocol` are those of the packet that the error quotes (so `source` is
  // ours), and payload is what is quoted of its transport header and data (at least 8 bytes). `packet`, `ttl` and `tos`
  // are those of the packet that brought the error: raw ICMP sockets get it whole.
  uint8_t icmp_type = 0;
  uint8_t icmp_code = 0;
  uint32_t icmp_mtu = 0;  // next-hop MTU of "fragmentation needed"; where the router names none, the likely one
  IpAddress icmp_from;    // who sent the error
};

}  // namespace limpid
