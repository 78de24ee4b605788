// The lab: two hosts, the link between them, and one HTTP download, in one process and in virtual time. The programs
// are the real httpd and fetch with their blocking calls; the same seed gives the same packets, bit for bit.
//
//   client 10.0.0.1 ── delay, rate, loss ── 10.0.0.2 server
#pragma once

#include <cstdint>
#include <string>

#include "drivers/trace.h"

namespace limpid::apps {

struct LabOptions {
  uint64_t seed = 1884;     // a data segment, an ACK and a retransmission are lost
  double delay_ms = 40;     // one way
  double loss_percent = 1;  // each way
  double rate_mbit = 10;    // each way; 0: no limit
  uint64_t size = 65'536;   // bytes to download
  std::string pcapng;       // file to write the packets to, with their reasons
};

struct LabResult {
  bool right = false;         // the download ended, and its SHA-256 is that of what the server has
  std::string complaint;      // if it did not
  double seconds = 0;         // virtual, until the client had all
  uint64_t frames = 0;        // delivered
  uint64_t hash = 0;          // of all frames and events: the same seed, the same hash
  unsigned lost_data = 0;     // segments with data, first time
  unsigned lost_acks = 0;     // segments that are an ACK and nothing else
  unsigned lost_control = 0;  // a SYN or a FIN without data
  unsigned lost_again = 0;    // retransmissions
  unsigned retransmitted = 0;
  unsigned lost() const { return lost_data + lost_acks + lost_control + lost_again; }
};

// With a dialogue, every packet and decision is printed there as it happens.
LabResult run_lab(const LabOptions& options, Dialogue* dialogue);

}  // namespace limpid::apps
