// What arrives where it does not belong: RFC 9293 §3.5.2, §3.10.7.1, §3.10.7.2; scans; and all 256 sets of flags in all
// eleven states.
#include <fmt/format.h>

#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

constexpr TcpState kAllStates[] = {closed,     listen,     syn_sent, syn_received, established, fin_wait_1,
                                   fin_wait_2, close_wait, closing,  last_ack,     time_wait};

// req: 9293-3.5.2-a
TEST(TcpClosedPort, AnAckDrawsAResetAtItsNumberWithoutAnAck) {
  TcpDialogue t;
  t.peer(". 100:100(0) ack 777");
  t.expect("R 777:777(0)");
}

// req: 9293-3.5.2-b
TEST(TcpClosedPort, ASynDrawsAResetThatAcknowledgesAllOfIt) {
  TcpDialogue t;
  t.peer("S 0:0(0)");
  t.expect("R. 0:0(0) ack 1");
  t.peer("S 0:10(10)");
  t.expect("R. 0:0(0) ack 11");
  t.peer("0 100:100(0)");
  t.expect("R. 0:0(0) ack 100");
}

// req: 9293-3.5.2-c
TEST(TcpClosedPort, AResetIsNeverAnswered) {
  for (bool listening : {false, true}) {
    TcpDialogue t;
    if (listening) t.listen();
    t.peer("R 100:100(0)");
    t.peer("R. 100:100(0) ack 5");
    t.peer("SR 100:100(0)");
    t.expect_nothing();
  }
}

// req: 9293-3.10.7.1-a
TEST(TcpClosedPort, TextIsDiscardedAndAnsweredOnce) {
  TcpDialogue t;
  t.peer("FP 100:150(50)");
  t.expect("R. 0:0(0) ack 151");  // the FIN is counted
  t.peer("FP. 100:150(50) ack 7");
  t.expect("R 7:7(0)");
  t.expect_nothing();
  EXPECT_TRUE(t.stack.tcp_list().empty());
  EXPECT_EQ(t.stack.frames().frames_out(), 0u);
}

// req: 9293-3.10.7.2-a, 9293-3.5.2-d, 9293-3.5.3-a
TEST(TcpListen, OnlyASynAloneOpensAnAckIsRefusedTheRestIsSilence) {
  TcpDialogue t;
  t.listen();
  t.peer(". 1:1(0) ack 99");
  t.expect("R 99:99(0)");
  for (const char* nothing : {"F 0:0(0)", "0 0:0(0)", "U 0:0(0) urg 5", "P 0:10(10)", "R 0:0(0)"}) t.peer(nothing);
  t.expect_nothing();
  t.peer("S 0:0(0) mss 1460");  // and serves on
  t.expect("S. 0:0(0) ack 1");
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.state(t.accept()), established);
}

// req: ATK-nullscan, ATK-synfin
TEST(TcpScans, StealthProbesMeetSilenceOnAnOpenPortAndAResetOnAClosedOne) {
  for (const char* probe : {"0 5:5(0)", "F 5:5(0)", "FPU 5:5(0)"}) {
    TcpDialogue open;
    open.listen();
    open.peer(probe);
    open.expect_nothing();
    TcpDialogue shut;
    shut.peer(probe);
    EXPECT_EQ(shut.take().words.substr(0, 2), "R.");
  }
  for (const char* pair : {"SF 0:0(0)", "SR 0:0(0)", "SFPU 0:0(0)", "SFR 0:0(0)"}) {
    TcpDialogue t;
    t.listen();
    t.peer(pair);
    t.expect_nothing();
    EXPECT_EQ(t.listed(), closed);
  }
}

// req: ATK-ackscan
TEST(TcpScans, AcksAreAnsweredAlikeByOpenAndClosedPorts) {
  for (const char* probe : {". 5:5(0) ack 9", "S. 5:5(0) ack 9", "F. 5:5(0) ack 9"}) {
    TcpDialogue open;
    open.listen();
    open.peer(probe);
    TcpDialogue shut;
    shut.peer(probe);
    const auto a = open.take();
    const auto b = shut.take();
    EXPECT_EQ(a.words, "R 9:9(0)");
    EXPECT_EQ(a.words, b.words);
    EXPECT_EQ(a.header.window, 0);
    EXPECT_EQ(b.header.window, 0);
    EXPECT_EQ(a.ip.ttl, b.ip.ttl);
    EXPECT_EQ(a.ip.identification, b.ip.identification);
  }
}

// req: 9293-3.5.2-d
TEST(TcpSynReceived, AnUnacceptableAckDrawsAResetAndTheStateStays) {
  TcpDialogue t;
  t.reach(syn_received);
  t.peer(". 1:1(0) ack 77");
  t.expect("R 77:77(0)");
  EXPECT_EQ(t.listed(), syn_received);
  t.peer(". 1:1(0) ack 1");
  EXPECT_EQ(t.listed(), established);
}

// --- all 256 sets of control bits in each state
// --------------------------------------------------------------------------

// What a segment with these flags, next in sequence and acknowledging all, leads to: the state, and whether we answer.
// Written from RFC 9293 §3.10.7 anew, as one decision a line.
struct Outcome {
  TcpState state;
  enum class Answer { nothing, ack, reset, syn_ack, any } answer;
};

Outcome expected(TcpState s, uint8_t flags) {
  using enum Outcome::Answer;
  const bool syn = (flags & tcp_flag::syn) != 0;
  const bool has_ack = (flags & tcp_flag::ack) != 0;
  const bool rst = (flags & tcp_flag::rst) != 0;
  const bool fin = (flags & tcp_flag::fin) != 0;
  switch (s) {
    case closed:
      return {closed, rst ? nothing : reset};
    case listen:  // listed() shows the conversation, of which there is none yet
      if (rst) return {closed, nothing};
      if (has_ack) return {closed, reset};
      if (syn && !fin) return {syn_received, syn_ack};
      return {closed, nothing};
    case syn_sent:  // the ACK acknowledges our SYN
      if (rst) return has_ack ? Outcome{closed, nothing} : Outcome{syn_sent, nothing};
      if (!syn) return {syn_sent, nothing};
      if (has_ack) return {fin ? close_wait : established, ack};
      return {syn_received, syn_ack};
    case time_wait:
      if (rst) return {time_wait, nothing};                         // RFC 1337
      if (syn && !has_ack && !fin) return {syn_received, syn_ack};  // §3.6.1: beyond the old numbers, it opens anew
      if (syn || fin) return {time_wait, ack};
      return {time_wait, nothing};
    default:
      break;
  }
  if (rst) return {closed, nothing};
  if (syn) return {s, ack};  // RFC 5961 §4.2
  if (!has_ack) return {s, nothing};
  TcpState after = s == syn_received ? established
                   : s == fin_wait_1 ? fin_wait_2
                   : s == closing    ? time_wait
                   : s == last_ack   ? closed
                                     : s;
  if (!fin) return {after, nothing};
  if (after == established) return {close_wait, ack};
  if (after == fin_wait_2) return {time_wait, ack};
  return {after, any};  // a second FIN, beyond the first: means nothing
}

const char* kind_of(const TcpDialogue::Sent& s) {
  if (s.header.has(tcp_flag::rst)) return "RST";
  if (s.header.has(tcp_flag::syn)) return "SYN,ACK";
  return "ACK";
}

// req: ATK-badflags
TEST(TcpFlags, EverySetOfFlagsInEveryStateGivesADefinedResult) {
  for (TcpState s : kAllStates) {
    for (unsigned flags = 0; flags < 256; ++flags) {
      TcpDialogue t;
      const SocketId id = t.reach(s);
      const bool our_fin = s == fin_wait_1 || s == fin_wait_2 || s == closing || s == last_ack || s == time_wait;
      const bool their_fin = s == close_wait || s == closing || s == last_ack || s == time_wait;
      const bool fresh = s == closed || s == listen || s == syn_sent;
      TcpHeader h{.flags = static_cast<uint8_t>(flags), .window = 65'535, .options = {}};
      h.sequence = TcpDialogue::kPeerIsn + (fresh ? 0 : their_fin ? 2 : 1);
      h.acknowledgment = t.our_isn + (our_fin ? 2 : 1);
      t.peer_header(h);

      const Outcome want = expected(s, h.flags);
      const std::string where = fmt::format("{} with flags {:#04x}", name(s), flags);
      EXPECT_EQ(name(t.listed()), name(want.state)) << where;
      const auto answers = t.take_all();
      using enum Outcome::Answer;
      if (want.answer == any) {
        EXPECT_LE(answers.size(), 1u) << where;
      } else if (want.answer == nothing) {
        EXPECT_TRUE(answers.empty()) << where << " drew " << answers.front().words;
      } else {
        ASSERT_EQ(answers.size(), 1u) << where;
        EXPECT_STREQ(kind_of(answers[0]), want.answer == reset     ? "RST"
                                          : want.answer == syn_ack ? "SYN,ACK"
                                                                   : "ACK")
            << where;
      }
      if (id.kind == SocketId::Kind::tcp) t.stack.tcp_abort(id, t.now);
      EXPECT_EQ(t.stack.frames().frames_out(), 0u) << where;
    }
  }
}

// The same flags with text, far out of the window, and with an ACK of nothing: whatever happens, nothing breaks.
// req: ATK-badflags
TEST(TcpFlags, EverySetOfFlagsWithTextOutOfPlaceBreaksNothing) {
  for (TcpState s : kAllStates) {
    for (unsigned flags = 0; flags < 256; ++flags) {
      TcpDialogue t;
      t.reach(s);
      for (uint32_t offset : {0u, 1u, 2u, 3u, 65'000u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
        TcpHeader h{.flags = static_cast<uint8_t>(flags), .urgent_pointer = 0xffff, .options = {}};
        h.sequence = TcpDialogue::kPeerIsn + offset;
        h.acknowledgment = t.our_isn + offset;
        const std::array<std::byte, 3> text{};
        t.peer_header(h, text);
      }
      t.pass(1000s);
      EXPECT_LT(t.take_all().size(), 60u);
    }
  }
}

// --- malformed headers
// ------------------------------------------------------------------------------------------------------

std::vector<std::byte> raw_segment(uint8_t offset_words, size_t size, uint8_t flags) {
  std::vector<std::byte> s(size);
  store32(s, 4, TcpDialogue::kPeerIsn + 1);
  store8(s, 12, static_cast<uint8_t>(offset_words << 4));
  store8(s, 13, flags);
  store16(s, 14, 65'535);
  return s;
}

// req: 9293-3.1-b, ATK-offset
TEST(TcpMalformed, ADataOffsetThatContradictsTheLengthIsDropped) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  for (const uint8_t offset : std::initializer_list<uint8_t>{0, 1, 2, 3, 4, 6, 15}) {
    auto s = raw_segment(offset, 20, tcp_flag::ack | tcp_flag::rst);
    store32(s, 8, t.our_isn + 1);
    t.peer_raw(s);
  }
  EXPECT_EQ(t.count(Counter::tcp_drop_bad_offset), 7u);
  for (size_t size = 0; size < 20; ++size) t.peer_raw(std::vector<std::byte>(size));
  EXPECT_EQ(t.count(Counter::tcp_drop_truncated), 20u);
  t.expect_nothing();
  EXPECT_EQ(t.state(id), established);
}

// req: 9293-MUST-7, ATK-offset
TEST(TcpMalformed, AnIllegalOptionLengthIsSurvivedOnSynAndOnText) {
  for (const uint8_t kind : std::initializer_list<uint8_t>{2, 3, 4, 5, 8, 28, 99, 253}) {
    for (const uint8_t length : std::initializer_list<uint8_t>{0, 1, 5, 255}) {
      TcpDialogue t;
      t.listen();
      auto syn = raw_segment(6, 24, tcp_flag::syn);
      store32(syn, 4, TcpDialogue::kPeerIsn);
      store8(syn, 20, 1);
      store8(syn, 21, 1);
      store8(syn, 22, kind);
      store8(syn, 23, length);
      t.peer_raw(syn);
      t.expect("S. 0:0(0) ack 1");
      t.peer(". 1:1(0) ack 1");
      const SocketId id = t.accept();
      auto text = raw_segment(6, 27, tcp_flag::ack);
      store32(text, 8, t.our_isn + 1);
      store8(text, 20, kind);
      store8(text, 21, length);
      store8(text, 24, 'x');
      store8(text, 25, 'y');
      store8(text, 26, 'z');
      t.peer_raw(text);
      EXPECT_EQ(t.read(id), "xyz");
    }
  }
}

// req: 9293-MUST-5, 9293-MUST-6, 9293-MUST-65, 7323-2.2-b, 5482-2-a, 9293-MUST-4, 2018-2-a
TEST(TcpMalformed, OptionsInAnySegmentAreParsedAndThoseOfASynMeanNothingLater) {
  TcpDialogue t;
  const SocketId id = t.establish_passively({}, "win 65535 mss 1000 wscale 2");
  auto s = raw_segment(15, 63, tcp_flag::ack);
  store32(s, 8, t.our_isn + 1);
  store16(s, 14, 1000);
  const uint8_t options[] = {253, 4,  0, 0, 1,  28, 4, 0x80, 0, 2, 4, 0,  100, 3,
                             3,   14, 4, 2, 99, 6,  0, 0,    0, 0, 0, 77, 77};
  for (size_t i = 0; i < sizeof options; ++i) store8(s, 20 + i, options[i]);
  store8(s, 60, 'x');
  store8(s, 61, 'y');
  store8(s, 62, 'z');
  t.peer_raw(s);
  EXPECT_EQ(t.read(id), "xyz");
  EXPECT_EQ(t.status(id).mss, 1000u);
  EXPECT_EQ(t.status(id).send_window, 4000u);
  s = raw_segment(6, 24, tcp_flag::rst);
  store32(s, 4, TcpDialogue::kPeerIsn + 4);
  store8(s, 20, 253);
  store8(s, 21, 4);
  t.peer_raw(s);
  EXPECT_EQ(t.state(id), closed);
}

// req: 9293-3.1-c
TEST(TcpMalformed, ReservedBitsAreIgnoredAndSentAsZero) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  for (const uint8_t bit : std::initializer_list<uint8_t>{1, 2, 4, 8}) {
    auto s = raw_segment(5, 21, tcp_flag::ack);
    store32(s, 4, TcpDialogue::kPeerIsn + 1 + static_cast<uint32_t>(t.status(id).bytes_received));
    store32(s, 8, t.our_isn + 1);
    store8(s, 12, static_cast<uint8_t>(0x50 | bit));
    store8(s, 20, 'x');
    t.peer_raw(s);
  }
  EXPECT_EQ(t.read(id), "xxxx");
  t.pass(1s);
  for (const auto& sent : t.take_all()) EXPECT_EQ(sent.reserved, 0);
}

// req: 9293-MUST-3
TEST(TcpMalformed, ASegmentWhoseChecksumDoesNotVerifyNeverWas) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.peer("P. 1:11(10) ack 1 bad-checksum");
  t.peer("R. 1:1(0) ack 1 bad-checksum");
  t.pass(1s);
  t.expect_nothing();
  EXPECT_EQ(t.read(id), "error 1");
  t.peer("P. 1:11(10) ack 1");
  EXPECT_EQ(t.read(id), "abcdefghij");
}

// req: 9293-MUST-50
TEST(TcpMalformed, IpOptionsThatMeanNothingToTcpAreIgnored) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  auto s = raw_segment(5, 23, tcp_flag::ack);
  store32(s, 8, t.our_isn + 1);
  store8(s, 20, 'x');
  store8(s, 21, 'y');
  store8(s, 22, 'z');
  const std::array<std::byte, 8> options = {std::byte{0x5e}, std::byte{6}, std::byte{1}, std::byte{2},
                                            std::byte{3},    std::byte{4}, std::byte{1}, std::byte{0}};
  t.peer_raw(s, options);
  EXPECT_EQ(t.read(id), "xyz");
}

// --- addresses that nobody has
// ------------------------------------------------------------------------------------------------

// req: 9293-MUST-57, 9293-MUST-63
TEST(TcpAddresses, ASynToOrFromAGroupOrAnInvalidAddressIsDroppedInSilence) {
  const IpAddress peer = TcpDialogue::kPeer;
  const IpAddress us = TcpDialogue::kUs;
  TcpDialogue t;
  t.listen();
  const TcpHeader syn{.source_port = 4000, .destination_port = 80, .flags = tcp_flag::syn, .options = {}};
  for (const IpAddress& to :
       {IpAddress::v4(255, 255, 255, 255), IpAddress::v4(10, 0, 0, 255), IpAddress::v4(224, 0, 0, 1)})
    t.header_between(peer, to, syn);
  for (const IpAddress& from : {IpAddress::v4(255, 255, 255, 255), IpAddress::v4(10, 0, 0, 255),
                                IpAddress::v4(224, 0, 0, 1), IpAddress::v4(0, 0, 0, 0), IpAddress::v4(127, 0, 0, 1)})
    t.header_between(from, us, syn);
  t.pass(100s);
  t.expect_nothing();
  EXPECT_TRUE(t.other_packets.empty());
  EXPECT_EQ(t.stack.tcp_list().size(), 1u);  // the listener
}

}  // namespace
}  // namespace limpid
