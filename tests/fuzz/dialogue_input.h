// The input of fuzz_dialogue as steps of eight bytes, behind a head of eight, and how it is mutated: by whole steps, so
// that what a byte means does not change when another step is put in front of it.
//
//   head: start, peer's options, peer's MSS and scale, configuration, socket options, peer's ISN (2), spare
//   step: what to do, then seven bytes that say how
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "stack/base/bytes.h"

namespace limpid::fuzz {

inline constexpr size_t kStep = 8;
inline constexpr size_t kMostSteps = 64;

struct Step {
  std::array<uint8_t, kStep> bytes{};
  uint8_t operator[](size_t i) const { return bytes[i]; }
  uint16_t word(size_t i) const { return static_cast<uint16_t>(bytes[i] << 8 | bytes[i + 1]); }
};

// The input as steps; the last one is filled up with zeros.
class Steps {
 public:
  explicit Steps(ByteSpan input) : input_(input) {}
  size_t count() const { return std::min(kMostSteps + 1, (input_.size() + kStep - 1) / kStep); }  // the head is one
  Step at(size_t index) const {
    Step step;
    const size_t from = std::min(index * kStep, input_.size());
    const size_t n = std::min(kStep, input_.size() - from);
    std::memcpy(step.bytes.data(), input_.data() + from, n);
    return step;
  }

 private:
  ByteSpan input_;
};

// libFuzzer's mutators, by steps. `data` has room for `most` bytes.
class StepMutator {
 public:
  StepMutator(uint8_t* data, size_t size, size_t most, uint32_t seed)
      : data_(data), steps_(size / kStep), most_(std::min(most / kStep, kMostSteps + 1)), state_(seed * 2 + 1) {}

  size_t mutate() {
    if (most_ < 2) return 0;
    while (steps_ < 2) put(steps_++);
    for (uint32_t edits = 1 + draw(3); edits > 0; --edits) edit();
    return steps_ * kStep;
  }
  // This input up to a step of it, then the other from a step of that.
  size_t cross(const uint8_t* other, size_t other_size) {
    const size_t others = other_size / kStep;
    if (steps_ < 2 || others < 2) return mutate();
    const size_t keep = 1 + draw(static_cast<uint32_t>(steps_));
    const size_t from = 1 + draw(static_cast<uint32_t>(others - 1));
    steps_ = std::min(most_, keep + others - from);
    if (steps_ > keep) std::memcpy(data_ + keep * kStep, other + from * kStep, (steps_ - keep) * kStep);
    return steps_ * kStep;
  }

 private:
  uint32_t draw(uint32_t below) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint32_t>(state_ >> 20) % below;
  }
  uint8_t* step(size_t index) { return data_ + index * kStep; }
  size_t any() { return 1 + draw(static_cast<uint32_t>(steps_ - 1)); }
  void put(size_t index) {
    for (size_t i = 0; i < kStep; ++i) step(index)[i] = static_cast<uint8_t>(draw(256));
  }
  void open_gap(size_t index) {
    std::memmove(step(index + 1), step(index), (steps_ - index) * kStep);
    ++steps_;
  }
  void insert_copy() {
    std::array<uint8_t, kStep> copy{};
    std::memcpy(copy.data(), step(any()), kStep);
    const size_t at = any();
    open_gap(at);
    std::memcpy(step(at), copy.data(), kStep);
  }
  void edit() {
    const uint32_t how = draw(10);
    if (how < 2 && steps_ < most_) {
      const size_t at = 1 + draw(static_cast<uint32_t>(steps_));
      open_gap(at);
      return put(at);
    }
    if (how == 2 && steps_ < most_) return insert_copy();
    if (how == 3 && steps_ > 2) {
      const size_t at = any();
      std::memmove(step(at), step(at + 1), (--steps_ - at) * kStep);
      return;
    }
    if (how == 4) {
      uint8_t* one = step(any());
      uint8_t* other = step(any());
      if (one != other) std::swap_ranges(one, one + kStep, other);
      return;
    }
    if (how == 5) {
      step(0)[draw(kStep)] = static_cast<uint8_t>(draw(256));
      return;
    }
    uint8_t* chosen = step(any()) + draw(kStep);
    *chosen = how == 6 ? static_cast<uint8_t>(*chosen + draw(9) - 4) : static_cast<uint8_t>(draw(256));
  }

  uint8_t* data_;
  size_t steps_;
  size_t most_;
  uint64_t state_;
};

}  // namespace limpid::fuzz
