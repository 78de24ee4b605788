// Which losses tell BBR that it sends too much. The draft (§5.3.3.6, §5.5.10.3) counts all of them: two in a hundred
// are a probe's upper bound, and any at all bring the short-term bounds down to what was delivered. So it is here, too,
// on a path that loses nothing of itself. But one that does delivers a little less than is sent in every round trip,
// and those bounds would follow each other down.
//
// What a path loses while no queue stands in it does not come from how much is sent. That share is measured, and
// expected from then on (BBRv2+, Yang et al. 2021, reads delay in the same way):
//
//   expected   of round trips without a queue and without a probe, over the last thousand segments; 5 % at most
//              (TcpConfig::bbr_path_loss_percent)
//   excess     bytes lost beyond that and the draft's 2 %, summed up; what comes through without a loss pays them back
//
//   excess ^            /|
//          |  /\       / |   ten segments: too much. Chance, which needs a few losses to be seen, does not get there;
//          | /  \_  /\/  |   a queue that overflows does within a round trip.
//          +------\/-----+-----> round trips
#pragma once

#include <algorithm>
#include <cstdint>

namespace limpid {

class PathLosses {
 public:
  explicit PathLosses(uint32_t most_percent) : most_expected_(std::min(most_percent, 100u) * 10) {}

  // What one ACK, or a timer, has told of.
  void note(uint32_t delivered, uint32_t lost) {
    round_delivered_ += delivered;
    round_lost_ += lost;
    const int64_t allowed = int64_t{expected() + kThreshold} * (int64_t{delivered} + lost);
    excess_ = std::max<int64_t>(excess_ + int64_t{lost} * kWhole - allowed, 0);
  }

  // A round trip is over; `quiet`: no queue stood in it, and no probe caused one.
  void end_round(bool quiet, uint32_t mss) {
    if (quiet) {
      quiet_lost_ += round_lost_;
      quiet_sent_ += round_lost_ + round_delivered_;
    }
    round_lost_ = round_delivered_ = 0;
    most_ = kSegmentsRemembered * uint64_t{mss};
    for (; quiet_sent_ > most_; quiet_sent_ /= 2) quiet_lost_ /= 2;
  }

  // `in_flight`: the most of this round trip.
  bool too_much(uint32_t in_flight, uint32_t mss) const {
    if (!path_loses()) return round_lost_ * kWhole > uint64_t{in_flight} * kThreshold;  // the draft
    return excess_ > kPatience * kWhole * mss;
  }
  bool path_loses() const { return expected() > 0; }
  void forgive() { excess_ = 0; }

  // In thousandths of what is sent. The first segments of a connection count as if a hundred had come through before.
  uint32_t expected() const {
    const uint64_t share = quiet_lost_ * kWhole / std::max<uint64_t>({quiet_sent_, most_ / 10, 1});
    return static_cast<uint32_t>(std::min<uint64_t>(share, most_expected_));
  }

 private:
  static constexpr int64_t kWhole = 1000;
  static constexpr uint32_t kThreshold = 20;
  static constexpr uint32_t kSegmentsRemembered = 1000;
  static constexpr int64_t kPatience = 10;  // segments

  uint32_t most_expected_;  // thousandths
  int64_t excess_ = 0;      // bytes times a thousand
  uint64_t round_lost_ = 0;
  uint64_t round_delivered_ = 0;
  uint64_t quiet_lost_ = 0;
  uint64_t quiet_sent_ = 0;
  uint64_t most_ = 0;

 public:  // for folding (tcp/fold.h)
  template <class V>
  static constexpr auto members(V&& v) {
    return v(&PathLosses::most_expected_, &PathLosses::excess_, &PathLosses::round_lost_, &PathLosses::round_delivered_,
             &PathLosses::quiet_lost_, &PathLosses::quiet_sent_, &PathLosses::most_);
  }
};

}  // namespace limpid
