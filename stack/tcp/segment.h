// A received segment inside the door: positions instead of wire numbers, text as a slice of the frame it came in.
#pragma once

#include <cstdint>

#include "stack/buffer/slice.h"
#include "stack/tcp/seq.h"
#include "stack/wire/tcp.h"

namespace limpid {

struct Segment {
  Seq wire_seq;      // as it came: the peer's initial sequence number, if this is its SYN
  SeqPos seq;        // of its first octet, SYN counted
  SeqPos ack;        // meaningful if has(ack)
  uint32_t wnd = 0;  // as on the wire, not scaled
  uint8_t flags = 0;
  SeqPos up;  // one past the urgent octets, meaningful if has(urg): where the urgent pointer leads
  uint16_t urgent_pointer = 0;
  TcpOptionSet options;
  Slice text;

  bool has(uint8_t flag) const { return (flags & flag) != 0; }
  // SEG.LEN of RFC 9293 §3.3.1: the octets it takes in sequence space.
  uint32_t length() const { return text.length + (has(tcp_flag::syn) ? 1u : 0u) + (has(tcp_flag::fin) ? 1u : 0u); }
  SeqPos end() const { return seq + length(); }
  SeqPos text_begin() const { return seq + (has(tcp_flag::syn) ? 1 : 0); }
  SeqPos text_end() const { return text_begin() + text.length; }
};

}  // namespace limpid
