// A received segment inside the door: positions instead of wire numbers, text as a slice of the frame it came in.
#pragma once

#include <cstdint>

#include "stack/buffer/slice_chain.h"
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
  bool marked = false;        // CE: a router on the way was congested (RFC 3168 §5)
  TcpOptionSet options;       // those that were agreed on, and all of a SYN
  bool may_be_echoed = true;  // it begins at or before Last.ACK.sent (RFC 7323 §4.3)
  uint32_t packets = 1;       // that it stands for (frame_offload.h) …
  uint32_t packet_text = 0;   // … and the octets of text in each of them but the last
  SeqPos cut_from;            // where it began before what we had already was cut off
  SliceChain text;

  bool has(uint8_t flag) const { return (flags & flag) != 0; }
  bool stamped() const { return options.timestamps.has_value(); }
  uint32_t ts_value() const { return options.timestamps->value; }  // SEG.TSval, if stamped()
  // SEG.TSecr, if stamped() and has(ack): without ACK the field means nothing (RFC 7323 §3.2).
  uint32_t ts_echo() const { return options.timestamps->echo; }
  // SEG.LEN of RFC 9293 §3.3.1: the octets it takes in sequence space.
  uint32_t length() const { return text.length + (has(tcp_flag::syn) ? 1u : 0u) + (has(tcp_flag::fin) ? 1u : 0u); }
  SeqPos end() const { return seq + length(); }
  SeqPos text_begin() const { return seq + (has(tcp_flag::syn) ? 1 : 0); }
  SeqPos text_end() const { return text_begin() + text.length; }
};

}  // namespace limpid
