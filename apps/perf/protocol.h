// What perf's client and server say to each other: each connection begins with one request.
//
//   | "LPRF" | mode (1) | 0 0 0 | message size (4) | milliseconds (4) | bytes (8) |      24 bytes, big-endian
//
//   upload       the client sends until its time or bytes are up, then FIN; the server answers with the count, and with
//                what it had when the time was up (8 bytes each)
//   download     the server sends until time or bytes are up, then FIN; each call has the message size, if given
//   ping_pong    the server returns each message of the given size
//   connections  the server answers with one byte
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "stack/base/bytes.h"

namespace limpid::apps::perf {

enum class Mode : uint8_t { upload = 1, download = 2, ping_pong = 3, connections = 4 };

constexpr uint16_t kDefaultPort = 5201;
constexpr size_t kRequestSize = 24;
constexpr uint32_t kMagic = 0x4c505246;
constexpr uint32_t kLargestMessage = 1 << 20;

struct Request {
  Mode mode = Mode::upload;
  uint32_t message_size = 0;
  uint32_t milliseconds = 0;  // 0: no limit of time
  uint64_t bytes = 0;         // 0: no limit of bytes

  std::array<std::byte, kRequestSize> encode() const {
    std::array<std::byte, kRequestSize> out{};
    store32(out, 0, kMagic);
    store8(out, 4, static_cast<uint8_t>(mode));
    store32(out, 8, message_size);
    store32(out, 12, milliseconds);
    store_be<uint64_t>(out, 16, bytes);
    return out;
  }

  static std::optional<Request> decode(ByteSpan in) {
    if (in.size() < kRequestSize || load32(in, 0) != kMagic || load8(in, 4) < 1 || load8(in, 4) > 4) return {};
    Request request{.mode = static_cast<Mode>(load8(in, 4)),
                    .message_size = load32(in, 8),
                    .milliseconds = load32(in, 12),
                    .bytes = load_be<uint64_t>(in, 16)};
    if (request.message_size > kLargestMessage) return {};
    return request;
  }
};

}  // namespace limpid::apps::perf
