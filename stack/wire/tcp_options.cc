#include "stack/wire/tcp_options.h"

#include <algorithm>

namespace limpid {
namespace {

constexpr uint8_t kEndOfList = 0, kNop = 1, kMss = 2, kWindowScale = 3, kSackPermitted = 4, kSack = 5, kTimestamps = 8;
constexpr uint8_t kFastOpen = 34, kExperimental = 254;  // RFC 7413 §4.1.1; RFC 6994 §3
constexpr uint16_t kFastOpenMagic = 0xf989;
constexpr uint8_t kMaxWindowScale = 14;

// How many SACK blocks leave: those that fit behind the `used` bytes of the other options, so that every value can be
// encoded. With timestamps these are three (RFC 2018 §3).
size_t sack_blocks_that_fit(uint8_t wanted, size_t used) {
  if (used + 4 > TcpOptionSet::kMaxSize) return 0;
  return std::min({size_t{wanted}, TcpOptionSet::kMaxSackBlocks, (TcpOptionSet::kMaxSize - used - 4) / 8});
}

size_t unpadded(const FastOpenOption& f) { return (f.experimental ? 4u : 2u) + f.length; }

size_t size_without_sack(const TcpOptionSet& o) {
  size_t n = o.mss ? 4 : 0;
  if (o.fast_open) n += (unpadded(*o.fast_open) + 3) / 4 * 4;
  if (o.timestamps) n += 12;  // SACK-permitted takes the place of its two NOPs
  if (o.sack_permitted && !o.timestamps) n += 4;
  if (o.window_scale) n += 4;
  return n;
}

void parse_sack(TcpOptionSet& o, ByteSpan value) {
  if (value.empty() || value.size() % 8 != 0) return;
  o.sack_count = static_cast<uint8_t>(std::min(value.size() / 8, TcpOptionSet::kMaxSackBlocks));
  for (size_t i = 0; i < o.sack_count; ++i) o.sack[i] = {load32(value, 8 * i), load32(value, 8 * i + 4)};
}

// RFC 7413 §4.1.1: 4 to 16 octets, an even number of them, or none. An odd one is not seen at all, and of several the
// last one counts, as on Linux.
void parse_fast_open(TcpOptionSet& o, ByteSpan cookie, bool experimental) {
  if (cookie.size() % 2 != 0) return;
  o.fast_open.reset();
  if (!cookie.empty() && (cookie.size() < FastOpenOption::kMinCookie || cookie.size() > FastOpenOption::kMaxCookie))
    return;
  FastOpenOption& f = o.fast_open.emplace();
  f.experimental = experimental;
  f.length = static_cast<uint8_t>(cookie.size());
  for (size_t i = 0; i < cookie.size(); ++i) f.cookie[i] = load8(cookie, i);
}

// One option with its length octet. A known kind of another length than its own is skipped like an unknown one.
void parse_option(TcpOptionSet& o, uint8_t kind, ByteSpan value) {
  if (kind == kMss && value.size() == 2) {
    if (load16(value, 0) != 0) o.mss = load16(value, 0);  // zero says nothing (as Linux)
  } else if (kind == kWindowScale && value.size() == 1) {
    o.window_scale = std::min(load8(value, 0), kMaxWindowScale);  // RFC 7323 §2.3: a larger shift is used as 14
  } else if (kind == kSackPermitted && value.empty()) {
    o.sack_permitted = true;
  } else if (kind == kTimestamps && value.size() == 8) {
    o.timestamps = TcpTimestamps{load32(value, 0), load32(value, 4)};
  } else if (kind == kSack) {
    parse_sack(o, value);
  } else if (kind == kFastOpen) {
    parse_fast_open(o, value, false);
  } else if (kind == kExperimental && value.size() >= 2 && load16(value, 0) == kFastOpenMagic) {
    parse_fast_open(o, value.subspan(2), true);
  }
}

class OptionWriter {
 public:
  explicit OptionWriter(MutableByteSpan out) : out_(out) {}
  void u8(uint8_t v) {
    store8(out_, at_, v);
    at_ += 1;
  }
  void u16(uint16_t v) {
    store16(out_, at_, v);
    at_ += 2;
  }
  void u32(uint32_t v) {
    store32(out_, at_, v);
    at_ += 4;
  }
  void option(uint8_t kind, size_t length) {
    u8(kind);
    u8(static_cast<uint8_t>(length));
  }
  void two_nops() {
    u8(kNop);
    u8(kNop);
  }

 private:
  MutableByteSpan out_;
  size_t at_ = 0;
};

}  // namespace

// RFC 9293 §3.2, MUST-4 to MUST-7, MUST-64: any order, any alignment, any segment.
void TcpOptionSet::read(ByteSpan options) {
  // The layout of RFC 7323 Appendix A, which nearly all segments have: NOP, NOP, timestamps.
  if (options.size() == 12 && load32(options, 0) == 0x0101080a) {
    timestamps = {load32(options, 4), load32(options, 8)};
    return;
  }
  size_t at = 0;
  while (at < options.size()) {
    const uint8_t kind = load8(options, at);
    if (kind == kEndOfList) return;  // what follows is padding, whatever it holds (MUST-69)
    if (kind == kNop) {
      ++at;
      continue;
    }
    const size_t length = at + 1 < options.size() ? load8(options, at + 1) : 0;
    if (length < 2 || length > options.size() - at) {
      malformed = true;
      return;
    }
    parse_option(*this, kind, options.subspan(at + 2, length - 2));
    at += length;
  }
}

size_t TcpOptionSet::size() const {
  const size_t n = size_without_sack(*this);
  if (sack_count == 0) return n;
  const size_t blocks = sack_blocks_that_fit(sack_count, n);
  return n + (blocks > 0 ? 4 + 8 * blocks : 0);
}

void TcpOptionSet::write(MutableByteSpan out) const {
  OptionWriter w(out);
  if (mss) {
    w.option(kMss, 4);
    w.u16(*mss);
  }
  if (timestamps || sack_permitted) {
    if (!sack_permitted || !timestamps) w.two_nops();
    if (sack_permitted) w.option(kSackPermitted, 2);
  }
  if (timestamps) {
    w.option(kTimestamps, 10);
    w.u32(timestamps->value);
    w.u32(timestamps->echo);
  }
  if (window_scale) {
    w.u8(kNop);
    w.option(kWindowScale, 3);
    w.u8(*window_scale);
  }
  if (fast_open) {
    w.option(fast_open->experimental ? kExperimental : kFastOpen, unpadded(*fast_open));
    if (fast_open->experimental) w.u16(kFastOpenMagic);
    for (size_t i = 0; i < fast_open->length; ++i) w.u8(fast_open->cookie[i]);
    if (unpadded(*fast_open) % 4 != 0) w.two_nops();
  }
  if (sack_count == 0) return;
  const size_t blocks = sack_blocks_that_fit(sack_count, size_without_sack(*this));
  if (blocks == 0) return;
  w.two_nops();
  w.option(kSack, 2 + 8 * blocks);
  for (size_t i = 0; i < blocks; ++i) {
    w.u32(sack[i].left);
    w.u32(sack[i].right);
  }
}

}  // namespace limpid
