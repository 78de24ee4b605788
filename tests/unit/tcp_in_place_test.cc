// SEND and RECEIVE without a copy: what is reserved, committed, borrowed and given back, and what the windows say of
// it.
#include <cstring>

#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

TcpOptions receive_buffer(uint32_t bytes) {
  TcpOptions o;
  o.receive_buffer = bytes;
  return o;
}

TcpOptions send_buffer(uint32_t bytes) {
  TcpOptions o;
  o.send_buffer = bytes;
  return o;
}

TcpOptions no_delay() {
  TcpOptions o;
  o.no_delay = true;
  return o;
}

// Writes letters from `at` on into the room.
void fill(const SendRoom& room, uint64_t at = 0) {
  for (size_t i = 0; i < room.length; ++i)
    room.chunks[i / ChunkPool::kChunk][i % ChunkPool::kChunk] = static_cast<std::byte>('a' + (at + i) % 26);
}

std::string letters(uint64_t from, size_t n) {
  std::string s;
  for (size_t i = 0; i < n; ++i) s += static_cast<char>('a' + (from + i) % 26);
  return s;
}

std::string text_of(const LentText& lent) {
  std::string s;
  for (const auto& piece : lent.pieces)
    s.append(reinterpret_cast<const char*>(piece.text.bytes().data()), piece.text.bytes().size());
  return s;
}

std::string sent_text(TcpDialogue& t) {
  std::string all;
  for (const auto& s : t.take_all()) all += s.text;
  return all;
}

size_t reserve(TcpDialogue& t, SocketId id, size_t most, SendRoom& room) {
  return t.stack.tcp_reserve(id, most, room, t.now).value_or(0);
}

// --- sending -------------------------------------------------------------------------------------------------------

TEST(TcpInPlace, WhatIsReservedGoesOutWhenItIsCommitted) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  SendRoom room;
  ASSERT_EQ(reserve(t, id, 2000, room), 2000u);
  fill(room);
  t.expect_nothing();
  ASSERT_TRUE(t.stack.tcp_commit(id, room, 2000, {}, t.now));
  EXPECT_EQ(room.length, 0u);
  const auto first = t.take();
  EXPECT_EQ(first.words, ". 1:1461(1460) ack 1");
  const auto second = t.take();
  EXPECT_EQ(second.words, "P. 1461:2001(540) ack 1");
  EXPECT_EQ(first.text + second.text, letters(0, 2000));
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
}

// Segment by segment, PSH by PSH. (A longer SEND sends its first burst before the rest is written.)
TEST(TcpInPlace, ACommitLooksLikeASendOnTheWire) {
  for (const size_t bytes : {1u, 100u, 1460u, 1461u, 5000u, 14'600u, 30'000u}) {
    TcpDialogue copied, in_place;
    const SocketId a = copied.establish_passively();
    const SocketId b = in_place.establish_passively();
    copied.send(a, bytes);
    SendRoom room;
    ASSERT_EQ(reserve(in_place, b, bytes, room), bytes);
    ASSERT_TRUE(in_place.stack.tcp_commit(b, room, bytes, {}, in_place.now));
    for (int64_t acked = 1; acked < static_cast<int64_t>(bytes);) {
      const auto words = copied.take_words();
      EXPECT_EQ(in_place.take_words(), words) << bytes;
      acked = std::min<int64_t>(acked + 14'600, static_cast<int64_t>(bytes) + 1);
      copied.peer(". 1:1(0) ack " + std::to_string(acked));
      in_place.peer(". 1:1(0) ack " + std::to_string(acked));
    }
    EXPECT_EQ(in_place.status(b).send_queue, copied.status(a).send_queue);
  }
}

TEST(TcpInPlace, WhatWasLostIsSentAgainFromTheSameChunk) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  SendRoom room;
  reserve(t, id, 10'000, room);
  fill(room);
  ASSERT_TRUE(t.stack.tcp_commit(id, room, 10'000, {}, t.now));
  const std::string first = sent_text(t);
  t.pass(1s);
  EXPECT_EQ(t.take().text, first.substr(0, 1460));
}

TEST(TcpInPlace, LessThanWasReservedGivesTheRestBack) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(no_delay());
  SendRoom room;
  ASSERT_EQ(reserve(t, id, 40'000, room), 40'000u);
  fill(room);
  ASSERT_TRUE(t.stack.tcp_commit(id, room, 10, {}, t.now));
  EXPECT_EQ(t.take().text, letters(0, 10));
  EXPECT_LT(t.status(id).memory, ChunkPool::kChunk);  // ten octets do not keep a chunk
  ASSERT_EQ(reserve(t, id, 40'000, room), 40'000u);
  fill(room, 10);
  ASSERT_TRUE(t.stack.tcp_commit(id, room, 20, {}, t.now));
  EXPECT_EQ(sent_text(t), letters(10, 20));
}

TEST(TcpInPlace, WhatIsSentMeanwhileComesFirst) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(no_delay());
  SendRoom one, two;
  reserve(t, id, 100, one);
  reserve(t, id, 200, two);
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 1");
  ASSERT_TRUE(t.stack.tcp_commit(id, two, 200, {}, t.now));
  t.expect("P. 11:211(200) ack 1");
  ASSERT_TRUE(t.stack.tcp_commit(id, one, 100, {}, t.now));
  t.expect("P. 211:311(100) ack 1");
}

TEST(TcpInPlace, ReservedRoomIsTakenFromTheSendBuffer) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(send_buffer(30'000));
  SendRoom room, more;
  const size_t all = reserve(t, id, 1 << 20, room);
  EXPECT_GE(all, 25'000u);
  EXPECT_LE(all, 64'000u);
  EXPECT_EQ(reserve(t, id, 1, more), 0u);
  EXPECT_EQ(t.stack.tcp_ready(id) & kWritable, 0);
  EXPECT_EQ(t.send(id, 1000).substr(0, 5), "error");
  t.raised(id);
  t.stack.tcp_give_back(id, room, t.now);
  EXPECT_NE(t.raised(id) & kWritable, 0);
  EXPECT_EQ(t.send(id, 1000), "taken 1000");
}

TEST(TcpInPlace, UnsentLowWaterBoundsWhatIsReserved) {
  TcpDialogue t;
  TcpOptions o;
  o.unsent_low_water = 10'000;
  const SocketId id = t.establish_passively(o);
  t.peer(". 1:1(0) ack 1 win 0");
  SendRoom room, more;
  const size_t first = reserve(t, id, 1 << 20, room);
  EXPECT_GE(first, 10'000u);
  EXPECT_LE(first, 65'535u);
  EXPECT_EQ(reserve(t, id, 1, more), 0u);
}

TEST(TcpInPlace, AfterAResetTheCommitSaysSoAndTheRoomHasGone) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  SendRoom one, two;
  reserve(t, id, 100, one);
  reserve(t, id, 100, two);
  t.peer("R 1:1(0)");
  fill(one);  // still ours to write
  EXPECT_EQ(t.stack.tcp_commit(id, one, 100, {}, t.now).error(), Error::reset);
  EXPECT_EQ(t.stack.tcp_commit(id, two, 100, {}, t.now).error(), Error::closing);
  EXPECT_EQ(one.length + two.length, 0u);
  EXPECT_FALSE(t.stack.tcp_reserve(id, 100, one, t.now));
}

TEST(TcpInPlace, RoomOutlivesItsConnection) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  SendRoom room;
  reserve(t, id, 100'000, room);
  t.stack.tcp_abort(id, t.now);
  fill(room);
  EXPECT_EQ(t.stack.tcp_commit(id, room, 1, {}, t.now).error(), Error::stale_handle);
  EXPECT_TRUE(room.chunks.empty());
}

TEST(TcpInPlace, AfterShutdownNothingIsCommittedBehindTheFin) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  SendRoom room;
  reserve(t, id, 100, room);
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect("F. 1:1(0) ack 1");
  EXPECT_EQ(t.stack.tcp_commit(id, room, 100, {}, t.now).error(), Error::closing);
  t.expect_nothing();
}

// --- receiving -----------------------------------------------------------------------------------------------------

TEST(TcpInPlace, WhatIsBorrowedLiesWhereItCame) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:1001(1000) ack 1");
  t.peer("P. 1001:2001(1000) ack 1");
  LentText first, second;
  EXPECT_EQ(t.stack.tcp_borrow(id, 1500, first, t.now).value_or(0), 1500u);
  EXPECT_EQ(t.stack.tcp_readable_bytes(id), 500u);
  EXPECT_EQ(t.stack.tcp_borrow(id, 1500, second, t.now).value_or(0), 500u);
  EXPECT_EQ(t.stack.tcp_borrow(id, 1500, second, t.now).error(), Error::would_block);
  TcpDialogue same;
  const SocketId copied = same.establish_passively();
  same.peer("P. 1:1001(1000) ack 1");
  same.peer("P. 1001:2001(1000) ack 1");
  EXPECT_EQ(text_of(first) + text_of(second), same.read(copied));
  t.stack.tcp_give_back(id, second, t.now);
  t.stack.tcp_give_back(id, first, t.now);
  EXPECT_EQ(t.status(id).memory, 0u);
  EXPECT_EQ(t.stack.frames().frames_out(), 0u);
  EXPECT_EQ(t.stack.check_invariants(t.now), "");
}

// The window stays shut over what is lent, and opens when it comes back.
// req: 9293-3.8.6-b
TEST(TcpInPlace, TheWindowOpensWhenTheTextIsReturned) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(receive_buffer(5000));
  for (int from = 1; from < 5000; from += 1000)
    t.peer("P. " + std::to_string(from) + ":" + std::to_string(from + 1000) + "(1000) ack 1");
  t.pass(1s);
  t.take_all();
  LentText one, two;
  EXPECT_EQ(t.stack.tcp_borrow(id, 2500, one, t.now).value_or(0), 2500u);
  EXPECT_EQ(t.stack.tcp_borrow(id, 9999, two, t.now).value_or(0), 2500u);
  t.expect_nothing();
  EXPECT_EQ(t.status(id).receive_window, 0u);
  t.stack.tcp_give_back(id, two, t.now);  // in any order
  t.expect(". 1:1(0) ack 5001 win 2500");
  t.stack.tcp_give_back(id, one, t.now);
  t.expect(". 1:1(0) ack 5001 win 5000");
  EXPECT_EQ(t.status(id).receive_window, 5000u);
}

// An ACK that goes for other reasons does not promise it either.
TEST(TcpInPlace, NoAckPromisesWhatIsLent) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(receive_buffer(8000));
  t.peer("P. 1:1461(1460) ack 1");
  t.peer("P. 1461:2921(1460) ack 1");
  t.take_all();
  LentText lent;
  t.stack.tcp_borrow(id, 9999, lent, t.now).value();
  t.peer("P. 2921:4381(1460) ack 1");
  t.peer("P. 4381:5841(1460) ack 1");
  EXPECT_EQ(t.take_all().back().header.window, 8000 - 5840);
  t.read(id);
  t.stack.tcp_give_back(id, lent, t.now);
  t.pass(1s);
  t.peer("P. 5841:7301(1460) ack 1");
  t.peer("P. 7301:8761(1460) ack 1");
  EXPECT_EQ(t.take_all().back().header.window, 8000 - 2920);
}

TEST(TcpInPlace, TheEndOfTheStreamComesBehindTheText) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("FP. 1:11(10) ack 1");
  LentText lent;
  EXPECT_EQ(t.stack.tcp_borrow(id, 100, lent, t.now).value_or(0), 10u);
  LentText none;
  EXPECT_EQ(t.stack.tcp_borrow(id, 100, none, t.now).value_or(99), 0u);
  t.stack.tcp_give_back(id, lent, t.now);
}

TEST(TcpInPlace, ClosingOverBorrowedTextIsNoReset) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 1");
  t.take_all();
  LentText lent;
  t.stack.tcp_borrow(id, 100, lent, t.now).value();
  t.stack.tcp_close(id, t.now);
  t.expect("F. 1:1(0) ack 11");
  EXPECT_EQ(lent.pieces[0].text.bytes().size(), 10u);
  t.stack.tcp_give_back(id, lent, t.now);
  t.expect_nothing();
}

TEST(TcpInPlace, BorrowedTextOutlivesItsConnection) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:1001(1000) ack 1");
  t.peer("P. 1001:1011(10) ack 1");
  LentText lent, part;
  t.stack.tcp_borrow(id, 500, part, t.now).value();
  t.stack.tcp_borrow(id, 505, lent, t.now).value();
  const std::string before = text_of(lent);
  t.peer("R 1011:1011(0)");
  EXPECT_EQ(text_of(lent), before);
  t.stack.tcp_give_back(id, part, t.now);  // the connection is over, and its user still holds it
  t.stack.tcp_close(id, t.now);
  EXPECT_EQ(text_of(lent), before);
  t.stack.tcp_give_back(id, lent, t.now);
  EXPECT_EQ(t.stack.frames().frames_out(), 0u);
}

TEST(TcpInPlace, ABorrowEndsBeforeTheUrgentMark) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("PU. 1:11(10) ack 1 urg 5");
  LentText before, behind;
  EXPECT_EQ(t.stack.tcp_borrow(id, 100, before, t.now).value_or(0), 4u);
  EXPECT_EQ(t.stack.tcp_borrow(id, 100, behind, t.now).value_or(0), 5u);
  t.stack.tcp_give_back(id, before, t.now);
  t.stack.tcp_give_back(id, behind, t.now);
  EXPECT_EQ(t.status(id).memory, 0u);
}

}  // namespace
}  // namespace limpid
