// What the runtime has to know of signals.
#pragma once

#include <cstdint>

namespace limpid {

// Counts SIGCONTs from now on, unless the program has a handler of its own for them.
void watch_continue_signals();
uint32_t continue_signals();

// What a signal does to a blocking call without a deadline, by the handlers that the program has now (signal(7)).
enum class SignalHandlers : uint8_t {
  that_restart,    // it goes on: all handlers are installed with SA_RESTART, or there is none
  that_interrupt,  // it ends with EINTR
  of_both_kinds,
};
SignalHandlers signal_handlers();  // some 60 system calls, 5 µs

}  // namespace limpid
