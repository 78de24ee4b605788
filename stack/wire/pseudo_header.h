// The pseudo-header that TCP and UDP checksums begin with: it ties a segment to its addresses (RFC 9293 §3.1, 768, 8200
// §8.1).
//
//   IPv4: | source 4 | destination 4 | zero, protocol | length |      IPv6: the same fields, wider; the sum is the
//   same.
#pragma once

#include <span>

#include "stack/base/checksum.h"
#include "stack/wire/address.h"

namespace limpid {

// `length` counts the transport header and what follows it.
inline void add_pseudo_header(Checksum& sum, const IpAddress& source, const IpAddress& destination, IpProtocol protocol,
                              size_t length) {
  if (source.is_v4()) {
    sum.add32(source.v4_bits());
    sum.add32(destination.v4_bits());
  } else {
    sum.add(std::as_bytes(std::span(source.bytes())));
    sum.add(std::as_bytes(std::span(destination.bytes())));
  }
  sum.add16(static_cast<uint16_t>(protocol));
  sum.add32(static_cast<uint32_t>(length));
}

inline size_t total_size(std::span<const ByteSpan> pieces) {
  size_t total = 0;
  for (ByteSpan piece : pieces) total += piece.size();
  return total;
}

}  // namespace limpid
