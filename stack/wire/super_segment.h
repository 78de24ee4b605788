// Cuts a TCP super-segment over IPv4 (frame_offload.h) into the packets that it stands for, as a network card does, for
// links and devices that do not:
//
//   head: | link | IP | TCP |      every packet gets a copy; what differs from one to the next is written into it:
//                                  IP length, identification, checksum; TCP sequence number and checksum;
//                                  FIN and PSH stay on the last one only, CWR on the first (RFC 3168 §6.1.2)
//   body: text, in pieces          each packet's share of it, where it lies
//
//   for (SuperSegment s(head, link_header, body, offload); s.next();) send(s.head(), s.body());
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "stack/base/bytes.h"
#include "stack/base/frame_offload.h"

namespace limpid {

class SuperSegment {
 public:
  // `head`: all headers, a link header of `link_header` bytes first; `offload`: its open checksum is TCP's. A frame
  // that is one packet already gets its checksum and nothing else. One whose head cannot hold its headers has no
  // packets.
  SuperSegment(ByteSpan head, size_t link_header, std::span<const ByteSpan> body, const FrameOffload& offload);

  bool next();  // makes the next packet; false: there was none left
  ByteSpan head() const { return ByteSpan(copy_).first(whole_head_.size()); }
  std::span<const ByteSpan> body() const { return share_; }  // good until next()

 private:
  static constexpr size_t kLargestHead = 192;  // link header, IPv4 60, TCP 60

  void take_text(size_t bytes);
  void write_ip(MutableByteSpan ip) const;
  void write_tcp(ByteSpan ip, MutableByteSpan tcp) const;

  ByteSpan whole_head_;
  size_t link_header_;
  size_t tcp_at_;
  std::span<const ByteSpan> pieces_;
  size_t piece_ = 0;   // the next to be cut from …
  size_t offset_ = 0;  // … and where in it
  size_t text_ = 0;    // bytes in all
  size_t each_ = 0;    // of each packet but the last
  size_t done_ = 0;    // bytes of text in packets before this one
  size_t length_ = 0;  // and in this one
  uint32_t index_ = 0;
  bool over_ = false;
  std::array<std::byte, kLargestHead> copy_{};
  std::vector<ByteSpan> share_;
};

}  // namespace limpid
