#include "stack/runtime/control_server.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <system_error>
#include <vector>

namespace limpid {
namespace {

int64_t microseconds(Duration d) { return std::chrono::duration_cast<std::chrono::microseconds>(d).count(); }

// Nothing in it needs escaping: numbers, addresses and names of our own.
class JsonObject {
 public:
  void add(std::string_view key, uint64_t value) { text_ += fmt::format("{}\"{}\":{}", comma(), key, value); }
  void add_text(std::string_view key, std::string_view value) {
    text_ += fmt::format("{}\"{}\":\"{}\"", comma(), key, value);
  }
  void add_raw(std::string_view key, std::string_view value) {
    text_ += fmt::format("{}\"{}\":{}", comma(), key, value);
  }
  void add_time(std::string_view key, Duration value) {
    if (value != Duration{}) add_raw(key, fmt::format("{}", microseconds(value)));
  }
  std::string finish() const { return "{" + text_ + "}"; }

 private:
  std::string_view comma() const { return text_.empty() ? "" : ","; }
  std::string text_;
};

std::string join(const std::vector<std::string>& objects) { return fmt::format("[{}]", fmt::join(objects, ",")); }

std::string endpoint_text(const Endpoint& endpoint) {
  return endpoint.address.is_any() ? fmt::format("*:{}", endpoint.port) : endpoint.to_string();
}

// Why it is slow: both accounts in a sentence each, and all that was charged.
void add_limits(JsonObject& o, const LimitTimes& t, Time now) {
  if (t.sending_since == Time{} && t.receiving_since == Time{}) return;  // half-open or TIME-WAIT: it keeps no account
  const auto nanoseconds = [](Duration d) { return static_cast<uint64_t>(std::max<int64_t>(d.count(), 0)); };
  JsonObject sending;
  for (size_t i = 0; i < kSendLimits; ++i) {
    const auto limit = static_cast<SendLimit>(i);
    if (const Duration d = t.spent(limit, now); d > Duration{}) sending.add(name(limit), nanoseconds(d));
  }
  JsonObject receiving;
  for (size_t i = 0; i < kReceiveLimits; ++i) {
    const auto limit = static_cast<ReceiveLimit>(i);
    if (const Duration d = t.spent(limit, now); d > Duration{}) receiving.add(name(limit), nanoseconds(d));
  }
  o.add_text("limit", name(t.sending));
  o.add_raw("limits_ns", sending.finish());
  o.add_raw("receive_limits_ns", receiving.finish());
  o.add_text("slow_sending", sending_in_words(t, now));
  o.add_text("slow_receiving", receiving_in_words(t, now));
}

std::string describe_tcp(const TcpStatus& s, std::optional<size_t> stack, Time now) {
  JsonObject o;
  if (stack) o.add("stack", *stack);
  o.add("connection", s.connection);
  o.add_text("state", name(s.state));
  o.add_text("local", endpoint_text(s.local));
  if (!s.remote.address.is_any()) o.add_text("remote", endpoint_text(s.remote));
  o.add("recv_q", s.receive_queue);
  o.add("send_q", s.send_queue);
  if (s.state != TcpState::listen) {
    o.add("unsent", s.unsent);
    o.add("out_of_order", s.out_of_order);
    o.add("in_flight", s.in_flight);
    o.add("mss", s.mss);
    o.add("cwnd", s.cwnd);
    if (s.ssthresh != UINT32_MAX) o.add("ssthresh", s.ssthresh);
    o.add("send_window", s.send_window);
    o.add("receive_window", s.receive_window);
    o.add_time("srtt_us", s.srtt);
    o.add_time("rttvar_us", s.rttvar);
    o.add_time("min_rtt_us", s.min_rtt);
    o.add_time("rto_us", s.rto);
    o.add("retransmits", s.retransmits);
    o.add("total_retransmits", s.total_retransmits);
    o.add("segments_out", s.segments_out);
    o.add("segments_in", s.segments_in);
    o.add("bytes_acked", s.bytes_acked);
    o.add("bytes_received", s.bytes_received);
    if (s.in_recovery || s.in_loss) o.add_text("repairing", s.in_loss ? "timeout" : "fast recovery");
    if (s.timer != nullptr && *s.timer != '\0' && s.timer_deadline != kNever) {
      o.add_text("timer", s.timer);
      o.add_raw("timer_in_us", fmt::format("{}", microseconds(s.timer_deadline - now)));
    }
    o.add_raw("age_us", fmt::format("{}", microseconds(now - s.opened)));
    add_limits(o, s.limits, now);
  }
  o.add("memory", s.memory);
  return o.finish();
}

std::string describe_udp(const UdpStatus& s) {
  JsonObject o;
  o.add("protocol", s.protocol);
  o.add_text("local", endpoint_text(s.local));
  if (!s.remote.address.is_any()) o.add_text("remote", endpoint_text(s.remote));
  o.add("recv_q", s.queued_bytes);
  o.add("datagrams", s.queued_datagrams);
  o.add("dropped", s.dropped);
  return o.finish();
}

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(path);
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

// A socket that a process left behind when it was killed refuses connections.
bool nobody_serves(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool refused =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

// Takes away what killed processes left, but nothing so young that its owner may be about to listen.
void sweep(const std::string& folder) {
  constexpr time_t kGrace = 10;  // seconds
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    const std::string path = folder + "/" + entry->d_name;
    struct stat status{};
    if (!name.starts_with(kControlPrefix) || lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) continue;
    if (status.st_mtime + kGrace < time(nullptr) && path.size() < sizeof sockaddr_un::sun_path &&
        nobody_serves(unix_address(path)))
      unlink(path.c_str());
  }
  closedir(directory);
}

int listen_at(const std::string& path) {
  const sockaddr_un address = unix_address(path);
  if (nobody_serves(address)) unlink(path.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket");
  // The mode is set before anybody can connect: listen() comes last.
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || chmod(path.c_str(), 0600) != 0 ||
      listen(fd, 8) != 0) {
    const int error = errno;
    close(fd);
    errno = error;
    fail(path);
  }
  return fd;
}

void send_all(int fd, std::string_view text) {
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  while (!text.empty()) {
    const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

namespace {

// What one stack tells.
struct Snapshot {
  Time now{};
  std::vector<TcpStatus> tcp;
  std::vector<UdpStatus> udp;
  Counters counters;
};

Snapshot look_at(Machine& machine) {
  Hold hold(machine);
  return {.now = hold.now(),
          .tcp = hold.stack().tcp_list(),
          .udp = hold.stack().udp_list(),
          .counters = hold.stack().counters()};
}

}  // namespace

std::string describe(std::span<Machine* const> machines) {
  std::vector<std::string> tcp_text;
  std::vector<std::string> udp_text;
  std::array<uint64_t, kCounterCount> counters{};
  Time now{};
  for (size_t stack = 0; stack < machines.size(); ++stack) {
    const Snapshot found = look_at(*machines[stack]);
    if (stack == 0) now = found.now;
    const auto number = machines.size() > 1 ? std::optional(stack) : std::nullopt;
    for (const TcpStatus& s : found.tcp) tcp_text.push_back(describe_tcp(s, number, found.now));
    for (const UdpStatus& s : found.udp) udp_text.push_back(describe_udp(s));
    for (size_t i = 0; i < kCounterCount; ++i) counters[i] += found.counters[static_cast<Counter>(i)];
  }
  JsonObject counter_text;
  for (size_t i = 0; i < kCounterCount; ++i) counter_text.add(kCounterInfo[i].name, counters[i]);
  JsonObject all;
  all.add("limpid", 1);
  all.add("pid", static_cast<uint64_t>(getpid()));
  all.add_raw("now_us", fmt::format("{}", microseconds(now - Time{})));
  all.add_raw("tcp", join(tcp_text));
  all.add_raw("udp", join(udp_text));
  all.add_raw("counters", counter_text.finish());
  return all.finish() + "\n";
}

ControlServer::ControlServer(std::vector<Machine*> machines, std::string path)
    : machines_(std::move(machines)), path_(std::move(path)) {
  sweep(control_folder());
  listener_ = listen_at(path_);
  quit_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { serve(); });
}

ControlServer::~ControlServer() {
  const uint64_t one = 1;
  if (write(quit_, &one, sizeof one) > 0) thread_.join();
  unlink(path_.c_str());
  close(listener_);
  close(quit_);
}

void ControlServer::serve() {
  for (;;) {
    pollfd waiting[] = {{listener_, POLLIN, 0}, {quit_, POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    send_all(client, describe(machines_));
    close(client);
  }
}

std::string control_folder() {
  const char* folder = std::getenv("XDG_RUNTIME_DIR");
  return folder != nullptr && access(folder, W_OK | X_OK) == 0 ? folder : "/tmp";
}

// Process ids repeat in the process namespaces of private networks, so the namespace is part of the name.
std::string default_control_path() {
  struct stat pids{};
  stat("/proc/self/ns/pid", &pids);
  return fmt::format("{}/{}{}-{}.sock", control_folder(), kControlPrefix, pids.st_ino, getpid());
}

}  // namespace limpid
