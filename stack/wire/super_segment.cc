#include "stack/wire/super_segment.h"

#include <algorithm>
#include <array>
#include <vector>

#include "stack/base/checksum.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/pseudo_header.h"
#include "stack/wire/tcp.h"
#include "stack/wire/wire_bytes.h"

namespace limpid {
namespace {

constexpr size_t kLargestHead = 192;  // link header, IPv4 60, TCP 60

constexpr size_t kIpLength = 2, kIpIdentification = 4, kIpChecksum = 10, kIpSource = 12, kIpDestination = 16;
constexpr size_t kTcpSequence = 4, kTcpFlags = 13;

// Takes the next `n` bytes off the front of a row of pieces.
class Reader {
 public:
  explicit Reader(std::span<const ByteSpan> pieces) : pieces_(pieces) {}

  std::span<const ByteSpan> take(size_t n) {
    taken_.clear();
    while (n > 0 && at_ < pieces_.size()) {
      const ByteSpan rest = pieces_[at_].subspan(offset_);
      const ByteSpan part = rest.first(std::min(n, rest.size()));
      if (!part.empty()) taken_.push_back(part);
      n -= part.size();
      offset_ += part.size();
      if (offset_ == pieces_[at_].size()) {
        ++at_;
        offset_ = 0;
      }
    }
    return taken_;
  }

 private:
  std::span<const ByteSpan> pieces_;
  size_t at_ = 0;
  size_t offset_ = 0;
  std::vector<ByteSpan> taken_;
};

// Headers of one packet, written over a copy of the super-segment's.
struct PacketHead {
  MutableByteSpan ip;   // the header alone
  MutableByteSpan tcp;  // likewise

  void write_ip(size_t text, uint32_t index) const {
    store16(ip, kIpLength, static_cast<uint16_t>(ip.size() + tcp.size() + text));
    store16(ip, kIpIdentification, static_cast<uint16_t>(load16(ip, kIpIdentification) + index));
    store16(ip, kIpChecksum, 0);
    store16(ip, kIpChecksum, internet_checksum(ip));
  }

  void write_tcp(uint32_t sequence, bool first, bool last, std::span<const ByteSpan> text) const {
    store32(tcp, kTcpSequence, sequence);
    unsigned flags = load8(tcp, kTcpFlags);
    if (!first) flags &= ~unsigned{tcp_flag::cwr};
    if (!last) flags &= ~unsigned{tcp_flag::fin | tcp_flag::psh};
    store8(tcp, kTcpFlags, static_cast<uint8_t>(flags));

    store16(tcp, TcpHeader::kChecksumField, 0);
    Checksum sum;
    add_pseudo_header(sum, load_ip4(ip, kIpSource), load_ip4(ip, kIpDestination), IpProtocol::tcp,
                      tcp.size() + total_size(text));
    sum.add(tcp);
    for (const ByteSpan piece : text) sum.add(piece);
    store16(tcp, TcpHeader::kChecksumField, sum.finish());
  }
};

}  // namespace

uint32_t cut_super_segment(ByteSpan head, size_t link_header, std::span<const ByteSpan> body,
                           const FrameOffload& offload, const TakePacket& take) {
  const size_t tcp_at = offload.checksum_begin;
  if (head.size() > kLargestHead || tcp_at < link_header + Ipv4Header::kMinSize ||
      tcp_at + TcpHeader::kMinSize > head.size())
    return 0;

  const size_t text = total_size(body);
  const size_t each = offload.segment_text > 0 ? offload.segment_text : text;
  const uint32_t sequence = load32(head, tcp_at + kTcpSequence);
  Reader reader(body);
  size_t done = 0;
  uint32_t index = 0;
  do {
    std::array<std::byte, kLargestHead> copy;
    std::ranges::copy(head, copy.begin());
    const MutableByteSpan mine = MutableByteSpan(copy).first(head.size());
    const PacketHead packet{.ip = mine.subspan(link_header, tcp_at - link_header), .tcp = mine.subspan(tcp_at)};
    const size_t length = std::min(each, text - done);
    const std::span<const ByteSpan> share = reader.take(length);
    packet.write_ip(length, index);
    packet.write_tcp(sequence + static_cast<uint32_t>(done), index == 0, done + length == text, share);
    if (!take(mine, share)) break;
    done += length;
    ++index;
  } while (done < text);
  return index;
}

}  // namespace limpid
