// The pcapng view of a device: a decorator that writes each frame, and a trace sink that knows what each was about.
//
//   receive_batch ─> copy waits in line ──(link_frame_in: the stack takes it)──> its events become its comment ─> file
//   transmit ──────> TxFrame.event names the event that sent it ───────────────────────────────> its comment ──> file
//
// Frames are read outside the stack's lock and events come under it: the line of copies in between has a lock of its
// own and is bounded. Events that are not packets (state changes, losses, timers) go into the file as journal entries.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "drivers/device.h"
#include "drivers/pcapng_writer.h"
#include "stack/base/trace.h"

namespace limpid {

struct PcapngCapture {
  std::string host{};   // whose stack this is, for a file with several
  bool journal = true;  // of several devices of one host, let only one write the events between the packets
  int interface = -1;   // the stack's InterfaceId of this device; -1: it is the only one beside loopback
};

class PcapngDevice final : public Device, public TraceSink, private PcapngHolder {
 public:
  PcapngDevice(Device& inner, PcapngWriter& writer, const PcapngCapture& capture);
  ~PcapngDevice() override;  // writes what still waits

  int descriptor() const override { return inner_.descriptor(); }
  size_t receive_batch(std::span<FrameRef> frames, Time now) override;
  Transmit transmit(const TxFrame& frame, Time now) override;
  bool wants_writable() const override { return inner_.wants_writable(); }
  Time next_deadline() const override { return inner_.next_deadline(); }
  void advance(Time now) override { inner_.advance(now); }
  Capabilities capabilities() const override { return inner_.capabilities(); }

  void event(const Event& e) override;

 private:
  static constexpr size_t kMaxWaiting = 8192;  // frames read and not yet taken by the stack
  static constexpr size_t kRemembered = 1024;  // events of sent packets: a frame may wait for its neighbor first

  struct Arrived {
    Time time{};
    uint32_t length = 0;
    std::vector<std::byte> bytes{};
  };
  struct Taken {  // by the stack; what it decides about it is still coming in
    Arrived frame;
    EventNumber number = 0;
    Time time{};
    std::string comment{};
    std::vector<Event> journal{};
  };

  bool belongs_to_us(const Event& frame_in) const;
  void frame_taken(const Event& frame_in);
  void write_arrived(const Arrived& frame, EventNumber number, std::string_view comment);
  void write_taken();
  void write_held(Time before) override;
  void write_journal(const Event& e);

  Device& inner_;
  PcapngWriter& writer_;
  PcapngCapture capture_;
  size_t link_header_;  // bytes
  uint32_t interface_ = 0;

  std::deque<Arrived> arrived_;
  std::optional<Taken> taken_;
  std::array<Event, kRemembered> sent_{};  // by event number
};

}  // namespace limpid
