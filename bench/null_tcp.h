// A TCP that does next to nothing: no congestion control, no reassembly, no sockets, one timer. What it reaches over
// TUN is the ceiling of any stack there. It answers perf's protocol (apps/perf/protocol.h).
#pragma once

#include <cstdint>
#include <vector>

#include "stack/base/bytes.h"

namespace limpid::bench {

struct NullOptions {
  size_t copy = 0;  // bulk is copied through a user's buffer of so many bytes; 0: nobody looks at it
  uint16_t mtu = 1500;
  bool busy = false;  // never sleeps
};

// What comes in, its headers read.
struct NullSegment {
  uint32_t source = 0, destination = 0;
  uint16_t source_port = 0, destination_port = 0;
  uint32_t seq = 0, ack = 0;
  uint8_t flags = 0;
  uint16_t window = 0;
  ByteSpan options, text;
};

class NullTcp {
 public:
  // `fd`: a TUN device with virtio-net headers, in non-blocking mode.
  NullTcp(int fd, const NullOptions& options);
  [[noreturn]] void run();

 private:
  enum class Role : uint8_t { none, sink, source, echo, one_answer };
  struct Flow {
    uint32_t peer = 0, own = 0;  // addresses
    uint16_t peer_port = 0, own_port = 0;
    Role role = Role::none;
    uint8_t window_shift = 0;
    uint8_t frames_due = 0;  // that no ACK was sent for yet
    uint32_t rcv_nxt = 0;
    uint32_t snd_una = 0, snd_nxt = 0, snd_window = 0;
  };

  size_t read_batch();
  void on_frame(ByteSpan frame);
  void on_syn(Flow& flow, const NullSegment& in);
  void on_ack(Flow& flow, const NullSegment& in);
  void on_text(Flow& flow, ByteSpan text);
  ByteSpan take_request(Flow& flow, ByteSpan text);
  void acknowledge(Flow& flow);
  void acknowledge_all();
  bool fill(Flow& flow);
  bool fill_all();
  void wait(bool more_to_send);
  void go_back();
  // Of the text in tx_, behind the headers.
  void send(Flow& flow, uint8_t flags, size_t text_size, ByteSpan options = {});
  std::byte* user_buffer(size_t size);
  std::byte* tx_text();

  int fd_;
  NullOptions options_;
  std::vector<Flow> flows_;           // by the peer's port
  std::vector<Flow*> due_, sources_;  // whom an ACK is owed; who has bulk to send
  std::vector<std::byte> user_, rx_, tx_;
  size_t user_at_ = 0;
};

}  // namespace limpid::bench
