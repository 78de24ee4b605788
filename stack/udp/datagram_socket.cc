#include "stack/udp/datagram_socket.h"

#include <algorithm>

namespace limpid {
namespace {

// Moves what would pin a large frame into a small one; when the pool has none, the large one stays and is charged.
void settle(Slice& bytes) {
  if (bytes.empty() || bytes.length > FramePool::kSmall || bytes.pinned() <= FramePool::kHeadroom + FramePool::kSmall)
    return;
  FrameRef small = bytes.frame->pool->copy(bytes.bytes());
  if (small) bytes = Slice::whole(std::move(small));
}

}  // namespace

bool DatagramQueue::push(Datagram datagram, uint32_t limit) {
  if (charge_ >= limit) {
    ++dropped_;
    return false;
  }
  settle(datagram.bytes);
  charge_ += datagram.bytes.pinned();
  waiting_.push_back(std::move(datagram));
  return true;
}

Result<DatagramReceived> DatagramQueue::take(MutableByteSpan into, bool peek) {
  if (waiting_.empty()) return std::unexpected(Error::would_block);
  const Datagram& first = waiting_.front();
  const ByteSpan bytes = first.bytes.bytes();
  const DatagramReceived received{.copied = std::min(bytes.size(), into.size()),
                                  .length = bytes.size(),
                                  .from = first.from,
                                  .destination = first.destination,
                                  .interface = first.interface,
                                  .ttl = first.ttl,
                                  .tos = first.tos,
                                  .arrived = first.arrived};
  std::ranges::copy(bytes.first(received.copied), into.begin());
  if (!peek) {
    charge_ -= first.bytes.pinned();
    waiting_.pop_front();
  }
  return received;
}

ReadyEvents DatagramSocket::ready() const {
  unsigned events = 0;
  if (!queue.empty() || receive_shut) events |= kReadable;
  if (!send_waits || send_shut) events |= kWritable;
  if (receive_shut) events |= kPeerFin;
  if (receive_shut && send_shut) events |= kHangUp;
  if (pending_error != Error::none) events |= kError;
  return static_cast<ReadyEvents>(events);
}

Result<DatagramReceived> DatagramSocket::receive(MutableByteSpan into, bool peek) {
  const Error error = take_error();
  if (error != Error::none) return std::unexpected(error);
  if (queue.empty() && receive_shut) return DatagramReceived{};
  return queue.take(into, peek);
}

void DatagramSocket::shut(bool receive, bool send) {
  receive_shut = receive_shut || receive;
  send_shut = send_shut || send;
}

bool DatagramSocket::note_error(IcmpMeaning meaning, bool connected) {
  if (meaning.error == Error::none) return false;
  // "Fragmentation needed" concerns only a user who forbade to fragment.
  const bool hard = meaning.error == Error::message_too_long ? options.dont_fragment : meaning.hard;
  if (!options.receive_errors && !(hard && connected)) return false;
  pending_error = meaning.error;
  return true;
}

}  // namespace limpid
