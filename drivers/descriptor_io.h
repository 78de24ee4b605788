// What the two drivers over a kernel descriptor (TUN, AF_PACKET) share: counters, the log line for the first error of a
// kind, and the vector of a frame's pieces.
#pragma once

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "stack/net/link_port.h"

namespace limpid {

using LogLine = std::function<void(std::string_view)>;

// Reads run outside the stack's lock and writes under it, so the counts are atomic.
struct DeviceCounters {
  std::atomic<uint64_t> frames_in{0};
  std::atomic<uint64_t> frames_out{0};
  std::atomic<uint64_t> refused{0};           // no room for the moment: the stack will try again
  std::atomic<uint64_t> oversize{0};          // came in larger than a frame holds: dropped whole, never cut
  std::atomic<uint64_t> partial_checksum{0};  // came in with its checksum left to hardware that does not exist
  std::atomic<uint64_t> bad_offload{0};       // came in with a virtio-net header that contradicts its frame
  std::atomic<uint64_t> receive_errors{0};
  std::atomic<uint64_t> transmit_errors{0};  // frames lost to an error of the device
};

// One line in the log for the first error of each kind; the rest are only counted.
class ErrorLog {
 public:
  ErrorLog(std::string device, LogLine log) : device_(std::move(device)), log_(std::move(log)) {}
  void report(const char* what, int error, const char* consequence);
  const std::string& device() const { return device_; }

 private:
  static constexpr int kErrors = 192;
  std::string device_;
  LogLine log_;
  std::array<std::atomic<bool>, kErrors> seen_{};
};

// The pieces of a frame as the kernel wants them for one writev, behind the driver's own header if it has one. Reused
// from frame to frame; used under the stack's lock.
class GatherList {
 public:
  std::vector<iovec>& pieces(ByteSpan header, const TxFrame& frame);

 private:
  static constexpr size_t kMaxPieces = 1024;  // IOV_MAX: past it the tail is copied together
  std::vector<iovec> pieces_;
  std::vector<std::byte> tail_;
};

}  // namespace limpid
