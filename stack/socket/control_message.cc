#include "stack/socket/control_message.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace limpid {

namespace {

IpAddress from_in_addr(in_addr address) {
  return address.s_addr == INADDR_ANY ? IpAddress{} : IpAddress::v4(ntohl(address.s_addr));
}

// Appends control messages to the caller's buffer, as far as it reaches.
class ControlWriter {
 public:
  explicit ControlWriter(msghdr& message) : message_(message), next_(CMSG_FIRSTHDR(&message)) {}

  template <class T>
  void add(int level, int type, const T& value) {
    if (next_ == nullptr || used_ + CMSG_SPACE(sizeof value) > message_.msg_controllen) {
      truncated_ = true;
      return;
    }
    next_->cmsg_level = level;
    next_->cmsg_type = type;
    next_->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(next_), &value, sizeof value);
    used_ += CMSG_SPACE(sizeof value);
    next_ = reinterpret_cast<cmsghdr*>(static_cast<unsigned char*>(message_.msg_control) + used_);
  }
  bool truncated() const { return truncated_; }
  size_t used() const { return used_; }

 private:
  msghdr& message_;
  cmsghdr* next_;
  size_t used_ = 0;
  bool truncated_ = false;
};

}  // namespace

int read_control(const msghdr& message, DatagramSend& how) {
  if (message.msg_control == nullptr) return 0;
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(const_cast<msghdr*>(&message), at)) {
    if (at->cmsg_level != IPPROTO_IP) continue;  // as Linux: other levels are for others
    if (at->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      if (at->cmsg_len != CMSG_LEN(sizeof info)) return EINVAL;
      std::memcpy(&info, CMSG_DATA(at), sizeof info);
      const IpAddress source = from_in_addr(info.ipi_spec_dst);
      if (source.is_set()) how.source = source;
    } else if (at->cmsg_type == IP_TTL) {
      int ttl = 0;
      if (at->cmsg_len != CMSG_LEN(sizeof ttl)) return EINVAL;
      std::memcpy(&ttl, CMSG_DATA(at), sizeof ttl);
      if (ttl < 1 || ttl > 255) return EINVAL;
      how.ttl = static_cast<uint8_t>(ttl);
    } else {
      return EINVAL;
    }
  }
  return 0;
}

void write_in_queue(msghdr& message, int left, int& flags) {
  ControlWriter writer(message);
  writer.add(IPPROTO_TCP, TCP_CM_INQ, left);
  message.msg_controllen = writer.used();
  if (writer.truncated()) flags |= MSG_CTRUNC;
}

void write_control(msghdr& message, const OpenSocket& socket, const DatagramReceived& received, int& flags) {
  ControlWriter writer(message);
  if (socket.wants_packet_info) {
    in_pktinfo info{};
    info.ipi_ifindex = received.interface + 1;  // the kernel's count begins with 1, its loopback
    info.ipi_addr.s_addr = htonl(received.destination.v4_bits());
    info.ipi_spec_dst = info.ipi_addr;
    writer.add(IPPROTO_IP, IP_PKTINFO, info);
  }
  if (socket.wants_ttl) writer.add(IPPROTO_IP, IP_TTL, int{received.ttl});
  if (socket.wants_tos) writer.add(IPPROTO_IP, IP_TOS, received.tos);
  message.msg_controllen = writer.used();
  if (writer.truncated()) flags |= MSG_CTRUNC;
}

}  // namespace limpid
