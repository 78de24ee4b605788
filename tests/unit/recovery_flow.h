// A connection in the middle of sending, for tests of loss recovery.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/tcp_dialogue.h"

namespace limpid {

// Established, a round trip of 100 ms measured with the first 1000 octets; segments of 1000 octets go out from 1001 on.
struct RecoveryFlow {
  explicit RecoveryFlow(const std::string& syn_words = "win 65535 mss 1000 sackOK", const Config& config = {})
      : t(config), id(t.establish_passively({}, syn_words)) {
    t.send(id, 1000);
    t.pass(100ms);
    t.peer(". 1:1(0) ack 1001");
    t.take_all();
  }
  void fill(size_t bytes) {
    t.send(id, bytes);
    t.take_all();
  }
  // An ACK, with blocks or without, and what we send for it.
  std::vector<std::string> ack(int64_t n, const std::string& more = "") {
    t.peer(". 1:1(0) ack " + std::to_string(n) + " " + more);
    return t.take_words();
  }
  TcpStatus status() const { return t.status(id); }

  TcpDialogue t;
  SocketId id;
};

using Words = std::vector<std::string>;

}  // namespace limpid
