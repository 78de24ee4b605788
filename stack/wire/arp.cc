#include "stack/wire/arp.h"

#include "stack/wire/ethernet.h"
#include "stack/wire/wire_bytes.h"

namespace limpid {
namespace {

constexpr uint16_t kHardwareEthernet = 1;
constexpr uint8_t kMacSize = 6, kIp4Size = 4;

}  // namespace

void ArpPacket::write(MutableByteSpan out) const {
  store16(out, 0, kHardwareEthernet);
  store16(out, 2, ether_type::ipv4);
  store8(out, 4, kMacSize);
  store8(out, 5, kIp4Size);
  store16(out, 6, operation);
  store_mac(out, 8, sender_mac);
  store_ip4(out, 14, sender_ip);
  store_mac(out, 18, target_mac);
  store_ip4(out, 24, target_ip);
}

std::expected<ArpPacket, Counter> parse_arp(ByteSpan packet) {
  if (packet.size() < ArpPacket::kSize) return std::unexpected(Counter::arp_drop_malformed);
  const bool ip4_over_ethernet = load16(packet, 0) == kHardwareEthernet && load16(packet, 2) == ether_type::ipv4 &&
                                 load8(packet, 4) == kMacSize && load8(packet, 5) == kIp4Size;
  if (!ip4_over_ethernet) return std::unexpected(Counter::arp_drop_malformed);
  return ArpPacket{.operation = load16(packet, 6),
                   .sender_mac = load_mac(packet, 8),
                   .sender_ip = load_ip4(packet, 14),
                   .target_mac = load_mac(packet, 18),
                   .target_ip = load_ip4(packet, 24)};
}

}  // namespace limpid
