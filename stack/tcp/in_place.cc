// SEND and RECEIVE without a copy: the user writes into chunks that the send queue then takes, and reads text in the
// frames that it came in. What is out on loan takes its part of the buffers.
#include <algorithm>

#include "stack/tcp/connection.h"

namespace limpid {

// As much as SEND would take at once: a chunk of what is written, or all the room there is.
size_t Connection::reservable() const {
  const size_t waiting = unsent() + reserved_;
  const size_t room = send_room();
  if (room == 0 || waiting >= unsent_low_water()) return 0;
  if (!synchronized(state_)) return room;
  return std::max<size_t>(chunk_goal(), std::min<uint64_t>(room, unsent_low_water() - waiting));
}

Result<size_t> Connection::reserve(size_t most, SendRoom& room, Time now) {
  if (error_ != Error::none) return std::unexpected(take_error());
  if (fin_queued_ || released()) return std::unexpected(Error::closing);
  const size_t length = std::min(most, reservable());
  if (length == 0) {
    writer_waits_ = true;
    room_told_ = false;
    account(now);
    return std::unexpected(Error::would_block);
  }
  for (size_t covered = 0; covered < length; covered += ChunkPool::kChunk) room.chunks.push_back(env_.chunks.take());
  room.length = length;
  reserved_ += static_cast<uint32_t>(length);
  if (!has_room()) room_told_ = false;
  return length;
}

// The room comes to its end whatever the answer is.
Result<void> Connection::commit(SendRoom& room, size_t length, TcpSendFlags flags, Time now) {
  SendRoom written = std::exchange(room, {});
  reserved_ -= static_cast<uint32_t>(written.length);
  if (error_ != Error::none) return std::unexpected(take_error());
  if (fin_queued_ || released()) return std::unexpected(Error::closing);
  traffic().streak.on_send(now - last_sent_);
  divide(length);
  size_t left = length;
  for (ChunkPool::Memory& chunk : written.chunks) {
    const size_t n = std::min(left, ChunkPool::kChunk);
    if (n > 0) queue_.adopt(std::move(chunk), n, env_.chunks);
    left -= n;
  }
  conclude_send(length, true, flags, now);
  return {};
}

// Marks the chunks of what is about to be written, as SEND does while it copies them.
void Connection::divide(size_t length) {
  UnsentChunks& chunks = traffic().chunks;
  const auto goal = static_cast<uint32_t>(chunk_goal());
  SeqPos end = data_end();
  for (size_t done = 0; done < length;) {
    const uint32_t filled = chunks.filled(snd_.nxt, end);
    const size_t rest = filled > 0 && filled < goal ? goal - filled : goal;
    const size_t helping = std::min(length - done, rest);
    chunks.write(snd_.nxt, end, goal, done == 0);
    done += helping;
    end = end + static_cast<int64_t>(helping);
    if (done < length && chunks.push_overdue(end, snd_.max_wnd)) chunks.push(end);
  }
}

void Connection::give_back(SendRoom& room, Time now) {
  reserved_ -= static_cast<uint32_t>(room.length);
  room = {};
  if (!released()) output(now);  // which tells those who wait for room
}

Result<size_t> Connection::borrow(size_t most, LentText& into, Time now) {
  const size_t got = rcv_.lend(most, into);
  limits_.receive(receive_limit(), now);
  if (got > 0) return got;
  return no_text();
}

void Connection::give_back(LentText& text, Time now) {
  rcv_.give_back(text);
  limits_.receive(receive_limit(), now);
  tune_receive_buffer(now);
  tell_window(now);
}

}  // namespace limpid
