// The only source of randomness in the core: a seeded generator, split by label.
//
// Every consumer takes a labelled split (`rng.split("isn")`) rather than drawing from a shared stream, so a new
// consumer never shifts the numbers that an old one sees, and a recorded seed keeps its meaning from release to
// release. The generator is SipHash-2-4 over a counter: as hard to predict as the hash is to forge, given a seed from
// the system's random source (RFC 4086), which the runtime provides.
#pragma once

#include <cstdint>
#include <string_view>

#include "stack/base/siphash.h"

namespace limpid {

class Rng {
 public:
  explicit Rng(uint64_t seed);
  explicit Rng(const SipKey& key) : key_(key) {}

  // An independent generator; the same label from the same parent gives the same stream, whatever was drawn before.
  Rng split(std::string_view label) const;

  uint64_t next();
  // Uniform in [0, bound); bound > 0. The bias, below 2^-32 for 32-bit bounds, does not matter to any consumer.
  uint64_t below(uint64_t bound) { return next() % bound; }
  // Uniform in [low, high], both included.
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  // True in `ppm` of a million draws: probabilities without floating point.
  bool chance(uint32_t ppm) { return below(1'000'000) < ppm; }
  SipKey key();

 private:
  SipKey key_;
  uint64_t counter_ = 0;
};

}  // namespace limpid
