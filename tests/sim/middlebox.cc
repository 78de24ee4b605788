#include "tests/sim/middlebox.h"

#include <fmt/format.h>

#include <algorithm>

#include "stack/base/checksum.h"
#include "stack/wire/tcp.h"

namespace limpid::sim {
namespace {

constexpr size_t kEthernetHeader = 14;
constexpr size_t kIpHeader = 20;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kEcnMask = 3, kNotEct = 0, kCe = 3;
enum Option : uint8_t { kEnd = 0, kNop = 1, kMss = 2, kWindowScale = 3, kSackPermitted = 4, kTimestamps = 8 };

void fix_ip_checksum(MutableByteSpan packet, size_t header) {
  store16(packet, 10, 0);
  store16(packet, 10, internet_checksum(packet.first(header)));
}

void fix_tcp_checksum(MutableByteSpan packet, size_t header) {
  const MutableByteSpan tcp = packet.subspan(header);
  store16(tcp, 16, 0);
  Checksum sum;
  sum.add(packet.subspan(12, 8));
  sum.add16(kTcp);
  sum.add16(static_cast<uint16_t>(tcp.size()));
  sum.add(tcp);
  store16(tcp, 16, sum.finish());
}

}  // namespace

std::string describe(const MiddleboxPlan& plan) {
  std::string text;
  if (plan.strip_window_scale) text += " strips WS";
  if (plan.strip_timestamps) text += " strips TS";
  if (plan.strip_sack) text += " strips SACK";
  if (plan.clamp_mss != 0) text += fmt::format(" clamps MSS to {}", plan.clamp_mss);
  if (plan.refuse_ecn) text += " refuses ECN";
  if (plan.bleach_ecn) text += " bleaches ECN";
  if (plan.mark_ppm != 0) text += fmt::format(" marks {}ppm", plan.mark_ppm);
  if (plan.black_hole != 0)
    text +=
        fmt::format(" swallows above {} from {}ms", plan.black_hole, to_ms(plan.black_hole_from.time_since_epoch()));
  return text;
}

Middlebox::Middlebox(const MiddleboxPlan& plan, Rng rng, Device& inner)
    : plan_(plan), rng_(rng), inner_(inner), ethernet_(inner.capabilities().ethernet) {}

Transmit Middlebox::transmit(const TxFrame& frame, Time now) {
  bytes_.assign(frame.head.begin(), frame.head.end());
  for (ByteSpan piece : frame.body) bytes_.insert(bytes_.end(), piece.begin(), piece.end());
  const size_t link_header = ethernet_ ? kEthernetHeader : 0;
  const bool ip = bytes_.size() >= link_header + kIpHeader && (!ethernet_ || load16(bytes_, 12) == 0x0800);
  if (ip && plan_.black_hole != 0 && now >= plan_.black_hole_from && bytes_.size() - link_header > plan_.black_hole)
    return Transmit::taken;
  if (ip) {  // Ethernet may have padded it
    const MutableByteSpan packet = MutableByteSpan(bytes_).subspan(link_header);
    rewrite(packet.first(std::min<size_t>(packet.size(), load16(packet, 2))));
  }
  return inner_.transmit({.head = bytes_, .body = {}, .event = frame.event}, now);
}

void Middlebox::rewrite(MutableByteSpan packet) {
  if (packet.size() < kIpHeader) return;
  const size_t header = (load8(packet, 0) & 15) * size_t{4};
  const uint8_t tos = load8(packet, 1);
  const bool mark = rng_.chance(plan_.mark_ppm);
  if ((tos & kEcnMask) != kNotEct && (plan_.bleach_ecn || mark)) {
    store8(packet, 1, static_cast<uint8_t>(plan_.bleach_ecn ? tos & ~kEcnMask : tos | kCe));
    fix_ip_checksum(packet, header);
  }
  if (load8(packet, 9) != kTcp || packet.size() < header + TcpHeader::kMinSize) return;
  if ((load8(packet, header + 13) & tcp_flag::syn) != 0) rewrite_syn(packet, header);
}

void Middlebox::rewrite_syn(MutableByteSpan packet, size_t header) {
  const MutableByteSpan tcp = packet.subspan(header);
  const size_t end = std::min<size_t>((load8(tcp, 12) >> 4) * size_t{4}, tcp.size());
  if (plan_.refuse_ecn) store8(tcp, 13, static_cast<uint8_t>(load8(tcp, 13) & ~(tcp_flag::ece | tcp_flag::cwr)));
  for (size_t at = TcpHeader::kMinSize; at < end;) {
    const uint8_t kind = load8(tcp, at);
    if (kind == kEnd) break;
    const size_t length = kind == kNop ? 1 : at + 1 < end ? load8(tcp, at + 1) : 0;
    if (length == 0 || at + length > end) break;
    const bool strip = (kind == kWindowScale && plan_.strip_window_scale) ||
                       (kind == kTimestamps && plan_.strip_timestamps) || (kind == kSackPermitted && plan_.strip_sack);
    if (strip) std::fill_n(tcp.begin() + static_cast<ptrdiff_t>(at), length, std::byte{kNop});
    if (kind == kMss && length == 4 && plan_.clamp_mss != 0)
      store16(tcp, at + 2, std::min(load16(tcp, at + 2), plan_.clamp_mss));
    at += length;
  }
  fix_tcp_checksum(packet, header);
}

}  // namespace limpid::sim
