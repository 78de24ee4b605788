#include "stack/base/rng.h"

namespace limpid {
namespace {

uint64_t hash_word(const SipKey& key, uint64_t word) { return siphash(key, std::as_bytes(std::span(&word, 1))); }

}  // namespace

Rng::Rng(uint64_t seed) : key_{seed, seed ^ 0x9e3779b97f4a7c15} {}

Rng Rng::split(std::string_view label) const {
  const auto bytes = std::as_bytes(std::span(label.data(), label.size()));
  const SipKey child{siphash(key_, bytes), siphash({key_.k1, key_.k0}, bytes)};
  return Rng(child);
}

uint64_t Rng::next() { return hash_word(key_, counter_++); }

SipKey Rng::key() {
  const uint64_t k0 = next();
  const uint64_t k1 = next();
  return {k0, k1};
}

}  // namespace limpid
