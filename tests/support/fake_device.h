// A device in memory: frames to be received are put in, frames sent are taken out.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "drivers/device.h"

namespace limpid::test {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(std::string_view text) {
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

inline std::string text_of(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// An IPv4 packet with the ports of a transport behind its header: as much of one as decorators look at.
inline Bytes ip_packet(uint8_t protocol, uint16_t source_port, uint16_t destination_port, size_t size = 40) {
  Bytes packet(size);
  store8(packet, 0, 0x45);
  store16(packet, 2, static_cast<uint16_t>(size));
  store8(packet, 8, 64);
  store8(packet, 9, protocol);
  store32(packet, 12, 0x0a4d0001);
  store32(packet, 16, 0x0a4d0002);
  store16(packet, 20, source_port);
  store16(packet, 22, destination_port);
  if (protocol == 6 && size >= 40) store8(packet, 32, 0x50);
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2) sum += load16(packet, i);
  sum = (sum & 0xffff) + (sum >> 16);
  store16(packet, 10, static_cast<uint16_t>(~sum));
  return packet;
}

class FakeDevice : public Device {
 public:
  int descriptor() const override { return -1; }
  size_t receive_batch(std::span<FrameRef> frames, Time) override {
    size_t n = 0;
    for (; n < frames.size() && !inbound.empty(); ++n, inbound.pop_front()) {
      std::ranges::copy(inbound.front(), frames[n]->data());
      frames[n]->length = static_cast<uint32_t>(inbound.front().size());
    }
    return n;
  }
  Transmit transmit(const TxFrame& frame, Time) override {
    if (refuse) return Transmit::refused;
    Bytes bytes(frame.head.begin(), frame.head.end());
    for (ByteSpan piece : frame.body) bytes.insert(bytes.end(), piece.begin(), piece.end());
    outbound.push_back(std::move(bytes));
    return Transmit::taken;
  }
  bool wants_writable() const override { return refuse; }
  Capabilities capabilities() const override {
    Capabilities c;
    c.name = "fake";
    c.ethernet = ethernet;
    return c;
  }

  std::deque<Bytes> inbound;
  std::vector<Bytes> outbound;
  bool refuse = false;
  bool ethernet = false;
};

// Reads all that a device has now.
inline std::vector<Bytes> receive_all(Device& device, Time now, size_t batch = 8) {
  FramePool pool(1 << 20);
  std::vector<Bytes> all;
  for (;;) {
    std::vector<FrameRef> frames(batch);
    for (FrameRef& f : frames) f = pool.make(1514);
    const size_t n = device.receive_batch(frames, now);
    for (size_t i = 0; i < n; ++i) all.emplace_back(frames[i]->bytes().begin(), frames[i]->bytes().end());
    if (n == 0) return all;
  }
}

inline Transmit send(Device& device, const Bytes& frame, Time now, EventNumber event = 0) {
  return device.transmit({.head = frame, .body = {}, .event = event}, now);
}

}  // namespace limpid::test
