// The virtio-net header: ten bytes in front of each frame that say what was left undone on it (virtio 1.2 §5.1.6; Linux
// virtio_net.h). TUN and AF_PACKET speak it with the byte order of the machine.
//
//   | flags 1 | GSO type 1 | header length 2 | GSO size 2 | checksum start 2 | checksum offset 2 |
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "stack/base/bytes.h"
#include "stack/base/frame_offload.h"

namespace limpid {

inline constexpr size_t kVnetHeaderSize = 10;

// Nothing when the header is cut, contradicts itself or the frame behind it, or asks for what was not agreed on (UDP
// fragmentation). `frame_size`: bytes that follow the header. The header length is a hint, which only must not reach
// beyond the frame.
std::optional<FrameOffload> parse_vnet_header(ByteSpan header, size_t frame_size);

// `head`: all headers of the frame that the header goes in front of.
void write_vnet_header(std::span<std::byte, kVnetHeaderSize> out, const FrameOffload& offload, ByteSpan head);

}  // namespace limpid
