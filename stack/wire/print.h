// One line for one packet, in the manner of tcpdump: what traces, tests and gdb show.
//
//   IP 10.77.0.1.40000 > 10.77.0.2.80: Flags [S], seq 1, win 64240, options [mss 1460,sackOK,nop,wscale 8], length 0
//
// Nothing is too broken to be printed: what cannot be understood is named by its reason. A packet that is cut behind
// its headers (the head of a TxFrame, a snap length) prints as if it were whole, but its transport checksum is not
// looked at.
#pragma once

#include <cstdint>
#include <string>

#include "stack/base/bytes.h"

namespace limpid {

// Subtracted from TCP numbers, modulo 2^32, so that they read from 0: the ISN of the sender of the packet, and the ISN
// of its receiver (for acknowledgments and SACK blocks).
struct SequenceBase {
  uint32_t sequence = 0;
  uint32_t acknowledgment = 0;
};

std::string print_packet(ByteSpan ip_packet, const SequenceBase& base = {});

// The same for an Ethernet frame: IP, ARP, or its addresses and EtherType.
std::string print_frame(ByteSpan frame, const SequenceBase& base = {});

}  // namespace limpid
