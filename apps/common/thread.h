// Threads, started through the calls of the world that the app runs in: in a simulated world the baton that lets one
// thread run at a time must know them all, and on a device a new thread must have its creator's host.
#pragma once

#include <limpid/calls.h>

#include <functional>
#include <memory>
#include <system_error>
#include <utility>

namespace limpid::apps {

namespace detail {
inline void* run_thread(void* argument) {
  const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
  (*body)();
  return nullptr;
}
inline lp_thread_t create(const SocketCalls& calls, std::function<void()> body) {
  auto held = std::make_unique<std::function<void()>>(std::move(body));
  lp_thread_t id{};
  if (const int error = calls.thread_create(&id, run_thread, held.get()); error != 0)
    throw std::system_error(error, std::generic_category(), "thread_create");
  held.release();  // now the thread's
  return id;
}
}  // namespace detail

// Joined when it goes out of scope. The body must not throw.
class Thread {
 public:
  Thread(const SocketCalls& calls, std::function<void()> body)
      : calls_(&calls), id_(detail::create(calls, std::move(body))) {}
  Thread(Thread&& other) noexcept : calls_(std::exchange(other.calls_, nullptr)), id_(other.id_) {}
  Thread& operator=(Thread&&) = delete;
  ~Thread() { join(); }
  void join() {
    if (calls_ != nullptr) std::exchange(calls_, nullptr)->thread_join(id_, nullptr);
  }

 private:
  const SocketCalls* calls_;
  lp_thread_t id_;
};

}  // namespace limpid::apps
