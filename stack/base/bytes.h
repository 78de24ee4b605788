// Big-endian ("network order") loads and stores at byte offsets. Wire formats are read and written by offset through
// these, never by casting a packed struct: no alignment trap, no aliasing, the same bytes on every machine.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace limpid {

using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

// The caller has checked that offset + sizeof(T) lies inside: a wire view checks its length once and then cannot fail.
template <std::unsigned_integral T>
constexpr T load_be(ByteSpan bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) value = std::byteswap(value);
  return value;
}

template <std::unsigned_integral T>
constexpr void store_be(MutableByteSpan bytes, size_t offset, T value) {
  if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) value = std::byteswap(value);
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

inline uint8_t load8(ByteSpan b, size_t at) { return std::to_integer<uint8_t>(b[at]); }
inline uint16_t load16(ByteSpan b, size_t at) { return load_be<uint16_t>(b, at); }
inline uint32_t load32(ByteSpan b, size_t at) { return load_be<uint32_t>(b, at); }
inline void store8(MutableByteSpan b, size_t at, uint8_t v) { b[at] = std::byte{v}; }
inline void store16(MutableByteSpan b, size_t at, uint16_t v) { store_be<uint16_t>(b, at, v); }
inline void store32(MutableByteSpan b, size_t at, uint32_t v) { store_be<uint32_t>(b, at, v); }

}  // namespace limpid
