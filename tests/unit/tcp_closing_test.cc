// Closing: RFC 9293 §3.6, §3.10.4, §3.10.5; TIME-WAIT and RFC 1337; what is left unread (RFC 2525 §2.17).
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

TEST(TcpClosing, EveryStateOfTheDialogueIsReached) {
  for (TcpState s : {listen, syn_sent, syn_received, established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack,
                     time_wait}) {
    TcpDialogue t;
    const SocketId id = t.reach(s);
    if (s == listen) {
      EXPECT_EQ(t.state(id), listen);
    } else if (s == syn_sent) {
      EXPECT_EQ(t.state(id), syn_sent);
    } else {
      EXPECT_EQ(t.listed(), s) << name(s);
    }
  }
}

// req: 9293-3.6-a, 9293-3.4-a
TEST(TcpClosing, AFinFollowsAllThatWasWritten) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  EXPECT_EQ(t.send(id, 100'000), "taken 100000");
  t.stack.tcp_close(id, t.now);
  int64_t acked = 1;
  std::string last;
  while (t.pending() > 0) {
    for (const auto& s : t.take_all()) {
      acked = std::max<int64_t>(acked, static_cast<int32_t>(s.header.sequence - t.our_isn) +
                                           static_cast<int64_t>(s.text.size()) + (s.header.has(tcp_flag::fin) ? 1 : 0));
      last = s.words;
    }
    t.peer(". 1:1(0) ack " + std::to_string(acked));
  }
  EXPECT_EQ(acked, 100'002);
  EXPECT_EQ(last.substr(0, 3), "FP.");
  EXPECT_EQ(t.listed(), fin_wait_2);
  t.peer("F. 1:1(0) ack 100002");
  t.expect(". 100002:100002(0) ack 2");
  EXPECT_EQ(t.listed(), time_wait);
}

// req: 9293-3.6-b, 9293-A.2-a
TEST(TcpClosing, BothCloseAtOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect("F. 1:1(0) ack 1");
  t.peer("F. 1:1(0) ack 1");  // theirs crossed ours
  t.expect(". 2:2(0) ack 2");
  EXPECT_EQ(t.state(id), closing);
  t.pass(1s);
  t.expect("F. 1:1(0) ack 2");  // still a FIN, at the same number
  t.take_all();
  t.peer(". 2:2(0) ack 2");
  EXPECT_EQ(t.listed(), time_wait);
  t.expect_nothing();
}

// req: 9293-3.6-c, 9293-3.10.4-c
TEST(TcpClosing, AfterThePeersFinWeGoOnSending) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("F. 1:1(0) ack 1");
  t.expect(". 1:1(0) ack 2");
  EXPECT_EQ(t.state(id), close_wait);
  EXPECT_EQ(t.send(id, 10'000), "taken 10000");
  t.stack.tcp_shutdown_send(id, t.now).value();
  EXPECT_EQ(t.state(id), last_ack);
  const auto sent = t.take_all();
  EXPECT_EQ(sent[sent.size() - 2].words, "P. 8761:10001(1240) ack 2") << "no other small segment is under way";
  EXPECT_EQ(sent.back().words, "F. 10001:10001(0) ack 2");
  t.peer(". 2:2(0) ack 10002");
  EXPECT_EQ(t.state(id), closed);
  EXPECT_EQ(t.listed(), closed);
  t.expect_nothing();
}

// req: 9293-3.6-d
TEST(TcpClosing, AfterOurFinThePeersTextStillArrives) {
  TcpDialogue t;
  const SocketId id = t.reach(fin_wait_1);
  t.peer(". 1:1001(1000) ack 1");
  t.peer(". 1001:2001(1000) ack 2");
  EXPECT_EQ(t.state(id), fin_wait_2);
  std::string expected;
  for (int64_t from = 2001; from < 100'001; from += 1000)
    t.peer(". " + std::to_string(from) + ":" + std::to_string(from + 1000) + "(1000) ack 2");
  t.peer("F. 100001:100001(0) ack 2");
  EXPECT_EQ(t.take_all().back().words, ". 2:2(0) ack 100002");
  EXPECT_EQ(t.state(id), time_wait);
  const std::string got = t.read(id, 200'000);
  ASSERT_EQ(got.size(), 100'000u);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], static_cast<char>('a' + i % 26));
  EXPECT_EQ(t.read(id), "");
}

// req: 9293-3.6-e
TEST(TcpClosing, ALostFinIsSentAgainWithItsNumber) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 10);
  t.expect("P. 1:11(10) ack 1");
  t.peer(". 1:1(0) ack 11");
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect("F. 11:11(0) ack 1");
  t.pass(1s);
  for (const std::string& words : t.take_words()) EXPECT_EQ(words, "F. 11:11(0) ack 1");
  t.peer(". 1:1(0) ack 12");
  EXPECT_EQ(t.state(id), fin_wait_2);
}

// req: 9293-3.10.7.4-l
TEST(TcpClosing, AFinThatAcknowledgesOursEndsInTimeWaitAtOnce) {
  TcpDialogue t;
  const SocketId id = t.reach(fin_wait_1);
  t.peer("F. 1:1(0) ack 2");
  t.expect(". 2:2(0) ack 2");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), time_wait);
}

// --- TIME-WAIT
// -----------------------------------------------------------------------------------------------------------

// req: 9293-MUST-13
TEST(TcpTimeWait, LastsTwoMslAndAnswersAFinUntilThen) {
  TcpDialogue t;
  t.reach(time_wait);
  t.pass(59s);
  t.peer("F. 1:1(0) ack 2");
  t.expect(". 2:2(0) ack 2");
  t.pass(60s);
  EXPECT_EQ(t.listed(), closed);
  t.stack.tcp_close({SocketId::Kind::listener, 0, 0}, t.now);
  t.peer("F. 1:1(0) ack 2");
  t.expect("R 2:2(0)");
}

// req: 9293-3.10.7.4-m
TEST(TcpTimeWait, ARetransmittedFinStartsItAnew) {
  TcpDialogue t;
  t.reach(time_wait);
  t.pass(45s);  // 1.5 MSL
  t.peer("F. 1:1(0) ack 2");
  t.expect(". 2:2(0) ack 2");
  t.pass(30s);  // 2.5 MSL
  EXPECT_EQ(t.listed(), time_wait);
  t.pass(30s);
  EXPECT_EQ(t.listed(), closed);
}

// RFC 1337: an old RST must not end it.
// req: 1337-3-a, ATK-twassass
TEST(TcpTimeWait, AResetDoesNotEndIt) {
  TcpDialogue t;
  t.reach(time_wait);
  t.peer("R 2:2(0)");
  t.peer("R. 2:2(0) ack 2");
  t.expect_nothing();
  EXPECT_EQ(t.listed(), time_wait);
}

// Old duplicates of the connection, of every kind: TIME-WAIT lasts as long as it would, and they mean nothing to the
// next connection between the same two ports.
// req: ATK-twassass, 1337-3-a
TEST(TcpTimeWait, OldDuplicatesNeitherEndItNorReachTheNextIncarnation) {
  const std::vector<std::string> old = {"P. 1:1(0) ack 1", "P. -9:1(10) ack 1", ". 2:2(0) ack 1",    "R 2:2(0)",
                                        "R. 1:1(0) ack 1", "R 1:1(0)",          ". 1:1(0) ack 90000"};
  TcpDialogue t;
  t.reach(time_wait);
  for (int second = 0; second < 59; ++second) {
    for (const auto& words : old) t.peer(words);
    t.pass(1s);
    EXPECT_EQ(t.listed(), time_wait);
  }
  t.take_all();
  t.peer("S 200000:200000(0) win 65535 mss 1460");
  t.expect("S. 0:0(0) ack 200001");
  t.peer(". 200001:200001(0) ack 1");
  const SocketId id = t.accept();
  for (const auto& words : old) t.peer(words);
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.status(id).bytes_received, 0u);
  t.pass(2s);
  t.peer("P. 200001:200011(10) ack 1");
  EXPECT_EQ(t.status(id).bytes_received, 10u);
}

// RFC 9293 §3.6.1 (MAY-2): a SYN beyond the old numbers opens anew, with numbers of ours beyond the old ones too.
// req: 9293-MAY-2
TEST(TcpTimeWait, ANewerSynOpensAnew) {
  TcpDialogue t;
  t.reach(time_wait);
  const uint32_t old_isn = t.our_isn;
  t.peer("S 5000:5000(0) mss 1460");
  const auto syn_ack = t.take();
  EXPECT_EQ(syn_ack.words, "S. 0:0(0) ack 5001");
  EXPECT_GT(static_cast<int32_t>(t.our_isn - old_isn), 65'536);
  t.peer(". 5001:5001(0) ack 1");
  EXPECT_EQ(t.state(t.accept()), established);
}

// The connection's user may still read what came, and the port is held though nobody listens any more.
TEST(TcpTimeWait, HoldsThePortUnlessItMayBeReused) {
  TcpDialogue t;
  const SocketId id = t.reach(time_wait);
  t.stack.tcp_close(id, t.now);
  for (const TcpStatus& s : t.stack.tcp_list())
    if (s.state == listen) t.stack.tcp_close(s.id, t.now);
  EXPECT_EQ(t.stack.tcp_bind({{}, TcpDialogue::kOurPort}, {}, t.now).error(), Error::address_in_use);
  t.pass(60s);
  EXPECT_TRUE(t.stack.tcp_bind({{}, TcpDialogue::kOurPort}, {}, t.now).has_value());
}

TEST(TcpTimeWait, IsBoundedInNumberTheOldestGoes) {
  Config config;
  config.tcp.max_time_wait = 3;
  TcpDialogue t(config);
  t.listen();
  for (uint16_t port = 5000; port < 5010; ++port) {
    TcpHeader h{.source_port = port, .destination_port = 80, .sequence = 100, .flags = tcp_flag::syn, .options = {}};
    t.peer_header(h);
    h = {.source_port = port, .destination_port = 80, .sequence = 101, .flags = tcp_flag::ack, .options = {}};
    h.acknowledgment = t.take().header.sequence + 1;
    h.window = 65'535;
    t.peer_header(h);
    const SocketId id = t.accept();
    t.stack.tcp_close(id, t.now);
    h.flags = tcp_flag::ack | tcp_flag::fin;
    h.acknowledgment += 1;
    t.peer_header(h);
    t.pass(1ms);
    t.take_all();
  }
  std::vector<uint16_t> waiting;
  for (const TcpStatus& s : t.stack.tcp_list())
    if (s.state == time_wait) waiting.push_back(s.remote.port);
  std::ranges::sort(waiting);
  EXPECT_EQ(waiting, (std::vector<uint16_t>{5007, 5008, 5009}));
}

// --- what is unread, and late text
// ---------------------------------------------------------------------------------------

// req: 9293-SHLD-3, 9293-MAY-1
TEST(TcpClosing, ClosingWithUnreadOctetsSendsAReset) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 1");
  t.stack.tcp_close(id, t.now);
  t.expect("R. 1:1(0) ack 11");
  t.expect_nothing();
  EXPECT_EQ(t.listed(), closed);
  EXPECT_EQ(t.read(id), "error 20");  // the id is stale
}

// req: 9293-SHLD-3
TEST(TcpClosing, TextThatArrivesAfterTheCloseDrawsAReset) {
  for (TcpState s : {fin_wait_1, fin_wait_2}) {
    TcpDialogue t;
    const SocketId id = t.reach(s);
    t.stack.tcp_close(id, t.now);
    t.peer("P. 1:11(10) ack " + std::to_string(s == fin_wait_2 ? 2 : 1));
    t.expect(s == fin_wait_2 ? "R 2:2(0)" : "R 1:1(0)");  // where the peer expects us to go on
    EXPECT_EQ(t.listed(), closed);
  }
}

// req: 9293-3.10.3-a
TEST(TcpClosing, AfterThePeersFinReadsGiveTheRestAndThenTheEnd) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("FP. 1:11(10) ack 1");
  EXPECT_EQ(t.raised(id) & (kReadable | kPeerFin), kReadable | kPeerFin);
  EXPECT_EQ(t.read(id, 4), "abcd");
  EXPECT_EQ(t.read(id), "efghij");
  EXPECT_EQ(t.read(id), "");
  EXPECT_EQ(t.read(id), "");
}

// req: 9293-3.10.2-b
TEST(TcpClosing, NothingCanBeSentAfterTheCloseOfOurDirection) {
  for (TcpState s : {fin_wait_1, fin_wait_2, closing, last_ack, time_wait}) {
    TcpDialogue t;
    const SocketId id = t.reach(s);
    EXPECT_EQ(t.send(id, 10), "error 10") << name(s);  // closing
    t.expect_nothing();
  }
}

// req: 9293-3.10.4-a
TEST(TcpClosing, CloseInSynSentForgetsTheConnectionAndALateAnswerMeetsAReset) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.stack.tcp_close(id, t.now);
  t.expect_nothing();
  EXPECT_TRUE(t.stack.tcp_list().empty());
  t.peer("S. 0:0(0) ack 1");
  t.expect("R 1:1(0)");
  t.pass(200s);
  t.expect_nothing();
}

// The FIN of a connection that is closed before it is established waits for the handshake.
TEST(TcpClosing, CloseInSynReceivedSendsTheFinOnceEstablished) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.expect("S 0:0(0)");
  t.peer("S 0:0(0) mss 1460");
  t.expect("S. 0:0(0) ack 1");
  t.stack.tcp_shutdown_send(id, t.now).value();
  t.expect_nothing();
  t.peer(". 1:1(0) ack 1");
  t.expect("F. 1:1(0) ack 1");
  EXPECT_EQ(t.state(id), fin_wait_1);
}

// --- ABORT
// ----------------------------------------------------------------------------------------------------------------

// req: 9293-3.10.5-a
TEST(TcpAbort, SendsOneResetAtSndNxtWhereThePeerMayStillCare) {
  struct Case {
    TcpState state;
    const char* reset;
  };
  for (const Case& c : {Case{established, "R. 101:101(0) ack 1"}, Case{close_wait, "R. 101:101(0) ack 2"}}) {
    TcpDialogue t;
    const SocketId id = t.reach(c.state);
    t.send(id, 100);
    t.take_all();
    t.stack.tcp_abort(id, t.now);
    t.expect(c.reset);
    t.pass(200s);
    t.expect_nothing();
    EXPECT_EQ(t.listed(), closed);
  }
  for (const Case& c : {Case{fin_wait_1, "R. 2:2(0) ack 1"}, Case{fin_wait_2, "R. 2:2(0) ack 1"}}) {
    TcpDialogue t;
    const SocketId id = t.reach(c.state);
    t.stack.tcp_abort(id, t.now);
    t.expect(c.reset);
    t.expect_nothing();
    EXPECT_EQ(t.listed(), closed);
  }
}

// req: 9293-3.10.5-a
TEST(TcpAbort, InSynReceivedAfterAnActiveOpenSendsAReset) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.peer("S 0:0(0) mss 1460");
  t.take_all();
  t.stack.tcp_abort(id, t.now);
  t.expect("R. 1:1(0) ack 1");
}

// RFC 9293 §3.10.5: in CLOSING and LAST-ACK the record just goes: both ends have said all. In SYN-SENT nobody knows us.
// req: 9293-3.10.5-b
TEST(TcpAbort, IsSilentWhereNothingIsLeftToSay) {
  for (TcpState s : {syn_sent, closing, last_ack, time_wait}) {
    TcpDialogue t;
    const SocketId id = t.reach(s);
    t.stack.tcp_abort(id, t.now);
    t.expect_nothing();
    EXPECT_EQ(t.listed(), s == time_wait ? time_wait : closed) << name(s);
  }
  TcpDialogue listener;
  const SocketId id = listener.listen();
  listener.stack.tcp_close(id, listener.now);
  listener.expect_nothing();
}

// --- connections that nobody holds any more
// ---------------------------------------------------------------------------

TEST(TcpOrphan, InFinWait2LastsAMinute) {
  TcpDialogue t;
  const SocketId id = t.reach(fin_wait_2);
  t.stack.tcp_close(id, t.now);
  t.pass(59s);
  EXPECT_EQ(t.listed(), fin_wait_2);
  t.pass(2s);
  EXPECT_EQ(t.listed(), closed);
  t.expect_nothing();
}

TEST(TcpOrphan, AHalfClosedConnectionWithAUserLastsWithoutLimit) {
  TcpDialogue t;
  const SocketId id = t.reach(fin_wait_2);
  t.pass(100h);
  EXPECT_EQ(t.state(id), fin_wait_2);
}

// req: ATK-sockstress
TEST(TcpOrphan, AFinWithoutAnAnswerIsGivenUpAfterEightRetransmissions) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.stack.tcp_close(id, t.now);
  t.pass(600s);
  EXPECT_EQ(t.take_all().size(), 9u);
  EXPECT_EQ(t.listed(), closed);
}

// A peer that acknowledges every probe of a zero window keeps a connection alive (MUST-37), but not one whose user has
// gone: thousands of these would pin our memory for nothing.
// req: ATK-sockstress, 6429-4-a
TEST(TcpOrphan, AZeroWindowIsNotWaitedForWithoutEnd) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 100'000);
  t.take_all();
  t.peer(". 1:1(0) ack 14601 win 0");
  t.stack.tcp_close(id, t.now);
  for (int s = 0; s < 3600 && t.listed() != closed; ++s) {
    t.pass(1s);
    if (t.pending() > 0) t.peer(". 1:1(0) ack 14601 win 0");
    t.take_all();
  }
  EXPECT_EQ(t.listed(), closed);
  EXPECT_GE(t.now - Time{}, 100s);
  EXPECT_EQ(t.stack.frames().frames_out(), 0u);
}

// Peers that hold their windows shut while their own text waits to be read, thousands of them, and whose servers let
// go: nothing of it stays.
// req: ATK-sockstress, 6429-4-a
TEST(TcpOrphan, ThousandsOfStuckConnectionsGiveTheirMemoryBack) {
  TcpDialogue t;
  t.listen({}, 16);
  for (uint16_t port = 2000; port < 4000; ++port) {
    TcpHeader h{.source_port = port, .destination_port = 80, .sequence = 100, .flags = tcp_flag::syn, .options = {}};
    t.peer_header(h);
    h = {.source_port = port, .destination_port = 80, .sequence = 101, .flags = tcp_flag::ack, .options = {}};
    h.acknowledgment = t.take().header.sequence + 1;  // and a window of zero
    const std::array<std::byte, 100> text{};
    t.peer_header(h, port % 2 == 0 ? ByteSpan(text) : ByteSpan());
    const SocketId id = t.accept();
    t.stack.tcp_send(id, std::vector<std::byte>(1000), {}, t.now).value();
    t.stack.tcp_close(id, t.now);  // a RST where octets are unread, else a FIN that cannot go
    t.take_all();
  }
  EXPECT_EQ(t.stack.tcp_list().size(), 1001u);
  for (int minute = 0; minute < 20; ++minute) {
    t.pass(1min);
    t.take_all();
  }
  EXPECT_EQ(t.stack.tcp_list().size(), 1u);
  EXPECT_EQ(t.stack.frames().frames_out(), 0u);
}

}  // namespace
}  // namespace limpid
