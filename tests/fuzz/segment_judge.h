// Judges a stack by its wire and by what its user got, for a fuzzer whose peer does anything at all. It knows what was
// delivered, what the user wrote, and nothing of the stack's insides; so each bound is one that holds whichever of the
// peer's segments the stack believed:
//
//   an ACK covers only octets that came, all of them from the peer's SYN on, and never goes back;
//   text is what the user wrote there, inside the widest window that the peer has opened, and fits the peer's MSS;
//   the window that was opened never moves back; options are those of both SYNs; SACK blocks tell of what came.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stack/base/bytes.h"
#include "stack/wire/tcp.h"
#include "tests/fuzz/at_the_end.h"
#include "tests/fuzz/scripted_peer.h"

namespace limpid::fuzz {

// What each side writes: the peer by its sequence numbers, the stack's user by its place in the stream.
inline std::byte peer_octet(uint32_t sequence) { return static_cast<std::byte>(sequence * 2'654'435'761U >> 24); }
inline std::byte user_octet(uint64_t place) { return static_cast<std::byte>((place * 40'503 + 7) >> 4); }

// Octets by their sequence numbers on the wire, wrap and all.
class OctetSet {
 public:
  void add(uint32_t from, uint32_t length) {
    if (uint64_t{from} + length <= kRing) return insert(from, uint64_t{from} + length);
    insert(from, kRing);
    insert(0, uint64_t{from} + length - kRing);
  }
  bool covers(uint32_t from, uint32_t length) const {
    if (uint64_t{from} + length <= kRing) return holds(from, uint64_t{from} + length);
    return holds(from, kRing) && holds(0, uint64_t{from} + length - kRing);
  }

 private:
  static constexpr uint64_t kRing = uint64_t{1} << 32;
  void insert(uint64_t from, uint64_t to) {
    if (from == to) return;
    auto at = ranges_.upper_bound(from);
    if (at != ranges_.begin() && std::prev(at)->second >= from) --at;
    while (at != ranges_.end() && at->first <= to) {
      from = std::min(from, at->first);
      to = std::max(to, at->second);
      at = ranges_.erase(at);
    }
    ranges_[from] = to;
  }
  bool holds(uint64_t from, uint64_t to) const {
    if (from == to) return true;
    auto at = ranges_.upper_bound(from);
    return at != ranges_.begin() && std::prev(at)->second >= to;
  }
  std::map<uint64_t, uint64_t> ranges_;  // begin, end
};

// A segment without its bytes.
struct SeenSegment {
  TcpHeader tcp;
  ByteSpan text;
  uint32_t options = 0;  // bytes
  uint32_t length() const {
    return static_cast<uint32_t>(text.size()) + (tcp.has(tcp_flag::syn) ? 1U : 0U) + (tcp.has(tcp_flag::fin) ? 1U : 0U);
  }
};

// Nothing unless it is a whole TCP segment, not a fragment, between the two hosts of the game. (The first bit beside
// the fragment offset is reserved: a receiver does not look at it.)
inline std::optional<SeenSegment> read_segment(ByteSpan packet) {
  if (packet.size() < kIpHeader || load8(packet, 0) >> 4 != 4) return std::nullopt;
  const size_t header = (load8(packet, 0) & 15) * size_t{4};
  const size_t total = load16(packet, 2);
  if (header != kIpHeader || total < header || total > packet.size()) return std::nullopt;
  if (load8(packet, 9) != kTcp || (load16(packet, 6) & 0x3fff) != 0) return std::nullopt;
  if (internet_checksum(packet.first(header)) != 0) return std::nullopt;
  const ByteSpan segment = packet.subspan(header, total - header);
  const IpAddress source = IpAddress::v4(load32(packet, 12));
  const IpAddress destination = IpAddress::v4(load32(packet, 16));
  if (source == kPeers ? destination != kOurs : source != kOurs || destination != kPeers) return std::nullopt;
  const auto parsed = parse_tcp(segment, source, destination);
  if (!parsed) return std::nullopt;
  return SeenSegment{.tcp = parsed->header,
                     .text = segment.subspan(parsed->header_size),
                     .options = parsed->header_size - static_cast<uint32_t>(TcpHeader::kMinSize)};
}

// One connection between two ports, from its SYN on. Numbers "from the SYN" count from the stack's ISN.
struct Flow {
  std::optional<uint32_t> isn;                         // of the stack, once its SYN was seen
  uint32_t sent_end = 0;                               // from the SYN
  bool scales = false, stamps = false, sacks = false;  // on the stack's SYN
  uint8_t shift_out = 0;
  // The most generous that any SYN of the peer was, until an ACK tells which of them counts.
  bool peer_scales = false, peer_stamps = false, peer_sacks = false;
  uint8_t shift_in = 0;
  uint16_t peer_mss = 0;
  std::vector<TcpHeader> peer_syns;
  bool unclear = false;  // the SYN that counts came twice, with different options
  OctetSet came;
  uint64_t edge_in = 0;  // from the SYN
  bool acked = false;
  uint32_t irs = 0, ack_out = 0, edge_out = 0;
  std::optional<bool> stamped;
  std::optional<uint32_t> last_stamp;
  uint32_t last_echo = 0;
  uint64_t written = 0, read = 0;  // by the user
  bool odd_text = false;           // urgent octets, or a changed one: what the user should read is not known
  bool left = false;               // by its user: the peer's text may draw a RST
};

class SegmentJudge {
 public:
  using Ports = std::pair<uint16_t, uint16_t>;  // the stack's, the peer's

  // The connection that these ports belong to now; by its number in the trace, any that there was.
  Flow& flow(const Ports& ports) { return flows_[current_[ports]]; }
  Flow& flow(uint32_t connection) { return flows_[connection]; }
  const std::vector<TcpHeader>& resets() const { return resets_; }  // since the last delivery, or the last call
  void forget_resets() { resets_.clear(); }

  // A connection begins: what came before on these ports belongs to another one.
  void begin(const Ports& ports, uint32_t connection) {
    current_[ports] = connection;
    if (delivered_ && ports_of(*delivered_) == ports) note(flows_[connection], *delivered_);
  }
  // Before the stack is given it.
  void deliver(const SeenSegment& s) {
    delivered_ = s;
    note(flow(ports_of(s)), s);
  }
  void delivered() { delivered_.reset(); }
  void sent(ByteSpan packet);
  void user_read(Flow& flow, ByteSpan bytes) const;

 private:
  static bool before(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }
  static Ports ports_of(const SeenSegment& s) { return {s.tcp.destination_port, s.tcp.source_port}; }
  static void note(Flow& flow, const SeenSegment& s);
  static void offer(Flow& flow, const TcpOptionSet& o);
  static void choose_syn(Flow& flow, uint32_t ack);
  static void note_own_syn(Flow& flow, const SeenSegment& s);
  static void check_extent(const Flow& flow, const SeenSegment& s);
  static void check_options(Flow& flow, const SeenSegment& s);
  static void check_sack(const Flow& flow, const TcpHeader& tcp);
  static void check_acknowledgment(Flow& flow, const TcpHeader& tcp);

  std::map<uint32_t, Flow> flows_;  // by connection; 0: ports where none has begun
  std::map<Ports, uint32_t> current_;
  std::optional<SeenSegment> delivered_;  // under way into the stack
  std::vector<TcpHeader> resets_;
};

inline void SegmentJudge::offer(Flow& flow, const TcpOptionSet& o) {
  flow.peer_stamps |= o.timestamps.has_value();
  flow.peer_sacks |= o.sack_permitted;
  flow.peer_scales |= o.window_scale.has_value();
  flow.shift_in = std::max(flow.shift_in, std::min<uint8_t>(o.window_scale.value_or(0), 14));
  flow.peer_mss = std::max(flow.peer_mss, o.mss.value_or(536));
}

inline void SegmentJudge::note(Flow& flow, const SeenSegment& s) {
  const TcpHeader& tcp = s.tcp;
  if (tcp.has(tcp_flag::rst)) return;
  flow.came.add(tcp.sequence, s.length());
  if (tcp.has(tcp_flag::urg)) flow.odd_text = true;
  const uint32_t first = tcp.sequence + (tcp.has(tcp_flag::syn) ? 1 : 0);
  for (size_t i = 0; i < s.text.size(); ++i) flow.odd_text |= s.text[i] != peer_octet(first + static_cast<uint32_t>(i));
  if (tcp.has(tcp_flag::syn)) {
    flow.peer_syns.push_back(tcp);
    if (!flow.acked) {  // else what the peer offered is settled
      offer(flow, tcp.options);
      flow.edge_in = std::max<uint64_t>(flow.edge_in, uint64_t{1} + tcp.window);
    }
  }
  if (!tcp.has(tcp_flag::ack) || !flow.isn) return;
  const uint32_t ack = tcp.acknowledgment - *flow.isn;
  if (ack > flow.sent_end) return;
  const bool scaled = flow.scales && flow.peer_scales && !tcp.has(tcp_flag::syn);
  flow.edge_in = std::max(flow.edge_in, ack + (uint64_t{tcp.window} << (scaled ? flow.shift_in : 0)));
}

inline void SegmentJudge::note_own_syn(Flow& flow, const SeenSegment& s) {
  const TcpOptionSet& o = s.tcp.options;
  if (flow.isn && *flow.isn != s.tcp.sequence) fail("a connection has two initial sequence numbers");
  flow.isn = s.tcp.sequence;
  flow.scales = o.window_scale.has_value();
  flow.shift_out = o.window_scale.value_or(0);
  flow.stamps = o.timestamps.has_value();
  flow.sacks = o.sack_permitted;
  if (!s.tcp.has(tcp_flag::ack)) return;
  if (flow.scales && !flow.peer_scales) fail("SYN,ACK with a window scale that no SYN offered");
  if (flow.stamps && !flow.peer_stamps) fail("SYN,ACK with timestamps that no SYN offered");
  if (flow.sacks && !flow.peer_sacks) fail("SYN,ACK permits SACK, which no SYN offered");
}

inline void SegmentJudge::sent(ByteSpan packet) {
  if (packet.size() > 1500) fail("a packet above the MTU");
  const auto s = read_segment(packet);
  if (!s) {
    if (load8(packet, 9) == kTcp && load32(packet, 16) == kPeers.v4_bits())
      fail("a segment that cannot be read was sent");
    return;
  }
  if (s->tcp.has(tcp_flag::rst)) {
    resets_.push_back(s->tcp);
    return;
  }
  Flow& current = flow({s->tcp.source_port, s->tcp.destination_port});
  if (s->tcp.has(tcp_flag::syn)) note_own_syn(current, *s);
  if (!current.isn) return;  // its handshake left nothing behind
  check_options(current, *s);
  check_extent(current, *s);
  current.sent_end = std::max(current.sent_end, s->tcp.sequence - *current.isn + s->length());
  if (s->tcp.has(tcp_flag::ack)) check_acknowledgment(current, s->tcp);
}

inline void SegmentJudge::check_extent(const Flow& flow, const SeenSegment& s) {
  if (s.length() == 0) return;
  const bool syn = s.tcp.has(tcp_flag::syn);
  const uint32_t begin = s.tcp.sequence - *flow.isn;  // from the SYN
  const uint64_t end = uint64_t{begin} + s.length();
  const uint64_t fin = s.tcp.has(tcp_flag::fin) ? 1 : 0;
  if (!syn && begin == 0) fail("text in place of the SYN");
  if (end > 1 + flow.written + fin) fail("octets were sent that the user did not write");
  if (fin != 0 && end != 2 + flow.written) fail("a FIN before the end of what the user wrote");
  const uint64_t first = begin - (syn ? 0U : 1U);  // place in the stream
  for (size_t i = 0; i < s.text.size(); ++i)
    if (s.text[i] != user_octet(first + i)) fail("octet " + std::to_string(first + i) + " was sent wrong");
  if (syn) return;
  if (end > flow.edge_in + (s.length() == 1 ? 1 : 0)) fail("beyond the peer's window");
  if (s.text.size() + s.options > std::max<uint32_t>(flow.peer_mss, 48)) fail("above the peer's MSS");
}

inline void SegmentJudge::check_options(Flow& flow, const SeenSegment& s) {
  const TcpOptionSet& o = s.tcp.options;
  if (o.timestamps) {
    if (flow.last_stamp && before(o.timestamps->value, *flow.last_stamp)) fail("timestamps go back");
    flow.last_stamp = o.timestamps->value;
    if (s.tcp.has(tcp_flag::ack)) flow.last_echo = o.timestamps->echo;
  }
  if (s.tcp.has(tcp_flag::syn)) return;
  if (o.mss || o.window_scale || o.sack_permitted) fail("an option that belongs on a SYN");
  const bool stamped = o.timestamps.has_value();
  if (flow.unclear) return;
  if (stamped && !(flow.stamps && flow.peer_stamps)) fail("timestamps that were not agreed on");
  if (flow.stamped.value_or(stamped) != stamped) fail("timestamps on some segments only");
  flow.stamped = stamped;
  if (o.sack_count > 0) check_sack(flow, s.tcp);
}

// RFC 2018 §4, 2883 §4: the first block may tell of a duplicate; the others lie above the ACK.
inline void SegmentJudge::check_sack(const Flow& flow, const TcpHeader& tcp) {
  if (!flow.sacks || !flow.peer_sacks) fail("SACK blocks that were not agreed on");
  for (size_t i = 0; i < tcp.options.sack_count; ++i) {
    const SackBlock& b = tcp.options.sack[i];
    if (!before(b.left, b.right)) fail("an empty SACK block");
    if (!flow.came.covers(b.left, b.right - b.left)) fail("a SACK block of what never came");
    if (i > 0 && !before(tcp.acknowledgment, b.left)) fail("a SACK block not beyond the ACK");
  }
}

// The first ACK answers the nearest SYN below it, and its options are those that count. If several lie below it (a
// device that refused all frames kept the answers to itself), the wire does not tell which of them opened the stream.
inline void SegmentJudge::choose_syn(Flow& flow, uint32_t ack) {
  const TcpHeader* chosen = nullptr;
  for (const TcpHeader& syn : flow.peer_syns) {
    if (ack == syn.sequence || !flow.came.covers(syn.sequence, ack - syn.sequence)) continue;
    if (chosen != nullptr && chosen->sequence != syn.sequence) flow.odd_text = flow.unclear = true;
    if (chosen == nullptr || ack - syn.sequence < ack - chosen->sequence) chosen = &syn;
  }
  if (chosen == nullptr) fail("acknowledges a peer that sent no such SYN");
  flow.irs = chosen->sequence;
  flow.peer_scales = flow.peer_stamps = flow.peer_sacks = false;
  flow.shift_in = 0;
  flow.peer_mss = 0;
  for (const TcpHeader& syn : flow.peer_syns) {
    if (syn.sequence != flow.irs) continue;
    if (!(syn.options == chosen->options)) flow.unclear = true;
    offer(flow, syn.options);
  }
}

inline void SegmentJudge::check_acknowledgment(Flow& flow, const TcpHeader& tcp) {
  const uint32_t ack = tcp.acknowledgment;
  if (!flow.acked) choose_syn(flow, ack);
  if (!flow.came.covers(flow.irs, ack - flow.irs)) fail("acknowledges what did not come");
  if (flow.acked && before(ack, flow.ack_out)) fail("an acknowledgment goes back");
  const bool scaled = flow.scales && flow.peer_scales && !tcp.has(tcp_flag::syn);
  const uint8_t shift = scaled ? flow.shift_out : uint8_t{0};
  const uint32_t edge = ack + (uint32_t{tcp.window} << shift);
  // A SYN,ACK that is sent again has no scale to tell a window that an ACK in between has told.
  const bool cannot_tell = tcp.has(tcp_flag::syn) && tcp.window == UINT16_MAX;
  if (flow.acked && !flow.unclear && !cannot_tell && before(edge + (1U << shift) - 1, flow.edge_out))
    fail("the window moves back");
  flow.acked = true;
  flow.ack_out = ack;
  flow.edge_out = edge;
}

inline void SegmentJudge::user_read(Flow& flow, ByteSpan bytes) const {
  for (std::byte b : bytes) {
    const bool right = b == peer_octet(flow.irs + 1 + static_cast<uint32_t>(flow.read++));
    if (!right && !flow.odd_text) fail("the user read octet " + std::to_string(flow.read - 1) + " wrong");
  }
}

}  // namespace limpid::fuzz
