// Plays one case to one side, and notes after each step what can be seen of it: on the wire, and by the user.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "stack/wire/tcp.h"
#include "tests/fuzz/kernel/twin_case.h"
#include "tests/fuzz/kernel/twin_side.h"

namespace limpid::twin {

// What one step led to. Numbers count from the ISNs.
struct Observation {
  std::set<std::string> resets;  // "RA seq 5 ack 10"
  std::set<std::string> syns;    // with their options
  bool answered = false;         // by an ACK, whatever else it carries
  uint32_t ack = 0;              // the highest so far
  uint32_t was_acked = 0;        // and before this step
  uint32_t sent_end = 0;         // behind the highest text or FIN so far
  bool fin = false;              // seen so far
  std::string wrong;             // text that is not what the user wrote
  std::string result;            // of the call
  std::string state;             // of the connection that the user holds, by TCP_INFO
  int ready = 0;                 // what poll() says of it
  int listener_ready = 0;
  std::vector<std::string> packets;  // for the reader

  // The segment that the step sent, and where the side stood before it.
  struct Numbers {
    bool syn = false;
    bool window_shut = false;  // by the peer, until now
    uint32_t seq = 0, ack = 0;
    uint32_t acked = 0, edge = 0, sent_end = 0, una = 0;
  } sent;
};

// Where its packets go, so that many cases are played to the kernel side by side.
struct Place {
  IpAddress peer;
  uint16_t port;  // of the side
};
inline constexpr uint16_t kToNobody = 20'000;  // so much above that port nobody is

class Player {
 public:
  Player(Side& side, const Case& c, const Place& place);
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;
  ~Player();

  const Place& place() const { return place_; }
  size_t steps() const { return case_.steps.size(); }
  void perform(size_t step);
  void take(ByteSpan packet);  // that the side sent
  void observe();              // the step is over
  const std::vector<Observation>& observations() const { return seen_; }
  // Everything is closed, and what the side still holds is ended by a RST.
  void leave();

 private:
  void send(const CaseStep& step, size_t index);
  void probe(size_t index);
  void put(uint8_t flags, uint32_t seq, uint32_t ack, const CaseStep& step, size_t index);
  std::vector<std::byte> options_of(const CaseStep& step, uint8_t flags, size_t index) const;
  std::string do_call(const CaseStep& step);
  std::string read(uint32_t count, int flags);
  int open_socket();
  void note_syn(const TcpHeader& tcp);
  void note_text(const TcpHeader& tcp, ByteSpan text);
  std::string state() const;
  int poll(int fd) const;

  Side& side_;
  const Case& case_;
  Place place_;
  int listener_ = -1;
  int connection_ = -1;
  uint64_t written_ = 0, read_ = 0;
  uint32_t next_;  // the peer's
  uint16_t last_window_ = 65'535;
  bool has_isn_ = false;
  uint32_t isn_ = 0, end_ = 0;  // of the side
  uint32_t una_ = 0;            // the most that the peer has acknowledged in its window
  bool has_ack_ = false;
  uint32_t acked_, edge_;
  uint8_t shift_ = 0;
  bool stamps_ = false;
  uint32_t side_stamp_ = 0;
  Observation now_;
  std::vector<Observation> seen_;
};

}  // namespace limpid::twin
