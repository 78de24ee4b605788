// What a script runs on: one host in virtual time, its descriptors, and the way from packetdrill's numbers to ours.
#pragma once

#include <cerrno>

#include "stack/socket/host.h"
#include "tests/packetdrill/descriptors.h"
#include "tests/packetdrill/virtual_host.h"

namespace limpid::packetdrill {

struct Drill {
  explicit Drill(const IpAddress& address) : host(address), sockets(host, host) {}

  VirtualHost host;
  Host sockets;
  Descriptors descriptors;
};

// The one that packetdrill_interface_init made; null before, as in a program into which we were only preloaded.
Drill* current_drill();

// A socket call: made on our host, and all that it wakes has happened when it returns.
class DrillCall {
 public:
  explicit DrillCall(Drill& drill) : drill_(drill) { Host::use(&drill.sockets); }
  DrillCall(const DrillCall&) = delete;
  DrillCall& operator=(const DrillCall&) = delete;
  ~DrillCall() {
    const int saved = errno;
    drill_.host.settle();
    errno = saved;
  }

 private:
  Drill& drill_;
};

}  // namespace limpid::packetdrill
