// Writes pcapng files whose packets say why they exist: a comment on each packet, and the events between the packets as
// systemd Journal Export blocks, which stock Wireshark lists in their place and tcpdump skips.
//
//   | section header | interface … | packet + comment | journal | packet + comment | …
//
// Timestamps have nanoseconds. A call is one block. Whoever calls holds mutex(); several devices may share a file.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/device_error.h"
#include "stack/base/bytes.h"
#include "stack/base/time.h"
#include "stack/base/trace.h"

namespace limpid {

struct PcapngOptions {
  // Bytes kept of each frame, 0: all. 128 hold Ethernet, IPv6 and TCP with its options.
  uint32_t snap_length = 128;
  // Wall clock at the stack's time zero, nanoseconds since 1970; a simulated world begins in 1970.
  int64_t epoch_ns = 0;
};

struct PcapngPacket {
  uint32_t interface = 0;
  Time time{};
  bool inbound = false;
  ByteSpan bytes;         // what was kept of it
  uint32_t length = 0;    // what it had
  EventNumber event = 0;  // becomes epb_packetid; 0: none
  std::string_view comment{};
};

// Somebody who holds a packet back until its comment is whole.
class PcapngHolder {
 public:
  virtual ~PcapngHolder() = default;
  virtual void write_held(Time before) = 0;
};

class PcapngWriter {
 public:
  PcapngWriter(const std::string& path, const PcapngOptions& options);  // throws DeviceError
  ~PcapngWriter();
  PcapngWriter(const PcapngWriter&) = delete;
  PcapngWriter& operator=(const PcapngWriter&) = delete;

  // All interfaces of a file are of one kind, or tcpdump does not read it. Returns the interface's number.
  uint32_t add_interface(const std::string& name, const std::string& description, bool ethernet);
  void add_holder(PcapngHolder* holder) { holders_.push_back(holder); }
  void remove_holder(PcapngHolder* holder) { std::erase(holders_, holder); }
  // To be called before something of this time is written: the packets in the file stand in the order of time.
  void write_held(Time before) {
    for (PcapngHolder* holder : holders_) holder->write_held(before);
  }
  std::mutex& mutex() { return mutex_; }

  void packet(const PcapngPacket& packet);
  void journal(std::string_view host, const Event& event);
  void flush();

  // What is kept of a frame of `length` bytes.
  size_t kept(size_t length) const {
    return options_.snap_length == 0 ? length : std::min<size_t>(length, options_.snap_length);
  }
  // The disk is full or the like: nothing is written any more.
  bool failed() const { return failed_; }

 private:
  // Blocks are put together in block_, with options and padding as the format wants them.
  void begin_block(uint32_t type);
  void put(const void* bytes, size_t n);
  template <class T>
  void put(T value) {
    put(&value, sizeof value);
  }
  void pad();
  void option(uint16_t code, const void* bytes, size_t n);
  void option(uint16_t code, std::string_view text) { option(code, text.data(), text.size()); }
  void end_options();
  void end_block(Time now);

  PcapngOptions options_;
  std::mutex mutex_;
  std::vector<PcapngHolder*> holders_;
  std::FILE* file_ = nullptr;
  std::vector<char> block_;
  uint32_t interfaces_ = 0;
  Time flushed_{};
  bool failed_ = false;
};

}  // namespace limpid
