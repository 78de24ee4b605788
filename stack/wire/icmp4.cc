#include "stack/wire/icmp4.h"

#include "stack/base/checksum.h"

namespace limpid {
namespace {

constexpr size_t kType = 0, kCode = 1, kChecksum = 2, kRest = 4;

}  // namespace

void Icmp4Header::write(MutableByteSpan out, std::span<const ByteSpan> body) const {
  store8(out, kType, type);
  store8(out, kCode, code);
  store16(out, kChecksum, 0);
  store32(out, kRest, rest);
  Checksum sum;
  sum.add(out.first(kSize));
  for (ByteSpan piece : body) sum.add(piece);
  store16(out, kChecksum, sum.finish());
}

std::expected<ParsedIcmp4, Counter> parse_icmp4(ByteSpan message) {
  if (message.size() < Icmp4Header::kSize) return std::unexpected(Counter::icmp_drop_truncated);
  if (internet_checksum(message) != 0) return std::unexpected(Counter::icmp_drop_bad_checksum);
  const Icmp4Header header{
      .type = load8(message, kType), .code = load8(message, kCode), .rest = load32(message, kRest)};
  return ParsedIcmp4{.header = header, .body = message.subspan(Icmp4Header::kSize)};
}

}  // namespace limpid
