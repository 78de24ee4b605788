#include "stack/wire/segment_row.h"

#include <cstring>

#include "stack/base/checksum.h"
#include "stack/wire/ethernet.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"

namespace limpid {
namespace {

constexpr size_t kIpHeader = Ipv4Header::kMinSize;
constexpr size_t kIpLength = 2, kIpFlags = 6, kIpTtl = 8, kIpProtocol = 9, kIpChecksum = 10, kIpSource = 12;
constexpr size_t kTcpSequence = 4, kTcpAcknowledgment = 8, kTcpOffset = 12, kTcpFlags = 13, kTcpWindow = 14;
constexpr uint8_t kEnding = tcp_flag::psh | tcp_flag::fin;
constexpr uint16_t kFragment = 0x3fff;

bool same(ByteSpan a, ByteSpan b, size_t from, size_t length) {
  return std::memcmp(a.data() + from, b.data() + from, length) == 0;
}

Checksum pseudo_sum(ByteSpan ip, size_t length) {
  Checksum sum;
  sum.add(ip.subspan(kIpSource, 8));
  sum.add16(static_cast<uint16_t>(IpProtocol::tcp));
  sum.add32(static_cast<uint32_t>(length - kIpHeader));
  return sum;
}

bool checksums_are_right(ByteSpan ip, size_t length, bool vouched) {
  if (internet_checksum(ip.first(kIpHeader)) != 0) return false;
  if (vouched) return true;
  Checksum sum = pseudo_sum(ip, length);
  sum.add(ip.subspan(kIpHeader, length - kIpHeader));
  return sum.finish() == 0;
}

}  // namespace

bool SegmentRow::begin(ByteSpan frame, size_t link_header, bool vouched) {
  if (frame.size() <= link_header + kIpHeader + TcpHeader::kMinSize) return false;
  if (link_header != 0 && load16(frame, link_header - 2) != ether_type::ipv4) return false;
  const ByteSpan ip = frame.subspan(link_header);
  if (load8(ip, 0) != 0x45 || load8(ip, kIpProtocol) != static_cast<uint8_t>(IpProtocol::tcp)) return false;
  const ByteSpan tcp = ip.subspan(kIpHeader);
  if ((load8(tcp, kTcpFlags) & ~tcp_flag::ece) != tcp_flag::ack) return false;
  const size_t length = load16(ip, kIpLength);
  const size_t headers = kIpHeader + size_t{load8(tcp, kTcpOffset)} / 16 * 4;
  if (headers < kIpHeader + TcpHeader::kMinSize || length <= headers || length > ip.size()) return false;
  if ((load16(ip, kIpFlags) & kFragment) != 0 || !checksums_are_right(ip, length, vouched)) return false;

  *this = {};
  first_ = frame;
  ip_at_ = link_header;
  text_at_ = link_header + headers;
  each_ = text_ = static_cast<uint32_t>(length - headers);
  next_ = load32(tcp, kTcpSequence) + text_;
  packets_ = 1;
  return true;
}

// All that must be the same, and so was looked at when the first one came.
bool SegmentRow::same_headers(ByteSpan frame) const {
  const size_t tcp_at = ip_at_ + kIpHeader;
  if (!same(first_, frame, 0, ip_at_ + 2)) return false;                             // link header, version, ECN
  if (!same(first_, frame, ip_at_ + kIpFlags, kIpTtl + 2 - kIpFlags)) return false;  // no fragment, TTL, protocol
  if (!same(first_, frame, ip_at_ + kIpSource, 8 + 4)) return false;                 // addresses, ports
  if (!same(first_, frame, tcp_at + kTcpAcknowledgment, kTcpFlags - kTcpAcknowledgment)) return false;
  if (!same(first_, frame, tcp_at + kTcpWindow, 2)) return false;
  return same(first_, frame, tcp_at + TcpHeader::kMinSize, text_at_ - tcp_at - TcpHeader::kMinSize);  // options
}

uint32_t SegmentRow::append(ByteSpan frame, bool vouched) {
  if (ended_ || frame.size() <= text_at_) return 0;
  const ByteSpan ip = frame.subspan(ip_at_);
  const ByteSpan tcp = ip.subspan(kIpHeader);
  if (load32(tcp, kTcpSequence) != next_ || !same_headers(frame)) return 0;
  const size_t headers = text_at_ - ip_at_;
  const size_t length = load16(ip, kIpLength);
  if (length <= headers || length > ip.size() || length - headers > each_) return 0;
  const auto text = static_cast<uint32_t>(length - headers);
  const uint8_t flags = load8(tcp, kTcpFlags);
  if ((flags & ~kEnding) != load8(first_, ip_at_ + kIpHeader + kTcpFlags) || text_ + text > kMostText) return 0;
  if (!checksums_are_right(ip, length, vouched)) return 0;

  text_ += text;
  next_ += text;
  ++packets_;
  last_flags_ = flags & kEnding;
  ended_ = text < each_ || last_flags_ != 0;
  return text;
}

FrameOffload SegmentRow::describe(MutableByteSpan whole) const {
  const MutableByteSpan ip = whole.subspan(ip_at_);
  const MutableByteSpan tcp = ip.subspan(kIpHeader);
  store16(ip, kIpLength, static_cast<uint16_t>(ip.size()));
  store16(ip, kIpChecksum, 0);
  store16(ip, kIpChecksum, internet_checksum(ip.first(kIpHeader)));
  store8(tcp, kTcpFlags, load8(tcp, kTcpFlags) | last_flags_);
  store16(tcp, TcpHeader::kChecksumField, static_cast<uint16_t>(~pseudo_sum(ip, ip.size()).finish()));
  return {.segment_text = static_cast<uint16_t>(packets_ > 1 ? each_ : 0),
          .checksum_begin = static_cast<uint16_t>(ip_at_ + kIpHeader),
          .checksum_field = TcpHeader::kChecksumField,
          .checksum_open = true};
}

}  // namespace limpid
