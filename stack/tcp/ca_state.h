// What a sender believes of the path: Linux's names and numbers (TCP_CA_*), as TCP_INFO shows them.
#pragma once

#include <cstdint>

namespace limpid {

enum class CaState : uint8_t {
  open,      // nothing unusual
  disorder,  // SACKs or duplicate ACKs, nothing lost yet
  cwr,       // the window comes down, nothing to send again
  recovery,  // fast recovery
  loss,      // after a timeout
};

}  // namespace limpid
