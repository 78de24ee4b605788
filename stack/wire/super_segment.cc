#include "stack/wire/super_segment.h"

#include <algorithm>

#include "stack/wire/ipv4.h"
#include "stack/wire/pseudo_header.h"
#include "stack/wire/tcp.h"
#include "stack/wire/udp.h"
#include "stack/wire/wire_bytes.h"

namespace limpid {
namespace {

constexpr size_t kIpLength = 2, kIpIdentification = 4, kIpChecksum = 10, kIpSource = 12, kIpDestination = 16;
constexpr size_t kTcpSequence = 4, kTcpOffset = 12, kTcpFlags = 13;

}  // namespace

SuperSegment::SuperSegment(ByteSpan head, size_t link_header, std::span<const ByteSpan> body,
                           const FrameOffload& offload, bool leave_open)
    : whole_head_(head),
      link_header_(link_header),
      offload_(offload),
      pieces_(body),
      text_(total_size(body)),
      each_(offload.segment_text > 0 ? offload.segment_text : text_),
      leave_open_(leave_open) {
  const size_t tcp_at = offload.checksum_begin;
  over_ = head.size() > kLargestHead || tcp_at + offload.checksum_field + 2 > head.size();
  if (offload.segment_text > 0)
    over_ = over_ || tcp_at < link_header + Ipv4Header::kMinSize || tcp_at + TcpHeader::kMinSize > head.size();
  if (over_) return;
  std::ranges::copy(head, copy_.begin());
  if (offload.segment_text == 0) return;

  // The sums of all that stays as it is; what does not is zero in them.
  const MutableByteSpan copy = MutableByteSpan(copy_).first(head.size());
  const MutableByteSpan ip = copy.subspan(link_header, tcp_at - link_header);
  const MutableByteSpan tcp = copy.subspan(tcp_at);
  for (const size_t field : {kIpLength, kIpIdentification, kIpChecksum}) store16(ip, field, 0);
  ip_sum_.add(ip);
  store32(tcp, kTcpSequence, 0);
  store8(tcp, kTcpFlags, 0);
  store16(tcp, TcpHeader::kChecksumField, 0);
  add_pseudo_header(pseudo_sum_, load_ip4(ip, kIpSource), load_ip4(ip, kIpDestination), IpProtocol::tcp, 0);
  tcp_sum_ = pseudo_sum_;
  tcp_sum_.add(tcp);
}

bool SuperSegment::next(uint32_t most) {
  if (over_) return false;
  if (length_ > 0) index_ += static_cast<uint32_t>((length_ + each_ - 1) / each_);
  done_ += length_;
  length_ = std::min(each_ * most, text_ - done_);
  over_ = done_ + length_ == text_;
  take_text(length_);
  if (offload_.segment_text == 0) {
    close_checksum();
    return true;
  }
  const bool several = length_ > each_;
  const bool open = several || leave_open_;
  left_open_ = open ? offload_ : FrameOffload{};
  if (!several) left_open_.segment_text = 0;
  const MutableByteSpan head = MutableByteSpan(copy_).first(whole_head_.size());
  write_ip(head.subspan(link_header_, offload_.checksum_begin - link_header_));
  write_tcp(head.subspan(offload_.checksum_begin), open);
  return true;
}

// The next `bytes` off the front of the pieces.
void SuperSegment::take_text(size_t bytes) {
  share_.clear();
  while (bytes > 0) {
    const ByteSpan rest = pieces_[piece_].subspan(offset_);
    const ByteSpan part = rest.first(std::min(bytes, rest.size()));
    if (!part.empty()) share_.push_back(part);
    bytes -= part.size();
    offset_ += part.size();
    if (offset_ == pieces_[piece_].size()) {
      ++piece_;
      offset_ = 0;
    }
  }
}

// Of a single packet: its field holds the sum of the pseudo-header, and takes part in the sum of the rest.
void SuperSegment::close_checksum() {
  const MutableByteSpan summed = MutableByteSpan(copy_).first(whole_head_.size()).subspan(offload_.checksum_begin);
  Checksum sum;
  sum.add(summed);
  for (const ByteSpan piece : share_) sum.add(piece);
  const uint16_t value = sum.finish();
  const bool udp = offload_.checksum_field == UdpHeader::kChecksumField;  // RFC 768: zero would mean that there is none
  store16(summed, offload_.checksum_field, value == 0 && udp ? uint16_t{0xffff} : value);
}

void SuperSegment::write_ip(MutableByteSpan ip) const {
  const auto length = static_cast<uint16_t>(whole_head_.size() - link_header_ + length_);
  const auto identification = static_cast<uint16_t>(load16(whole_head_, link_header_ + kIpIdentification) + index_);
  Checksum sum = ip_sum_;
  sum.add16(length);
  sum.add16(identification);
  store16(ip, kIpLength, length);
  store16(ip, kIpIdentification, identification);
  store16(ip, kIpChecksum, sum.finish());
}

void SuperSegment::write_tcp(MutableByteSpan tcp, bool open) const {
  const ByteSpan whole = whole_head_.subspan(offload_.checksum_begin);
  const uint32_t sequence = load32(whole, kTcpSequence) + static_cast<uint32_t>(done_);
  unsigned flags = load8(whole, kTcpFlags);
  if (index_ > 0) flags &= ~unsigned{tcp_flag::cwr};
  if (!over_) flags &= ~unsigned{tcp_flag::fin | tcp_flag::psh};
  store32(tcp, kTcpSequence, sequence);
  store8(tcp, kTcpFlags, static_cast<uint8_t>(flags));

  const auto length = static_cast<uint32_t>(tcp.size() + length_);
  Checksum sum = open ? pseudo_sum_ : tcp_sum_;
  sum.add32(length);
  if (open) return store16(tcp, TcpHeader::kChecksumField, static_cast<uint16_t>(~sum.finish()));
  sum.add32(sequence);
  sum.add16(static_cast<uint16_t>(flags));
  for (const ByteSpan piece : share_) sum.add(piece);
  store16(tcp, TcpHeader::kChecksumField, sum.finish());
}

std::optional<size_t> super_segment_text(ByteSpan frame, size_t link_header, const FrameOffload& offload) {
  const size_t tcp_at = offload.checksum_begin;
  if (!offload.checksum_open || offload.segment_text == 0 || offload.checksum_field != TcpHeader::kChecksumField)
    return std::nullopt;
  if (frame.size() < tcp_at + TcpHeader::kMinSize || tcp_at < link_header + Ipv4Header::kMinSize) return std::nullopt;
  const ByteSpan ip = frame.subspan(link_header);
  const bool is_tcp = load8(ip, 0) >> 4 == 4 && load8(ip, 9) == static_cast<uint8_t>(IpProtocol::tcp);
  const size_t ip_header = size_t{load8(ip, 0)} % 16 * 4;
  if (!is_tcp || link_header + ip_header != tcp_at || load16(ip, kIpLength) != ip.size()) return std::nullopt;
  const size_t text = tcp_at + size_t{load8(frame, tcp_at + kTcpOffset)} / 16 * 4;
  if (text < tcp_at + TcpHeader::kMinSize || text >= frame.size()) return std::nullopt;
  return text;
}

}  // namespace limpid
