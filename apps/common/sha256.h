// SHA-256 (FIPS 180-4), so that two ends can compare what they moved.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace limpid::apps {

class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  std::string hex();  // finishes: afterwards neither may be called again

 private:
  static constexpr size_t kBlock = 64;
  void compress(const std::byte* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, kBlock> pending_{};
  uint64_t total_ = 0;  // bytes so far; total_ % kBlock of them wait in pending_
};

}  // namespace limpid::apps
