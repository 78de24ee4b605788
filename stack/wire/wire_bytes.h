// Addresses at byte offsets, for the parsers and writers of this room.
#pragma once

#include "stack/base/bytes.h"
#include "stack/wire/address.h"

namespace limpid {

inline MacAddress load_mac(ByteSpan b, size_t at) {
  MacAddress mac;
  std::memcpy(mac.bytes.data(), b.data() + at, mac.bytes.size());
  return mac;
}

inline void store_mac(MutableByteSpan b, size_t at, const MacAddress& mac) {
  std::memcpy(b.data() + at, mac.bytes.data(), mac.bytes.size());
}

inline IpAddress load_ip4(ByteSpan b, size_t at) { return IpAddress::v4(load32(b, at)); }

// An unset address is written as 0.0.0.0.
inline void store_ip4(MutableByteSpan b, size_t at, const IpAddress& address) { store32(b, at, address.v4_bits()); }

}  // namespace limpid
