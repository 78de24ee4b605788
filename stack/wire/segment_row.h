// TCP segments over IPv4 of which each goes on where the one before it ended, so that they may be read as one (GRO, as
// Linux calls it): what SuperSegment takes apart, the other way round.
//
//   | IP | TCP | text 1 |   | IP | TCP | text 2 |   | IP | TCP | text 3 |     =     | IP | TCP | text 1 2 3 |
//
// As in Linux (tcp_gro_receive) the headers must be the same but for the sequence number, the IP identification, the
// checksums and the length; all packets but the last have the same length; PSH and FIN end a row, and CWR, URG, SYN and
// RST are in none. Both checksums of each packet are looked at.
#pragma once

#include <cstdint>

#include "stack/base/bytes.h"
#include "stack/base/frame_offload.h"

namespace limpid {

class SegmentRow {
 public:
  // A frame that may be the first of a row. It must stay where it is until the row is done with. `vouched`: its
  // checksum need not be looked at.
  bool begin(ByteSpan frame, size_t link_header, bool vouched);
  // The next one: how many bytes of text it adds, from text_at() on; 0: it does not belong here.
  uint32_t append(ByteSpan frame, bool vouched);

  size_t text_at() const { return text_at_; }  // in each frame
  uint32_t each() const { return each_; }      // bytes of text of each packet but the last
  uint32_t packets() const { return packets_; }
  uint8_t last_flags() const { return last_flags_; }  // which of PSH and FIN the last one has

  // Of a frame that holds the first one's headers and the text of all: makes the headers those of the super-segment,
  // and says what is left undone on it.
  FrameOffload describe(MutableByteSpan whole) const;

 private:
  static constexpr uint32_t kMostText = 65'535 - 60 - 60;  // of one datagram

  bool same_headers(ByteSpan frame) const;

  ByteSpan first_;
  size_t ip_at_ = 0;
  size_t text_at_ = 0;
  uint32_t each_ = 0;
  uint32_t text_ = 0;  // of all
  uint32_t next_ = 0;  // the sequence number behind it
  uint32_t packets_ = 0;
  uint8_t last_flags_ = 0;
  bool ended_ = false;
};

}  // namespace limpid
