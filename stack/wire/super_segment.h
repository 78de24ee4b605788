// Cuts a TCP super-segment over IPv4 (frame_offload.h) into the packets that it stands for, as a network card does, for
// links and devices that do not:
//
//   head: | link | IP | TCP |      every packet gets a copy; what differs from one to the next is written into it:
//                                  IP length, identification, checksum; TCP sequence number and checksum;
//                                  FIN and PSH stay on the last one only, CWR on the first (RFC 3168 §6.1.2)
//   body: text, in pieces          each packet's share of it, where it lies
#pragma once

#include <functional>
#include <span>

#include "stack/base/bytes.h"
#include "stack/buffer/frame_offload.h"

namespace limpid {

// Called with each packet in turn; false: stop there. The bytes are good for the duration of the call.
using TakePacket = std::function<bool(ByteSpan head, std::span<const ByteSpan> body)>;

// `head`: all headers, a link header of `link_header` bytes first; `offload`: its open checksum is TCP's. A frame that
// is one packet already gets its checksum and nothing else. Returns how many were taken.
uint32_t cut_super_segment(ByteSpan head, size_t link_header, std::span<const ByteSpan> body,
                           const FrameOffload& offload, const TakePacket& take);

}  // namespace limpid
