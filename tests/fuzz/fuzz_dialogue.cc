// A fuzzer of dialogues, in the manner of TCP-Fuzz (Zou et al., USENIX ATC 2021): the input is a sequence of segments,
// socket calls and waits, together, against one stack with a listener and a client. Its feedback, besides the code that
// ran, is what TCP did: which rules were applied in which state, and which followed which. Its judges are the stack's
// invariants, the table of transitions, RFC 9293 and 5961 on who may end a connection, and segment_judge.h; and at the
// end a peer that keeps the rules must get everything.
//
//   input: dialogue_input.h       peer: dialogue_peer.h       FUZZ_TRACE=1 replay_dialogue FILE prints every event
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stack/stack.h"
#include "stack/tcp/state.h"
#include "tests/fuzz/dialogue_input.h"
#include "tests/fuzz/dialogue_peer.h"
#include "tests/fuzz/segment_judge.h"
#include "tests/sim/event_printer.h"

namespace limpid::fuzz {
namespace {

constexpr uint8_t kStarts = 13;
constexpr size_t kRules = static_cast<size_t>(Rule::count_);
constexpr size_t kPairs = 1 << 14;

// libFuzzer clears this before each run and takes what is not zero afterwards for coverage.
__attribute__((section("__libfuzzer_extra_counters"))) uint8_t feedback[kTcpStateCount * kRules + kPairs];

class NoWakes final : public ReadySink {
 public:
  void raise(SocketId, ReadyEvents) override {}
};

// Turns events into feedback, and holds every change of state against the table.
class Watcher final : public TraceSink {
 public:
  explicit Watcher(SegmentJudge& judge) : judge_(judge) {
    if (std::getenv("FUZZ_TRACE") == nullptr) return;
    printer_.emplace("stack");
    std::setvbuf(stdout, nullptr, _IOLBF, 1 << 12);
  }
  void event(const Event& e) override {
    if (printer_) printer_->event(e);
    if (e.kind == EventKind::tcp_connection_started && e.words[1] == kPeers.v4_bits())
      judge_.begin({static_cast<uint16_t>(e.words[2]), static_cast<uint16_t>(e.words[3])}, e.connection);
    if (e.kind == EventKind::tcp_state_updated) change_state(e);
    const auto rule = static_cast<size_t>(e.rule);
    const auto state = static_cast<size_t>(states_[e.connection]);
    feedback[state * kRules + rule] = 1;
    const size_t pair = (last_ * kRules + rule) * 2'654'435'761U >> 7;
    feedback[kTcpStateCount * kRules + pair % kPairs] = 1;
    last_ = rule;
  }

 private:
  void change_state(const Event& e) {
    const auto before = static_cast<TcpState>(e.words[0]);
    const auto after = static_cast<TcpState>(e.words[1]);
    bool legal = before == TcpState::syn_received && after == TcpState::listen;  // §3.10.7.4, second: back to LISTEN
    for (size_t i = 0; i < kTcpEventCount; ++i) legal |= transition(before, static_cast<TcpEvent>(i)) == after;
    if (!legal) fail("from " + std::string(name(before)) + " to " + std::string(name(after)));
    states_[e.connection] = after;
  }

  SegmentJudge& judge_;
  std::optional<sim::EventPrinter> printer_;
  std::map<uint32_t, TcpState> states_;
  size_t last_ = 0;
};

class Game {
 public:
  explicit Game(ByteSpan input)
      : steps_(input), head_(steps_.at(0)), peer_(head_), watcher_(peer_.judge), stack_(config(head_), 1, wakes_) {
    stack_.set_trace_sink(&watcher_);
    interface_ = stack_.add_interface({.name = "fuzz", .kind = LinkKind::ip, .mtu = 1500, .mac = {}}, peer_);
    stack_.add_address(interface_, kOurs, 24);
  }

  void play() {
    start();
    check();
    for (size_t i = 1; i < steps_.count(); ++i) {
      step(steps_.at(i));
      stack_.flush(now_);
      check();
    }
    end_honestly();
    finish();
  }

 private:
  static Config config(const Step& head) {
    Config c;
    c.tcp.send_buffer = 20'000;
    c.tcp.receive_buffer = 20'000;
    c.tcp.syn_queue = 8;
    c.tcp.offer_timestamps = (head[3] & 0x10) == 0;
    c.tcp.offer_sack = (head[3] & 0x20) == 0;
    c.tcp.offer_window_scale = (head[3] & 0x40) == 0;
    c.tcp.ecn = (head[3] & 0x80) == 0 ? EcnMode::passive : EcnMode::on;
    c.tcp.congestion = (head[4] & 1) == 0 ? CongestionChoice::cubic : CongestionChoice::reno;
    c.tcp.quick_acks = (head[4] & 2) == 0 ? 16 : 0;
    c.tcp.initial_window_segments = (head[4] & 4) == 0 ? 10 : 2;
    c.frame_memory = 8 << 20;
    return c;
  }

  // --- the way into each state ---
  void start();
  void open_actively();
  void establish();
  void segment(const PeerSegment& s) {
    deliver(peer_.wire.packet(s));
    peer_.advance(s);
  }
  void fin() { segment(peer_.plain(tcp_flag::fin | tcp_flag::ack)); }

  // --- one step of the input ---
  void step(const Step& step);
  void deliver(std::vector<std::byte> packet);
  void mutated(const Step& step);
  void icmp_error(const Step& step);
  void call(const Step& step);
  void write(size_t count, TcpSendFlags flags);
  void read(size_t count, TcpReceiveFlags flags);
  void close_sending() {
    (void)stack_.tcp_shutdown_send(connection_, now_);
    stack_.flush(now_);
  }
  void leave(bool abort);
  void change_options(const Step& step);
  void accept();
  void wait(const Step& step);

  // --- judgement ---
  struct Before {
    TcpState state = TcpState::closed;
    bool knows_port = false;  // somebody listens there
  };
  Before look(const SegmentJudge::Ports& ports) const;
  void judge_answer(const SeenSegment& s, const Before& before, const Flow& flow_before);
  void check() const {
    const std::string broken = stack_.check_invariants(now_);
    if (!broken.empty()) fail(broken);
  }
  Flow* flow_of(SocketId id) {
    const Result<TcpStatus> status = stack_.tcp_status(id);
    return status ? &peer_.judge.flow(status->connection) : nullptr;
  }
  void end_honestly();
  void finish();

  Steps steps_;
  Step head_;
  NoWakes wakes_;
  DialoguePeer peer_;
  Watcher watcher_;
  Stack stack_;
  InterfaceId interface_ = 0;
  Time now_{1s};
  SocketId listener_;
  SocketId connection_;
};

void Game::open_actively() {
  connection_ = stack_.tcp_connect({kPeers, kPeerPort}, {}, {}, now_).value_or(SocketId{});
  stack_.flush(now_);
}

void Game::establish() {
  segment(peer_.syn(false));
  segment(peer_.plain(tcp_flag::ack));
  connection_ = stack_.tcp_accept(listener_, now_).value_or(SocketId{});
}

void Game::start() {
  TcpOptions options;
  options.no_delay = (head_[4] & 8) != 0;
  options.keepalive = (head_[4] & 16) != 0;
  if ((head_[4] & 32) != 0) options.receive_buffer = 600;
  const auto bind = stack_.tcp_bind({IpAddress{}, kListenPort}, {}, now_);
  if (bind) listener_ = stack_.tcp_listen(*bind, 3, options, now_).value_or(SocketId{});
  const uint8_t way = head_[0] % kStarts;
  if (way == 0) return;                            // LISTEN
  if (way == 1) return open_actively();            // SYN-SENT
  if (way == 2) return segment(peer_.syn(false));  // SYN-RECEIVED
  if (way == 3) {                                  // SYN-RECEIVED, simultaneous
    open_actively();
    return segment(peer_.syn(false));
  }
  if (way == 4) {  // ESTABLISHED, as the one who opened
    open_actively();
    segment(peer_.syn(true));
    return;
  }
  establish();
  if (way == 6) write(15'000, {});                    // much in flight
  if (way == 7 || way == 8) close_sending();          // FIN-WAIT-1
  if (way == 8) segment(peer_.plain(tcp_flag::ack));  // FIN-WAIT-2
  if (way == 9) fin();                                // CLOSE-WAIT
  if (way == 10) {                                    // CLOSING
    PeerSegment crossing = peer_.plain(tcp_flag::fin | tcp_flag::ack);
    close_sending();
    segment(crossing);
  }
  if (way == 11) {  // LAST-ACK
    fin();
    close_sending();
  }
  if (way == 12) {  // TIME-WAIT
    close_sending();
    fin();
  }
}

void Game::step(const Step& step) {
  switch (step[0] % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: {
      return segment(peer_.draw(step));
    }
    case 6:
      return mutated(step);
    case 7:
      return segment(peer_.text(1 + step[1] * 6U));
    case 8: {
      PeerSegment s = peer_.plain(tcp_flag::ack);
      if (step[1] < 64) s.window = step.word(2);
      return segment(s);
    }
    case 9:
      return icmp_error(step);
    case 10:
    case 11:
    case 12:
      return call(step);
    case 13:
    case 14:
      return wait(step);
    case 15:
      peer_.wire.refusing = !peer_.wire.refusing;
      if (!peer_.wire.refusing) stack_.link_writable(interface_, now_);
      return;
  }
}

void Game::mutated(const Step& step) {
  Step kind = step;
  kind.bytes[6] = 4;
  std::vector<std::byte> packet = peer_.wire.packet(peer_.draw(kind));
  packet[step[6] % packet.size()] ^= std::byte{step[7]};
  if ((step[1] & 0x80) == 0) fix_checksums(packet);
  deliver(std::move(packet));
}

// Quotes what the stack sent last.
void Game::icmp_error(const Step& step) {
  const std::vector<std::byte>& last = peer_.wire.last;
  const size_t quote = std::min<size_t>(last.size(), 20 + step[1] % 40);
  std::vector<std::byte> packet(20 + 8 + quote);
  const MutableByteSpan ip = packet;
  store8(ip, 0, 0x45);
  store16(ip, 2, static_cast<uint16_t>(packet.size()));
  store8(ip, 8, 64);
  store8(ip, 9, 1);
  store32(ip, 12, kPeers.v4_bits());
  store32(ip, 16, kOurs.v4_bits());
  store8(ip, 20, step[2] < 200 ? uint8_t{3} : step[3]);
  store8(ip, 21, step[2] % 16);
  store16(ip, 26, step.word(4));
  std::copy_n(last.begin(), quote, packet.begin() + 28);
  store16(ip, 22, internet_checksum(ip.subspan(20)));
  fix_checksums(packet);
  deliver(std::move(packet));
}

// --- the user --------------------------------------------------------------------------------------------------------

void Game::call(const Step& step) {
  peer_.judge.forget_resets();
  switch (step[1] % 16) {
    case 0:
    case 1:
    case 2:
      return write(1 + step[2] * size_t{40}, {.more = step[3] > 200});
    case 3:
      return write(1 + step[2] % 8, {.urgent = true});
    case 4:
    case 5:
    case 6:
      return read(1 + step[2] * size_t{60}, {});
    case 7:
      return read(1 + step[2], {.peek = true});
    case 8:
      return read(1, {.urgent = true});
    case 9:
      return close_sending();
    case 10:
      (void)stack_.tcp_shutdown_receive(connection_, now_);
      return;
    case 11:
      return step[2] < 160 ? leave(step[2] % 4 == 0) : stack_.tcp_close(step[2] > 240 ? listener_ : SocketId{}, now_);
    case 12:
    case 13:
      return change_options(step);
    case 14:
      return accept();
    case 15:
      if (!stack_.tcp_status(connection_)) open_actively();
      return;
  }
}

void Game::write(size_t count, TcpSendFlags flags) {
  Flow* flow = flow_of(connection_);
  if (flow == nullptr) return;
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = user_octet(flow->written + i);
  flow->written += count;  // the stack may send them before it returns
  const Result<size_t> taken = stack_.tcp_send(connection_, bytes, flags, now_);
  flow->written -= count - taken.value_or(0);
}

void Game::read(size_t count, TcpReceiveFlags flags) {
  Flow* flow = flow_of(connection_);
  std::vector<std::byte> into(count);
  const Result<size_t> got = stack_.tcp_receive(connection_, into, flags, now_);
  if (!got || flags.urgent || flow == nullptr) return;
  if (!flow->acked) {  // where the stream begins is not known yet, but these octets of it are gone
    if (!flags.peek) flow->read += *got;
    return;
  }
  const uint64_t from = flow->read;
  peer_.judge.user_read(*flow, ByteSpan(into).first(*got));
  if (flags.peek) flow->read = from;
}

void Game::leave(bool abort) {
  if (Flow* flow = flow_of(connection_)) flow->left = true;
  if (abort)
    stack_.tcp_abort(connection_, now_);
  else
    stack_.tcp_close(connection_, now_);
  connection_ = {};
}

void Game::accept() {
  const Result<SocketId> got = stack_.tcp_accept(listener_, now_);
  if (!got) return;
  if (stack_.tcp_status(connection_))
    stack_.tcp_put_back(listener_, *got);
  else
    connection_ = *got;
}

void Game::change_options(const Step& step) {
  const TcpOptions* have = stack_.tcp_options(connection_);
  if (have == nullptr) return;
  TcpOptions options = *have;
  const uint8_t bits = step[2];
  options.cork = (bits & 1) != 0;
  options.no_delay = (bits & 2) != 0;
  options.quick_ack = (bits & 4) != 0;
  options.quick_ack_set = true;
  options.urgent_inline = (bits & 8) != 0;
  options.linger_reset = (bits & 16) != 0;
  options.keepalive = (bits & 32) != 0;
  if ((bits & 64) != 0) options.receive_buffer = 1U + step.word(3);
  if ((bits & 128) != 0) options.send_buffer = 1U + step.word(5);
  if (step[7] > 200) options.user_timeout = step[7] * 10ms;
  if (step[7] < 32) options.congestion = static_cast<CongestionChoice>(1 + step[7] % 2);
  (void)stack_.tcp_set_options(connection_, options, now_);
}

void Game::wait(const Step& step) {
  peer_.judge.forget_resets();
  const Time deadline = stack_.next_deadline();
  if (step[1] < 128 && deadline != kNever)
    now_ = std::max(now_, deadline);
  else
    now_ += Duration(int64_t{1} << (step[1] % 40));
  stack_.advance(now_);
}

// --- judgement -------------------------------------------------------------------------------------------------------

Game::Before Game::look(const SegmentJudge::Ports& ports) const {
  Before before;
  for (const TcpStatus& s : stack_.tcp_list()) {
    if (s.state == TcpState::listen && s.local.port == ports.first) before.knows_port = true;
    if (s.local.port == ports.first && s.remote.port == ports.second && s.state != TcpState::listen)
      before.state = s.state;
  }
  return before;
}

void Game::deliver(std::vector<std::byte> packet) {
  const auto s = read_segment(packet);
  Before before;
  Flow flow_before;
  peer_.judge.forget_resets();
  if (s) {
    before = look({s->tcp.destination_port, s->tcp.source_port});
    flow_before = peer_.judge.flow({s->tcp.destination_port, s->tcp.source_port});
    peer_.judge.deliver(*s);
  }
  if (FrameRef frame = stack_.frames().copy(packet)) stack_.receive(interface_, std::move(frame), now_);
  stack_.flush(now_);
  peer_.judge.delivered();
  if (s) judge_answer(*s, before, flow_before);
}

// Who may end a connection, and how: RFC 9293 §3.5.2, §3.5.3 and §3.10.7, RFC 5961.
void Game::judge_answer(const SeenSegment& s, const Before& before, const Flow& flow_before) {
  const TcpHeader& tcp = s.tcp;
  const std::vector<TcpHeader>& resets = peer_.judge.resets();
  const TcpState after = look({tcp.destination_port, tcp.source_port}).state;
  const bool reset = tcp.has(tcp_flag::rst);
  if (reset && !resets.empty()) fail("a RST is answered with a RST");
  if (before.state == TcpState::closed && !before.knows_port) {
    for (const TcpHeader& r : resets) {
      const bool right = tcp.has(tcp_flag::ack) ? r.sequence == tcp.acknowledgment && !r.has(tcp_flag::ack)
                                                : r.sequence == 0 && r.acknowledgment == tcp.sequence + s.length();
      if (!right) fail("a RST with the wrong numbers");
    }
    return;
  }
  if (!synchronized(before.state) || before.state == TcpState::time_wait) return;
  if (!resets.empty() && !flow_before.left) fail("a RST of a connection that its user holds");
  const auto must_stay = [&](bool condition, const char* what) {
    if (condition && after != before.state)
      fail(std::string(what) + " led from " + std::string(name(before.state)) + " to " + std::string(name(after)));
  };
  must_stay(!reset && tcp.has(tcp_flag::syn), "a SYN");
  must_stay(!reset && !tcp.has(tcp_flag::ack), "a segment without ACK");
  if (!flow_before.isn || !flow_before.acked) return;
  const uint32_t ack = tcp.acknowledgment - *flow_before.isn;
  must_stay(!reset && tcp.has(tcp_flag::ack) && ack - flow_before.sent_end - 1 < 0x4000'0000,
            "an ACK of what was not sent");
  // The scale rounds down what is told; the receiver takes what it has room for.
  const uint32_t untold = flow_before.scales && flow_before.peer_scales ? (1U << flow_before.shift_out) - 1 : 0;
  const uint32_t window = flow_before.edge_out - flow_before.ack_out + untold;
  must_stay(reset && tcp.sequence - flow_before.ack_out > window, "a RST outside the window");
}

// A peer that acknowledges all it is sent and opens its window gets everything that the user wrote, however small the
// path has made its segments.
void Game::end_honestly() {
  peer_.wire.refusing = false;
  stack_.link_writable(interface_, now_);
  const Flow* flow = flow_of(connection_);
  const TcpState state = stack_.tcp_status(connection_).value_or(TcpStatus{}).state;
  if (flow == nullptr || !synchronized(state) || !flow->isn || !flow->acked) return;
  const auto ports = stack_.tcp_status(connection_).value();
  if (ports.remote.port != kPeerPort) return;
  peer_.wire.stack_port = ports.local.port;
  const Time patience = now_ + 1h;
  for (int round = 0; round < 4000; ++round) {
    const Result<TcpStatus> status = stack_.tcp_status(connection_);
    if (!status || !synchronized(status->state) || status->state == TcpState::time_wait) return;
    const bool fin_due = !may_send(status->state);
    if (status->send_queue == 0 && flow->sent_end == 1 + flow->written + (fin_due ? 1 : 0)) return;
    const Time deadline = stack_.next_deadline();
    if (deadline > patience) break;
    if (round % 2 == 1) now_ = std::max(now_, deadline);
    stack_.advance(now_);
    deliver(peer_.wire.packet(peer_.honest()));
    check();
  }
  const TcpStatus left = stack_.tcp_status(connection_).value();
  fail("a peer that keeps the rules waits for ever: " + std::string(name(left.state)) + ", " +
       std::to_string(left.send_queue) + " to send, timer " + left.timer);
}

// Everything is closed.
void Game::finish() {
  if (Flow* flow = flow_of(connection_)) flow->left = true;
  stack_.tcp_close(connection_, now_);
  stack_.tcp_close(listener_, now_);
  stack_.flush(now_);
  come_to_rest(stack_, now_, [this] { check(); });
}

}  // namespace
}  // namespace limpid::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  limpid::fuzz::Game(std::as_bytes(std::span(data, size))).play();
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  return limpid::fuzz::StepMutator(data, size, most, seed).mutate();
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* one, size_t one_size, const uint8_t* other,
                                            size_t other_size, uint8_t* out, size_t most, unsigned seed) {
  const size_t n = one_size < most ? one_size : most;
  std::copy_n(one, n, out);
  return limpid::fuzz::StepMutator(out, n, most, seed).cross(other, other_size);
}
