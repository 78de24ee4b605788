// Cuts a TCP super-segment over IPv4 (frame_offload.h) into the packets that it stands for, as a network card does, for
// links and devices that do not:
//
//   head: | link | IP | TCP |      every packet gets a copy; what differs from one to the next is written into it:
//                                  IP length, identification, checksum; TCP sequence number and checksum;
//                                  FIN and PSH stay on the last one only, CWR on the first (RFC 3168 §6.1.2)
//   body: text, in pieces          each packet's share of it, where it lies
//
//   for (SuperSegment s(head, link_header, body, offload); s.next();) send(s.head(), s.body());
//
// next(n) cuts off a smaller super-segment of n packets: what a link has left of a larger one.
//
// A frame that is one packet already gets its checksum and nothing else, whatever its protocol.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stack/base/bytes.h"
#include "stack/base/checksum.h"
#include "stack/base/frame_offload.h"

namespace limpid {

class SuperSegment {
 public:
  static constexpr size_t kLargestHead = 192;  // link header, IPv4 60, TCP 60

  // `head`: all headers, a link header of `link_header` bytes first; `offload`: its open checksum is TCP's. Of a frame
  // that is one packet the beginning, as far as the checksum's field at least. One whose head cannot hold its headers
  // has no packets. `leave_open`: of a super-segment the checksum of each packet stays open, too.
  SuperSegment(ByteSpan head, size_t link_header, std::span<const ByteSpan> body, const FrameOffload& offload,
               bool leave_open = false);

  bool next(uint32_t most = 1);  // makes a piece of the next `most` packets, or of what is left; false: nothing was
  ByteSpan head() const { return ByteSpan(copy_).first(whole_head_.size()); }
  std::span<const ByteSpan> body() const { return share_; }   // good until next()
  const FrameOffload& offload() const { return left_open_; }  // of the piece: what is left undone of it

 private:
  void take_text(size_t bytes);
  void close_checksum();
  void write_ip(MutableByteSpan ip) const;
  void write_tcp(MutableByteSpan tcp, bool open) const;

  ByteSpan whole_head_;
  size_t link_header_;
  FrameOffload offload_;
  std::span<const ByteSpan> pieces_;
  size_t piece_ = 0;    // the next to be cut from …
  size_t offset_ = 0;   // … and where in it
  size_t text_ = 0;     // bytes in all
  size_t each_ = 0;     // of each packet but the last
  size_t done_ = 0;     // bytes of text in packets before this piece
  size_t length_ = 0;   // and in this piece
  uint32_t index_ = 0;  // of its first packet
  bool leave_open_;
  bool over_ = false;
  Checksum ip_sum_;      // of what is the same in every packet
  Checksum pseudo_sum_;  // likewise, the length not included
  Checksum tcp_sum_;
  FrameOffload left_open_{};
  std::array<std::byte, kLargestHead> copy_;
  std::vector<ByteSpan> share_;
};

// Of a super-segment that lies in one piece: where its text begins. Nothing if it is no TCP segment over IPv4 whose
// headers lie as `offload` says.
std::optional<size_t> super_segment_text(ByteSpan frame, size_t link_header, const FrameOffload& offload);

}  // namespace limpid
