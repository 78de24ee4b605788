// SENDs in quick succession, of which another one is likely to follow: then the tail of one, less than a burst, is
// better kept for it than sent by itself.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stack/base/time.h"

namespace limpid {

class SendStreak {
 public:
  // A SEND begins, so long after text last went.
  void on_send(Duration since_text) {
    length_ = since_text <= kNear ? static_cast<uint16_t>(std::min(length_ + 1, 0xffff)) : uint16_t{0};
  }
  // A tail was kept for so long, and no SEND came: from now on only longer streaks are believed.
  void on_vain_wait(Duration waited) {
    if (waited > kNear && doubled_ < kMostDoubled) ++doubled_;
  }
  bool goes_on() const { return length_ >= kFirst << doubled_; }

 private:
  static constexpr Duration kNear = std::chrono::milliseconds(1);
  static constexpr int kFirst = 4;
  static constexpr uint8_t kMostDoubled = 12;

  uint16_t length_ = 0;
  uint8_t doubled_ = 0;  // so often has it been harder to believe in one

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&SendStreak::length_, &SendStreak::doubled_);
  }
};

}  // namespace limpid
