#include "stack/base/piece_store.h"

#include <cstring>

namespace limpid {

PieceStore::Name PieceStore::take(size_t bytes) {
  const size_t size = (bytes - 1) / kStep;
  Size& s = sizes_[size];
  if (s.free == kNone) add_page(size);
  const uint32_t index = s.free;
  std::memcpy(&s.free, at(size, index), sizeof s.free);
  return static_cast<uint32_t>(size) << kIndexBits | index;
}

void PieceStore::give_back(Name name) {
  const size_t size = name >> kIndexBits;
  const uint32_t index = name & ((1u << kIndexBits) - 1);
  std::memcpy(at(size, index), &sizes_[size].free, sizeof index);
  sizes_[size].free = index;
}

std::byte* PieceStore::at(Name name) const { return at(name >> kIndexBits, name & ((1u << kIndexBits) - 1)); }

std::byte* PieceStore::at(size_t size, uint32_t index) const {
  return sizes_[size].pages[index / kPage].get() + (index % kPage) * (size + 1) * kStep;
}

void PieceStore::add_page(size_t size) {
  Size& s = sizes_[size];
  const auto first = static_cast<uint32_t>(s.pages.size()) * kPage;
  s.pages.push_back(std::make_unique<std::byte[]>(kPage * (size + 1) * kStep));
  bytes_in_pages_ += kPage * (size + 1) * kStep;
  for (uint32_t i = kPage; i-- > 0;) give_back(static_cast<uint32_t>(size) << kIndexBits | (first + i));
}

}  // namespace limpid
