// A dialogue with one stack: the test plays the peer, segment by segment, in virtual time.
//
// Segments read as in packetdrill: "S. 0:0(0) ack 1", flags first (S F R P . U), then relative sequence numbers
// from:to(length), then the relative ACK. Numbers count from each side's initial sequence number.
//
//   TcpDialogue t;
//   t.listen();
//   t.peer("S 0:0(0) win 65535 mss 1460");
//   t.expect("S. 0:0(0) ack 1");
//   t.peer(". 1:1(0) ack 1");
//   SocketId server = t.accept();
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "stack/stack.h"
#include "stack/tcp/fast_open.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/tcp.h"

namespace limpid {

class TcpDialogue : public LinkPort, public ReadySink {
 public:
  static constexpr IpAddress kUs = IpAddress::v4(10, 0, 0, 1);
  static constexpr IpAddress kPeer = IpAddress::v4(10, 0, 0, 2);
  static constexpr uint16_t kOurPort = 80;
  static constexpr uint16_t kPeerPort = 4000;
  static constexpr uint32_t kPeerIsn = 0xfffff000;  // so that every dialogue crosses the wrap (RFC 9293 §3.4)

  // Text is acknowledged as behind the first few segments of a connection (RFC 5681 §4.2 plainly), unless the
  // configuration names another number of quick ACKs than the default; and the user may send a mebibyte at once, unless
  // it names another send buffer.
  // Connections become small records as soon as they are quiet, unless it says otherwise: no test may notice.
  // `offloads`: the link takes super-segments, and cuts them into the packets that the peer sees.
  explicit TcpDialogue(const Config& config = {}, uint32_t mtu = 1500, uint64_t seed = 1, bool offloads = false);

  // --- our user ---
  SocketId listen(const TcpOptions& options = {}, uint32_t backlog = 8);
  SocketId accept();                                 // of the last listener; fails when none waits
  SocketId connect(const TcpOptions& options = {});  // to kPeer:kPeerPort
  // Handshakes that end ESTABLISHED, nothing left to expect. The peer's SYN says `syn_words`.
  SocketId establish_passively(const TcpOptions& options = {}, const std::string& syn_words = "win 65535 mss 1460");
  SocketId establish_actively(const TcpOptions& options = {}, const std::string& syn_ack_words = "win 65535 mss 1460");
  std::string send(SocketId id, size_t bytes, TcpSendFlags flags = {});  // a pattern; "taken n" or the error's number
  std::string read(SocketId id, size_t most = 65536);                    // the bytes as text
  std::string read_urgent(SocketId id, bool peek = false);               // the urgent octet, or the error's number
  TcpState state(SocketId id) const { return stack.tcp_status(id).value_or(TcpStatus{}).state; }
  TcpStatus status(SocketId id) const { return stack.tcp_status(id).value_or(TcpStatus{}); }
  // What the stack shows for the conversation with kPeer:kPeerPort: half-open and TIME-WAIT too; CLOSED when it knows
  // of none.
  TcpState listed() const;
  // Brings a new conversation to this state; both sides' numbers count their SYN and, where sent, their FIN. Nothing is
  // left to expect. The id of its socket (the listener's in LISTEN and SYN-RECEIVED, none in CLOSED).
  SocketId reach(TcpState wanted, const TcpOptions& options = {});

  // --- the peer ---
  // "flags from:to(length) [ack n] [win n] [mss n] [wscale n] [urg n] [ce] [ect0] [sackOK] [ts n] [ecr n]
  // [bad-checksum] [fo cookie-in-hex|request] [gso n] [sack from:to …]". "gso": a super-segment of packets with n
  // octets each, its checksum left open (0: one packet). The text is a pattern. "ts" is as on the wire, "ecr" a time of
  // ours in milliseconds.
  void peer(const std::string& segment);  // and flushes, as a batch of one
  void peer_batch(const std::vector<std::string>& segments);
  bool user_runs_next = false;                             // and an ACK that its answer may carry waits for it
  bool more_frames = false;                                // wait at the device, and ACKs amid bulk for them
  void peer_header(TcpHeader header, ByteSpan text = {});  // any header at all, sequence numbers as on the wire
  // From and to any address; flushed. `link_broadcast` cannot be had here: see the tests of IP.
  void header_between(const IpAddress& from, const IpAddress& to, TcpHeader header, ByteSpan text = {});
  // A TCP segment as bytes; its ports and checksum are filled in. `ip_options`: multiple of four bytes.
  void peer_raw(std::vector<std::byte> segment, ByteSpan ip_options = {});
  // Quoting a segment of ours (relative number), of this length as an IP packet; `mtu`: of "fragmentation needed".
  void peer_icmp(uint8_t type, uint8_t code, uint32_t quoted_seq, uint16_t mtu = 0, uint16_t quoted_length = 40);

  // --- what we sent ---
  struct Sent {
    TcpHeader header;
    Ipv4Header ip;
    std::string text;
    uint8_t reserved = 0;  // the four bits behind the data offset
    Time at{};
    std::string words;  // as above
  };
  // The next segment that we sent. Also compared, if they are named, and in this order behind the ACK: "win n", "ts n
  // ecr n" (our time in milliseconds, and the peer's number as on the wire), "sack from:to …" ("sack" alone: no
  // blocks).
  void expect(const std::string& words);
  void expect_nothing();
  std::optional<Sent> next();  // takes it
  Sent take() { return next().value_or(Sent{}); }
  size_t pending() const { return sent_.size(); }
  size_t frames = 0;  // given to the device: a super-segment is one
  std::vector<Sent> take_all();
  std::vector<std::string> take_words();

  // --- time ---
  void pass(Duration d);    // fires what is due, invariants checked after each
  bool refuse = false;      // the device takes nothing
  size_t takes = SIZE_MAX;  // frames, and then nothing
  void writable();          // the device takes frames again, and says so
  uint64_t count(Counter c) const { return stack.counters()[c]; }

  Transmit transmit(const TxFrame& frame, Time now) override;
  void raise(SocketId socket, ReadyEvents events) override;
  ReadyEvents raised(SocketId id);  // since the last call

  Time now{};
  Config config;
  Stack stack;
  uint32_t our_isn = 0;                               // learned from our SYN
  uint32_t our_clock = 0;                             // what our timestamps said at time 0, learned there too
  std::vector<std::vector<std::byte>> other_packets;  // sent, not TCP

 private:
  void inject(ByteSpan ip_packet, const FrameOffload& offload = {});
  void note_packet(ByteSpan head, std::span<const ByteSpan> body, Time at);
  std::string stamp_words(const TcpTimestamps& t) const;
  void check() { EXPECT_EQ(stack.check_invariants(now), ""); }
  uint16_t our_port_ = kOurPort;
  InterfaceId interface_ = 0;
  SocketId listener_;
  std::deque<Sent> sent_;
  std::vector<std::pair<SocketId, unsigned>> raised_;
};

}  // namespace limpid
