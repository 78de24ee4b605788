// ss: lists the sockets of running stacks. It asks their control sockets (stack/runtime/control_server.h), which are
// AF_UNIX stream sockets: the same calls, another kind of address.
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "apps/common/command_line.h"
#include "stack/runtime/control_server.h"

namespace limpid::apps {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string path;
  bool counters = false;
  bool json = false;
  bool more = false;
};

// What the stack behind this socket tells: everything to the end of the stream.
std::string ask(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::system_error(ENAMETOOLONG, std::generic_category(), path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  std::string text;
  ssize_t n = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  char buffer[65'536];
  while (n >= 0 && (n = ::read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(n));
  const int error = errno;
  ::close(fd);
  if (n < 0) throw std::system_error(error, std::generic_category(), path);
  return text;
}

std::vector<std::string> control_sockets() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(control_folder(), ignored))
    if (entry.path().filename().string().starts_with(kControlPrefix) && entry.is_socket(ignored))
      found.push_back(entry.path().string());
  std::ranges::sort(found);
  return found;
}

std::string milliseconds(const Json& row, const char* key) {
  const auto value = row.find(key);
  return value == row.end() ? "-" : fmt::format("{:.3f}", value->get<double>() / 1000);
}

std::string number(const Json& row, const char* key) {
  const auto value = row.find(key);
  return value == row.end() ? "-" : value->dump();
}

void print_tcp(const Json& row, bool more, std::FILE* out) {
  const std::string protocol = row.contains("stack") ? "tcp/" + number(row, "stack") : "tcp";
  fmt::print(out, "{:<5} {:<12} {:>7} {:>7}  {:<22} {:<22} {:>8} {:>8} {:>9}\n", protocol, row.value("state", "?"),
             number(row, "recv_q"), number(row, "send_q"), row.value("local", "*"), row.value("remote", "*"),
             number(row, "cwnd"), number(row, "in_flight"), milliseconds(row, "srtt_us"));
  if (!more || !row.contains("mss")) return;
  fmt::print(out,
             "      mss {} ssthresh {} window {} (ours {}) rttvar {} rto {} min {} retransmitted {} segments {}/{} "
             "bytes {}/{}",
             number(row, "mss"), number(row, "ssthresh"), number(row, "send_window"), number(row, "receive_window"),
             milliseconds(row, "rttvar_us"), milliseconds(row, "rto_us"), milliseconds(row, "min_rtt_us"),
             number(row, "total_retransmits"), number(row, "segments_out"), number(row, "segments_in"),
             number(row, "bytes_acked"), number(row, "bytes_received"));
  if (row.contains("timer"))
    fmt::print(out, " timer {} in {} ms", row.value("timer", ""), milliseconds(row, "timer_in_us"));
  if (row.contains("repairing")) fmt::print(out, " repairing ({})", row.value("repairing", ""));
  fmt::print(out, "\n");
  for (const char* why : {"slow_sending", "slow_receiving"})
    if (!row.value(why, "").empty()) fmt::print(out, "      {}\n", row.value(why, ""));
}

void print_sockets(const Json& report, const Options& options, std::FILE* out) {
  fmt::print(out, "      {:<12} {:>7} {:>7}  {:<22} {:<22} {:>8} {:>8} {:>9}\n", "State", "Recv-Q", "Send-Q", "Local",
             "Remote", "cwnd", "in-fl.", "srtt ms");
  for (const Json& row : report.at("tcp")) print_tcp(row, options.more, out);
  for (const Json& row : report.at("udp")) {
    const int protocol = row.value("protocol", 17);
    fmt::print(out, "{:<5} {:<12} {:>7} {:>7}  {:<22} {:<22}{}\n",
               protocol == 17 ? "udp" : fmt::format("raw{}", protocol), "-", number(row, "recv_q"), "-",
               row.value("local", "*"), row.value("remote", "*"),
               row.value("dropped", 0) > 0 ? fmt::format(" {} dropped", row.value("dropped", 0)) : "");
  }
}

void print_counters(const Json& report, std::FILE* out) {
  for (const auto& [name, value] : report.at("counters").items())
    if (value.get<uint64_t>() > 0) fmt::print(out, "{:<32} {}\n", name, value.get<uint64_t>());
}

}  // namespace

int run_ss(const Arguments& arguments, Context& context) {
  CommandLine line("limpid-ss",
                   "Lists the sockets of running stacks, as ss does those of the kernel. cwnd and in flight are bytes.",
                   context, false);
  Options options;
  line->add_option("--control", options.path, "ask this stack (default: all of this user's)");
  line->add_flag("-c,--counters", options.counters, "counters that are not 0, instead of sockets");
  line->add_flag("-i,--info", options.more, "more of each connection");
  line->add_flag("--json", options.json, "all of it, as JSON: an array, one report for each stack");
  if (const auto status = line.parse(arguments)) return *status;

  const bool all = options.path.empty();
  const std::vector<std::string> paths = all ? control_sockets() : std::vector<std::string>{options.path};
  Json reports = Json::array();
  for (const std::string& path : paths) {
    try {
      reports.push_back(Json::parse(ask(path)));
    } catch (const std::system_error& e) {
      if (!all) throw;  // of many, one may just have ended, or left its socket behind
    }
  }
  if (options.json) {
    fmt::print(context.out, "{}\n", reports.dump(2));
    return 0;
  }
  if (reports.empty()) {
    fmt::print(context.err, "limpid-ss: no stack of yours is running\n");
    return 1;
  }
  for (const Json& report : reports) {
    if (reports.size() > 1) fmt::print(context.out, "process {}\n", report.value("pid", 0));
    if (options.counters) {
      print_counters(report, context.out);
    } else {
      print_sockets(report, options, context.out);
    }
  }
  return 0;
}

}  // namespace limpid::apps
