// The wire's pcapng: each frame where it enters and where it leaves, and in its comment what befell it in between.
#pragma once

#include <string>

#include "drivers/pcapng_writer.h"
#include "drivers/sim_link.h"

namespace limpid::wire {

class Capture final : public SimLinkObserver {
 public:
  // Interface 0 of the file is the left end of the wire, 1 the right one. Throws DeviceError.
  Capture(const std::string& path, uint32_t longest);

  // Around SimLink's transmit(): what it reports in between belongs to this frame.
  void enters(size_t side);
  void entered(ByteSpan frame, Time now);

  void delivered(uint32_t direction, ByteSpan frame, Time now) override;
  void incident(const SimIncident& incident, Time now) override;

 private:
  void write(uint32_t interface, bool inbound, ByteSpan frame, std::string_view comment, Time now);

  PcapngWriter writer_;
  size_t side_ = 0;
  uint64_t frames_[2] = {0, 0};  // that entered, by direction
  std::string fate_;
};

}  // namespace limpid::wire
