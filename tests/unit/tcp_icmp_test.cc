// ICMP errors and TCP: RFC 9293 §3.9.2.2, RFC 5927.
#include "tests/unit/tcp_dialogue.h"

namespace limpid {
namespace {

using enum TcpState;

SocketId established_with_text_in_flight(TcpDialogue& t) {
  const SocketId id = t.establish_passively();
  t.send(id, 100);
  t.take_all();
  return id;
}

// The user may ask what was reported, and is told once (as by Linux's SO_ERROR).
// req: 9293-MUST-56, 9293-MUST-56-ttl, 9293-MUST-56-parm, 5927-5.2-a, ATK-icmpreset, 9293-SHLD-26, 9293-MUST-47
TEST(TcpIcmp, NoErrorEndsAnEstablishedConnection) {
  for (const auto& [type, codes] : {std::pair<int, int>{3, 15}, {11, 1}, {12, 2}}) {
    for (int code = 0; code <= codes; ++code) {
      TcpDialogue t;
      const SocketId id = established_with_text_in_flight(t);
      t.peer_icmp(static_cast<uint8_t>(type), static_cast<uint8_t>(code), 1);
      EXPECT_EQ(t.state(id), established) << type << "/" << code;
      const bool told = t.stack.tcp_take_error(id) != Error::none;
      EXPECT_EQ(told, type != 3 || code != 4) << type << "/" << code;
      EXPECT_EQ(t.stack.tcp_take_error(id), Error::none);
      t.peer(". 1:1(0) ack 101");
      EXPECT_EQ(t.send(id, 10), "taken 10");
    }
  }
}

// RFC 9293 SHLD-25: the hint is told if the connection then times out.
// req: 9293-SHLD-25
TEST(TcpIcmp, AHintIsTheReasonGivenIfNothingElseComes) {
  TcpDialogue t;
  const SocketId id = established_with_text_in_flight(t);
  t.peer_icmp(3, 1, 1);
  t.pass(2h);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::host_unreachable);
}

TEST(TcpIcmp, AHintIsForgottenWhenThePeerAnswers) {
  TcpDialogue t;
  const SocketId id = established_with_text_in_flight(t);
  t.peer_icmp(3, 1, 1);
  t.peer(". 1:1(0) ack 101");
  t.send(id, 100);
  t.pass(2h);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);
}

// req: 9293-MUST-55, 5927-6.2-a
TEST(TcpIcmp, SourceQuenchIsIgnored) {
  TcpDialogue t;
  const SocketId id = t.establish_passively();
  t.send(id, 50'000);
  const TcpStatus before = t.status(id);
  t.take_all();
  t.peer_icmp(4, 0, 1);
  EXPECT_EQ(t.state(id), established);
  EXPECT_EQ(t.status(id).cwnd, before.cwnd);
  EXPECT_EQ(t.status(id).ssthresh, before.ssthresh);
  t.expect_nothing();
}

// req: 9293-SHLD-26, 5927-4.1-a
TEST(TcpIcmp, AHardErrorThatQuotesOurSynRefusesTheConnect) {
  const std::pair<uint8_t, Error> hard[] = {{uint8_t{2}, Error::protocol_unreachable}, {uint8_t{3}, Error::refused}};
  for (const auto& [code, error] : hard) {
    TcpDialogue t;
    const SocketId id = t.connect();
    t.take_all();
    t.peer_icmp(3, code, 12'345);  // not a number of ours
    t.peer_icmp(3, code, 1);       // SND.NXT: not sent yet
    EXPECT_EQ(t.state(id), syn_sent);
    EXPECT_EQ(t.count(Counter::tcp_drop_icmp_out_of_window), 2u);
    t.peer_icmp(3, code, 0);
    EXPECT_EQ(t.listed(), closed);
    EXPECT_EQ(t.stack.tcp_take_error(id), error);
  }
}

// RFC 9293 MUST-56 spares every connection from codes 0, 1 and 5; before synchronization we do as Linux, and as RFC
// 5461 describes: a connect fails at once rather than after two minutes. docs/deviations.md.
TEST(TcpIcmp, AnUnreachableHostFailsAConnectAtOnce) {
  TcpDialogue t;
  const SocketId id = t.connect();
  t.take_all();
  t.peer_icmp(3, 1, 0);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::host_unreachable);
}

// req: 9293-MUST-56-ttl, 9293-MUST-56-parm
TEST(TcpIcmp, TimeExceededAndParameterProblemDoNotEvenFailAConnect) {
  for (uint8_t type : std::initializer_list<uint8_t>{11, 12}) {
    TcpDialogue t;
    const SocketId id = t.connect();
    t.take_all();
    t.peer_icmp(type, 0, 0);
    EXPECT_EQ(t.state(id), syn_sent);
    t.peer("S. 0:0(0) ack 1 mss 1460");
    EXPECT_EQ(t.state(id), established);
  }
}

// req: 5927-4.1-a
TEST(TcpIcmp, AnErrorCountsOnlyIfItQuotesWhatIsInFlight) {
  TcpDialogue t;
  const SocketId id = established_with_text_in_flight(t);
  for (uint32_t quoted : {0u, 101u, 5000u, 0x80000000u, 0xffffffffu}) t.peer_icmp(3, 1, quoted);
  EXPECT_EQ(t.count(Counter::tcp_drop_icmp_out_of_window), 5u);
  t.pass(2h);
  EXPECT_EQ(t.stack.tcp_take_error(id), Error::timed_out);  // no hint was taken
}

// req: 9293-MUST-54
TEST(TcpIcmp, AnErrorGoesToTheConnectionThatItQuotesAndToNoOther) {
  TcpDialogue t;
  const SocketId a = t.connect();
  const SocketId b = t.connect();
  t.take_all();
  t.peer_icmp(3, 3, 0);  // quotes the last SYN: b's
  EXPECT_EQ(t.state(a), syn_sent);
  EXPECT_EQ(t.state(b), closed);
  TcpDialogue nobody;
  nobody.peer_icmp(3, 3, 0);
  EXPECT_EQ(nobody.count(Counter::icmp_drop_no_socket), 1u);
  nobody.expect_nothing();
}

TEST(TcpIcmp, FragmentationNeededEndsNothing) {  // the path's MTU is not followed yet
  TcpDialogue t;
  const SocketId id = t.connect();
  t.take_all();
  t.peer_icmp(3, 4, 0);
  EXPECT_EQ(t.state(id), syn_sent);
}

}  // namespace
}  // namespace limpid
