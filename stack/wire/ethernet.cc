#include "stack/wire/ethernet.h"

#include "stack/wire/wire_bytes.h"

namespace limpid {

void EthernetHeader::write(MutableByteSpan out) const {
  store_mac(out, 0, destination);
  store_mac(out, 6, source);
  store16(out, 12, type);
}

std::expected<EthernetHeader, Counter> parse_ethernet(ByteSpan frame) {
  if (frame.size() < EthernetHeader::kSize) return std::unexpected(Counter::link_drop_truncated);
  return EthernetHeader{.destination = load_mac(frame, 0), .source = load_mac(frame, 6), .type = load16(frame, 12)};
}

}  // namespace limpid
