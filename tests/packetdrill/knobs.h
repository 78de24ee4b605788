// The knobs that scripts turn: Linux's sysctls, which stand in /proc/sys/net/ipv4 of the namespace that packetdrill
// runs in. The kernel keeps them, and checks them; we only read.
#pragma once

#include <string>

#include "stack/config.h"

namespace limpid::packetdrill {

// What `config` becomes under the sysctls in `folder`; those that are not there leave it as it is.
void read_knobs(TcpConfig& config, const std::string& folder = "/proc/sys/net/ipv4");

}  // namespace limpid::packetdrill
