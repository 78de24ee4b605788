#include "stack/wire/super_segment.h"

#include <algorithm>

#include "stack/base/checksum.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/pseudo_header.h"
#include "stack/wire/tcp.h"
#include "stack/wire/wire_bytes.h"

namespace limpid {
namespace {

constexpr size_t kIpLength = 2, kIpIdentification = 4, kIpChecksum = 10, kIpSource = 12, kIpDestination = 16;
constexpr size_t kTcpSequence = 4, kTcpFlags = 13;

}  // namespace

SuperSegment::SuperSegment(ByteSpan head, size_t link_header, std::span<const ByteSpan> body,
                           const FrameOffload& offload)
    : whole_head_(head),
      link_header_(link_header),
      tcp_at_(offload.checksum_begin),
      pieces_(body),
      text_(total_size(body)),
      each_(offload.segment_text > 0 ? offload.segment_text : text_) {
  over_ = head.size() > kLargestHead || tcp_at_ < link_header + Ipv4Header::kMinSize ||
          tcp_at_ + TcpHeader::kMinSize > head.size();
}

bool SuperSegment::next() {
  if (over_) return false;
  if (length_ > 0) ++index_;
  done_ += length_;
  length_ = std::min(each_, text_ - done_);
  over_ = done_ + length_ == text_;
  take_text(length_);

  std::ranges::copy(whole_head_, copy_.begin());
  const MutableByteSpan head = MutableByteSpan(copy_).first(whole_head_.size());
  const MutableByteSpan ip = head.subspan(link_header_, tcp_at_ - link_header_);
  write_ip(ip);
  write_tcp(ip, head.subspan(tcp_at_));
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

void SuperSegment::write_ip(MutableByteSpan ip) const {
  store16(ip, kIpLength, static_cast<uint16_t>(whole_head_.size() - link_header_ + length_));
  store16(ip, kIpIdentification, static_cast<uint16_t>(load16(ip, kIpIdentification) + index_));
  store16(ip, kIpChecksum, 0);
  store16(ip, kIpChecksum, internet_checksum(ip));
}

void SuperSegment::write_tcp(ByteSpan ip, MutableByteSpan tcp) const {
  store32(tcp, kTcpSequence, load32(tcp, kTcpSequence) + static_cast<uint32_t>(done_));
  unsigned flags = load8(tcp, kTcpFlags);
  if (index_ > 0) flags &= ~unsigned{tcp_flag::cwr};
  if (!over_) flags &= ~unsigned{tcp_flag::fin | tcp_flag::psh};
  store8(tcp, kTcpFlags, static_cast<uint8_t>(flags));

  store16(tcp, TcpHeader::kChecksumField, 0);
  Checksum sum;
  add_pseudo_header(sum, load_ip4(ip, kIpSource), load_ip4(ip, kIpDestination), IpProtocol::tcp, tcp.size() + length_);
  sum.add(tcp);
  for (const ByteSpan piece : share_) sum.add(piece);
  store16(tcp, TcpHeader::kChecksumField, sum.finish());
}

}  // namespace limpid
