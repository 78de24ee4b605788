// The peer of fuzz_dialogue: makes segments from a step's bytes, with numbers relative to where the connection stands
// and to the edges where mistakes live, and options as both sides agreed on them; and judges what the stack answers.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tests/fuzz/dialogue_input.h"
#include "tests/fuzz/scripted_peer.h"
#include "tests/fuzz/segment_judge.h"

namespace limpid::fuzz {

class DialoguePeer final : public LinkPort {
 public:
  explicit DialoguePeer(const Step& head)
      : options_(head[1]), mss_(head[2]), scale_(head[3]), first_(uint32_t{head.word(5)} << 16 | 0xff00) {
    wire.next_sequence = first_;
  }

  Transmit transmit(const TxFrame& frame, Time now) override {
    const Transmit answer = wire.transmit(frame, now);
    if (answer == Transmit::taken) judge.sent(wire.last);
    return answer;
  }

  SegmentJudge::Ports ports() const { return {wire.stack_port, kPeerPort}; }
  Flow& flow() { return judge.flow(ports()); }
  uint32_t stack_end() {  // behind all that the stack has sent
    const Flow& f = flow();
    return f.isn ? *f.isn + f.sent_end : wire.stack_next;
  }

  // --- as a peer would that keeps the rules ---
  PeerSegment syn(bool with_ack) {
    PeerSegment s = plain(tcp_flag::syn);
    s.sequence = first_ = wire.next_sequence;
    if (with_ack) {
      s.flags |= tcp_flag::ack;
      s.acknowledgment = stack_end();
    }
    s.options = syn_options();
    return s;
  }
  PeerSegment plain(uint8_t flags) {
    PeerSegment s;
    s.flags = flags;
    s.destination_port = wire.stack_port;
    s.sequence = wire.next_sequence;
    s.acknowledgment = (flags & tcp_flag::ack) != 0 ? stack_end() : 0;
    s.options = stamps(0);
    return s;
  }
  PeerSegment text(uint32_t length) {
    PeerSegment s = plain(tcp_flag::ack);
    write(s, length);
    return s;
  }
  // At the place that the stack waits for, whatever became of our own numbers; with a timestamp that it must take.
  PeerSegment honest() {
    PeerSegment s = plain(tcp_flag::ack);
    s.sequence = flow().ack_out;
    if (!s.options.empty()) s.options = stamp_option(flow().last_echo + 1, flow().last_stamp.value_or(0));
    return s;
  }
  // What we sent stays sent: later segments follow it.
  void advance(const PeerSegment& s) {
    if (s.sequence != wire.next_sequence || (s.flags & tcp_flag::rst) != 0) return;
    wire.next_sequence += static_cast<uint32_t>(s.text.size()) + ((s.flags & tcp_flag::fin) != 0 ? 1U : 0U) +
                          ((s.flags & tcp_flag::syn) != 0 ? 1U : 0U);
  }

  // --- as the input says: flags, sequence, ACK, text, window, options, the rest ---
  PeerSegment draw(const Step& step) {
    static constexpr uint8_t kFlags[16] = {tcp_flag::ack,
                                           tcp_flag::ack,
                                           tcp_flag::ack | tcp_flag::psh,
                                           tcp_flag::ack | tcp_flag::fin,
                                           tcp_flag::ack,
                                           tcp_flag::syn,
                                           tcp_flag::syn | tcp_flag::ack,
                                           tcp_flag::rst,
                                           tcp_flag::rst | tcp_flag::ack,
                                           tcp_flag::fin,
                                           tcp_flag::ack | tcp_flag::urg,
                                           0,
                                           tcp_flag::syn | tcp_flag::fin,
                                           tcp_flag::ack | tcp_flag::ece,
                                           tcp_flag::ack | tcp_flag::cwr,
                                           0xff};
    PeerSegment s = plain(kFlags[step[1] % 16]);
    s.sequence = near_sequence(step[2]);
    s.acknowledgment = near_ack(step[3]);
    write(s, length_of(step[4]));
    s.window = window_of(step[5]);
    s.options = (s.flags & tcp_flag::syn) != 0 ? syn_options() : options_of(step[6], step[7]);
    if ((s.flags & tcp_flag::urg) != 0) s.urgent = step[7];
    if ((step[6] & 0xe0) == 0xe0) s.destination_port = (step[7] & 1) != 0 ? kListenPort : uint16_t{81};
    if ((step[6] & 0xe0) == 0xc0) s.source_port = static_cast<uint16_t>(kPeerPort + 1 + (step[7] & 3));
    return s;
  }

  ScriptedPeer wire;
  SegmentJudge judge;

 private:
  static int32_t offset_of(uint8_t code) {
    static constexpr int32_t kOffsets[32] = {
        0,   0,    0,   0,    0,    0,     0,    0,     0,    0,     1,    -1,    2,      -2,      10,      -10,
        100, -100, 536, -536, 1000, -1000, 1460, -1460, 2920, -2920, 9000, -9000, 20'000, -20'000, 100'000, 1 << 30};
    return kOffsets[code % 32];
  }
  uint32_t near_sequence(uint8_t code) {
    const Flow& f = flow();
    const uint32_t bases[8] = {wire.next_sequence,
                               wire.next_sequence,
                               f.ack_out,
                               f.edge_out,
                               first_,
                               wire.next_sequence - 1,
                               f.ack_out - 1,
                               wire.next_sequence + 0x8000'0000};
    return bases[code >> 5] + static_cast<uint32_t>(offset_of(code));
  }
  uint32_t near_ack(uint8_t code) {
    const uint32_t end = stack_end();
    const uint32_t isn = flow().isn.value_or(end);
    const uint32_t bases[8] = {
        end, end, end, end - (end - isn) / 2, isn + 1, isn, end - (end - isn) / 4, end + 0x8000'0000};
    return bases[code >> 5] + static_cast<uint32_t>(offset_of(code));
  }
  static uint32_t length_of(uint8_t code) {
    if (code < 80) return 0;
    if (code < 120) return code - 79U;
    if (code < 200) return (code - 119U) * 18;
    return code < 230 ? 1400 : code < 245 ? 536 : 1;
  }
  static uint16_t window_of(uint8_t code) {
    if (code < 16) return 0;
    if (code < 48) return static_cast<uint16_t>(code - 15);
    return code < 128 ? static_cast<uint16_t>((code - 47) * 97) : uint16_t{65'535};
  }
  static void write(PeerSegment& s, uint32_t length) {
    const uint32_t first = s.sequence + ((s.flags & tcp_flag::syn) != 0 ? 1 : 0);
    s.text.resize(length);
    for (uint32_t i = 0; i < length; ++i) s.text[i] = peer_octet(first + i);
  }

  // --- options ---
  std::vector<std::byte> syn_options() {
    TcpOptionSet o;
    if ((options_ & 1) != 0) o.mss = static_cast<uint16_t>(mss_ < 16 ? mss_ * 20 : 536 + (mss_ & 7) * 132);
    if ((options_ & 2) != 0) o.window_scale = scale_ % 16;
    o.sack_permitted = (options_ & 4) != 0;
    if ((options_ & 8) != 0) o.timestamps = TcpTimestamps{clock_, 0};
    return encoded(o);
  }
  bool stamped() { return (options_ & 8) != 0 && (!flow().isn || flow().stamps); }
  std::vector<std::byte> stamps(int32_t offset) {
    if (!stamped()) return {};
    clock_ += 1;
    return stamp_option(clock_ + static_cast<uint32_t>(offset), flow().last_stamp.value_or(0));
  }
  static std::vector<std::byte> stamp_option(uint32_t value, uint32_t echo) {
    TcpOptionSet o;
    o.timestamps = TcpTimestamps{value, echo};
    return encoded(o);
  }
  static std::vector<std::byte> encoded(const TcpOptionSet& o) {
    std::vector<std::byte> bytes(o.size());
    o.write(bytes);
    return bytes;
  }
  std::vector<std::byte> options_of(uint8_t kind, uint8_t detail) {
    switch (kind % 8) {
      case 4:
        return sack(detail);
      case 5:
        return stamps(offset_of(detail));
      case 6:
        return {};
      case 7: {  // anything
        std::vector<std::byte> bytes(kind >> 3);
        for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte{static_cast<uint8_t>(detail * (i * 7 + 1))};
        return bytes;
      }
      default:
        return stamps(0);
    }
  }
  // Blocks of what the stack has sent, cut into sixteen; one bit more of `detail` moves each a little.
  std::vector<std::byte> sack(uint8_t detail) {
    TcpOptionSet o;
    if (stamped()) o.timestamps = TcpTimestamps{++clock_, flow().last_stamp.value_or(0)};
    const uint32_t isn = flow().isn.value_or(0);
    const uint32_t piece = flow().sent_end / 16;
    uint32_t at = detail % 8;
    for (uint32_t i = 0; i < 1U + (detail >> 3) % 3; ++i) {
      const uint32_t left = isn + 1 + at * piece;
      o.sack[o.sack_count++] = {left, left + piece * (1 + (detail >> 5) % 4) + (detail >> 7)};
      at += 2 + (detail >> 6);
    }
    return encoded(o);
  }

  uint8_t options_, mss_, scale_;
  uint32_t first_;
  uint32_t clock_ = 0xffff'fff0;
};

}  // namespace limpid::fuzz
