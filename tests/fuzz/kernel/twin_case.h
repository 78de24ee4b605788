// One case of limpid_fuzz_kernel: a peer's segments and the user's calls, as a text that both sides are played. Numbers
// are relative, to what the side itself has said on the wire: each chooses its own ISN and window.
//
//   role server | client                      who opens: the peer, or our user (connect)
//   peer irs=4294967290 mss=1460 ws=7 sack ts raw=0204
//   segment PA seq=next+0 ack=end-5 len=10 win=65535 ts=-3 raw=0101 nobody
//   probe                                     an old segment without text, which MUST be answered with an ACK
//   call write 100
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace limpid::twin {

using RawOptions = std::vector<uint8_t>;

enum class SeqBase : uint8_t {
  next,  // behind what the peer has sent in order
  irs,   // its ISN
  edge,  // the right edge of the window that the side has advertised
  count_,
};
enum class AckBase : uint8_t {
  end,  // behind what the side has sent
  isn,  // its ISN
  count_,
};
enum class Call : uint8_t {
  connect,
  accept,
  write,
  read,
  peek,
  shutdown_write,
  shutdown_read,
  close,
  abort,
  error,  // SO_ERROR
  close_listener,
  count_,
};

struct CaseStep {
  enum class Kind : uint8_t { segment, probe, call };
  Kind kind = Kind::segment;

  // --- segment ---
  uint8_t flags = 0;
  SeqBase seq_base = SeqBase::next;
  int32_t seq_offset = 0;
  AckBase ack_base = AckBase::end;
  int32_t ack_offset = 0;
  uint32_t length = 0;  // of the text
  uint16_t window = 65'535;
  bool stamped = true;    // if both sides agreed on timestamps
  int32_t ts_offset = 0;  // of its value, from where the peer's clock stands
  RawOptions raw{};       // put behind the other options
  bool nobody = false;    // to a port where nobody is

  // --- call ---
  Call call = Call::error;
  uint32_t count = 0;  // bytes
};

struct Case {
  bool client = false;
  uint32_t irs = 1000;
  std::optional<uint16_t> mss = 1460;
  std::optional<uint8_t> scale{};
  bool sack = false;
  bool stamps = false;
  RawOptions raw{};  // put behind the options of its SYNs
  std::vector<CaseStep> steps;
};

Case draw_case(uint64_t seed);
std::string text_of(const CaseStep& step);
std::string text_of(const Case& c);
Case parse_case(const std::string& text);  // throws std::invalid_argument

}  // namespace limpid::twin
