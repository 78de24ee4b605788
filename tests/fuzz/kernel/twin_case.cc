// Draws a case from a seed: the way into some state, then steps near the edges where mistakes live.
//
// Nothing in it may depend on a timer, on a congestion window or on how a stack cuts and paces its text: little text,
// no small windows but zero, no tail of duplicate ACKs.
#include "tests/fuzz/kernel/twin_case.h"

#include "stack/base/rng.h"
#include "stack/wire/tcp.h"

namespace limpid::twin {
namespace {

constexpr uint8_t kFin = tcp_flag::fin, kSyn = tcp_flag::syn, kRst = tcp_flag::rst, kPsh = tcp_flag::psh,
                  kAck = tcp_flag::ack;

class Drawing {
 public:
  explicit Drawing(uint64_t seed) : rng_(seed) {}

  Case draw() {
    draw_peer();
    open();
    if (rng_.below(8) != 0) lead();
    for (uint64_t n = 1 + rng_.below(9); n > 0; --n) case_.steps.push_back(any());
    probe();
    call(Call::read, 5000);
    call(Call::read, 10);
    call(Call::write, 1);
    call(Call::error);
    return case_;
  }

 private:
  template <class T, size_t N>
  T one_of(const T (&choices)[N]) {
    return choices[rng_.below(N)];
  }
  bool one_in(uint64_t n) { return rng_.below(n) == 0; }
  void segment(uint8_t flags, int32_t ack_offset = 0, uint32_t length = 0) {
    case_.steps.push_back({.flags = flags, .ack_offset = ack_offset, .length = length});
  }
  void call(Call what, uint32_t count = 0) {
    case_.steps.push_back({.kind = CaseStep::Kind::call, .call = what, .count = count});
  }
  void probe() { case_.steps.push_back({.kind = CaseStep::Kind::probe}); }

  void draw_peer() {
    case_.client = one_in(3);
    case_.irs = one_of<uint32_t>({1000, 0xffff'fffb, 0x7fff'fff0, 0, 0xffff'ff00});
    if (one_in(6))
      case_.mss.reset();
    else
      case_.mss = one_of<uint16_t>({536, 1000, 1460, 1460, 9000});
    if (!one_in(3)) case_.scale = one_of<uint8_t>({0, 2, 7, 14, 15});
    case_.sack = !one_in(3);
    case_.stamps = !one_in(3);
    if (one_in(8)) case_.raw = raw();
  }
  // Up to the state from which it goes on.
  void open() {
    if (case_.client) {
      call(Call::connect);
      const uint64_t way = rng_.below(8);
      if (way == 0) return;  // SYN-SENT
      if (way == 1) {        // SYN-RECEIVED, simultaneous
        segment(kSyn);
        if (one_in(2)) segment(kAck);
        return;
      }
      return segment(kSyn | kAck);
    }
    const uint64_t way = rng_.below(10);
    if (way == 0) return;  // LISTEN
    segment(kSyn);
    if (way == 1) return;  // SYN-RECEIVED
    segment(kAck);
    if (way != 2) call(Call::accept);
  }
  void lead() {
    switch (rng_.below(9)) {
      case 0:
        return call(Call::write, 300);
      case 1:
        return call(Call::shutdown_write);  // FIN-WAIT-1
      case 2:
        call(Call::shutdown_write);
        return segment(kAck);  // FIN-WAIT-2
      case 3:
        return segment(kFin | kAck);  // CLOSE-WAIT
      case 4:
        call(Call::shutdown_write);
        return segment(kFin | kAck, -1);  // CLOSING
      case 5:
        segment(kFin | kAck);
        return call(Call::shutdown_write);  // LAST-ACK
      case 6:
        call(Call::shutdown_write);
        return segment(kFin | kAck);  // TIME-WAIT
      case 7:
        return call(Call::close);
      default:
        return segment(kPsh | kAck, 0, 100);
    }
  }

  CaseStep any() {
    const uint64_t what = rng_.below(20);
    if (what < 9) return odd_segment();
    if (what < 11) return {.flags = kPsh | kAck, .length = length()};
    if (what < 12) return {.flags = kAck, .window = one_of<uint16_t>({0, 0, 65'535})};
    if (what < 13) return {.flags = one_of<uint8_t>({kAck, kFin | kAck, kRst}), .raw = raw()};
    if (what < 15) return {.kind = CaseStep::Kind::probe};
    return any_call();
  }
  CaseStep any_call() {
    const auto what = static_cast<Call>(rng_.below(uint64_t(Call::count_)));
    const bool final = what == Call::close_listener || what == Call::close || what == Call::abort;
    if (final && !one_in(3)) return {.kind = CaseStep::Kind::call, .call = Call::write, .count = length() + 1};
    return {.kind = CaseStep::Kind::call, .call = what, .count = one_of<uint32_t>({1, 5, 50, 400, 1000})};
  }
  CaseStep odd_segment() {
    CaseStep s;
    s.flags = one_of<uint8_t>({kAck, kAck, kAck, kAck | kPsh, kAck | kFin, kAck | kFin, kSyn, kSyn | kAck, kRst, kRst,
                               kRst | kAck, kFin, 0, kSyn | kFin, kSyn | kRst, kPsh, 0xff & ~tcp_flag::urg});
    s.seq_base = one_of<SeqBase>({SeqBase::next, SeqBase::next, SeqBase::next, SeqBase::irs, SeqBase::edge});
    s.seq_offset = offset();
    s.ack_base = one_of<AckBase>({AckBase::end, AckBase::end, AckBase::end, AckBase::isn});
    s.ack_offset = offset();
    if (one_in(2)) s.seq_offset = 0;
    if (one_in(2)) s.ack_offset = 0;
    s.length = one_in((s.flags & kSyn) != 0 ? 8 : 2) ? length() : 0;
    if (one_in(16)) s.window = 0;
    if (one_in(10)) s.stamped = false;
    if (one_in(10)) s.ts_offset = one_of<int32_t>({-1, -1000, 1000, -100'000});
    s.nobody = one_in(20);
    return s;
  }
  int32_t offset() {
    return one_of<int32_t>({0, 0, 1, -1, 2, -2, 10, -10, 100, -100, 1000, 20'000, -20'000, 100'000, -100'000, 1'000'000,
                            1 << 30, -(1 << 30)});
  }
  uint32_t length() { return one_of<uint32_t>({1, 2, 10, 100, 400}); }
  RawOptions raw() {
    if (one_in(2)) {
      static const RawOptions kKnown[] = {
          {3, 0},     {2, 1},      {8, 10, 0}, {5, 2},   {5, 9, 1},
          {0},        {1, 1, 1},   {254, 2},   {34, 2},  {2, 4, 0, 0},
          {4, 3, 0},  {3, 3, 255}, {8, 2},     {30, 12}, {5, 10, 0, 0, 0, 0, 0, 0, 0, 0},
          {255, 255}, {19, 18}};
      return kKnown[rng_.below(std::size(kKnown))];
    }
    RawOptions bytes(1 + rng_.below(12));
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(one_in(2) ? rng_.below(10) : rng_.below(256));
    return bytes;
  }

  Rng rng_;
  Case case_;
};

}  // namespace

Case draw_case(uint64_t seed) { return Drawing(seed).draw(); }

}  // namespace limpid::twin
