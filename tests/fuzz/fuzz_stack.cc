// A fuzzer for the whole machine: a connection is led into one of its states, and then the input plays the peer, the
// application, the device and the clock. What must always hold is checked after every step; at the end everything has
// to be closed and every frame to be back in its pool.
//
//   byte 0: the state to start from;  then steps: one byte chooses, the next ones say how
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "stack/base/checksum.h"
#include "stack/stack.h"
#include "tests/fuzz/at_the_end.h"
#include "tests/fuzz/scripted_peer.h"

namespace limpid::fuzz {
namespace {

constexpr int kMostSteps = 48;
constexpr uint8_t kStarts = 12;

// The input, byte by byte; zeros when it has run out.
class Input {
 public:
  explicit Input(ByteSpan bytes) : bytes_(bytes) {}
  bool empty() const { return at_ >= bytes_.size(); }
  uint8_t u8() { return empty() ? uint8_t{0} : load8(bytes_, at_++); }
  uint16_t u16() {
    const uint8_t high = u8();
    return static_cast<uint16_t>(high << 8 | u8());
  }
  std::vector<std::byte> bytes(size_t count) {
    const size_t n = std::min(count, bytes_.size() - at_);
    std::vector<std::byte> out(bytes_.begin() + static_cast<ptrdiff_t>(at_),
                               bytes_.begin() + static_cast<ptrdiff_t>(at_ + n));
    at_ += n;
    return out;
  }

 private:
  ByteSpan bytes_;
  size_t at_ = 0;
};

class NoWakes final : public ReadySink {
 public:
  void raise(SocketId, ReadyEvents) override {}
};

// Most events are worth nothing here, but making them is code that runs in the field.
class CountEvents final : public TraceSink {
 public:
  void event(const Event& e) override { sum += e.number + static_cast<uint64_t>(e.kind); }
  uint64_t sum = 0;
};

class Game {
 public:
  explicit Game(ByteSpan bytes) : input_(bytes), stack_(config(), 1, wakes_) {
    stack_.set_trace_sink(&events_);
    interface_ = stack_.add_interface({.name = "fuzz", .kind = LinkKind::ip, .mtu = 1500, .mac = {}}, peer_);
    stack_.add_address(interface_, kOurs, 24);
  }

  void play() {
    const uint8_t choice = input_.u8();
    set_up(choice);
    check();
    check_start(choice % kStarts);
    for (int i = 0; i < kMostSteps && !input_.empty(); ++i) {
      step();
      stack_.flush(now_);
      check();
    }
    finish();
  }

 private:
  static Config config() {
    Config c;
    c.tcp.isn_for_tests = 0xffff'fc00;  // the wrap is near
    c.tcp.send_buffer = 20'000;
    c.tcp.receive_buffer = 20'000;
    c.tcp.syn_queue = 8;
    c.frame_memory = 8 << 20;
    return c;
  }

  // --- the way into each state ---
  void set_up(uint8_t choice) {
    const auto bind = stack_.tcp_bind({IpAddress{}, kListenPort}, {}, now_);
    TcpOptions options;
    options.keepalive = (choice & 0x80) != 0;
    options.no_delay = (choice & 0x40) != 0;
    peer_.stamps = (choice & 0x20) != 0;
    peer_.sacks = peer_.scales = (choice & 0x10) != 0;
    if (bind) listener_ = stack_.tcp_listen(*bind, 3, options, now_).value_or(SocketId{});
    switch (choice % kStarts) {
      case 0:
        return;  // LISTEN
      case 1:
        return open_actively(false);  // SYN-SENT
      case 2:
        return syn();  // SYN-RECEIVED
      case 3:
        return establish();  // ESTABLISHED
      case 4:
        establish();
        return close_sending();  // FIN-WAIT-1
      case 5:
        establish();
        close_sending();
        return acknowledge();  // FIN-WAIT-2
      case 6:
        establish();
        return fin(peer_.stack_next);  // CLOSE-WAIT
      case 7:
        establish();
        write(10);
        close_sending();
        return fin(peer_.stack_next - 1);  // CLOSING
      case 8:
        establish();
        fin(peer_.stack_next);
        return close_sending();  // LAST-ACK
      case 9:
        establish();
        close_sending();
        return fin(peer_.stack_next);  // TIME-WAIT
      case 10:
        open_actively(true);
        return;  // SYN-RECEIVED, simultaneous
      case 11:
        establish();
        write(15'000);
        return;  // ESTABLISHED, much in flight
    }
  }
  // The state that the ways above lead to; a game that starts elsewhere would test less than it says.
  void check_start(uint8_t choice) const {
    using enum TcpState;
    constexpr TcpState kExpected[kStarts] = {listen,     syn_sent,   syn_received, established,
                                             fin_wait_1, fin_wait_2, close_wait,   closing,
                                             last_ack,   time_wait,  syn_received, established};
    for (const TcpStatus& s : stack_.tcp_list())
      if (s.state == kExpected[choice]) return;
    fail("the game does not start in " + std::string(name(kExpected[choice])));
  }
  void syn() { segment({.flags = tcp_flag::syn, .sequence = peer_.next_sequence++, .options = peer_.syn_options()}); }
  void acknowledge() {
    segment({.flags = tcp_flag::ack,
             .sequence = peer_.next_sequence,
             .acknowledgment = peer_.stack_next,
             .options = peer_.later_options(0, 0, 0)});
  }
  void fin(uint32_t ack) {
    segment({.flags = tcp_flag::fin | tcp_flag::ack,
             .sequence = peer_.next_sequence++,
             .acknowledgment = ack,
             .options = peer_.later_options(0, 0, 0)});
  }
  void establish() {
    syn();
    acknowledge();
    connection_ = stack_.tcp_accept(listener_, now_).value_or(SocketId{});
  }
  void open_actively(bool simultaneous) {
    connection_ = stack_.tcp_connect({kPeers, kPeerPort}, {}, {}, now_).value_or(SocketId{});
    stack_.flush(now_);
    if (simultaneous) syn();
  }
  void close_sending() {
    (void)stack_.tcp_shutdown_send(connection_, now_);
    stack_.flush(now_);
  }
  void write(size_t count) {
    const std::vector<std::byte> bytes(count, std::byte{'w'});
    (void)stack_.tcp_send(connection_, bytes, {}, now_);
    stack_.flush(now_);
  }

  void segment(PeerSegment s) {
    if (s.destination_port == kListenPort) s.destination_port = peer_.stack_port;
    deliver(peer_.packet(s));
    stack_.flush(now_);
  }
  void deliver(const std::vector<std::byte>& packet) {
    if (FrameRef frame = stack_.frames().copy(packet)) stack_.receive(interface_, std::move(frame), now_);
  }

  // --- one step of the input ---
  void step() {
    switch (input_.u8() % 16) {
      case 0:
        return deliver(input_.bytes(input_.u8()));
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
        return structured_segment();
      case 7:
        return mutated_segment();
      case 8:
        return icmp_error();
      case 9:
      case 10:
        return socket_call();
      case 11:
      case 12:
        return let_time_pass();
      case 13:
        peer_.refusing = !peer_.refusing;
        if (!peer_.refusing) stack_.link_writable(interface_, now_);
        return;
      case 14:
        return acknowledge_data();
      case 15:
        return second_connection();
    }
  }

  // Near the numbers that count: next, and a little before and after; or anywhere.
  uint32_t near(uint32_t number) {
    const uint8_t how = input_.u8();
    if (how < 100) return number;
    if (how < 180) return number + how - 140;
    if (how < 220) return number + static_cast<uint32_t>(static_cast<int16_t>(input_.u16()));
    const uint32_t high = input_.u16();
    return high << 16 | input_.u16();
  }

  PeerSegment draw_segment() {
    PeerSegment s;
    s.flags = input_.u8();
    s.sequence = near((s.flags & tcp_flag::syn) != 0 ? peer_.next_sequence - 1 : peer_.next_sequence);
    s.acknowledgment = near(peer_.stack_next);
    s.window = input_.u16();
    const uint8_t shape = input_.u8();
    if ((shape & 1) != 0) s.urgent = input_.u16();
    s.options = draw_options(shape, (s.flags & tcp_flag::syn) != 0);
    if ((shape & 4) != 0) s.text.assign(input_.u8() * size_t{5}, std::byte{'t'});
    if ((shape & 8) != 0)
      s.destination_port = input_.u16() % 2 == 0 ? kListenPort : peer_.stack_port;
    else
      s.destination_port = peer_.stack_port;
    if ((shape & 0x30) == 0x30) s.source_port = static_cast<uint16_t>(kPeerPort + (shape >> 6));
    if ((shape & 0x40) != 0) advance_peer(s);
    return s;
  }
  // Anything; or what belongs there: timestamps, now and then from another time, and SACK blocks.
  std::vector<std::byte> draw_options(uint8_t shape, bool syn) {
    if ((shape & 2) != 0) return input_.bytes(input_.u8() % 41);
    if (syn) return peer_.syn_options();
    if ((shape & 0x30) != 0x10) return peer_.later_options(0, 0, 0);
    const uint8_t how = input_.u8();
    const int32_t late = how < 128 ? 0 : (how - 192) * 1000;
    return peer_.later_options(late, how % 4, input_.u16());
  }
  // The peer takes its own segment for good: later ones follow it.
  void advance_peer(const PeerSegment& s) {
    if (s.sequence != peer_.next_sequence) return;
    peer_.next_sequence += static_cast<uint32_t>(s.text.size()) + ((s.flags & tcp_flag::fin) != 0 ? 1U : 0U);
  }
  void structured_segment() { deliver(peer_.packet(draw_segment())); }
  void mutated_segment() {
    std::vector<std::byte> packet = peer_.packet(draw_segment());
    const uint8_t edits = input_.u8() % 4;
    for (uint8_t i = 0; i <= edits; ++i) {
      const size_t at = input_.u8() % packet.size();
      packet[at] = std::byte{input_.u8()};
    }
    if (input_.u8() % 4 != 0) fix_checksums(packet);
    deliver(packet);
  }
  // Quotes what the stack sent last.
  void icmp_error() {
    const size_t quote = std::min<size_t>(peer_.last.size(), 20 + input_.u8() % 40);
    std::vector<std::byte> packet(20 + 8 + quote);
    const MutableByteSpan ip = packet;
    store8(ip, 0, 0x45);
    store16(ip, 2, static_cast<uint16_t>(packet.size()));
    store8(ip, 8, 64);
    store8(ip, 9, 1);
    store32(ip, 12, kPeers.v4_bits());
    store32(ip, 16, kOurs.v4_bits());
    store8(ip, 20, input_.u8() % 2 == 0 ? uint8_t{3} : input_.u8());
    store8(ip, 21, input_.u8() % 16);
    store16(ip, 26, input_.u16());
    std::copy_n(peer_.last.begin(), quote, packet.begin() + 28);
    store16(ip, 22, internet_checksum(ip.subspan(20)));
    fix_checksums(packet);
    deliver(packet);
  }

  void socket_call() {
    switch (input_.u8() % 12) {
      case 0:
      case 1:
        return write(input_.u8() * size_t{40});
      case 2:
      case 3: {
        std::vector<std::byte> into(1 + input_.u8() * size_t{20});
        (void)stack_.tcp_receive(connection_, into, {.peek = input_.u8() % 4 == 0}, now_);
        return;
      }
      case 4:
        (void)stack_.tcp_shutdown_send(connection_, now_);
        return;
      case 5:
        (void)stack_.tcp_shutdown_receive(connection_, now_);
        return;
      case 6:
        stack_.tcp_close(connection_, now_);
        return;
      case 7:
        stack_.tcp_abort(connection_, now_);
        return;
      case 8:
        return change_options();
      case 9: {
        const auto got = stack_.tcp_accept(listener_, now_);
        if (got && !stack_.tcp_status(connection_))
          connection_ = *got;
        else if (got)
          stack_.tcp_put_back(listener_, *got);
        return;
      }
      case 10:
        stack_.tcp_close(listener_, now_);
        return;
      case 11: {
        const std::byte urgent{'u'};
        (void)stack_.tcp_send(connection_, {&urgent, 1}, {.urgent = true}, now_);
        std::byte into{};
        (void)stack_.tcp_receive(connection_, {&into, 1}, {.urgent = true}, now_);
        return;
      }
    }
  }
  void change_options() {
    const TcpOptions* have = stack_.tcp_options(connection_);
    if (have == nullptr) return;
    TcpOptions options = *have;
    const uint8_t bits = input_.u8();
    options.cork = (bits & 1) != 0;
    options.no_delay = (bits & 2) != 0;
    options.keepalive = (bits & 4) != 0;
    options.urgent_inline = (bits & 8) != 0;
    options.linger_reset = (bits & 16) != 0;
    if ((bits & 32) != 0) options.receive_buffer = input_.u16();
    if ((bits & 64) != 0) options.send_buffer = input_.u16();
    if ((bits & 128) != 0) options.user_timeout = input_.u16() * 1ms;
    (void)stack_.tcp_set_options(connection_, options, now_);
  }

  void let_time_pass() {
    const uint8_t how = input_.u8();
    const Time deadline = stack_.next_deadline();
    if (how < 128 && deadline != kNever)
      now_ = std::max(now_, deadline);
    else
      now_ += Duration(int64_t{1} << (how % 40));
    stack_.advance(now_);
  }
  void acknowledge_data() {
    segment({.flags = tcp_flag::ack,
             .sequence = peer_.next_sequence,
             .acknowledgment = near(peer_.stack_next),
             .window = input_.u16(),
             .options = peer_.later_options(0, 0, 0)});
  }
  void second_connection() {
    const uint8_t how = input_.u8();
    if (how % 2 == 0) {
      return deliver(peer_.packet(
          {.flags = tcp_flag::syn, .sequence = how * 1000U, .source_port = static_cast<uint16_t>(5000 + how)}));
    }
    const auto id = stack_.tcp_connect({kPeers, static_cast<uint16_t>(6000 + how)}, {}, {}, now_);
    if (id) others_.push_back(*id);
  }

  // --- judgement ---
  void check() const {
    const std::string broken = stack_.check_invariants(now_);
    if (!broken.empty()) fail(broken);
  }
  void finish() {
    peer_.refusing = false;
    stack_.link_writable(interface_, now_);
    stack_.tcp_close(connection_, now_);
    for (SocketId id : others_) stack_.tcp_close(id, now_);
    stack_.tcp_close(listener_, now_);
    stack_.flush(now_);
    come_to_rest(stack_, now_, [this] { check(); });
  }

  Input input_;
  NoWakes wakes_;
  CountEvents events_;
  ScriptedPeer peer_;
  Stack stack_;
  InterfaceId interface_ = 0;
  Time now_{1s};
  SocketId listener_;
  SocketId connection_;
  std::vector<SocketId> others_;
};

}  // namespace
}  // namespace limpid::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  limpid::fuzz::Game(std::as_bytes(std::span(data, size))).play();
  return 0;
}
