// The far end of a link, played by a fuzzer: takes what the stack sends, knows the sequence numbers, answers anything.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "stack/base/checksum.h"
#include "stack/net/link_port.h"
#include "stack/stack.h"
#include "stack/wire/address.h"
#include "stack/wire/tcp.h"

namespace limpid::fuzz {

inline constexpr IpAddress kOurs = IpAddress::v4(10, 0, 0, 1);
inline constexpr IpAddress kPeers = IpAddress::v4(10, 0, 0, 2);
inline constexpr uint16_t kListenPort = 80;
inline constexpr uint16_t kPeerPort = 4000;
inline constexpr size_t kIpHeader = 20;
inline constexpr uint8_t kTcp = 6;

// A segment to the stack, with every field open to abuse. Checksums are right, so that it gets past the door.
struct PeerSegment {
  uint8_t flags = 0;
  uint32_t sequence = 0;
  uint32_t acknowledgment = 0;
  uint16_t window = 65'535;
  uint16_t urgent = 0;
  uint16_t source_port = kPeerPort;
  uint16_t destination_port = kListenPort;
  std::vector<std::byte> options{};  // raw; padded to a multiple of four
  std::vector<std::byte> text{};
};

class ScriptedPeer final : public LinkPort {
 public:
  Transmit transmit(const TxFrame& frame, Time now) override;

  // --- options, as the peer's SYN offers them and as later segments carry them ---
  std::vector<std::byte> syn_options() const {
    TcpOptionSet o;
    o.mss = 1460;
    o.sack_permitted = sacks;
    if (stamps) o.timestamps = TcpTimestamps{clock, 0};
    if (scales) o.window_scale = 2;
    return encoded(o);
  }
  // A timestamp `late` ticks off, and up to three blocks that lie inside what the stack has sent since its SYN.
  std::vector<std::byte> later_options(int32_t late, uint32_t blocks, uint32_t where) {
    TcpOptionSet o;
    if (stamps) o.timestamps = TcpTimestamps{++clock + static_cast<uint32_t>(late), stack_clock};
    const uint32_t piece = (stack_next - stack_first) / 8;
    for (uint32_t i = 0; sacks && i < std::min(blocks, 3U); ++i) {
      const uint32_t left = stack_first + 1 + ((where >> (3 * i)) & 7) * piece;
      o.sack[o.sack_count++] = {left, left + piece};
    }
    return encoded(o);
  }
  static std::vector<std::byte> encoded(const TcpOptionSet& o) {
    std::vector<std::byte> bytes(o.size());
    o.write(bytes);
    return bytes;
  }

  // The whole IP packet.
  std::vector<std::byte> packet(const PeerSegment& segment) const;

  uint32_t next_sequence = 0x7fff'ff00;  // what we, the peer, send next
  uint32_t stack_next = 0;               // behind the highest sequence number that the stack has sent
  uint32_t stack_first = 0;              // its last ISN
  uint16_t stack_port = kListenPort;     // its port in the last segment
  uint32_t acknowledged = 0;             // what its last segment acknowledges
  bool refusing = false;
  bool stamps = false, sacks = false, scales = false;  // what its SYN offers
  uint32_t clock = 0xffff'ff00;                        // of its timestamps
  uint32_t stack_clock = 0;                            // the last that the stack sent
  uint64_t frames = 0;
  std::vector<std::byte> last;  // the last packet
};

// Puts right the checksums of an IP packet that carries TCP, whatever else is wrong with it.
void fix_checksums(std::vector<std::byte>& packet);

inline Transmit ScriptedPeer::transmit(const TxFrame& frame, Time) {
  if (refusing) return Transmit::refused;
  ++frames;
  last.assign(frame.head.begin(), frame.head.end());
  for (ByteSpan piece : frame.body) last.insert(last.end(), piece.begin(), piece.end());
  if (last.size() < kIpHeader + TcpHeader::kMinSize || load8(last, 9) != kTcp) return Transmit::taken;
  const ByteSpan tcp = ByteSpan(last).subspan(kIpHeader);
  const uint8_t flags = load8(tcp, 13);
  stack_port = load16(tcp, 0);
  if ((flags & tcp_flag::rst) != 0) return Transmit::taken;
  const uint32_t sequence = load32(tcp, 4);
  const size_t header = (load8(tcp, 12) >> 4) * size_t{4};
  const uint32_t marks = ((flags & tcp_flag::syn) != 0 ? 1U : 0U) + ((flags & tcp_flag::fin) != 0 ? 1U : 0U);
  const uint32_t end = sequence + static_cast<uint32_t>(tcp.size() - header) + marks;
  if ((flags & tcp_flag::syn) != 0) {
    stack_first = sequence;
    stack_next = end;
  } else if (static_cast<int32_t>(end - stack_next) > 0) {
    stack_next = end;
  }
  if ((flags & tcp_flag::ack) != 0) acknowledged = load32(tcp, 8);
  const TcpOptionSet options = TcpOptionSet::parse(tcp.subspan(TcpHeader::kMinSize, header - TcpHeader::kMinSize));
  if (options.timestamps) stack_clock = options.timestamps->value;
  return Transmit::taken;
}

inline std::vector<std::byte> ScriptedPeer::packet(const PeerSegment& segment) const {
  const size_t options = std::min<size_t>((segment.options.size() + 3) / 4 * 4, 40);
  const size_t header = TcpHeader::kMinSize + options;
  std::vector<std::byte> bytes(kIpHeader + header + segment.text.size());
  const MutableByteSpan ip = bytes;
  store8(ip, 0, 0x45);
  store16(ip, 2, static_cast<uint16_t>(bytes.size()));
  store8(ip, 8, 64);
  store8(ip, 9, kTcp);
  store32(ip, 12, kPeers.v4_bits());
  store32(ip, 16, kOurs.v4_bits());
  const MutableByteSpan tcp = ip.subspan(kIpHeader);
  store16(tcp, 0, segment.source_port);
  store16(tcp, 2, segment.destination_port);
  store32(tcp, 4, segment.sequence);
  store32(tcp, 8, segment.acknowledgment);
  store8(tcp, 12, static_cast<uint8_t>(header / 4 << 4));
  store8(tcp, 13, segment.flags);
  store16(tcp, 14, segment.window);
  store16(tcp, 18, segment.urgent);
  std::copy_n(segment.options.begin(), std::min(options, segment.options.size()), tcp.begin() + TcpHeader::kMinSize);
  std::copy(segment.text.begin(), segment.text.end(), tcp.begin() + static_cast<ptrdiff_t>(header));
  fix_checksums(bytes);
  return bytes;
}

inline void fix_checksums(std::vector<std::byte>& packet) {
  if (packet.size() < kIpHeader) return;
  const MutableByteSpan ip = packet;
  const size_t header = (load8(ip, 0) & 15) * size_t{4};
  if (header < kIpHeader || packet.size() < header) return;
  store16(ip, 10, 0);
  store16(ip, 10, internet_checksum(ip.first(header)));
  if (load8(ip, 9) != kTcp || packet.size() < header + TcpHeader::kMinSize) return;
  const size_t total = std::min<size_t>(std::max<size_t>(load16(ip, 2), header + TcpHeader::kMinSize), packet.size());
  const MutableByteSpan tcp = ip.subspan(header, total - header);
  store16(tcp, 16, 0);
  Checksum sum;
  sum.add(ip.subspan(12, 8));
  sum.add16(kTcp);
  sum.add16(static_cast<uint16_t>(tcp.size()));
  sum.add(tcp);
  store16(tcp, 16, sum.finish());
}

}  // namespace limpid::fuzz
