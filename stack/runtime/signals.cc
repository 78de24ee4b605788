#include "stack/runtime/signals.h"

#include <atomic>
#include <csignal>

namespace limpid {
namespace {

// The one thing that a signal handler can write to: how often the process was continued.
std::atomic<uint32_t> g_continued{0};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

void on_continue(int) { g_continued.fetch_add(1, std::memory_order_relaxed); }

bool is_handler(const struct sigaction& action) {
  return action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN && action.sa_handler != on_continue;
}

}  // namespace

void watch_continue_signals() {
  struct sigaction now{};
  if (sigaction(SIGCONT, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) return;
  struct sigaction watch{};
  watch.sa_handler = on_continue;
  watch.sa_flags = SA_RESTART;
  sigaction(SIGCONT, &watch, nullptr);
}

uint32_t continue_signals() { return g_continued.load(std::memory_order_relaxed); }

SignalHandlers signal_handlers() {
  bool restart = false;
  bool interrupt = false;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    struct sigaction action{};
    if (sigaction(signal, nullptr, &action) != 0 || !is_handler(action)) continue;
    ((action.sa_flags & SA_RESTART) != 0 ? restart : interrupt) = true;
  }
  if (restart && interrupt) return SignalHandlers::of_both_kinds;
  return interrupt ? SignalHandlers::that_interrupt : SignalHandlers::that_restart;
}

}  // namespace limpid
