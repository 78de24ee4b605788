// A box on the path that meddles with the packets of one direction, as those of the field do: takes options off SYNs,
// lowers their MSS, bleaches ECN, marks packets that allow it. It rewrites nothing else.
//
//   host ── watch ── middlebox ── link ── middlebox ── watch ── host      each box works on what its host sends
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "drivers/device.h"
#include "stack/base/rng.h"

namespace limpid::sim {

struct MiddleboxPlan {
  bool strip_window_scale = false;  // off a SYN
  bool strip_timestamps = false;
  bool strip_sack = false;
  uint16_t clamp_mss = 0;   // of a SYN; 0: as it is
  bool refuse_ecn = false;  // ECE and CWR off a SYN
  bool bleach_ecn = false;  // ECT and CE off every packet
  uint32_t mark_ppm = 0;    // CE on packets that are ECT
  uint32_t black_hole = 0;  // longer packets vanish without a word, bytes; 0: none
  Time black_hole_from{};

  bool meddles() const { return *this != MiddleboxPlan{}; }
  friend bool operator==(const MiddleboxPlan&, const MiddleboxPlan&) = default;
};

std::string describe(const MiddleboxPlan& plan);

class Middlebox final : public Device {
 public:
  Middlebox(const MiddleboxPlan& plan, Rng rng, Device& inner);

  Transmit transmit(const TxFrame& frame, Time now) override;
  size_t receive_batch(std::span<FrameRef> frames, Time now) override { return inner_.receive_batch(frames, now); }
  int descriptor() const override { return inner_.descriptor(); }
  bool wants_writable() const override { return inner_.wants_writable(); }
  Time next_deadline() const override { return inner_.next_deadline(); }
  void advance(Time now) override { inner_.advance(now); }
  Capabilities capabilities() const override {
    Capabilities c = inner_.capabilities();
    c.offloads = false;  // it looks at packets
    return c;
  }

 private:
  void rewrite(MutableByteSpan packet);
  void rewrite_syn(MutableByteSpan packet, size_t header);

  MiddleboxPlan plan_;
  Rng rng_;
  Device& inner_;
  bool ethernet_;
  std::vector<std::byte> bytes_;
};

}  // namespace limpid::sim
