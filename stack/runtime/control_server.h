// The control socket: an AF_UNIX stream socket, mode 0600, on which a running stack tells what it is doing. It is what
// `limpid ss` asks. A client connects, reads one JSON object to the end of the stream, and is done; it sends nothing.
//
//   {"limpid": 1, "pid": …, "now_us": …, "tcp": [{"state": "ESTABLISHED", "local": "10.77.0.2:80", …}], "udp": […],
//    "counters": {"tcp_retransmits": …}}        durations are microseconds (_us); what is not known is absent
#pragma once

#include <span>
#include <string>
#include <thread>
#include <vector>

#include "stack/runtime/world.h"

namespace limpid {

// The report on one host's stacks, under the lock of each for no longer than the snapshot takes. Counters are those of
// all together; with several a TCP socket says whose it is ("stack": 0, 1, ...), and a listener is in each.
std::string describe(std::span<Machine* const> machines);

// One thread, which serves one client after the other, each for at most a second.
class ControlServer {
 public:
  // Makes the socket; an old one of that name that nobody serves any more is replaced. Throws std::system_error.
  ControlServer(std::vector<Machine*> machines, std::string path);
  ~ControlServer();  // removes the socket
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  const std::string& path() const { return path_; }

 private:
  void serve();

  std::vector<Machine*> machines_;
  std::string path_;
  int listener_ = -1;
  int quit_ = -1;  // an eventfd
  std::thread thread_;
};

// Where a process has its control socket unless told otherwise: $XDG_RUNTIME_DIR or /tmp, by process id.
std::string default_control_path();
// The folder and the beginning of the names above, to look for all of them.
std::string control_folder();
inline constexpr const char* kControlPrefix = "limpid-";

}  // namespace limpid
