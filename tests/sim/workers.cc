#include "tests/sim/workers.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace limpid::sim {
namespace {

using Clock = std::chrono::steady_clock;

// What goes through a pipe: this, then the failure's text. Short enough that a write is one piece.
struct Message {
  uint64_t seed = 0;
  uint64_t segments = 0;
  int64_t virtual_ms = 0;
  uint32_t length = 0;
};
constexpr size_t kLongestFailure = 3000;

struct Shared {  // between the processes
  std::atomic<uint64_t> next;
};

struct Worker {
  pid_t pid = 0;
  int pipe = -1;
  std::optional<uint64_t> running;  // the seed that it has begun
};

bool read_all(int fd, void* into, size_t size) {
  auto* bytes = static_cast<char*>(into);
  while (size > 0) {
    const ssize_t n = read(fd, bytes, size);
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

void send(int fd, const SeedReport& report) {
  const std::string text = report.failure.substr(0, kLongestFailure);
  const Message m{report.seed, report.segments, report.virtual_ms, static_cast<uint32_t>(text.size())};
  std::string bytes(reinterpret_cast<const char*>(&m), sizeof m);
  bytes += text;
  if (write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) _exit(3);
}

constexpr uint32_t kBegun = UINT32_MAX;  // as a length: the seed begins

class Pool {
 public:
  Pool(const WorkPlan& plan, const std::function<SeedReport(uint64_t)>& run) : plan_(plan), run_(run) {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
    shared_ = new (memory) Shared{};
    shared_->next = plan.from;
    for (unsigned i = 0; i < std::max(1U, plan.jobs); ++i) workers_.push_back(start());
  }
  ~Pool() { munmap(shared_, sizeof(Shared)); }

  void work(const std::function<void(const SeedReport&)>& report) {
    while (!workers_.empty()) {
      std::vector<pollfd> waits;
      for (const Worker& w : workers_) waits.push_back({w.pipe, POLLIN, 0});
      if (poll(waits.data(), waits.size(), -1) < 0) continue;
      for (size_t i = waits.size(); i-- > 0;)
        if (waits[i].revents != 0) listen_to(i, report);
    }
  }

 private:
  Worker start() {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("no process");
    if (pid == 0) {
      close(ends[0]);
      serve(ends[1]);
    }
    close(ends[1]);
    return {.pid = pid, .pipe = ends[0], .running = {}};
  }

  [[noreturn]] void serve(int out) {
    while (true) {
      const bool late = plan_.most_time && Clock::now() - began_ > *plan_.most_time;
      const uint64_t seed = shared_->next.fetch_add(1);
      if (late || seed >= plan_.from + plan_.seeds) break;
      const Message begun{.seed = seed, .length = kBegun};
      if (write(out, &begun, sizeof begun) != sizeof begun) break;
      send(out, run_(seed));
    }
    std::fflush(nullptr);
    _exit(0);
  }

  void listen_to(size_t index, const std::function<void(const SeedReport&)>& report) {
    Worker& w = workers_[index];
    Message m;
    if (!read_all(w.pipe, &m, sizeof m)) return bury(index, report);
    if (m.length == kBegun) {
      w.running = m.seed;
      return;
    }
    SeedReport r{
        .seed = m.seed, .failure = std::string(m.length, ' '), .segments = m.segments, .virtual_ms = m.virtual_ms};
    if (m.length > 0 && !read_all(w.pipe, r.failure.data(), m.length)) return bury(index, report);
    w.running.reset();
    report(r);
  }

  // A worker that ended in the middle of a seed died of it; another takes its place.
  void bury(size_t index, const std::function<void(const SeedReport&)>& report) {
    const Worker dead = workers_[index];
    workers_.erase(workers_.begin() + static_cast<ptrdiff_t>(index));
    close(dead.pipe);
    int status = 0;
    waitpid(dead.pid, &status, 0);
    if (!dead.running) return;
    const std::string how = WIFSIGNALED(status) ? fmt::format("died: {}", strsignal(WTERMSIG(status)))
                                                : fmt::format("ended with status {}", WEXITSTATUS(status));
    report({.seed = *dead.running, .failure = how});
    workers_.push_back(start());
  }

  WorkPlan plan_;
  const std::function<SeedReport(uint64_t)>& run_;
  Clock::time_point began_ = Clock::now();
  Shared* shared_ = nullptr;
  std::vector<Worker> workers_;
};

}  // namespace

void run_seeds(const WorkPlan& plan, const std::function<SeedReport(uint64_t)>& run,
               const std::function<void(const SeedReport&)>& report) {
  Pool(plan, run).work(report);
}

SeedReport run_apart(uint64_t seed, const std::function<SeedReport(uint64_t)>& run) {
  SeedReport result;
  run_seeds({.from = seed, .seeds = 1, .jobs = 1, .most_time = {}}, run, [&](const SeedReport& r) { result = r; });
  return result;
}

}  // namespace limpid::sim
