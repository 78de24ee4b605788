#include "drivers/vnet_header.h"

#include <cstdint>
#include <cstring>

namespace limpid {
namespace {

// linux/virtio_net.h is no C++ (it has a field named `class`).
struct VnetHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t header_length = 0;
  uint16_t gso_size = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
};
static_assert(sizeof(VnetHeader) == kVnetHeaderSize);

constexpr uint8_t kNeedsChecksum = 1, kDataValid = 2;                        // flags
constexpr uint8_t kGsoNone = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoEcn = 0x80;  // GSO types; the last is a bit

bool is_tcp(uint8_t gso_type) {
  const int kind = gso_type & ~kGsoEcn;
  return kind == kGsoTcp4 || kind == kGsoTcp6;
}

}  // namespace

std::optional<FrameOffload> parse_vnet_header(ByteSpan header, size_t frame_size) {
  if (header.size() < kVnetHeaderSize) return std::nullopt;
  VnetHeader h;
  std::memcpy(&h, header.data(), sizeof h);
  if (h.header_length > frame_size) return std::nullopt;

  FrameOffload o;
  o.checksum_known = (h.flags & kDataValid) != 0;
  if ((h.flags & kNeedsChecksum) != 0) {
    if (size_t{h.checksum_start} + h.checksum_offset + 2 > frame_size) return std::nullopt;
    o.checksum_open = true;
    o.checksum_begin = h.checksum_start;
    o.checksum_field = h.checksum_offset;
  }
  if (h.gso_type != kGsoNone) {
    // Who leaves the cutting to us leaves the sums too: they are different in each packet.
    if (!is_tcp(h.gso_type) || h.gso_size == 0 || !o.checksum_open) return std::nullopt;
    o.segment_text = h.gso_size;
  }
  return o;
}

void write_vnet_header(std::span<std::byte, kVnetHeaderSize> out, const FrameOffload& o, ByteSpan head) {
  VnetHeader h;
  if (o.checksum_open) {
    h.flags = kNeedsChecksum;
    h.checksum_start = o.checksum_begin;
    h.checksum_offset = o.checksum_field;
  }
  if (o.segment_text > 0) {
    h.gso_type = kGsoTcp4;
    h.gso_size = o.segment_text;
    h.header_length = static_cast<uint16_t>(head.size());
  }
  std::memcpy(out.data(), &h, sizeof h);
}

}  // namespace limpid
