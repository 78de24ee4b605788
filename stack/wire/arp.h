// ARP packets for IPv4 over Ethernet, bytes <-> values (RFC 826).
//
//   | hardware 1 | protocol 0x0800 | lengths 6, 4 | operation | sender mac, ip | target mac, ip |
#pragma once

#include <cstdint>
#include <expected>

#include "stack/base/bytes.h"
#include "stack/base/counters.h"
#include "stack/wire/address.h"

namespace limpid {

struct ArpPacket {
  static constexpr size_t kSize = 28;
  static constexpr uint16_t kRequest = 1;
  static constexpr uint16_t kReply = 2;

  uint16_t operation = kRequest;
  MacAddress sender_mac{};
  IpAddress sender_ip = IpAddress::v4(0);  // 0.0.0.0: a probe (RFC 5227)
  MacAddress target_mac{};                 // zero in a request
  IpAddress target_ip = IpAddress::v4(0);

  static constexpr size_t size() { return kSize; }
  void write(MutableByteSpan out) const;  // exactly kSize bytes

  friend bool operator==(const ArpPacket&, const ArpPacket&) = default;
};

// `packet` is the Ethernet payload; padding behind the ARP packet is ignored. Error: arp_drop_malformed (truncated, or
// of another hardware type, protocol type or address length).
std::expected<ArpPacket, Counter> parse_arp(ByteSpan packet);

}  // namespace limpid
