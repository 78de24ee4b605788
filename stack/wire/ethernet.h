// The Ethernet II header, bytes <-> values (RFC 894).
//
//   | destination 6 | source 6 | type 2 | payload, at least 46 on a real wire |
#pragma once

#include <cstdint>
#include <expected>

#include "stack/base/bytes.h"
#include "stack/base/counters.h"
#include "stack/wire/address.h"

namespace limpid {

namespace ether_type {
inline constexpr uint16_t ipv4 = 0x0800, arp = 0x0806, ipv6 = 0x86dd;
}

struct EthernetHeader {
  static constexpr size_t kSize = 14;
  static constexpr size_t kMinPayload = 46;  // shorter payloads are padded with zeros, which no length field counts

  MacAddress destination{};
  MacAddress source{};
  uint16_t type = 0;  // one of ether_type; below 0x0600 it is an 802.3 length, which we do not speak

  static constexpr size_t size() { return kSize; }
  void write(MutableByteSpan out) const;  // exactly kSize bytes

  friend bool operator==(const EthernetHeader&, const EthernetHeader&) = default;
};

// The payload begins behind the kSize bytes of the header. Error: link_drop_truncated.
std::expected<EthernetHeader, Counter> parse_ethernet(ByteSpan frame);

}  // namespace limpid
