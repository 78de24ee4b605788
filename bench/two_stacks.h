// Two stacks joined by a wire without delay: what leaves one is copied into a frame of the other, at once. The core
// alone: no device, no thread, no system call.
#pragma once

#include <cstdlib>
#include <vector>

#include "stack/stack.h"

namespace limpid::bench {

struct Wire {
  uint32_t mtu = 1500;
  bool checksums = true;  // of TCP; else nobody adds up the text (frame_offload.h)
};

class Host : public LinkPort, public ReadySink {
 public:
  Host(const Config& config, uint32_t last_octet, const Wire& wire) : stack(config, last_octet, *this) {
    interface_ = stack.add_interface(
        {.name = "wire", .kind = LinkKind::ip, .mtu = wire.mtu, .mac = {}, .open_checksums = !wire.checksums}, *this);
    address = IpAddress::v4(0x0a000000 | last_octet);
    stack.add_address(interface_, address, 8);
  }

  Transmit transmit(const TxFrame& frame, Time) override {
    const auto size = static_cast<uint32_t>(frame.size());
    FrameRef copy = peer->stack.frames().make(size);
    std::byte* to = copy->data();
    std::memcpy(to, frame.head.data(), frame.head.size());
    to += frame.head.size();
    for (ByteSpan piece : frame.body) {
      std::memcpy(to, piece.data(), piece.size());
      to += piece.size();
    }
    copy->length = size;
    copy->offload = frame.offload;
    peer->inbox_.push_back(std::move(copy));
    ++frames_sent;
    return Transmit::taken;
  }
  void raise(SocketId, ReadyEvents) override {}

  // Takes what arrived; true if there was anything.
  bool step(Time now) {
    if (inbox_.empty()) return false;
    std::swap(inbox_, batch_);
    for (FrameRef& frame : batch_) stack.receive(interface_, std::move(frame), now);
    batch_.clear();
    stack.flush(now);
    return true;
  }

  Stack stack;
  IpAddress address;
  Host* peer = nullptr;
  uint64_t frames_sent = 0;

 private:
  InterfaceId interface_ = 0;
  std::vector<FrameRef> inbox_;
  std::vector<FrameRef> batch_;
};

class TwoStacks {
 public:
  explicit TwoStacks(const Config& config = {}, const Wire& wire = {})
      : client(config, 1, wire), server(config, 2, wire) {
    client.peer = &server;
    server.peer = &client;
  }
  ~TwoStacks() { settle(); }

  // Until both are quiet.
  void settle() {
    while (true) {
      const bool a = client.step(now);
      const bool b = server.step(now);
      if (!a && !b) return;
    }
  }
  void pass(Duration d) {
    now += d;
    client.stack.advance(now);
    server.stack.advance(now);
    settle();
  }

  SocketId listen(uint16_t port, uint32_t backlog) {
    const auto bind = server.stack.tcp_bind({{}, port}, {}, now);
    return server.stack.tcp_listen(bind.value(), backlog, {}, now).value();
  }

  struct Pair {
    SocketId client;
    SocketId server;
  };
  Pair connect(SocketId listener, uint16_t port) {
    const auto c = client.stack.tcp_connect({server.address, port}, {}, {}, now);
    settle();
    const auto s = server.stack.tcp_accept(listener, now);
    if (!c || !s) std::abort();
    return {*c, *s};
  }

  // --- what is measured, once ---
  // All of `out` to the server, and read there; the bytes that were read.
  uint64_t transfer(const Pair& pair, ByteSpan out, MutableByteSpan in) {
    uint64_t bytes = 0;
    (void)client.stack.tcp_send(pair.client, out, {}, now);
    settle();
    while (const auto n = server.stack.tcp_receive(pair.server, in, {}, now)) bytes += *n;
    pass(std::chrono::microseconds(10));
    return bytes;
  }
  // A message there and back.
  void ask(const Pair& pair, MutableByteSpan message) {
    (void)client.stack.tcp_send(pair.client, message, {}, now);
    settle();
    (void)server.stack.tcp_receive(pair.server, message, {}, now);
    (void)server.stack.tcp_send(pair.server, message, {}, now);
    settle();
    (void)client.stack.tcp_receive(pair.client, message, {}, now);
    pass(std::chrono::microseconds(10));
  }
  // From SYN to both FINs; the client's TIME-WAIT passes by the way.
  void connect_and_close(SocketId listener, uint16_t port) {
    const auto pair = connect(listener, port);
    client.stack.tcp_close(pair.client, now);
    settle();
    server.stack.tcp_close(pair.server, now);
    settle();
    pass(std::chrono::milliseconds(10));
  }

  Time now{};
  Host client;
  Host server;
};

}  // namespace limpid::bench
