// futex(2): to sleep on a word until it is no longer what it was, and to wake whoever sleeps on it.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

namespace limpid {

// `until` on CLOCK_MONOTONIC; null: for ever. 0, or -1 and errno: EAGAIN (the word is another already), ETIMEDOUT,
// EINTR.
inline long futex_wait(std::atomic<uint32_t>& word, uint32_t while_it_is, const timespec* until) {
  return syscall(SYS_futex, static_cast<void*>(&word), FUTEX_WAIT_BITSET_PRIVATE, while_it_is, until, nullptr,
                 FUTEX_BITSET_MATCH_ANY);
}

inline void futex_wake(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, static_cast<void*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

inline timespec to_timespec(std::chrono::nanoseconds d) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(d);
  return {.tv_sec = static_cast<time_t>(whole.count()), .tv_nsec = static_cast<long>((d - whole).count())};
}

}  // namespace limpid
