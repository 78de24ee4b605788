// Runs one scenario and judges it: byte-for-byte delivery, invariants after every event, everything closed at the end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "stack/runtime/sim_net.h"
#include "tests/sim/scenario.h"
#include "tests/sim/talker.h"
#include "tests/sim/wire_watch.h"

namespace limpid::sim {

struct Verdict {
  std::string failure;  // empty: all is well
  uint64_t hash = 0;
  uint64_t segments = 0;  // frames delivered
  uint64_t steps = 0;
  uint64_t bytes = 0;  // of the applications, delivered
  Duration virtual_time{};
};

class Simulation {
 public:
  Simulation(const Scenario& scenario, SimHash hash);
  ~Simulation();

  SimNet& net() { return net_; }
  Verdict run();

 private:
  class HostWakes;
  class Acceptor;
  class DatagramStream;

  void build_network();
  Device& put_middlebox(const MiddleboxPlan& plan, Device& end);
  void build_applications();
  bool may_start(size_t index);
  void start_conversation(size_t index);
  Talker* accepted(size_t host, SocketId id);
  void drive(Time until);
  bool take_turns();
  Time next_wake() const;
  bool applications_done() const;
  void finish();
  void expect_silence();
  void check_host(size_t host);
  void complain(const std::string& what);
  std::string describe_unfinished() const;

  struct Conversation {
    std::unique_ptr<Talker> client;
    std::unique_ptr<Talker> server;
    bool started = false;
    Time not_before = kNever;  // of one that waits for another: when it may start
    bool reached = false;      // the server's application has it
    Endpoint client_end;
  };

  const Scenario& scenario_;
  WireWatch watch_;
  std::vector<std::unique_ptr<Middlebox>> middleboxes_;
  SimNet net_;
  std::vector<std::unique_ptr<HostWakes>> wakes_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::vector<Conversation> conversations_;
  std::vector<std::unique_ptr<DatagramStream>> streams_;
  std::string failure_;
};

}  // namespace limpid::sim
