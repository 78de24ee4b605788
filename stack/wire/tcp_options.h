// TCP options, bytes <-> values (RFC 9293 §3.2, 7323, 2018).
//
// Parsing never fails the segment: an unknown option is skipped by its length, and a broken one (length 0, 1, or past
// the header's end) ends the walk with `malformed` set and what was understood before it kept, as Linux does.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "stack/base/bytes.h"

namespace limpid {

struct TcpTimestamps {
  uint32_t value = 0;
  uint32_t echo = 0;
  friend bool operator==(const TcpTimestamps&, const TcpTimestamps&) = default;
};

struct SackBlock {
  uint32_t left = 0;
  uint32_t right = 0;
  friend bool operator==(const SackBlock&, const SackBlock&) = default;
};

// The Fast Open option of a SYN or SYN,ACK (RFC 7413 §4.1.1). Without a cookie it asks for one.
struct FastOpenOption {
  static constexpr size_t kMinCookie = 4, kMaxCookie = 16;
  std::array<uint8_t, kMaxCookie> cookie{};
  uint8_t length = 0;         // of the cookie, even
  bool experimental = false;  // kind 254 with the magic number 0xf989 (RFC 6994), as before there was a kind for it
  friend bool operator==(const FastOpenOption&, const FastOpenOption&) = default;
  bool same_cookie(const FastOpenOption& o) const {
    return length == o.length && std::equal(cookie.begin(), cookie.begin() + length, o.cookie.begin());
  }
};

struct TcpOptionSet {
  static constexpr size_t kMaxSize = 40;
  static constexpr size_t kMaxSackBlocks = 4;

  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;
  bool sack_permitted = false;
  std::optional<TcpTimestamps> timestamps;
  std::array<SackBlock, kMaxSackBlocks> sack{};
  uint8_t sack_count = 0;
  std::optional<FastOpenOption> fast_open;  // means something on a SYN or SYN,ACK only
  bool malformed = false;                   // set by parse() only

  static TcpOptionSet parse(ByteSpan options) {
    TcpOptionSet o;
    o.read(options);
    return o;
  }
  void read(ByteSpan options);  // into a set that is empty
  // Bytes of the encoded options, a multiple of four. Layout as Linux: mss, [sackOK,] [TS,] [nop,wscale], padded with
  // NOPs in front, a Fast Open option behind; "mss 1460,sackOK,TS,nop,wscale 8" / "mss 1460,nop,nop,sackOK,nop,wscale
  // 8" / "nop,nop,TS" / "nop,nop,sack".
  size_t size() const;
  void write(MutableByteSpan out) const;  // exactly size() bytes

  friend bool operator==(const TcpOptionSet&, const TcpOptionSet&) = default;
};

}  // namespace limpid
