#include "tests/unit/tcp_dialogue.h"

#include <fmt/format.h>

#include <sstream>

#include "stack/base/checksum.h"
#include "stack/wire/icmp4.h"
#include "stack/wire/pseudo_header.h"
#include "stack/wire/super_segment.h"

namespace limpid {
namespace {

std::vector<std::byte> pattern(uint64_t from,
                               size_t n) {  // the byte at stream position p is a letter that depends on p
  std::vector<std::byte> bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>('a' + (from + i) % 26);
  return bytes;
}

std::string flag_letters(uint8_t flags) {
  std::string s;
  if (flags & tcp_flag::syn) s += 'S';
  if (flags & tcp_flag::fin) s += 'F';
  if (flags & tcp_flag::rst) s += 'R';
  if (flags & tcp_flag::psh) s += 'P';
  if (flags & tcp_flag::urg) s += 'U';
  if (flags & tcp_flag::ece) s += 'E';
  if (flags & tcp_flag::cwr) s += 'W';
  if (flags & tcp_flag::ack) s += '.';
  return s;
}

uint8_t flag_bits(const std::string& letters) {
  unsigned bits = 0;
  for (char c : letters) {
    switch (c) {
      case 'S':
        bits |= tcp_flag::syn;
        break;
      case 'F':
        bits |= tcp_flag::fin;
        break;
      case 'R':
        bits |= tcp_flag::rst;
        break;
      case 'P':
        bits |= tcp_flag::psh;
        break;
      case 'U':
        bits |= tcp_flag::urg;
        break;
      case 'E':
        bits |= tcp_flag::ece;
        break;
      case 'W':
        bits |= tcp_flag::cwr;
        break;
      case '.':
        bits |= tcp_flag::ack;
        break;
      case '0':
        break;  // no flag at all
      default:
        ADD_FAILURE() << "unknown flag " << c;
    }
  }
  return static_cast<uint8_t>(bits);
}

std::vector<std::byte> packet_of(const IpAddress& from, const IpAddress& to, const TcpHeader& header, ByteSpan text,
                                 uint8_t tos = 0) {
  const size_t size = header.size();
  std::vector<std::byte> packet(20 + size + text.size());
  Ipv4Header{.tos = tos,
             .total_length = static_cast<uint16_t>(packet.size()),
             .protocol = IpProtocol::tcp,
             .source = from,
             .destination = to}
      .write(MutableByteSpan(packet).first(20));
  header.write(MutableByteSpan(packet).subspan(20, size), from, to, std::span(&text, 1));
  std::copy(text.begin(), text.end(), packet.begin() + static_cast<std::ptrdiff_t>(20 + size));
  return packet;
}

std::vector<std::byte> from_peer(const TcpHeader& header, ByteSpan text, uint8_t tos = 0) {
  return packet_of(TcpDialogue::kPeer, TcpDialogue::kUs, header, text, tos);
}

struct PeerWords {
  TcpHeader header;
  std::vector<std::byte> text;
  bool bad_checksum = false;
  uint8_t tos = 0;
  FrameOffload offload{};
};

TcpTimestamps& stamps(PeerWords& w) {
  auto& t = w.header.options.timestamps;
  return t ? *t : t.emplace();
}

// "0011aabb", or "request".
FastOpenOption fast_open_of(const std::string& hex) {
  FastOpenOption option;
  if (hex == "request") return option;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    option.cookie.at(option.length++) = static_cast<uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16));
  return option;
}

// "1001:2001 3001:4001" up to the end of the words.
void parse_sack(std::istream& in, TcpOptionSet& o, uint32_t our_isn) {
  int64_t left = 0;
  int64_t right = 0;
  char colon = 0;
  while (in >> left >> colon >> right)
    o.sack.at(o.sack_count++) = {our_isn + static_cast<uint32_t>(left), our_isn + static_cast<uint32_t>(right)};
}

PeerWords parse_words(const std::string& words, uint32_t peer_isn, uint32_t our_isn, uint32_t our_clock) {
  PeerWords w;
  std::istringstream in(words);
  std::string flags, range, word;
  in >> flags >> range;
  int64_t from = 0;
  int64_t to = 0;
  unsigned length = 0;
  if (std::sscanf(range.c_str(), "%ld:%ld(%u)", &from, &to, &length) != 3) ADD_FAILURE() << "bad range in: " << words;
  EXPECT_EQ(to - from, static_cast<int64_t>(length)) << "a range lies: " << words;
  w.header.flags = flag_bits(flags);
  w.header.sequence = peer_isn + static_cast<uint32_t>(from);
  w.header.window = 65535;
  const bool behind_syn = (w.header.flags & tcp_flag::syn) != 0;
  w.text = pattern(static_cast<uint64_t>(behind_syn ? from : from - 1), length);
  while (in >> word) {
    int64_t n = 0;
    if (word == "ack")
      in >> n, w.header.acknowledgment = our_isn + static_cast<uint32_t>(n);
    else if (word == "win")
      in >> n, w.header.window = static_cast<uint16_t>(n);
    else if (word == "mss")
      in >> n, w.header.options.mss = static_cast<uint16_t>(n);
    else if (word == "wscale")
      in >> n, w.header.options.window_scale = static_cast<uint8_t>(n);
    else if (word == "urg")
      in >> n, w.header.urgent_pointer = static_cast<uint16_t>(n);
    else if (word == "sackOK")
      w.header.options.sack_permitted = true;
    else if (word == "ts")
      in >> n, stamps(w).value = static_cast<uint32_t>(n);
    else if (word == "ecr")
      in >> n, stamps(w).echo = our_clock + static_cast<uint32_t>(n);
    else if (word == "fo")
      in >> word, w.header.options.fast_open = fast_open_of(word);
    else if (word == "sack")
      parse_sack(in, w.header.options, our_isn);
    else if (word == "ect0" || word == "ce")
      w.tos = word == "ce" ? 3 : 2;
    else if (word == "gso")
      in >> n, w.offload = {.segment_text = static_cast<uint16_t>(n),
                            .checksum_begin = 20,
                            .checksum_field = TcpHeader::kChecksumField,
                            .checksum_open = true};
    else if (word == "bad-checksum")
      w.bad_checksum = true;
    else
      ADD_FAILURE() << "unknown word " << word << " in: " << words;
  }
  return w;
}

}  // namespace

namespace {

Config behind_the_start(Config c) {
  if (c.tcp.quick_acks == TcpConfig{}.quick_acks) c.tcp.quick_acks = 0;
  if (c.tcp.send_buffer == TcpConfig{}.send_buffer) c.tcp.send_buffer = 1 << 20;
  if (c.tcp.whole_connections == TcpConfig{}.whole_connections) c.tcp.whole_connections = 0;
  return c;
}

}  // namespace

TcpDialogue::TcpDialogue(const Config& c, uint32_t mtu, uint64_t seed, bool offloads)
    : config(behind_the_start(c)), stack(config, seed, *this) {
  interface_ =
      stack.add_interface({.name = "test", .kind = LinkKind::ip, .mtu = mtu, .mac = {}, .offloads = offloads}, *this);
  stack.add_address(interface_, kUs, 24);
}

// --- our user
// -------------------------------------------------------------------------------------------------------------

SocketId TcpDialogue::listen(const TcpOptions& options, uint32_t backlog) {
  const auto bind = stack.tcp_bind({{}, kOurPort}, options.reuse, now);
  EXPECT_TRUE(bind.has_value());
  listener_ = stack.tcp_listen(*bind, backlog, options, now).value();
  our_port_ = kOurPort;
  return listener_;
}

SocketId TcpDialogue::accept() {
  const auto id = stack.tcp_accept(listener_, now);
  EXPECT_TRUE(id.has_value()) << "no connection waits to be accepted";
  return id.value_or(SocketId{});
}

SocketId TcpDialogue::connect(const TcpOptions& options) {
  const auto id = stack.tcp_connect({kPeer, kPeerPort}, {}, options, now);
  EXPECT_TRUE(id.has_value());
  check();
  return id.value_or(SocketId{});
}

SocketId TcpDialogue::establish_passively(const TcpOptions& options, const std::string& syn_words) {
  listen(options);
  peer("S 0:0(0) " + syn_words);
  expect("S. 0:0(0) ack 1");
  peer(". 1:1(0) ack 1");
  return accept();
}

SocketId TcpDialogue::establish_actively(const TcpOptions& options, const std::string& syn_ack_words) {
  const SocketId id = connect(options);
  expect("S 0:0(0)");
  peer("S. 0:0(0) ack 1 " + syn_ack_words);
  expect(". 1:1(0) ack 1");
  return id;
}

std::string TcpDialogue::send(SocketId id, size_t bytes, TcpSendFlags flags) {
  const auto status = stack.tcp_status(id);
  const uint64_t at = status ? status->bytes_acked + status->send_queue : 0;
  const auto taken = stack.tcp_send(id, pattern(at, bytes), flags, now);
  check();
  return taken ? fmt::format("taken {}", *taken) : fmt::format("error {}", static_cast<int>(taken.error()));
}

std::string TcpDialogue::read(SocketId id, size_t most) {
  std::vector<std::byte> buffer(most);
  const auto n = stack.tcp_receive(id, buffer, {}, now);
  check();
  if (!n) return fmt::format("error {}", static_cast<int>(n.error()));
  return {reinterpret_cast<const char*>(buffer.data()), *n};
}

std::string TcpDialogue::read_urgent(SocketId id, bool peek) {
  std::byte octet{};
  const auto n = stack.tcp_receive(id, MutableByteSpan(&octet, 1), {.peek = peek, .urgent = true}, now);
  check();
  if (!n) return fmt::format("error {}", static_cast<int>(n.error()));
  return {static_cast<char>(octet)};
}

TcpState TcpDialogue::listed() const {
  for (const TcpStatus& s : stack.tcp_list())
    if (s.remote == Endpoint{kPeer, kPeerPort}) return s.state;
  return TcpState::closed;
}

SocketId TcpDialogue::reach(TcpState wanted, const TcpOptions& options) {
  using enum TcpState;
  if (wanted == closed) return {};
  if (wanted == listen) return this->listen(options);
  if (wanted == syn_sent) {
    const SocketId id = connect(options);
    take_all();
    return id;
  }
  if (wanted == syn_received) {
    const SocketId id = this->listen(options);
    peer("S 0:0(0) mss 1460");
    take_all();
    return id;
  }
  const SocketId id = establish_passively(options);
  if (wanted == close_wait || wanted == last_ack) peer("F. 1:1(0) ack 1");
  if (wanted != established && wanted != close_wait) stack.tcp_shutdown_send(id, now).value();
  if (wanted == fin_wait_2 || wanted == time_wait) peer(". 1:1(0) ack 2");
  if (wanted == time_wait) peer("F. 1:1(0) ack 2");
  if (wanted == closing) peer("F. 1:1(0) ack 1");
  take_all();
  EXPECT_EQ(state(id), wanted);
  return id;
}

// --- the peer
// ---------------------------------------------------------------------------------------------------------------

void TcpDialogue::peer(const std::string& segment) { peer_batch({segment}); }

void TcpDialogue::peer_batch(const std::vector<std::string>& segments) {
  for (const std::string& words : segments) {
    PeerWords w = parse_words(words, kPeerIsn, our_isn, our_clock);
    w.header.source_port = kPeerPort;
    w.header.destination_port = our_port_;
    std::vector<std::byte> packet = from_peer(w.header, w.text, w.tos);
    if (w.bad_checksum) packet[20 + 16] ^= std::byte{1};
    if (w.offload.checksum_open) store16(packet, 20 + 16, 0xdead);  // nobody is to look at it
    inject(packet, w.offload);
  }
  stack.flush(now, {.for_user = user_runs_next, .for_frames = more_frames});
  check();
}

void TcpDialogue::peer_header(TcpHeader header, ByteSpan text) {
  if (header.source_port == 0) header.source_port = kPeerPort;
  if (header.destination_port == 0) header.destination_port = our_port_;
  inject(from_peer(header, text));
  stack.flush(now);
  check();
}

void TcpDialogue::header_between(const IpAddress& from, const IpAddress& to, TcpHeader header, ByteSpan text) {
  inject(packet_of(from, to, header, text));
  stack.flush(now);
  check();
}

void TcpDialogue::peer_raw(std::vector<std::byte> segment, ByteSpan ip_options) {
  if (segment.size() >= 18) {
    store16(segment, 0, kPeerPort);
    store16(segment, 2, our_port_);
    store16(segment, 16, 0);
    Checksum sum;
    add_pseudo_header(sum, kPeer, kUs, IpProtocol::tcp, segment.size());
    sum.add(segment);
    store16(segment, 16, sum.finish());
  }
  const size_t header = 20 + ip_options.size();
  std::vector<std::byte> packet(header + segment.size());
  Ipv4Header{.total_length = static_cast<uint16_t>(packet.size()),
             .protocol = IpProtocol::tcp,
             .source = kPeer,
             .destination = kUs}
      .write(MutableByteSpan(packet).first(20));
  store8(packet, 0, static_cast<uint8_t>(0x40 | header / 4));
  std::copy(ip_options.begin(), ip_options.end(), packet.begin() + 20);
  store16(packet, 10, 0);
  store16(packet, 10, internet_checksum(ByteSpan(packet).first(header)));
  std::copy(segment.begin(), segment.end(), packet.begin() + static_cast<std::ptrdiff_t>(header));
  inject(packet);
  stack.flush(now);
  check();
}

void TcpDialogue::peer_icmp(uint8_t type, uint8_t code, uint32_t quoted_seq, uint16_t mtu, uint16_t quoted_length) {
  std::vector<std::byte> body(28);
  Ipv4Header{.total_length = quoted_length, .protocol = IpProtocol::tcp, .source = kUs, .destination = kPeer}.write(
      MutableByteSpan(body).first(20));
  store16(body, 20, our_port_);
  store16(body, 22, kPeerPort);
  store32(body, 24, our_isn + quoted_seq);
  std::vector<std::byte> packet(28 + body.size());
  Ipv4Header{.total_length = static_cast<uint16_t>(packet.size()),
             .protocol = IpProtocol::icmp,
             .source = kPeer,
             .destination = kUs}
      .write(MutableByteSpan(packet).first(20));
  const ByteSpan rest(body);
  Icmp4Header{.type = type, .code = code, .rest = mtu}.write(MutableByteSpan(packet).subspan(20, 8),
                                                             std::span(&rest, 1));
  std::copy(body.begin(), body.end(), packet.begin() + 28);
  inject(packet);
  stack.flush(now);
  check();
}

void TcpDialogue::inject(ByteSpan ip_packet, const FrameOffload& offload) {
  FrameRef frame = stack.frames().copy(ip_packet);
  frame->offload = offload;
  stack.receive(interface_, std::move(frame), now);
}

// --- what we sent
// -------------------------------------------------------------------------------------------------------------

Transmit TcpDialogue::transmit(const TxFrame& frame, Time at) {
  if (refuse || takes == 0) return Transmit::refused;
  if (takes != SIZE_MAX) --takes;
  ++frames;
  if (!frame.offload.checksum_open) {
    note_packet(frame.head, frame.body, at);
    return Transmit::taken;
  }
  for (SuperSegment s(frame.head, 0, frame.body, frame.offload); s.next();) note_packet(s.head(), s.body(), at);
  return Transmit::taken;
}

void TcpDialogue::note_packet(ByteSpan head, std::span<const ByteSpan> body, Time at) {
  std::vector<std::byte> packet(head.begin(), head.end());
  for (ByteSpan piece : body) packet.insert(packet.end(), piece.begin(), piece.end());
  const auto ip = parse_ipv4(packet);
  EXPECT_TRUE(ip.has_value()) << "we sent a malformed IPv4 packet";
  if (!ip || ip->header.protocol != IpProtocol::tcp) {
    other_packets.push_back(packet);
    return;
  }
  const ByteSpan segment = ByteSpan(packet).subspan(ip->header_size, ip->payload_size);
  const auto tcp = parse_tcp(segment, ip->header.source, ip->header.destination);
  EXPECT_TRUE(tcp.has_value()) << "we sent a malformed segment";
  if (!tcp) return;
  Sent s{.header = tcp->header, .ip = ip->header, .text = {}, .reserved = 0, .at = at, .words = {}};
  s.reserved = load8(segment, 12) & 0x0f;
  const ByteSpan text = segment.subspan(tcp->header_size);
  s.text.assign(reinterpret_cast<const char*>(text.data()), text.size());
  if (s.header.has(tcp_flag::syn)) {
    our_isn = s.header.sequence;
    if (const auto& t = s.header.options.timestamps)
      our_clock = t->value - static_cast<uint32_t>(to_ms(at.time_since_epoch()));
    our_port_ = s.header.source_port;
  }
  const auto from = static_cast<int32_t>(s.header.sequence - our_isn);
  s.words = fmt::format("{} {}:{}({})", flag_letters(s.header.flags), from, from + static_cast<int32_t>(text.size()),
                        text.size());
  if (s.header.has(tcp_flag::ack))
    s.words += fmt::format(" ack {}", static_cast<int32_t>(s.header.acknowledgment - kPeerIsn));
  sent_.push_back(std::move(s));
}

std::optional<TcpDialogue::Sent> TcpDialogue::next() {
  if (sent_.empty()) {
    ADD_FAILURE() << "no segment was sent";
    return std::nullopt;
  }
  Sent s = std::move(sent_.front());
  sent_.pop_front();
  return s;
}

void TcpDialogue::expect(const std::string& words) {
  if (sent_.empty()) {
    ADD_FAILURE() << "expected " << words << ", but nothing was sent";
    return;
  }
  const Sent s = take();
  const TcpOptionSet& o = s.header.options;
  const auto asked = [&](const char* word) { return words.find(word) != std::string::npos; };
  std::string got = s.words;
  if (asked(" win ")) got += fmt::format(" win {}", s.header.window);
  if (asked(" ts ")) got += o.timestamps ? stamp_words(*o.timestamps) : " unstamped";
  if (asked(" sack")) {
    got += " sack";
    for (size_t i = 0; i < o.sack_count; ++i)
      got += fmt::format(" {}:{}", static_cast<int32_t>(o.sack[i].left - kPeerIsn),
                         static_cast<int32_t>(o.sack[i].right - kPeerIsn));
  }
  EXPECT_EQ(got, words);
}

std::string TcpDialogue::stamp_words(const TcpTimestamps& t) const {
  return fmt::format(" ts {} ecr {}", t.value - our_clock, t.echo);
}

std::vector<TcpDialogue::Sent> TcpDialogue::take_all() {
  std::vector<Sent> all(std::make_move_iterator(sent_.begin()), std::make_move_iterator(sent_.end()));
  sent_.clear();
  return all;
}

std::vector<std::string> TcpDialogue::take_words() {
  std::vector<std::string> words;
  for (const Sent& s : take_all()) words.push_back(s.words);
  return words;
}

void TcpDialogue::expect_nothing() {
  for (const Sent& s : sent_) ADD_FAILURE() << "unexpected: " << s.words;
  sent_.clear();
}

// --- time, wake-ups
// --------------------------------------------------------------------------------------------------------------

void TcpDialogue::pass(Duration d) {
  const Time until = now + d;
  while (stack.next_deadline() <= until) {
    now = std::max(now, stack.next_deadline());
    stack.advance(now);
    check();
  }
  now = until;
}

void TcpDialogue::writable() {
  refuse = false;
  stack.link_writable(interface_, now);
  check();
}

void TcpDialogue::raise(SocketId socket, ReadyEvents events) { raised_.emplace_back(socket, events); }

ReadyEvents TcpDialogue::raised(SocketId id) {
  unsigned all = 0;
  std::erase_if(raised_, [&](const auto& r) {
    if (!(r.first == id)) return false;
    all |= r.second;
    return true;
  });
  return static_cast<ReadyEvents>(all);
}

}  // namespace limpid
