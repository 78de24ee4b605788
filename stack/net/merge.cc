#include "stack/net/merge.h"

#include <utility>

#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"

namespace limpid {

bool Merger::begin(Delivery& d) {
  if (d.kind != Delivery::Kind::datagram || d.protocol != IpProtocol::tcp || d.broadcast) return false;
  if (d.payload.length <= TcpHeader::kMinSize || d.offload.segment_text != 0) return false;
  const Frame& frame = *d.packet.frame;
  if (!row_.begin(frame.bytes(), d.packet.begin - frame.begin, d.offload.checksum_vouched())) return false;
  first_ = std::move(d);
  return true;
}

bool Merger::append(InterfaceId interface, FrameRef& frame) {
  const FrameOffload& o = frame->offload;
  if (interface != first_.interface || o.segment_text != 0) return false;
  const auto tcp_at = static_cast<uint32_t>(first_.payload.begin - first_.packet.frame->begin);
  // Whether the checksum that somebody left open is TCP's own.
  if (o.checksum_open && (o.checksum_begin != tcp_at || o.checksum_field != TcpHeader::kChecksumField)) return false;
  const uint32_t text = row_.append(frame->bytes(), o.checksum_vouched());
  if (text == 0) return false;
  const uint32_t at = frame->begin + tcp_at;
  more_.push_back({std::move(frame), at, static_cast<uint32_t>(row_.text_at()) - tcp_at + text});
  return true;
}

Delivery Merger::take() {
  if (!more_.empty()) first_.offload.segment_text = static_cast<uint16_t>(row_.each());
  first_.offload.checksum_known = true;  // SegmentRow has looked at it
  first_.more = more_;
  first_.last_flags = row_.last_flags();
  return std::exchange(first_, Delivery{});
}

}  // namespace limpid
