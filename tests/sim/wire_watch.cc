#include "tests/sim/wire_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "stack/base/checksum.h"
#include "stack/wire/super_segment.h"

namespace limpid::sim {

namespace {

constexpr size_t kEthernetHeader = 14;
constexpr size_t kIpHeader = 20;

// Sequence numbers as RFC 9293 §3.4 compares them.
bool before(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }
bool after(uint32_t a, uint32_t b) { return before(b, a); }

std::string text_of(const IpAddress& from, const IpAddress& to, const TcpHeader& tcp, uint32_t length) {
  return fmt::format("{}:{} > {}:{} seq {} ack {} flags {:#04x} win {} len {}", from.to_string(), tcp.source_port,
                     to.to_string(), tcp.destination_port, tcp.sequence, tcp.acknowledgment, tcp.flags, tcp.window,
                     length);
}

}  // namespace

// Looks at what passes, both ways, and changes nothing.
class WireWatch::Tap final : public Device {
 public:
  Tap(WireWatch& watch, size_t host, Device& inner)
      : watch_(watch),
        host_(host),
        inner_(inner),
        ethernet_(inner.capabilities().ethernet),
        mtu_(inner.capabilities().mtu) {}

  Transmit transmit(const TxFrame& frame, Time now) override {
    if (endless(now)) return Transmit::refused;
    const Transmit result = inner_.transmit(frame, now);
    if (result == Transmit::refused) return result;
    if (frame.offload.checksum_open) {  // judged by the packets that it stands for
      const size_t link_header = ethernet_ ? kEthernetHeader : 0;
      for (SuperSegment s(frame.head, link_header, frame.body, frame.offload); s.next();) judge(s.head(), s.body());
    } else {
      judge(frame.head, frame.body);
    }
    return result;
  }
  size_t receive_batch(std::span<FrameRef> frames, Time now) override {
    const size_t n = inner_.receive_batch(frames, now);
    for (size_t i = 0; i < n; ++i) note_arrival(*frames[i]);
    return n;
  }
  int descriptor() const override { return inner_.descriptor(); }
  bool wants_writable() const override { return inner_.wants_writable(); }
  Time next_deadline() const override { return inner_.next_deadline(); }
  void advance(Time now) override { inner_.advance(now); }
  Capabilities capabilities() const override { return inner_.capabilities(); }

 private:
  // Time stands still while a stack sends; more than any window holds is a loop, and this its only way out.
  bool endless(Time now) {
    constexpr uint32_t kMostAtOnce = 200'000;
    if (std::exchange(now_, now) != now) at_once_ = 0;
    if (++at_once_ <= kMostAtOnce) return false;
    watch_.complain_(fmt::format("host {} sends without end", host_));
    return true;
  }
  void judge(ByteSpan head, std::span<const ByteSpan> body) {
    bytes_.assign(head.begin(), head.end());
    for (ByteSpan piece : body) bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    if (const ByteSpan packet = ip_packet(bytes_); !packet.empty()) watch_.sent(host_, packet, mtu_);
  }
  // What the link has merged counts as the packets that it stands for.
  void note_arrival(const Frame& frame) {
    const ByteSpan bytes = frame.bytes();
    const auto text_at = super_segment_text(bytes, ethernet_ ? kEthernetHeader : 0, frame.offload);
    if (!text_at) {
      if (const ByteSpan packet = ip_packet(bytes); !packet.empty()) watch_.got(host_, packet);
      return;
    }
    const ByteSpan text = bytes.subspan(*text_at);
    SuperSegment s(bytes.first(*text_at), ethernet_ ? kEthernetHeader : 0, {&text, 1}, frame.offload);
    while (s.next()) {
      bytes_.assign(s.head().begin(), s.head().end());
      for (ByteSpan piece : s.body()) bytes_.insert(bytes_.end(), piece.begin(), piece.end());
      watch_.got(host_, ip_packet(bytes_));
    }
  }
  ByteSpan ip_packet(ByteSpan frame) const {
    if (!ethernet_) return frame;
    if (frame.size() < kEthernetHeader || load16(frame, 12) != 0x0800) return {};
    return frame.subspan(kEthernetHeader);
  }

  WireWatch& watch_;
  size_t host_;
  Device& inner_;
  bool ethernet_;
  uint32_t mtu_;
  std::vector<std::byte> bytes_;
  Time now_{};
  uint32_t at_once_ = 0;  // frames sent at that time
};

WireWatch::WireWatch(Complain complain) : complain_(std::move(complain)) {}
WireWatch::~WireWatch() = default;

Device& WireWatch::wrap(size_t host, Device& end) {
  taps_.push_back(std::make_unique<Tap>(*this, host, end));
  return *taps_.back();
}

WireWatch::Flow& WireWatch::flow_of(size_t host, const IpAddress& local, uint16_t local_port, const IpAddress& remote,
                                    uint16_t remote_port) {
  return flows_[{host, local.v4_bits(), local_port, remote.v4_bits(), remote_port}];
}

// True for a good TCP segment. `problem` says what is wrong with a packet; empty for one of another protocol.
bool WireWatch::decode(ByteSpan packet, Seen& seen, std::string& problem) const {
  problem.clear();
  if (packet.size() < kIpHeader || load8(packet, 0) >> 4 != 4) return (problem = "not IPv4", false);
  const size_t header = (load8(packet, 0) & 15) * size_t{4};
  const size_t total = load16(packet, 2);
  if (header < kIpHeader || total < header || total > packet.size()) return (problem = "IP lengths disagree", false);
  if (internet_checksum(packet.first(header)) != 0) return (problem = "IP checksum is wrong", false);
  if (load8(packet, 9) != static_cast<uint8_t>(IpProtocol::tcp)) return false;
  seen.source = IpAddress::v4(load32(packet, 12));
  seen.destination = IpAddress::v4(load32(packet, 16));
  const ByteSpan segment = packet.subspan(header, total - header);
  const auto parsed = parse_tcp(segment, seen.source, seen.destination);
  if (!parsed) return (problem = std::string(kCounterInfo[static_cast<size_t>(parsed.error())].name), false);
  seen.tcp = parsed->header;
  seen.text = static_cast<uint32_t>(segment.size() - parsed->header_size);
  seen.options = parsed->header_size - static_cast<uint32_t>(TcpHeader::kMinSize);
  seen.seq_end =
      seen.tcp.sequence + seen.text + (seen.tcp.has(tcp_flag::syn) ? 1 : 0) + (seen.tcp.has(tcp_flag::fin) ? 1 : 0);
  return true;
}

void WireWatch::adopt_syn(Flow& flow, const TcpHeader& syn) {
  flow.got_syn = true;
  flow.awaits_syn = false;
  flow.got_isn = syn.sequence;
  flow.got_end = syn.sequence + 1;
  flow.acked = false;
  flow.got_stamps = syn.options.timestamps.has_value();
  flow.got_sack = syn.options.sack_permitted;
  flow.got_scale = syn.options.window_scale.has_value();
  flow.shift_in = std::min<uint8_t>(syn.options.window_scale.value_or(0), 14);
  flow.peer_mss = syn.options.mss.value_or(536);
}

void WireWatch::got(size_t host, ByteSpan packet) {
  Seen seen;
  std::string problem;
  if (!decode(packet, seen, problem)) return;  // corrupted on the way
  const TcpHeader& tcp = seen.tcp;
  Flow& flow = flow_of(host, seen.destination, tcp.destination_port, seen.source, tcp.source_port);
  if (tcp.has(tcp_flag::rst)) {
    flow.reset = true;
    return;
  }
  if (tcp.has(tcp_flag::syn) && (!flow.got_syn || flow.got_isn != tcp.sequence)) {
    if (!flow.got_syn || flow.awaits_syn) {
      adopt_syn(flow, tcp);
    } else {
      flow.late_syn = tcp;
    }
  }
  if (!flow.got_syn) return;
  if (after(seen.seq_end, flow.got_end)) flow.got_end = seen.seq_end;
  if (!tcp.has(tcp_flag::ack)) return;
  const uint8_t shift = flow.scaled() && !tcp.has(tcp_flag::syn) ? flow.shift_in : uint8_t{0};
  const uint32_t edge = tcp.acknowledgment + (uint32_t{tcp.window} << shift);
  if (!flow.got_ack || after(edge, flow.edge_in)) flow.edge_in = edge;
  flow.got_ack = true;
}

void WireWatch::sent(size_t host, ByteSpan packet, uint32_t mtu) {
  Seen seen;
  std::string problem;
  if (!decode(packet, seen, problem)) {
    if (!problem.empty()) complain_(fmt::format("host {} sent a bad packet: {}", host, problem));
    return;
  }
  ++segments_;
  const TcpHeader& tcp = seen.tcp;
  const std::string where =
      fmt::format("host {} sent {}", host, text_of(seen.source, seen.destination, tcp, seen.text));
  if (packet.size() > mtu) complain_(where + fmt::format(": {} bytes, above the MTU", packet.size()));
  Flow& flow = flow_of(host, seen.source, tcp.source_port, seen.destination, tcp.destination_port);
  if (tcp.has(tcp_flag::rst)) {
    flow.reset = true;
    return;
  }
  if (tcp.has(tcp_flag::syn)) {
    if (!flow.sent_syn || flow.sent_isn != tcp.sequence || flow.reset) {  // a new connection
      flow.sent_syn = true;
      flow.reset = false;
      flow.sent_isn = tcp.sequence;
      flow.sent_end = seen.seq_end;
      flow.got_ack = false;
      flow.acked = false;
      flow.awaits_syn = !tcp.has(tcp_flag::ack);
    }
    const bool answers_late = tcp.has(tcp_flag::ack) && flow.late_syn.has(tcp_flag::syn) &&
                              tcp.acknowledgment == flow.late_syn.sequence + 1 &&
                              flow.got_isn != flow.late_syn.sequence;
    if (answers_late) adopt_syn(flow, flow.late_syn);
    flow.offered_scale = tcp.options.window_scale.has_value();
    flow.shift_out = tcp.options.window_scale.value_or(0);
    flow.offered_stamps = tcp.options.timestamps.has_value();
    flow.offered_sack = tcp.options.sack_permitted;
  }
  if (!flow.sent_syn) return complain_(where + ": of no connection that it opened");
  check_options(flow, seen, where);
  check_extent(flow, seen, where);
  if (after(seen.seq_end, flow.sent_end)) flow.sent_end = seen.seq_end;
  if (tcp.has(tcp_flag::ack)) check_acknowledgment(flow, seen, where);
}

void WireWatch::check_options(const Flow& flow, const Seen& seen, const std::string& where) {
  const TcpOptionSet& o = seen.tcp.options;
  const bool syn = seen.tcp.has(tcp_flag::syn);
  if (syn && seen.tcp.has(tcp_flag::ack)) {
    if (o.timestamps && !flow.got_stamps) complain_(where + ": timestamps that the SYN did not offer");
    if (o.sack_permitted && !flow.got_sack) complain_(where + ": SACK that the SYN did not offer");
    if (o.window_scale && !flow.got_scale) complain_(where + ": a window scale that the SYN did not offer");
  }
  if (syn) return;
  if (o.mss || o.window_scale || o.sack_permitted) complain_(where + ": an option that belongs on a SYN");
  if (o.timestamps.has_value() != flow.stamped()) complain_(where + ": timestamps against what was agreed on");
  if (o.sack_count > 0) check_sack(flow, seen.tcp, where);
}

// RFC 2018 §4, 2883 §4: blocks of text that arrived, beyond the ACK and apart from each other; the first may tell of a
// duplicate and lie below the ACK or inside the second.
void WireWatch::check_sack(const Flow& flow, const TcpHeader& tcp, const std::string& where) {
  const TcpOptionSet& o = tcp.options;
  if (!flow.offered_sack || !flow.got_sack) return complain_(where + ": SACK blocks that were not agreed on");
  const bool duplicate_first =
      !after(o.sack[0].right, tcp.acknowledgment) ||
      (o.sack_count > 1 && !before(o.sack[0].left, o.sack[1].left) && !after(o.sack[0].right, o.sack[1].right));
  for (size_t i = 0; i < o.sack_count; ++i) {
    const SackBlock& b = o.sack[i];
    if (!before(b.left, b.right) || after(b.right, flow.got_end))
      complain_(where + ": a SACK block of what never came");
    if (i == 0 && duplicate_first) continue;
    if (!after(b.left, tcp.acknowledgment)) complain_(where + ": a SACK block not beyond the ACK");
    for (size_t j = duplicate_first ? 1 : 0; j < i; ++j)
      if (before(b.left, o.sack[j].right) && before(o.sack[j].left, b.right))
        complain_(where + ": SACK blocks overlap");
  }
}

// An MSS counts no options: they take their room from the text (RFC 6691 §3).
void WireWatch::check_extent(const Flow& flow, const Seen& seen, const std::string& where) {
  if (seen.text > 0 && seen.text + (seen.tcp.has(tcp_flag::syn) ? 0 : seen.options) > flow.peer_mss)
    complain_(where + fmt::format(": above the peer's MSS of {}", flow.peer_mss));
  if (seen.tcp.has(tcp_flag::syn)) return;
  if (seen.seq_end == seen.tcp.sequence) return;  // an ACK takes no room
  if (!flow.got_ack) return complain_(where + ": before any ACK of the peer");
  const uint32_t grace = seen.seq_end - seen.tcp.sequence <= 1 ? 1 : 0;  // a window probe
  if (after(seen.seq_end, flow.edge_in + grace)) {
    complain_(where + fmt::format(": {} beyond the peer's window", seen.seq_end - flow.edge_in));
  }
}

void WireWatch::check_acknowledgment(Flow& flow, const Seen& seen, const std::string& where) {
  if (!flow.got_syn) return complain_(where + ": acknowledges a peer that never sent a SYN");
  const uint32_t ack = seen.tcp.acknowledgment;
  const uint8_t shift = flow.scaled() && !seen.tcp.has(tcp_flag::syn) ? flow.shift_out : uint8_t{0};
  const uint32_t edge = ack + (uint32_t{seen.tcp.window} << shift);
  if (after(ack, flow.got_end))
    complain_(where + fmt::format(": acknowledges {} more than arrived", ack - flow.got_end));
  if (flow.acked && before(ack, flow.ack_out)) complain_(where + fmt::format(": acknowledged {} before", flow.ack_out));
  const uint32_t unit = 1u << shift;  // less than a unit of the scale may be lost by rounding (RFC 7323 §2.4)
  // The window of a SYN,ACK is not scaled: sent again after an ACK it cannot repeat what that promised.
  if (!seen.tcp.has(tcp_flag::syn) && flow.acked && before(edge + unit - 1, flow.edge_out)) {
    complain_(where + fmt::format(": right edge of the window moves back by {}", flow.edge_out - edge));
  }
  flow.ack_out = ack;
  flow.edge_out = edge;
  flow.acked = true;
}

}  // namespace limpid::sim
