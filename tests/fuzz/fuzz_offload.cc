// What a device says of its frames (a virtio-net header) against the frames themselves: whatever it says, nothing is
// read outside the frame, what is cut adds up, and what was cut can be put together again.
//
//   | link header or none 1 | virtio-net header 10 | frame |
#include <vector>

#include "drivers/vnet_header.h"
#include "stack/base/checksum.h"
#include "stack/wire/segment_row.h"
#include "stack/wire/super_segment.h"
#include "tests/fuzz/holds.h"

namespace limpid {
namespace {

using Bytes = std::vector<std::byte>;

size_t size_of(std::span<const ByteSpan> pieces) {
  size_t n = 0;
  for (const ByteSpan piece : pieces) n += piece.size();
  return n;
}

Bytes joined(const SuperSegment& s) {
  Bytes packet(s.head().begin(), s.head().end());
  for (const ByteSpan piece : s.body()) packet.insert(packet.end(), piece.begin(), piece.end());
  return packet;
}

void cut(ByteSpan frame, size_t link_header, const FrameOffload& offload, uint32_t most) {
  const auto begin = super_segment_text(frame, link_header, offload);
  if (!begin) return;
  HOLDS(*begin < frame.size());
  const ByteSpan text = frame.subspan(*begin);
  size_t done = 0;
  uint32_t packets = 0;
  Bytes first;
  SegmentRow row;
  for (SuperSegment s(frame.first(*begin), link_header, {&text, 1}, offload); s.next(most); ++packets) {
    const size_t length = size_of(s.body());
    HOLDS(length > 0 && length <= size_t{offload.segment_text} * most);
    done += length;
    const Bytes packet = joined(s);
    HOLDS(load16(packet, link_header + 2) == packet.size() - link_header);
    HOLDS(internet_checksum(ByteSpan(packet).subspan(link_header, offload.checksum_begin - link_header)) == 0);
    if (packets == 0) {
      first = packet;
      if (!row.begin(first, link_header, false)) row = {};
    } else if (row.packets() == packets && most == 1 && row.append(packet, false) == 0) {
      HOLDS((load8(packet, offload.checksum_begin + size_t{13}) & 0xd7U) != 0x10);  // plain ones always go on
    }
  }
  HOLDS(done == text.size());
  if (most == 1) HOLDS(packets == offload.packets(static_cast<uint32_t>(text.size())));
}

void finish(ByteSpan frame, const FrameOffload& offload) {
  const ByteSpan head = frame.first(std::min(frame.size(), SuperSegment::kLargestHead));
  const ByteSpan rest = frame.subspan(head.size());
  SuperSegment s(head, 0, {&rest, 1}, offload);
  if (s.next()) HOLDS(joined(s).size() == frame.size());
  HOLDS(!s.next());
}

void fuzz_one(uint8_t choice, ByteSpan header, const Bytes& frame) {
  const size_t link_header = (choice & 1) != 0 ? 14 : 0;
  const auto offload = parse_vnet_header(header, frame.size());
  if (!offload) return;
  if (offload->checksum_open) HOLDS(size_t{offload->checksum_begin} + offload->checksum_field + 2 <= frame.size());
  if (offload->segment_text > 0) return cut(frame, link_header, *offload, 1 + choice / 2 % 4);
  if (offload->checksum_open) finish(frame, *offload);
}

}  // namespace
}  // namespace limpid

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 + limpid::kVnetHeaderSize) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const auto frame = bytes.subspan(limpid::kVnetHeaderSize);
  // A vector of its own size, so that the sanitizer sees a read one byte beyond it.
  limpid::fuzz_one(data[0], bytes.first(limpid::kVnetHeaderSize), limpid::Bytes(frame.begin(), frame.end()));
  return 0;
}
