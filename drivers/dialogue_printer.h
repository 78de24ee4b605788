// The layout of the dialogue: lines of a ladder between two hosts, runs of the ordinary folded.
//
//  0.000000 client |SYN 0 win 65535 -->                                  |        CLOSED -> SYN-SENT  the application …
//  0.040000        |                                  --> SYN 0 win 65535| server LISTEN -> SYN-RECEIVED  a SYN reached
//  …
//
// Text stands at the side of the host that speaks; the arrow shows where the packet goes. A run of lines of the same
// host, direction and rule becomes one line ("… 12 segments, 17520 bytes"), but never next to a loss, a retransmission
// or a state change: those keep their neighbors.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/descriptor_io.h"
#include "stack/base/rules.h"
#include "stack/base/time.h"

namespace limpid {

struct DialogueOptions {
  bool colour = false;
  bool fold = true;
};

struct DialogueLine {
  enum class Kind : uint8_t { sent, received, note };
  Kind kind = Kind::note;
  Time time{};
  size_t host = 0;
  std::string what{};   // "PSH,ACK 1:1461 (1460) ack 78 win 65535", or a note's text
  std::string mark{};   // what befell it: "lost", "dropped: checksum does not verify"
  std::string state{};  // "ESTABLISHED", "SYN-SENT -> ESTABLISHED"
  Rule why = Rule::none;
  std::string more{};     // said after the reason
  bool ordinary = false;  // may be folded
  bool again = false;     // a retransmission
  bool text = false;      // it carries bytes: these
  uint32_t from = 0;
  uint32_t to = 0;  // of a bare acknowledgment: the position that it names
};

class DialoguePrinter {
 public:
  DialoguePrinter(LogLine out, const DialogueOptions& options) : out_(std::move(out)), options_(options) {}

  size_t add_host(const std::string& name);
  void add(DialogueLine line);
  void finish();  // prints what waits to be folded

 private:
  struct Run {  // of lines that are folded into one
    DialogueLine first;
    Time last{};
    size_t lines = 0;
    uint64_t bytes = 0;
    uint32_t to = 0;
  };
  static constexpr size_t kNeighbors = 2;  // ordinary lines that stay beside an extraordinary one
  static constexpr size_t kMaxWaiting = 400;
  static constexpr Duration kPause = 1s;  // a silence ends a run

  void flush(size_t keep_last);
  void print(const DialogueLine& line);
  void print(const Run& run);
  std::string ladder(const DialogueLine& line) const;
  std::string_view paint(const DialogueLine& line) const;

  LogLine out_;
  DialogueOptions options_;
  std::vector<std::string> hosts_;
  std::deque<DialogueLine> waiting_;
  size_t neighbors_due_ = 0;
};

}  // namespace limpid
