#include "stack/net/flow_owner.h"

#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace limpid {
namespace {

constexpr size_t kLeastHeader = 20;
constexpr size_t kIcmpHeader = 8;
constexpr uint16_t kOffsetMask = 0x1fff;
constexpr uint16_t kMoreFragments = 0x2000;

// The beginning of an IPv4 packet, as far as its owner depends on it; nothing when it is none.
struct Beginning {
  uint8_t protocol = 0;
  uint16_t fragment = 0;  // flags and offset
  IpAddress source;
  IpAddress destination;
  ByteSpan payload;
};

std::optional<Beginning> begin_of(ByteSpan packet) {
  if (packet.size() < kLeastHeader || load8(packet, 0) >> 4 != 4) return std::nullopt;
  const size_t header = size_t{load8(packet, 0) & 0xfu} * 4;
  if (header < kLeastHeader || header > packet.size()) return std::nullopt;
  return Beginning{.protocol = load8(packet, 9),
                   .fragment = load16(packet, 6),
                   .source = IpAddress::v4(load32(packet, 12)),
                   .destination = IpAddress::v4(load32(packet, 16)),
                   .payload = packet.subspan(header)};
}

std::optional<FourTuple> tcp_of(const Beginning& packet) {
  if (packet.protocol != static_cast<uint8_t>(IpProtocol::tcp) || packet.payload.size() < 4) return std::nullopt;
  return FourTuple{{packet.source, load16(packet.payload, 0)}, {packet.destination, load16(packet.payload, 2)}};
}

// RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem quote what they are about.
bool is_icmp_error(const Beginning& packet) {
  if (packet.protocol != static_cast<uint8_t>(IpProtocol::icmp) || packet.payload.size() < kIcmpHeader) return false;
  const uint8_t type = load8(packet.payload, 0);
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

}  // namespace

uint16_t FlowOwner::of_packet(ByteSpan packet) const {
  std::optional<Beginning> at = begin_of(packet);
  if (!at || (at->fragment & (kOffsetMask | kMoreFragments)) != 0) return 0;
  if (is_icmp_error(*at)) {
    at = begin_of(at->payload.subspan(kIcmpHeader));
    if (!at || (at->fragment & kOffsetMask) != 0) return 0;  // only a first fragment has the ports
  }
  const auto tuple = tcp_of(*at);
  return tuple ? of(*tuple) : uint16_t{0};
}

uint16_t FlowOwner::hashed(const FourTuple& tcp) const {
  const Endpoint* low = &tcp.local;
  const Endpoint* high = &tcp.remote;
  if (std::pair(high->address, high->port) < std::pair(low->address, low->port)) std::swap(low, high);
  std::array<std::byte, 36> message;
  const MutableByteSpan m(message);
  std::memcpy(message.data(), low->address.bytes().data(), 16);
  std::memcpy(message.data() + 16, high->address.bytes().data(), 16);
  store16(m, 32, low->port);
  store16(m, 34, high->port);
  return static_cast<uint16_t>(siphash(key_, message) % stacks_);
}

}  // namespace limpid
