#include "stack/wire/ipv4.h"

#include <algorithm>
#include <optional>

#include "stack/base/checksum.h"
#include "stack/wire/wire_bytes.h"

namespace limpid {
namespace {

constexpr size_t kVersionIhl = 0, kTos = 1, kTotalLength = 2, kIdentification = 4, kFlagsOffset = 6, kTtl = 8,
                 kProtocol = 9, kChecksum = 10, kSource = 12, kDestination = 16;
constexpr uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000, kOffsetMask = 0x1fff;
constexpr uint8_t kEndOfList = 0, kNop = 1, kLooseSourceRoute = 131, kStrictSourceRoute = 137;

struct OptionWalk {
  bool well_formed = true;
  bool source_route = false;
};

// RFC 791 §3.1, 1122 §3.2.1.8: unknown options are skipped by their length, which must lead forward and stay inside.
OptionWalk walk_options(ByteSpan options) {
  OptionWalk walk;
  size_t at = 0;
  while (at < options.size()) {
    const uint8_t kind = load8(options, at);
    if (kind == kEndOfList) break;
    if (kind == kNop) {
      ++at;
      continue;
    }
    const size_t length = at + 1 < options.size() ? load8(options, at + 1) : 0;
    if (length < 2 || length > options.size() - at) {
      walk.well_formed = false;
      break;
    }
    if (kind == kLooseSourceRoute || kind == kStrictSourceRoute) walk.source_route = true;
    at += length;
  }
  return walk;
}

size_t header_size_of(ByteSpan packet) { return size_t{load8(packet, kVersionIhl)} % 16 * 4; }

// Into a header that is fresh. The caller has checked that all of it is there.
inline void read_header(ByteSpan packet, Ipv4Header& h) {
  const uint16_t flags_offset = load16(packet, kFlagsOffset);
  h.tos = load8(packet, kTos);
  h.total_length = load16(packet, kTotalLength);
  h.identification = load16(packet, kIdentification);
  h.dont_fragment = (flags_offset & kDontFragment) != 0;
  h.more_fragments = (flags_offset & kMoreFragments) != 0;
  h.fragment_offset = static_cast<uint16_t>((flags_offset & kOffsetMask) * 8);
  h.ttl = load8(packet, kTtl);
  h.protocol = static_cast<IpProtocol>(load8(packet, kProtocol));
  h.source = load_ip4(packet, kSource);
  h.destination = load_ip4(packet, kDestination);
  const size_t header_size = header_size_of(packet);
  if (header_size == Ipv4Header::kMinSize) return;
  const ByteSpan options = packet.subspan(Ipv4Header::kMinSize, header_size - Ipv4Header::kMinSize);
  std::copy(options.begin(), options.end(), h.options.storage.begin());
  h.options.length = static_cast<uint8_t>(options.size());
}

// Version and header length; what both a datagram and a quotation must have right.
bool is_ipv4_header(ByteSpan packet) {
  return load8(packet, kVersionIhl) >> 4 == 4 && header_size_of(packet) >= Ipv4Header::kMinSize;
}

// Version, lengths, checksum and options, in this order.
inline std::optional<Counter> header_fault(ByteSpan packet, OptionWalk& walk) {
  if (packet.size() < Ipv4Header::kMinSize) return Counter::ip4_drop_truncated;
  if (!is_ipv4_header(packet)) return Counter::ip4_drop_bad_header;
  const size_t header_size = header_size_of(packet);
  if (header_size > packet.size()) return Counter::ip4_drop_truncated;
  if (Checksum::of_header(packet.first(header_size)) != 0) return Counter::ip4_drop_bad_checksum;

  const size_t total_length = load16(packet, kTotalLength);
  if (total_length < header_size) return Counter::ip4_drop_bad_header;
  if (total_length > packet.size()) return Counter::ip4_drop_truncated;

  walk = walk_options(packet.subspan(Ipv4Header::kMinSize, header_size - Ipv4Header::kMinSize));
  return walk.well_formed ? std::nullopt : std::optional(Counter::ip4_drop_bad_option);
}

}  // namespace

void Ipv4Header::write(MutableByteSpan out) const {
  const size_t header_size = size();
  const uint16_t flags =
      static_cast<uint16_t>((dont_fragment ? kDontFragment : 0) | (more_fragments ? kMoreFragments : 0));
  store8(out, kVersionIhl, static_cast<uint8_t>(4 << 4 | header_size / 4));
  store8(out, kTos, tos);
  store16(out, kTotalLength, total_length);
  store16(out, kIdentification, identification);
  store16(out, kFlagsOffset, static_cast<uint16_t>(flags | fragment_offset / 8));
  store8(out, kTtl, ttl);
  store8(out, kProtocol, static_cast<uint8_t>(protocol));
  store16(out, kChecksum, 0);
  store_ip4(out, kSource, source);
  store_ip4(out, kDestination, destination);
  for (size_t i = 0; i < options.size(); ++i)
    out[kMinSize + i] = i < options.length ? options.storage[i] : std::byte{kEndOfList};
  store16(out, kChecksum, Checksum::of_header(out.first(header_size)));
}

void Ipv4Header::renew(MutableByteSpan out, uint16_t total_length, uint16_t identification) {
  store16(out, kTotalLength, total_length);
  store16(out, kIdentification, identification);
  store16(out, kChecksum, 0);
  store16(out, kChecksum, Checksum::of_header(out));
}

std::expected<ParsedIpv4, Counter> parse_ipv4(ByteSpan packet) {
  std::expected<ParsedIpv4, Counter> parsed;  // filled where the caller has it
  OptionWalk walk;
  if (const auto fault = header_fault(packet, walk)) {
    parsed = std::unexpected(*fault);
    return parsed;
  }
  read_header(packet, parsed->header);
  parsed->header_size = static_cast<uint32_t>(header_size_of(packet));
  parsed->payload_size = parsed->header.total_length - parsed->header_size;
  parsed->source_route = walk.source_route;
  return parsed;
}

bool parse_next_ipv4(ByteSpan packet, ByteSpan before, ParsedIpv4& parsed) {
  if (packet.size() < Ipv4Header::kMinSize) return false;
  const auto same = [&](size_t at, size_t n) { return std::memcmp(packet.data() + at, before.data() + at, n) == 0; };
  // Version, header length and TOS; fragment, TTL and protocol; the addresses.
  if (!same(kVersionIhl, 2) || !same(kFlagsOffset, 4) || !same(kSource, 8)) return false;
  const uint16_t length = load16(packet, kTotalLength);
  if (length < Ipv4Header::kMinSize || length > packet.size()) return false;
  if (Checksum::of_header(packet.first(Ipv4Header::kMinSize)) != 0) return false;
  parsed.header.total_length = length;
  parsed.header.identification = load16(packet, kIdentification);
  parsed.payload_size = length - parsed.header_size;
  return true;
}

std::expected<QuotedIpv4, Counter> parse_quoted_ipv4(ByteSpan body) {
  const auto cut = std::unexpected(Counter::icmp_drop_truncated);
  if (body.size() < Ipv4Header::kMinSize || !is_ipv4_header(body)) return cut;
  const size_t header_size = header_size_of(body);
  if (body.size() < header_size + QuotedIpv4::kMinPayload) return cut;

  QuotedIpv4 quoted{.header = {}, .payload = body.subspan(header_size)};
  read_header(body, quoted.header);
  // Behind a short datagram padding or extensions may follow (RFC 4884 §3); they are no part of it.
  if (quoted.header.total_length < header_size + QuotedIpv4::kMinPayload) return cut;
  quoted.payload = quoted.payload.first(std::min(quoted.payload.size(), quoted.header.total_length - header_size));
  return quoted;
}

}  // namespace limpid
