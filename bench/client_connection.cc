#include <time.h>
#include <unistd.h>

#include <fstream>

#include "bench/client.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

namespace limpid::bench {

Socket open_connection(const Plan& plan, const apps::perf::Request& request, unsigned number) {
  Socket socket = Socket::stream(lp_kernel_calls);
  if (!plan.congestion.empty())
    Socket::check(lp_kernel_calls.setsockopt(socket.fd(), IPPROTO_TCP, TCP_CONGESTION, plan.congestion.data(),
                                             static_cast<socklen_t>(plan.congestion.size())),
                  "congestion control");
  if (plan.first_source != 0) {
    socket.set_option(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(plan.first_source + number % plan.sources);
    socket.bind(SocketAddress(source));
  }
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  socket.set_option(SOL_SOCKET, SO_RCVTIMEO, patience);
  socket.set_option(SOL_SOCKET, SO_SNDTIMEO, patience);
  socket.no_delay();
  socket.connect(plan.server);
  socket.send(request.encode());
  return socket;
}

void receive_all(Socket& socket, std::span<std::byte> into) {
  while (!into.empty()) {
    const size_t n = socket.receive(into);
    if (n == 0) throw std::runtime_error("the server ended the connection");
    into = into.subspan(n);
  }
}

double server_cpu_seconds(const Plan& plan) {
  clockid_t clock{};
  timespec used{};
  if (plan.server_pid == 0 || clock_getcpuclockid(plan.server_pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
    return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

size_t server_resident_bytes(const Plan& plan) {
  std::ifstream statm("/proc/" + std::to_string(plan.server_pid) + "/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

Moment::Moment(const Plan& plan) : at(Clock::now()), server_cpu(server_cpu_seconds(plan)) {}

}  // namespace limpid::bench
