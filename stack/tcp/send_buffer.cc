// The send buffer: how much the user may write ahead, and when it is worth waking it to write more. As on Linux it
// grows with the congestion window, so that the next flight is there when an ACK opens it, but only where the user
// writes faster than it drains.
#include <algorithm>

#include "stack/tcp/buffer_bound.h"
#include "stack/tcp/connection.h"

namespace limpid {
namespace {

constexpr uint32_t kChunkOverhead = 1280;  // bytes that a chunk counts beyond its text (Linux: its sk_buff)

}  // namespace

// As it was given, or as far as it has grown; less while the others together hold more than stays in a processor's
// cache.
uint32_t Connection::send_buffer() const {
  if (options_.send_buffer > 0) return options_.send_buffer;
  const uint32_t grown = std::max(env_.config.send_buffer, send_space_);
  const size_t own = queue_.size() + reserved_;
  if (grown <= kLeastSharedSendBuffer || env_.chunks.bytes_in_use() <= own + kSharedSendBuffers) return grown;
  return largest_buffer_for(rtt_.min_rtt() / kSharers, kLeastSharedSendBuffer, grown);
}

uint64_t Connection::send_charge(size_t bytes) const {
  const uint64_t chunk = std::clamp<uint64_t>(snd_.max_wnd / 2, mss_, 65'535);
  return bytes + bytes * kChunkOverhead / chunk;
}

size_t Connection::send_room() const {
  const uint64_t charge = send_charge(queue_.size() + reserved_);
  return charge < send_buffer() ? static_cast<size_t>(send_buffer() - charge) : 0;
}

// Worth waking a writer for: a third of the send buffer is free, not a byte at a time; and what waits to be sent is
// below half of the mark for it (both as on Linux).
bool Connection::has_room() const {
  return send_charge(queue_.size() + reserved_) <= send_buffer() / 3 * 2 &&
         unsent() + reserved_ < (unsent_low_water() + 1) / 2;
}

// The writer fills its buffer, and the congestion window has room: the buffer is what holds the connection back. Also
// where a lost segment keeps more than a window of text that has arrived behind it.
void Connection::widen_send_buffer() {
  const TcpConfig& config = env_.config;
  if (options_.send_buffer > 0 || in_flight() >= congestion_.cwnd()) return;
  const uint64_t window = std::max<uint64_t>(congestion_.cwnd(), static_cast<uint64_t>(snd_.nxt - snd_.una));
  const uint64_t wanted = window * config.send_buffer_percent / 100;
  const uint32_t largest = largest_buffer_for(rtt_.min_rtt(), kLeastLargestSendBuffer, config.largest_send_buffer);
  send_space_ = std::max(send_space_, static_cast<uint32_t>(std::min<uint64_t>(wanted, largest)));
}

}  // namespace limpid
