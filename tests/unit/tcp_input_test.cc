// SEGMENT ARRIVES in the synchronized states: RFC 9293 §3.10.7.4 with RFC 5961, step by step.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

constexpr TcpState kSynchronized[] = {established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack, time_wait};

TcpOptions small_buffer(uint32_t bytes) {
  TcpOptions o;
  o.receive_buffer = bytes;
  return o;
}

// Our next number and the peer's, as reach() leaves them.
int64_t our_next(TcpState s) { return s == established || s == close_wait ? 1 : 2; }
int64_t peer_next(TcpState s) { return s == close_wait || s == closing || s == last_ack || s == time_wait ? 2 : 1; }
int64_t our_acked(TcpState s) { return s == fin_wait_2 || s == time_wait ? 2 : 1; }
std::string bare(const std::string& flags, int64_t seq, int64_t ack) {
  const std::string n = std::to_string(seq);
  return flags + " " + n + ":" + n + "(0) ack " + std::to_string(ack);
}

// --- first: the sequence number
// ---------------------------------------------------------------------------------------

// req: 9293-3.10.7.4-a
TEST(TcpSequenceCheck, TextIsAcceptableWhereItTouchesTheWindow) {
  struct Case {
    const char* segment;
    bool in;
  };
  // The window is [1, 1001).
  const Case cases[] = {
      {". 0:1(1) ack 1", false},          // wholly old
      {". 0:2(2) ack 1", true},           // straddles the left edge
      {". 1:2(1) ack 1", true},           // at RCV.NXT
      {". 1000:1001(1) ack 1", true},     // the last octet of the window
      {". 1001:1002(1) ack 1", false},    // the first beyond
      {". 999:1003(4) ack 1", true},      // straddles the right edge
      {". 0:1003(1003) ack 1", true},     // straddles both
      {". 70000:70001(1) ack 1", false},  // far beyond
      {". -70000:-69999(1) ack 1", false},
  };
  for (const Case& c : cases) {
    TcpDialogue t;
    const SocketId id = t.establish_passively(small_buffer(1000));
    t.peer(c.segment);
    const bool taken = t.status(id).bytes_received + t.status(id).out_of_order > 0;
    EXPECT_EQ(taken, c.in) << c.segment;
    if (!c.in) t.expect(". 1:1(0) ack 1");
  }
}

// req: 9293-3.10.7.4-a
TEST(TcpSequenceCheck, ABareAckIsAcceptableFromRcvNxtUpToTheRightEdge) {
  struct Case {
    int64_t seq;
    bool in;
  };
  // The right edge itself is let in: a peer that filled our window sends its ACKs from there.
  for (const Case c : {Case{0, false}, Case{1, true}, Case{1000, true}, Case{1001, true}, Case{1002, false}}) {
    TcpDialogue t;
    t.establish_passively(small_buffer(1000));
    t.peer(bare(".", c.seq, 1));
    EXPECT_EQ(t.pending(), c.in ? 0u : 1u) << c.seq;
  }
}

// req: 9293-3.10.7.4-a, 9293-3.8.6-a
TEST(TcpSequenceCheck, WithAZeroWindowOnlyTheBareAckAtRcvNxtIsAcceptable) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(1000));
  t.peer("P. 1:1001(1000) ack 1");
  t.pass(1s);
  t.expect(". 1:1(0) ack 1001 win 0");
  t.peer(". 1001:1001(0) ack 1");
  t.expect_nothing();
  t.peer(". 1001:1002(1) ack 1");  // a window probe
  t.expect(". 1:1(0) ack 1001 win 0");
  t.peer(". 1002:1003(1) ack 1");
  t.expect(". 1:1(0) ack 1001 win 0");
  EXPECT_EQ(t.read(id).size(), 1000u);
}

// req: 9293-3.10.7.4-b
TEST(TcpSequenceCheck, OnlyWhatIsNewAndInsideTheWindowIsTaken) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(10));
  t.peer(". 1:5(4) ack 1");
  t.peer(". 3:21(18) ack 1");  // two octets are old, ten beyond the window
  EXPECT_EQ(t.read(id), "abcdefghij");
  EXPECT_EQ(t.read(id), "error 1");
}

// req: 9293-3.10.7.4-b
TEST(TcpSequenceCheck, OverlappingTextOutOfOrderIsDeliveredOnce) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer(". 5:9(4) ack 1");
  t.peer(". 3:7(4) ack 1");
  t.peer(". 7:13(6) ack 1");
  t.peer(". 1:4(3) ack 1");
  EXPECT_EQ(t.read(id), "abcdefghijkl");
}

// req: 9293-3.10.7.4-c, 9293-3.5.2-e
TEST(TcpSequenceCheck, AnUnacceptableSegmentDrawsOneAckInEverySynchronizedState) {
  for (TcpState s : kSynchronized) {
    TcpDialogue t;
    t.reach(s);
    t.peer(bare(".", peer_next(s) + 2'000'000, our_next(s)));
    t.expect(bare(".", our_next(s), peer_next(s)));
    t.expect_nothing();
    EXPECT_EQ(t.listed(), s);
  }
}

// req: 9293-3.10.7.4-c, 5961-3.2-c
TEST(TcpSequenceCheck, AResetOutsideTheWindowIsDroppedInSilenceInEverySynchronizedState) {
  for (TcpState s : kSynchronized) {
    TcpDialogue t;
    t.reach(s);
    t.peer(bare("R.", peer_next(s) - 1, our_next(s)));
    t.peer(bare("R.", peer_next(s) + 70'000, our_next(s)));
    t.expect_nothing();
    EXPECT_EQ(t.listed(), s);
  }
}

// --- second: RST
// --------------------------------------------------------------------------------------------------------

// req: 5961-3.2-a, 9293-MUST-12
TEST(TcpResetCheck, AResetAtRcvNxtEndsEverySynchronizedStateButTimeWait) {
  for (TcpState s : kSynchronized) {
    TcpDialogue t;
    const SocketId id = t.reach(s);
    t.peer(bare("R", peer_next(s), 0));
    t.expect_nothing();
    EXPECT_EQ(t.listed(), s == time_wait ? time_wait : closed) << name(s);
    const Error told = s == time_wait ? Error::none : s == close_wait ? Error::closing : Error::reset;
    EXPECT_EQ(t.stack.tcp_take_error(id), told) << name(s);
  }
}

// req: 5961-3.2-b, 5961-4.2-b, ATK-blindrst
TEST(TcpResetCheck, AResetElsewhereInTheWindowIsChallenged) {
  for (TcpState s : kSynchronized) {
    if (s == time_wait) continue;  // RFC 1337: ignored there
    TcpDialogue t;
    t.reach(s);
    const int64_t next = peer_next(s);
    for (int64_t seq : {next + 1, next + 30'000, next + 65'000}) {
      t.pass(600ms);
      t.take_all();
      t.peer(bare("R", seq, 0));
      t.expect(bare(".", our_next(s), next));
      EXPECT_EQ(t.listed(), s);
    }
  }
}

// A RST whose text reaches into the window began before it: it is no proof that its sender knows RCV.NXT.
// req: 5961-3.2-b, ATK-blindrst
TEST(TcpResetCheck, AResetWithTextThatStraddlesRcvNxtIsNotBelieved) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("R. -9:11(20) ack 1");
  EXPECT_EQ(t.state(id), established);
}

// req: ATK-blindrst
TEST(TcpResetCheck, ASweepOfResetsOverTheNumbersHitsNothing) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  for (int64_t seq = 1 - (int64_t{1} << 31); seq < int64_t{1} << 31; seq += 16'381) t.peer(bare("R", seq, 0));
  EXPECT_EQ(t.state(id), established);
  EXPECT_LE(t.pending(), 1u);  // and draws no storm
}

// req: 9293-SHLD-2
TEST(TcpResetCheck, AResetMayCarryText) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("R. 1:11(10) ack 1");
  t.expect_nothing();
  EXPECT_EQ(t.state(id), closed);
  EXPECT_EQ(t.read(id), "error 4");  // reset, and no octet of it
}

// req: 9293-MUST-66
TEST(TcpResetCheck, AResetIsTakenWhenTheWindowIsZero) {
  TcpDialogue t;
  const SocketId id = t.establish_passively(small_buffer(1000));
  t.peer(". 1:1001(1000) ack 1");
  t.pass(1s);
  t.expect(". 1:1(0) ack 1001 win 0");
  t.peer("R 1001:1001(0)");
  EXPECT_EQ(t.state(id), closed);
}

// req: 9293-MUST-12
TEST(TcpResetCheck, TheUserTellsAFinFromAReset) {
  TcpDialogue one;
  const SocketId ended = one.establish_passively();
  one.peer("F. 1:1(0) ack 1");
  EXPECT_EQ(one.read(ended), "");
  TcpDialogue other;
  const SocketId broken = other.establish_passively();
  other.peer("R. 1:1(0) ack 1");
  EXPECT_EQ(other.read(broken), "error 4");
}

// --- fourth: SYN
// --------------------------------------------------------------------------------------------------------

// req: 5961-4.2-a, 5961-4.2-b, ATK-blindsyn
TEST(TcpSynCheck, ASynIsChallengedWhateverItsNumberAndTheAnswerIsOurOwnNumbers) {
  for (TcpState s : kSynchronized) {
    for (int64_t seq : {peer_next(s), peer_next(s) + 5000, peer_next(s) - 1, peer_next(s) - 100'000}) {
      if (s == time_wait && seq >= peer_next(s)) continue;  // that one may open anew (RFC 9293 §3.6.1)
      TcpDialogue t;
      t.reach(s);
      t.peer(bare("S", seq, 0));
      t.expect(bare(".", our_next(s), peer_next(s)));
      EXPECT_EQ(t.listed(), s);
    }
  }
}

// req: 5961-4.2-a, 9293-3.5.1-a
TEST(TcpSynCheck, APeerThatLostItsStateAnswersTheChallengeWithAResetAndTheConnectionEnds) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("S 777000:777000(0)");
  t.expect(". 1:1(0) ack 1");
  t.peer("R 1:1(0)");
  EXPECT_EQ(t.state(id), closed);
  t.expect_nothing();
}

// req: ATK-blindsyn
TEST(TcpSynCheck, ASweepOfSynsChangesNothing) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  for (int64_t seq = 1 - (int64_t{1} << 31); seq < int64_t{1} << 31; seq += 64'000) t.peer(bare("S", seq, 0));
  EXPECT_EQ(t.state(id), established);
}

// --- fifth: ACK
// ---------------------------------------------------------------------------------------------------------

// req: 9293-3.10.7.4-f
TEST(TcpAckCheck, TextWithoutTheAckBitIsNotTaken) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P 1:11(10)");
  EXPECT_EQ(t.read(id), "error 1");
  EXPECT_EQ(t.count(Counter::tcp_drop_no_ack), 1u);
}

// req: 9293-3.10.7.4-g, ATK-optack, 9293-3.5.2-e
TEST(TcpAckCheck, AnAckOfWhatWasNotSentDrawsAnAckAndItsTextIsDropped) {
  for (TcpState s : kSynchronized) {
    if (s == time_wait) continue;  // there the number of an ACK means nothing any more
    TcpDialogue t;
    const SocketId id = t.reach(s);
    const std::string n = std::to_string(peer_next(s));
    t.peer("P. " + n + ":" + std::to_string(peer_next(s) + 10) + "(10) ack " + std::to_string(our_next(s) + 1));
    t.expect(bare(".", our_next(s), peer_next(s)));
    EXPECT_EQ(t.listed(), s);
    EXPECT_EQ(t.status(id).bytes_received, 0u);
  }
}

// req: ATK-optack
TEST(TcpAckCheck, AnAckAheadOfDeliveryGrowsTheWindowByNoMoreThanWasSent) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 200'000);
  t.take_all();
  const uint32_t cwnd = t.status(id).cwnd;
  t.peer(". 1:1(0) ack 14601");  // all at once
  EXPECT_LE(t.status(id).cwnd, cwnd + 14600);
  t.take_all();
  t.peer(". 1:1(0) ack 900000");
  t.expect(bare(".", static_cast<int64_t>(t.status(id).bytes_acked + t.status(id).in_flight) + 1, 1));
  EXPECT_LE(t.status(id).cwnd, cwnd + 14600);
}

// RFC 5961 §5.2: from SND.UNA less the largest window that was ever offered up to SND.NXT, both included; and nothing
// that was never sent, as on Linux.
// req: 5961-5.2-a, 9293-MAY-12
TEST(TcpAckCheck, TheAckOfTextMustLieBetweenTheOldestWindowAndSndNxt) {
  struct Case {
    int64_t una, ack;
    bool taken;
  };
  constexpr int64_t kWindow = 5000;
  for (const Case& c :
       {Case{501, 1001, true}, Case{501, 1002, false}, Case{501, 501, true}, Case{501, 1, true}, Case{501, 0, false},
        Case{501, 501 - kWindow, false}, Case{8001, 8001 - kWindow, true}, Case{8001, 8001 - kWindow - 1, false}}) {
    TcpDialogue t;
    t.listen();
    t.peer("S 0:0(0) win 5000 mss 1460");
    t.expect("S. 0:0(0) ack 1");
    t.peer(". 1:1(0) ack 1 win 5000");
    const SocketId id = t.accept();
    for (int64_t una = 1; una < c.una;) {
      const int64_t piece = std::min<int64_t>(c.una - una, 4000);
      t.send(id, static_cast<size_t>(piece));
      una += piece;
      t.peer(". 1:1(0) ack " + std::to_string(una) + " win 5000");
    }
    t.send(id, 500);
    t.take_all();
    t.peer("P. 1:11(10) ack " + std::to_string(c.ack) + " win 4000");
    EXPECT_EQ(t.read(id), c.taken ? "abcdefghij" : "error 1") << c.ack;
    if (!c.taken) t.expect(bare(".", c.una + 500, 1));
  }
}

// Of injected text with the right sequence number, and any ACK, one in fifty thousand is believed: what the window
// makes of 2^32 numbers.
// req: ATK-blinddata
TEST(TcpAckCheck, ASweepOfAcksInjectsNothing) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  for (int64_t ack = -2'147'000'000; ack < 2'147'000'000; ack += 1'000'003) {
    if (ack >= 1 - 65'535 && ack <= 1) continue;
    t.peer("P. 1:11(10) ack " + std::to_string(ack));
  }
  EXPECT_EQ(t.status(id).bytes_received, 0u);
  EXPECT_EQ(t.state(id), established);
  EXPECT_LE(t.take_all().size(), 1u);  // challenges are limited
}

// req: 9293-MAY-12
TEST(TcpAckCheck, AnAckOlderThanAnyWindowIsChallenged) {  // RFC 5961 §5.2
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack -70000");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.read(id), "error 1");
}

// --- the seventh and eighth: text and FIN
// ------------------------------------------------------------------------------

// req: 9293-3.10.7.4-j
TEST(TcpFinCheck, AFinBeyondAGapWaitsUntilTheGapIsFilled) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("F. 6:11(5) ack 1");
  t.expect(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.read(id), "error 1");
  t.peer(". 1:6(5) ack 1");
  t.expect(". 1:1(0) ack 12");
  EXPECT_EQ(t.state(id), close_wait);
  EXPECT_EQ(t.read(id), "abcdefghij");
  EXPECT_EQ(t.read(id), "");
}

// req: 9293-3.10.7.4-k
TEST(TcpFinCheck, ARetransmittedFinIsAcknowledgedAgainAndCountedOnce) {
  for (TcpState s : {close_wait, closing, last_ack, time_wait}) {
    TcpDialogue t;
    t.reach(s);
    for (int again = 0; again < 2; ++again) {
      t.peer(bare("F.", 1, s == time_wait ? 2 : 1));
      t.expect(bare(".", our_next(s), 2));
      t.expect_nothing();
      EXPECT_EQ(t.listed(), s);
    }
  }
}

// A peer that contradicts itself: its text runs on beyond its FIN. The text is what counts, and a later FIN ends it.
TEST(TcpFinCheck, AFinInTheMiddleOfTextIsNotBelieved) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("F. 11:11(0) ack 1");
  t.peer(". 1:21(20) ack 1");
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.read(id).size(), 20u);
  t.peer("F. 21:21(0) ack 1");
  EXPECT_EQ(t.state(id), close_wait);
  EXPECT_EQ(t.read(id), "");
}

// req: 9293-3.10.7.4-n
TEST(TcpFinCheck, TextBeyondThePeersFinIsIgnored) {
  TcpDialogue t;
  const SocketId id = t.reach(close_wait);
  t.peer("P. 2:12(10) ack 1");
  EXPECT_EQ(t.read(id), "");
  EXPECT_EQ(t.status(id).bytes_received, 0u);
  EXPECT_EQ(t.count(Counter::tcp_drop_text_after_fin), 1u);
}

// req: KA-8, 9293-MAY-6
TEST(TcpKeepAliveReceived, IsAnsweredByAPureAckInEverySynchronizedState) {
  for (TcpState s : kSynchronized) {
    for (bool garbage : {false, true}) {
      TcpDialogue t;
      const SocketId id = t.reach(s);
      const uint32_t window = t.status(id).receive_window;
      const int64_t from = peer_next(s) - 1;
      t.peer(garbage ? ". " + std::to_string(from) + ":" + std::to_string(from + 1) + "(1) ack " +
                           std::to_string(our_acked(s))
                     : bare(".", from, our_acked(s)));
      t.expect(bare(".", our_next(s), peer_next(s)));
      t.expect_nothing();
      EXPECT_EQ(t.listed(), s);
      EXPECT_EQ(t.status(id).receive_window, window);
      EXPECT_EQ(t.status(id).bytes_received, 0u);
    }
  }
}

// Two ends whose numbers do not agree answer each other: the answers must not go on for ever.
// req: ATK-ackstorm
TEST(TcpAckStorm, AnswersToStrayAcksAreFewASecond) {
  for (const char* stray : {". 500000:500000(0) ack 1", ". 1:1(0) ack 500000"}) {
    TcpDialogue t;
    t.establish_passively();
    for (int ms = 0; ms < 10'000; ++ms) {
      t.peer(stray);
      t.pass(1ms);
    }
    EXPECT_LE(t.pending(), 21u) << stray;
    EXPECT_GE(t.pending(), 1u) << stray;
  }
}

// req: ATK-land
TEST(TcpLand, ASegmentFromOurselvesIsDroppedAtTheDoor) {
  TcpDialogue t;
  t.listen();
  for (uint16_t port : {TcpDialogue::kOurPort, uint16_t{81}}) {
    TcpHeader syn{.source_port = port, .destination_port = port, .flags = tcp_flag::syn, .options = {}};
    t.header_between(TcpDialogue::kUs, TcpDialogue::kUs, syn);
    t.pass(10s);
    t.expect_nothing();
  }
}

}  // namespace
}  // namespace limpid
