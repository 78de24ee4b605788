// What is still to be done about a frame before it could be on a wire. A frame that never leaves its machine (the
// kernel's own TCP on the other end of a TUN, another stack in this process) needs none of it done, and much time is
// saved by that:
//
//   checksum      the field holds the sum of the pseudo-header only; nobody has added up the text
//   segmentation  one header and up to 64 KiB of text stand for a row of packets (a super-segment):
//
//       | IP | TCP |            text             |     =     | IP | TCP | text | IP | TCP | text | IP | TCP | te
//                  |<- segment_text ->|
//
// The values of the virtio-net header (drivers/vnet_header.h). All zero: an ordinary packet.
#pragma once

#include <cstdint>

namespace limpid {

struct FrameOffload {
  uint16_t segment_text = 0;    // bytes of text in each of the packets it stands for; 0: it is one packet
  uint16_t checksum_begin = 0;  // where the bytes to be summed begin, from the start of the frame …
  uint16_t checksum_field = 0;  // … and where in those the sum belongs
  bool checksum_open = false;   // not computed yet: the two above say how
  bool checksum_known = false;  // computed, and found right by whoever hands us the frame

  bool checksum_vouched() const { return checksum_open || checksum_known; }
  // How many packets the frame stands for, given the bytes of its text.
  uint32_t packets(uint32_t text) const {
    return segment_text == 0 || text == 0 ? 1 : (text + segment_text - 1) / segment_text;
  }
};

}  // namespace limpid
