// Small pieces of memory of many sizes, for millions of records that live long: a piece takes its size rounded up to
// eight bytes and nothing besides, and is named by 32 bits.
//
//   sizes_[11]  96 bytes each    pages_ -> [ 32 pieces ] [ 32 pieces ] …      free ones are linked through their memory
//
// A page never moves. What is given back is taken again for the same size; pages stay.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace limpid {

class PieceStore {
 public:
  using Name = uint32_t;                   // below 2^30
  static constexpr size_t kLargest = 512;  // bytes
  static constexpr size_t kAlignment = 8;

  Name take(size_t bytes);  // 1 to kLargest
  void give_back(Name name);
  std::byte* at(Name name) const;
  static size_t size_of(Name name) { return ((name >> kIndexBits) + 1) * kStep; }  // at least what was asked for
  size_t bytes_in_pages() const { return bytes_in_pages_; }

 private:
  static constexpr size_t kStep = 8;
  static constexpr uint32_t kPage = 32;  // pieces
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kIndexBits = 24;

  struct Size {
    std::vector<std::unique_ptr<std::byte[]>> pages;
    uint32_t free = kNone;
  };
  void add_page(size_t size);
  std::byte* at(size_t size, uint32_t index) const;

  std::array<Size, kLargest / kStep> sizes_;
  size_t bytes_in_pages_ = 0;
};

}  // namespace limpid
