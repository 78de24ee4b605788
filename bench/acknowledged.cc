// Alone in a file: the kernel's struct tcp_info has more than the C library's of the same name.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

namespace limpid::bench {

uint64_t acknowledged_bytes(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
  return info.tcpi_bytes_acked;
}

}  // namespace limpid::bench
