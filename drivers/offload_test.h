// A frame that shows whether a device takes what it has promised to take: a TCP segment from 127.0.0.1 to itself, which
// the kernel takes off the device and drops as nonsense (on Ethernet it is for nobody, too).
#pragma once

#include <array>
#include <vector>

#include "stack/net/link_port.h"
#include "stack/wire/address.h"

namespace limpid {

class OffloadTest {
 public:
  // An open checksum; with `segment_text` a super-segment, too. `mac`: of our host, where there is a link header.
  OffloadTest(uint16_t segment_text, const MacAddress& mac, size_t link_header);
  OffloadTest(const OffloadTest&) = delete;
  OffloadTest& operator=(const OffloadTest&) = delete;

  TxFrame frame() const { return {.head = head_, .body = {&body_, 1}, .offload = offload_}; }
  static const char* name(uint16_t segment_text) { return segment_text == 0 ? "an open checksum" : "a super-segment"; }

 private:
  std::vector<std::byte> head_;
  std::array<std::byte, 2000> text_{};
  ByteSpan body_;
  FrameOffload offload_;
};

}  // namespace limpid
