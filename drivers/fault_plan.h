// What shall be done to the frames of a device, each direction by itself; written as text:
//
//   loss=2%,reorder=2%,dup=1%            both directions
//   in.loss=5%,out.delay=20ms            one of them (in: towards our stack)
//   swallow=tcp:81                       frames to this port vanish on their way in: a filtered port
//
//   loss, dup, reorder, corrupt    share of the frames: 2%, 0.5%, 200ppm
//   reorder-by, reorder-time       a reordered frame waits for so many later ones (3), but no longer than this (5ms)
//   delay, rate, queue             20ms; 10mbit; bytes that may wait for the rate (262144)
//   swallow                        tcp:PORT, udp:PORT (of the destination) or icmp; may be given more than once
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "stack/base/time.h"
#include "stack/wire/address.h"

namespace limpid {

struct FaultDirection {
  struct Swallow {
    IpProtocol protocol{};
    uint16_t port = 0;
  };

  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t reorder_ppm = 0;
  uint32_t corrupt_ppm = 0;  // one bit flips, behind the link header
  uint32_t reorder_by = 3;   // frames
  Duration reorder_time = 5ms;
  Duration delay{};
  uint64_t rate = 0;  // bit/s; 0: no limit
  uint32_t queue_bytes = 256 * 1024;
  std::vector<Swallow> swallow{};
};

struct FaultPlan {
  FaultDirection in{};   // towards our stack
  FaultDirection out{};  // towards the device

  // The error is one line that names the item which is wrong, and what would be right.
  static std::expected<FaultPlan, std::string> parse(std::string_view text);
};

}  // namespace limpid
