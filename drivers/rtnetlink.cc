#include "drivers/rtnetlink.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "drivers/descriptor.h"

namespace limpid {

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  header.nlmsg_seq = 1;
  append_bytes(&header, sizeof header);
}

void NetlinkRequest::append_bytes(const void* bytes, size_t length) {
  const auto* from = static_cast<const std::byte*>(bytes);
  message_.insert(message_.end(), from, from + length);
  message_.resize(NLMSG_ALIGN(message_.size()));  // everything begins at a multiple of four
}

void NetlinkRequest::attribute(uint16_t type, const void* value, size_t length) {
  rtattr header{};
  header.rta_len = static_cast<uint16_t>(RTA_LENGTH(length));
  header.rta_type = type;
  append_bytes(&header, sizeof header);
  append_bytes(value, length);
}

void NetlinkRequest::attribute(uint16_t type, std::string_view text) {
  std::vector<char> with_zero(text.begin(), text.end());
  with_zero.push_back('\0');
  attribute(type, with_zero.data(), with_zero.size());
}

size_t NetlinkRequest::begin(uint16_t type) {
  const size_t at = message_.size();
  rtattr header{};
  header.rta_type = type;
  append_bytes(&header, sizeof header);
  return at;
}

void NetlinkRequest::end(size_t begun) {
  const auto length = static_cast<uint16_t>(message_.size() - begun);
  std::memcpy(message_.data() + begun + offsetof(rtattr, rta_len), &length, sizeof length);
}

// The first message that comes back; empty, with `error` set, when none does.
std::vector<std::byte> NetlinkRequest::exchange(int& error) {
  const auto length = static_cast<uint32_t>(message_.size());
  std::memcpy(message_.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);

  const KernelDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  error = 0;
  std::vector<std::byte> answer(32 * 1024);
  const ssize_t n = socket && ::send(socket.get(), message_.data(), message_.size(), 0) >= 0
                        ? ::recv(socket.get(), answer.data(), answer.size(), 0)
                        : -1;
  if (n < 0) error = errno;
  answer.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return answer;
}

std::vector<std::byte> NetlinkRequest::ask() {
  int error = 0;
  std::vector<std::byte> answer = exchange(error);
  nlmsghdr header{};
  if (answer.size() < sizeof header) return {};
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR) return {};
  answer.resize(std::min<size_t>(answer.size(), header.nlmsg_len));
  return answer;
}

int NetlinkRequest::run() {
  int error = 0;
  const std::vector<std::byte> answer = exchange(error);
  if (error != 0) return error;
  nlmsghdr header{};
  nlmsgerr result{};
  if (answer.size() < sizeof header + sizeof result.error) return EPROTO;
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type != NLMSG_ERROR) return EPROTO;
  std::memcpy(&result.error, answer.data() + sizeof header, sizeof result.error);
  return -result.error;
}

}  // namespace limpid
